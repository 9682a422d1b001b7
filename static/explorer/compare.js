// Two runs side by side: `n` and `N` walk the places that differ. Without this script they are in the page all the same.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const words = document.querySelector("[data-differences]");
  if (!words) return;
  const total = Number(words.dataset.differences);
  const starts = [];
  for (const row of document.querySelectorAll("[data-difference]")) {
    if (starts.at(-1)?.dataset.difference !== row.dataset.difference) starts.push(row);
  }
  let at = -1;

  function show(row) {
    for (const other of document.querySelectorAll(".pair.is-cursor")) other.classList.remove("is-cursor");
    row.classList.add("is-cursor");
    row.scrollIntoView({ block: "center" });
    row.querySelector("a")?.focus({ preventScroll: true });
    words.textContent = `difference ${row.dataset.difference} of ${total.toLocaleString("en")}`;
  }

  function step(by) {
    if (!starts.length) return false;
    at = Math.min(Math.max(at + by, 0), starts.length - 1);
    show(starts[at]);
    return true;
  }

  Object.assign(nagare.actions, {
    "difference.next": () => step(1),
    "difference.previous": () => step(-1),
  });
})();
