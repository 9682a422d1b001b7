// Walking the graph of an event by keys: j and k along the rows, b to the nearest cause, f to the nearest effect. Enter
// follows the row's link, as it does on any link; Home puts the focus back on the event that the page is about.
(() => {
  "use strict";
  const list = document.getElementById("lineage-rows");
  if (!list || !window.nagare) return;
  const rows = [...list.querySelectorAll(".graph-row")];
  const own = rows.findIndex((row) => row.classList.contains("is-cursor"));
  let at = own;

  const say = (text) => document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text } }));

  function go(to) {
    if (!rows[to]) return;
    at = to;
    rows[at].querySelector(".graph-say").focus();
    rows[at].scrollIntoView({ block: "nearest" });
  }

  function walk(name, none) {
    const near = rows[at].dataset[name].split(" ").filter(Boolean).map(Number);
    if (!near.length) return say(none);
    go(name === "causes" ? near.at(-1) : near[0]);
  }

  list.addEventListener("focusin", (event) => {
    const row = event.target.closest(".graph-row");
    if (row) at = rows.indexOf(row);
  });
  nagare.actions["lineage.next"] = () => go(at + 1);
  nagare.actions["lineage.previous"] = () => go(at - 1);
  nagare.actions["lineage.back"] = () => walk("causes", "No cause of it is drawn here.");
  nagare.actions["lineage.forward"] = () => walk("effects", "No effect of it is drawn here.");
  nagare.actions["lineage.home"] = () => go(own);
})();
