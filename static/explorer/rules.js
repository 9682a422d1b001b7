// The editor of a rule: says what is wrong while it is typed, offers how it may go on, tries it on Ctrl and Enter.
(() => {
  "use strict";
  const WAIT_MS = 350;
  const form = document.getElementById("editor");
  const text = document.getElementById("expression");
  const list = document.getElementById("options");
  if (!form || !text || !list) return;
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;

  const post = (address, said, signal) =>
    fetch(address, {
      method: "POST",
      body: new URLSearchParams(said),
      headers: { "X-CSRFToken": token, "HX-Request": "true" },
      signal,
    });

  // --- What is wrong -------------------------------------------------------------------------------------------------

  let checking = null;
  let timer = 0;
  const touched = { yes: Boolean(text.value.trim()) };

  async function check() {
    checking?.abort();
    checking = new AbortController();
    if (!text.value.trim()) return;
    try {
      const response = await post(form.dataset.check, { expression: text.value }, checking.signal);
      if (!response.ok) return;
      const html = new DOMParser().parseFromString(await response.text(), "text/html");
      const found = html.getElementById("problems");
      const here = document.getElementById("problems");
      if (found.textContent.trim() !== here.textContent.trim()) here.replaceChildren(...found.childNodes);
      const line = here.querySelector(".problem .failing")?.textContent.trim().match(/^Line (\d+)/)?.[1];
      text.setAttribute("aria-invalid", line ? "true" : "false");
      document.getElementById("editor-why").textContent = line ? `Fix line ${line} to save.` : "";
      for (const button of form.querySelectorAll('[name=do][value^="save"]')) button.setAttribute("aria-disabled", line ? "true" : "false");
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(check, WAIT_MS);
  };

  form.addEventListener("click", (event) => {
    const mend = event.target.closest("[data-mended]");
    if (mend) {
      text.value = mend.dataset.mended;
      text.focus();
      check();
    }
  });

  // "Not now" says why beside it, and stays reachable.
  form.addEventListener("submit", (event) => {
    if (event.submitter?.getAttribute("aria-disabled") !== "true") return;
    event.preventDefault();
    text.focus();
  });

  // --- How it may go on ----------------------------------------------------------------------------------------------

  let asking = null;
  let options = [];
  let chosen = -1;

  function close() {
    list.hidden = true;
    options = [];
    chosen = -1;
    text.removeAttribute("aria-activedescendant");
  }

  function show() {
    list.replaceChildren(
      ...options.map((option, at) => {
        const item = document.createElement("li");
        item.id = `option-${at}`;
        item.role = "option";
        item.setAttribute("aria-selected", String(at === chosen));
        const name = document.createElement("span");
        name.className = "mono";
        name.textContent = option.text;
        const kind = document.createElement("span");
        kind.className = "label";
        kind.textContent = option.kind;
        item.append(name, kind);
        return item;
      }),
    );
    list.hidden = !options.length;
    if (chosen >= 0) text.setAttribute("aria-activedescendant", `option-${chosen}`);
    else text.removeAttribute("aria-activedescendant");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  async function offer(wanted) {
    asking?.abort();
    const at = text.selectionStart;
    const before = text.value.slice(0, at);
    if (text.selectionEnd !== at || (!wanted && !/[A-Za-z_.]$/.test(before))) return close();
    asking = new AbortController();
    try {
      const response = await post(form.dataset.complete, { text: text.value, at: String(at) }, asking.signal);
      if (!response.ok) return close();
      const found = (await response.json()).options;
      const isWhole = found.length === 1 && before.endsWith(found[0].text);
      options = isWhole ? [] : found;
      chosen = -1;
      show();
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  function take(at) {
    const option = options[at];
    if (!option) return;
    const caret = text.selectionStart;
    text.setRangeText(option.text, option.start, caret, "end");
    close();
    later();
  }

  // A field of several lines may not be a combobox; these two it may have.
  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-controls", "options");

  text.addEventListener("input", () => {
    later();
    offer(false);
  });
  text.addEventListener("blur", () => setTimeout(close, 150));
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("li");
    if (!item) return;
    event.preventDefault();
    take([...list.children].indexOf(item));
  });

  text.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      event.preventDefault();
      form.querySelector('[name=do][value="try"]').click();
      return;
    }
    if (event.ctrlKey && event.key === " ") {
      event.preventDefault();
      offer(true);
      return;
    }
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length;
      show();
    } else if ((event.key === "Enter" && chosen >= 0) || (event.key === "Tab" && chosen >= 0)) {
      event.preventDefault();
      take(chosen);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });

  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "tried") document.getElementById("tried")?.focus({ preventScroll: true });
  });
  if (touched.yes) check();
})();
