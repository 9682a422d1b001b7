// The menu of a run: what hangs on an event follows the cursor, links to Markdown copy it instead of opening it, and keys
// lead on to what else can be asked of the event and the run.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const follow = (id) => () => {
    const link = document.getElementById(id);
    if (!link) return false;
    location.assign(link.href);
    return true;
  };
  Object.assign(nagare.actions, { "whatif.open": follow("whatif-link"), "compare.open": follow("compare-link") });

  const menu = document.querySelector("[data-share]");
  if (!menu) return;
  const base = menu.dataset.share;
  const say = (text) => document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text } }));

  document.addEventListener("nagare:cursor", (event) => {
    const { version } = event.detail;
    for (const place of menu.querySelectorAll("[data-share-version]")) place.textContent = version;
    for (const link of menu.querySelectorAll("[data-share-copy]")) {
      if (link.dataset.shareCopy) link.href = `${base}markdown/?${link.dataset.shareCopy}=${version}`;
    }
  });

  async function text(address) {
    const response = await fetch(address);
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.blob();
  }

  // Browsers let a page write to the clipboard only while a click counts; a promise for the text keeps that open.
  async function copy(address) {
    if (window.ClipboardItem) {
      const plain = text(address).then((blob) => new Blob([blob], { type: "text/plain" }));
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
    } else {
      await navigator.clipboard.writeText(await (await text(address)).text());
    }
  }

  menu.addEventListener("click", async (event) => {
    const link = event.target.closest("[data-share-copy]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    menu.closest("details").open = false;
    try {
      await copy(link.href);
      say("Copied as Markdown");
    } catch {
      location.assign(link.href); // where copying is not allowed, the text itself opens
    }
  });
})();
