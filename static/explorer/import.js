// Dropping and choosing files. Without this script the form still sends what was chosen; with it the files go as soon as
// they are dropped or chosen, with a bar while they do.
(() => {
  "use strict";
  const form = document.querySelector("[data-drop]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const idle = form.querySelector("[data-drop-idle]");
  const over = form.querySelector("[data-drop-over]");
  const words = form.querySelector("[data-drop-words]");
  const progress = form.querySelector("[data-drop-progress]");
  const LIMIT = 256 * 2 ** 20;
  form.classList.add("drop-live");
  let depth = 0; // dragenter and dragleave also come from the children of the page

  const counted = (number) => `${number.toLocaleString("en")} ${number === 1 ? "file" : "files"}`;
  const megabytes = (bytes) => `${(bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;

  function showOver(event) {
    const count = event ? event.dataTransfer.items.length : 0;
    form.classList.toggle("drop-is-over", Boolean(event));
    idle.hidden = Boolean(event);
    over.hidden = !event;
    if (count) over.textContent = `Let go to add ${counted(count)}`;
  }

  function say(text, value) {
    progress.hidden = false;
    words.textContent = text;
    progress.querySelector("progress").hidden = value === undefined;
    if (value !== undefined) progress.querySelector("progress").value = value;
  }

  // One request, since the job that imports them is one; XMLHttpRequest, since fetch does not tell how much is sent.
  function send(files) {
    const large = files.find((file) => file.size > LIMIT);
    if (large) {
      say(`${large.name} has ${megabytes(large.size)}; 256 MB is the most this page takes. nagare import takes larger ones.`);
      return;
    }
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    for (const file of files) data.append("files", file, file.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) =>
      say(`Sending ${counted(files.length)}, ${megabytes(event.loaded)} of ${megabytes(event.total)}`, event.loaded / event.total),
    );
    request.addEventListener("load", () => {
      if (request.status === 201) location.assign(request.response.href);
      else say(request.response?.detail || `The server refused the files (status ${request.status}).`);
    });
    request.addEventListener("error", () => say("The connection was lost while sending. Nothing was imported; send the files again."));
    say(`Sending ${counted(files.length)}`, 0);
    request.send(data);
  }

  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");

  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    showOver(event);
  });
  addEventListener("dragleave", (event) => {
    if (hasFiles(event) && --depth <= 0) showOver(null);
  });
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    showOver(null);
    if (event.dataTransfer.files.length) send([...event.dataTransfer.files]);
  });
  input.addEventListener("change", () => {
    if (input.files.length) send([...input.files]);
    input.value = "";
  });
})();
