// Dropping and choosing files and folders. Without this script the form still sends what was chosen; with it the files go as
// soon as they are dropped or chosen, and each says how much of it is sent.
(() => {
  "use strict";
  const form = document.querySelector("[data-drop]");
  if (!form) return;
  const [idle, over, words, progress, list, more] = ["idle", "over", "words", "progress", "files", "more"].map((name) =>
    form.querySelector(`[data-drop-${name}]`),
  );
  const bar = progress.querySelector("progress");
  const LIMIT = 256 * 2 ** 20;
  const MOST = 500;
  const LISTED = 40;
  form.classList.add("drop-live");
  let depth = 0; // dragenter and dragleave also come from the children of the page
  let isSending = false;

  const counted = (number, noun = "file") => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  function size(bytes) {
    if (bytes < 1000) return counted(bytes, "byte");
    const [amount, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : [bytes / 1e6, "MB"];
    return `${amount.toLocaleString("en", { maximumFractionDigits: 1 })} ${unit}`;
  }

  function showOver(event) {
    const count = event ? event.dataTransfer.items.length : 0;
    form.classList.toggle("drop-is-over", Boolean(event));
    idle.hidden = Boolean(event);
    over.hidden = !event;
    if (count) over.textContent = `Let go to add ${counted(count)}`;
  }

  // The words are a live region: they change at each tenth of the way, the bars at every event.
  function say(text) {
    progress.hidden = false;
    if (words.textContent !== text) words.textContent = text;
  }

  function refuse(text) {
    isSending = false;
    bar.hidden = true;
    list.replaceChildren();
    more.hidden = true;
    say(text);
  }

  function lines(chosen) {
    list.replaceChildren(
      ...chosen.slice(0, LISTED).map(({ path }) => {
        const line = document.createElement("li");
        const name = document.createElement("bdi");
        name.className = "mono clip";
        name.textContent = path;
        const sent = document.createElement("span");
        sent.className = "label";
        line.append(name, sent);
        return line;
      }),
    );
    more.hidden = chosen.length <= LISTED;
    more.textContent = `and ${counted(chosen.length - LISTED)} more`;
  }

  // The files stand in the request one behind the other, so how much of each is sent follows from how much of all is.
  function showSent(chosen, whole, event) {
    const loaded = (event.loaded / event.total) * whole;
    bar.value = event.loaded / event.total;
    say(`Sending ${counted(chosen.length)}, ${Math.floor(bar.value * 10) * 10} % of ${size(whole)}`);
    let before = 0;
    for (const [at, { file }] of chosen.slice(0, LISTED).entries()) {
      const sent = Math.min(Math.max(loaded - before, 0), file.size);
      before += file.size;
      list.children[at].lastChild.textContent = sent >= file.size ? `${size(file.size)} sent` : `${size(Math.round(sent))} of ${size(file.size)}`;
    }
  }

  function refusal(chosen) {
    if (!chosen.length) return "There is no file in it. Choose another folder, or files.";
    if (chosen.length > MOST) return `${counted(chosen.length)}; this page takes ${MOST} at once. nagare import takes any number.`;
    const large = chosen.find(({ file }) => file.size > LIMIT);
    return large && `${large.path} has ${size(large.file.size)}; 256 MB is the most this page takes. nagare import takes larger ones.`;
  }

  // One request, since the job that imports them is one; XMLHttpRequest, since fetch does not tell how much is sent.
  function send(chosen) {
    if (isSending) return;
    const reason = refusal(chosen);
    if (reason) {
      refuse(reason);
      return;
    }
    isSending = true;
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    for (const { file, path } of chosen) {
      data.append("files", file, file.name);
      data.append("paths", path);
    }
    const whole = chosen.reduce((sum, { file }) => sum + file.size, 0);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => showSent(chosen, whole, event));
    request.addEventListener("load", () => {
      if (request.status === 201) location.assign(request.response.href);
      else refuse(request.response?.detail || `The server refused the files (status ${request.status}). Nothing was imported.`);
    });
    request.addEventListener("error", () => refuse("The connection was lost while sending. Nothing was imported; send the files again."));
    bar.hidden = false;
    bar.value = 0;
    lines(chosen);
    say(`Sending ${counted(chosen.length)}`);
    request.send(data);
  }

  // --- Folders -------------------------------------------------------------------------------------------------------

  const entriesOf = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

  async function below(entry) {
    if (entry.isFile) return [{ file: await fileOf(entry), path: entry.fullPath.replace(/^\//, "") }];
    const reader = entry.createReader();
    const found = [];
    // A reader gives its entries in parts; an empty one is the end.
    for (let some = await entriesOf(reader); some.length && found.length <= MOST; some = await entriesOf(reader)) {
      for (const inner of some) found.push(...(await below(inner)));
    }
    return found;
  }

  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean); // before the first await
    const files = [...transfer.files];
    if (!entries.some((entry) => entry.isDirectory)) return files.map((file) => ({ file, path: file.name }));
    const found = [];
    for (const entry of entries) found.push(...(await below(entry)));
    return found;
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
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    showOver(null);
    try {
      send(await dropped(event.dataTransfer));
    } catch {
      refuse("The browser could not read the folder. Choose it with the button, or pack it as .zip.");
    }
  });
  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      const chosen = [...input.files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
      if (chosen.length) send(chosen);
      input.value = "";
    });
  }
})();
