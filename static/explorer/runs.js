// Keys of the run list: j and k move the focus from run to run, Enter opens it as any link, / goes to the query.
(() => {
  "use strict";
  const inField = (target) => target.closest("input, textarea, select, [contenteditable]");

  function move(by) {
    const runs = [...document.querySelectorAll("[data-run] .runs-open")];
    if (!runs.length) return;
    const row = document.activeElement?.closest("[data-run]");
    const at = row ? runs.indexOf(row.querySelector(".runs-open")) : by > 0 ? -1 : runs.length;
    const next = runs[Math.min(Math.max(at + by, 0), runs.length - 1)];
    next.focus({ preventScroll: true });
    next.closest("[data-run]").scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || inField(event.target)) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "/") {
      event.preventDefault();
      document.querySelector("[data-query]").select();
    }
  });
})();
