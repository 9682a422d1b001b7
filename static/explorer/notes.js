// Notes on the run page: rows whose event has some are marked, those of the event at the cursor are shown under Explain,
// and `a` writes one. Which events have notes stands on the minimap; a move of the cursor asks for nothing where there
// is none.
(() => {
  "use strict";
  const map = document.getElementById("map");
  if (!map || !window.nagare?.run) return;
  const { run, actions } = nagare;
  const noted = new Set((map.dataset.noted || "").split(",").filter(Boolean).map(Number));
  const page = `${run.path}notes/`;

  function mark() {
    for (const row of document.querySelectorAll("#rows .row")) {
      const last = Number(row.id.slice(1));
      const first = Number(row.dataset.first || last);
      let has = false;
      for (let version = first; version <= last && !has; version += 1) has = noted.has(version);
      row.classList.toggle("is-noted", has);
      if (has) row.title = "has a note";
    }
  }

  async function show() {
    const place = document.getElementById("notes-here");
    if (!place || place.dataset.version === String(run.version) || !run.isCurrent()) return;
    place.dataset.version = run.version;
    if (!noted.has(run.version)) return;
    const asked = run.version;
    const response = await fetch(`${page}?at=${asked}`, { headers: { "HX-Request": "true" } });
    if (!response.ok || run.version !== asked) return;
    const part = new DOMParser().parseFromString(await response.text(), "text/html");
    document.getElementById("notes-here")?.replaceChildren(...part.body.children);
  }

  document.addEventListener("nagare:list", mark);
  document.addEventListener("nagare:shown", show);
  actions["note.add"] = () => {
    location.href = `${page}?v=${run.version}#new`;
  };
  mark();
})();
