// Find in the run: `/` to the field, `n` and `N` from hit to hit, hits as ticks on the minimap and marked in what is shown.
// The page knows the hits around the cursor and asks for others where they end; a move to a hit is a move like any other.
(() => {
  "use strict";
  const run = window.nagare?.run;
  const form = document.getElementById("find-form");
  if (!run || !form) return;

  const byId = (id) => document.getElementById(id);
  const field = byId("find");
  const TYPING_MS = 250;
  const MOST_MARKS = 500;
  const highlights = window.CSS?.highlights && window.Highlight ? CSS.highlights : null;

  let timer = 0;
  let request = null;
  let hits = [];

  const found = () => byId("find-found");
  const asked = () => found().dataset.q || "";
  const many = (number) => Number(number).toLocaleString("en");
  const read = () => (hits = (found().dataset.near || "").split(",").filter(Boolean).map(Number));

  // --- Asking -----------------------------------------------------------------------------------------------------------

  // Also the passages of the rows that stand in the list now: those that come later bring their own.
  function address(version) {
    const url = new URL(form.action, location.href);
    url.searchParams.set("q", field.value.trim());
    url.searchParams.set("v", version);
    for (const name of ["tab", "rows", "project"]) {
      const value = run.address.searchParams.get(name);
      if (value) url.searchParams.set(name, value);
    }
    const windows = document.querySelectorAll("#wins .win");
    if (windows.length) {
      url.searchParams.set("from", windows[0].dataset.first);
      url.searchParams.set("to", windows[windows.length - 1].dataset.last);
    }
    return url;
  }

  async function ask(version) {
    clearTimeout(timer);
    request?.abort();
    const own = new AbortController();
    request = own;
    try {
      const answer = await fetch(address(version), { signal: own.signal, headers: { "HX-Request": "true" } });
      if (answer.headers.has("HX-Redirect")) location.href = answer.headers.get("HX-Redirect");
      if (!answer.ok) return tell(`not found out, the server answered ${answer.status}`);
      show(await answer.text());
      return true;
    } catch (error) {
      if (error.name !== "AbortError") tell("not found out, the server cannot be reached");
      return false;
    }
  }

  function tell(words) {
    const count = document.createElement("output");
    count.className = "find-count small";
    count.id = "find-count";
    count.textContent = words;
    found().replaceChildren(count);
    return false;
  }

  // The parser of a document runs no scripts and loads nothing.
  function show(html) {
    const answer = new DOMParser().parseFromString(html, "text/html");
    found().replaceWith(document.importNode(answer.getElementById("find-found"), true));
    byId("map-hits").setAttribute("d", answer.getElementById("find-ticks").getAttribute("d"));
    read();
    for (const old of document.querySelectorAll("#wins .row-found")) {
      old.nextElementSibling.hidden = false;
      old.remove();
    }
    for (const line of answer.querySelectorAll("p[data-version]")) showInRow(Number(line.dataset.version), line);
    mark();
  }

  function showInRow(version, line) {
    const row = run.rowOf(version);
    const said = row?.querySelector(".say:not(.row-found)");
    if (!said || said.hidden) return;
    const shown = document.createElement("span");
    shown.className = "say row-found";
    shown.append(...[...line.childNodes].map((node) => document.importNode(node, true)));
    said.before(shown);
    said.hidden = true;
  }

  // --- From hit to hit --------------------------------------------------------------------------------------------------

  const firstNear = () => Number(found().dataset.firstNear || 1);
  const total = () => Number(found().dataset.total || 0);

  // After the last hit comes the first one. Undefined: it lies beyond the hits that the page knows.
  function next(forward) {
    const version = forward ? hits.find((hit) => hit > run.version) : hits.findLast((hit) => hit < run.version);
    if (version !== undefined) return version;
    const isEnd = forward ? firstNear() + hits.length > total() : firstNear() === 1;
    if (isEnd) return Number(found().dataset[forward ? "first" : "last"]) || null;
    return undefined;
  }

  async function step(forward) {
    if (field.value.trim() !== asked() && !(await ask(run.version))) return;
    if (!total()) return;
    if (next(forward) === undefined) await ask(run.version);
    const version = next(forward);
    if (version) run.go(version, { jump: true, changes: { q: asked() } });
  }

  function count() {
    const output = byId("find-count");
    if (!output || !total()) return;
    const at = hits.indexOf(run.version);
    const all = ("more" in found().dataset ? "more than " : "") + many(total());
    output.textContent = at >= 0 ? `${many(firstNear() + at)} of ${all}` : `${all} ${total() === 1 ? "hit" : "hits"}`;
  }

  // --- Marks in what is shown -------------------------------------------------------------------------------------------

  // Ranges over the text as it stands: nothing of what agents wrote is made into elements.
  function mark() {
    if (!highlights) return;
    highlights.delete("found");
    const wanted = asked().toLowerCase();
    if (!wanted || !total()) return;
    const ranges = [];
    for (const part of [byId("panel"), byId("wins")]) {
      const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
      while (walker.nextNode() && ranges.length < MOST_MARKS) rangesIn(walker.currentNode, wanted, ranges);
    }
    highlights.set("found", new Highlight(...ranges));
  }

  function rangesIn(node, wanted, ranges) {
    const text = node.data.toLowerCase();
    if (text.length !== node.data.length || node.parentElement.closest("mark, .sr, .no")) return;
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      ranges.push(range);
    }
  }

  // --- Who asks -----------------------------------------------------------------------------------------------------------

  // The hit that the cursor stands on is the first one; Enter again goes on.
  async function submit(forward) {
    const typed = field.value.trim();
    if (!typed) return clear();
    if (typed === asked() && run.address.searchParams.get("q") === typed) return step(forward);
    if (typed !== asked() && !(await ask(run.version))) return;
    const version = hits.includes(run.version) ? run.version : next(true);
    run.go(version || run.version, { jump: true, changes: { q: asked() } });
  }

  function clear() {
    request?.abort();
    show('<span class="find-found" id="find-found"></span><svg><path id="find-ticks" d=""></path></svg>');
    run.go(run.version, { changes: { q: null } });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(true);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey && !event.isComposing) {
      event.preventDefault();
      submit(false);
    } else if (event.key === "Escape" && !field.value) field.blur();
  });
  field.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (event.isComposing) return;
    const typed = field.value.trim();
    if (!typed) clear();
    else if (typed !== asked()) timer = setTimeout(ask, TYPING_MS, run.version);
  });
  form.addEventListener("click", (event) => {
    const link = event.target.closest(".find-step");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    step(link.id === "find-next");
  });
  field.addEventListener("blur", () => {
    if (!field.value) form.dataset.closed = "";
  });
  byId("find-open").addEventListener("click", () => nagare.actions["find.open"]());
  document.addEventListener("nagare:cursor", count);
  document.addEventListener("nagare:shown", mark);
  // Rows that came in later: their passages are asked for once the list has come to rest.
  document.addEventListener("nagare:list", () => {
    clearTimeout(timer);
    if (asked() && total()) timer = setTimeout(ask, TYPING_MS, run.version);
  });
  addEventListener("popstate", () => {
    const q = new URL(location.href).searchParams.get("q") || "";
    if (q === asked()) return;
    field.value = q;
    if (q) ask(run.version);
    else show('<span class="find-found" id="find-found"></span><svg><path id="find-ticks" d=""></path></svg>');
  });

  nagare.actions["find.open"] = () => {
    delete form.dataset.closed;
    field.focus();
    field.select();
  };
  nagare.actions["find.next"] = () => void step(true);
  nagare.actions["find.previous"] = () => void step(false);

  byId("find-open").hidden = false;
  if (!field.value) form.dataset.closed = "";
  read();
  mark();
})();
