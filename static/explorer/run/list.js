// The list holds a window of the run: rows come in at the end that is scrolled to and go at the other one, so that their
// number stays the same whatever the length. For screen readers it is a list box whose selected option is the cursor.
(() => {
  "use strict";
  if (!window.nagare?.run) return;
  const run = nagare.run;
  const MOST_ROWS = 80;
  const AHEAD_PX = 160; // less than a page opens with above and below what is in view: opening it asks for no more rows

  const byId = (id) => document.getElementById(id);
  const count = (number) => number.toLocaleString("en");
  const own = (row) => Number(row.id.slice(1));
  const from = (row) => Number(row.dataset.first || own(row));
  const until = (row) => Number(row.dataset.last || own(row));
  const rows = () => document.querySelectorAll("#wins .row");
  const windows = () => [...document.querySelectorAll("#wins .win")];

  let list = null;
  let observer = null;
  let request = null;

  // A row may stand for several events: a model call and its response, a tool call and its result, or quiet ones.
  function rowOf(number) {
    const found = byId(`e${number}`);
    if (found) return found;
    for (const row of rows()) if (from(row) <= number && number <= until(row)) return row;
    return null;
  }
  run.rowOf = rowOf;
  run.hasRow = (number) => Boolean(rowOf(number));

  // --- The cursor ------------------------------------------------------------------------------------------------------

  function mark(smooth) {
    const row = rowOf(run.version);
    const box = byId("wins");
    if (!row || box.getAttribute("aria-activedescendant") !== row.id) choose(box, row);
    if (row) run.whenDrawn(() => row.isConnected && rowOf(run.version) === row && reveal(row, smooth));
  }

  // Only what changes is written.
  function choose(box, row) {
    for (const old of box.querySelectorAll("[aria-current]")) if (old !== row) old.removeAttribute("aria-current");
    for (const old of box.querySelectorAll("[aria-selected=true]")) if (old !== row) old.setAttribute("aria-selected", "false");
    if (!row) {
      box.removeAttribute("aria-activedescendant");
      return;
    }
    row.setAttribute("aria-current", "true");
    row.setAttribute("aria-selected", "true");
    box.setAttribute("aria-activedescendant", row.id);
  }

  function reveal(row, smooth) {
    const box = byId("rows");
    if (box.scrollHeight <= box.clientHeight) {
      if (byId("split").dataset.tab === "events") row.scrollIntoView({ block: "nearest" });
      return;
    }
    const place = row.getBoundingClientRect();
    const frame = box.getBoundingClientRect();
    const margin = place.height * 2;
    if (place.top >= frame.top + margin && place.bottom <= frame.bottom - margin) return;
    const top = box.scrollTop + place.top - frame.top - frame.height / 2;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    box.scrollTo({ top, behavior: smooth && !still && Math.abs(top - box.scrollTop) < frame.height ? "smooth" : "auto" });
  }

  function markRail() {
    const above = new Set(byId("at").dataset.ancestors.split(",").filter(Boolean).map(Number));
    const lowest = above.size ? Math.min(...above) : Infinity;
    for (const row of rows()) {
      const [first, last] = [from(row), until(row)];
      row.classList.toggle("row-ancestor", [...above].some((number) => first <= number && number <= last));
      row.classList.toggle("row-rail", lowest <= last && first <= run.version);
    }
  }

  // --- What screen readers hear ----------------------------------------------------------------------------------------

  function name() {
    const box = byId("wins");
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", `Events ${byId("shown").textContent} of ${count(run.last)}`);
    box.tabIndex = 0;
    for (const win of windows()) win.setAttribute("role", "presentation");
    for (const row of box.querySelectorAll(".row:not([role])")) {
      row.setAttribute("role", "option");
      row.setAttribute("aria-posinset", own(row));
      row.setAttribute("aria-setsize", run.last);
      row.setAttribute("aria-selected", "false");
      row.tabIndex = -1;
    }
  }

  // The cursor is the box's; a click on a row leaves the focus there.
  function held(event) {
    if (event.target.closest(".row")) byId("wins").focus({ preventScroll: true });
  }

  function entered(event) {
    if (event.key !== "Enter" || event.target.id !== "wins") return;
    event.preventDefault();
    if (byId("split").dataset.tab === "events") return run.go(run.version, { jump: true, changes: { tab: null } });
    byId("panel").tabIndex = -1;
    byId("panel").focus();
  }

  // --- Windows ---------------------------------------------------------------------------------------------------------

  function watch() {
    observer?.disconnect();
    const box = byId("rows");
    const root = getComputedStyle(box).overflowY === "auto" ? box : null;
    observer = new IntersectionObserver((seen) => seen.forEach((entry) => entry.isIntersecting && grow(entry.target)), {
      root,
      rootMargin: `${AHEAD_PX}px 0px`,
    });
    for (const link of box.querySelectorAll(".more")) observer.observe(link);
  }

  async function grow(link) {
    if (request || !link.isConnected) return;
    const isBefore = link.classList.contains("more-before");
    const own = list;
    const { href } = link; // another one later: the rows at this end are others then
    request = new AbortController();
    try {
      const url = run.address;
      url.searchParams.set("v", new URL(href).searchParams.get("v"));
      url.searchParams.set("part", "window");
      url.searchParams.set("edge", isBefore ? "before" : "after");
      const answer = await fetch(url, { signal: request.signal, headers: { "HX-Request": "true" } });
      const html = answer.ok ? await answer.text() : "";
      if (html && list === own && link.isConnected && link.href === href) put(html, isBefore);
    } catch {
      // the link stays, and leads to the same rows
    } finally {
      request = null;
    }
    if (list === own) watch();
  }

  function put(html, isBefore) {
    const came = document.createElement("template");
    came.innerHTML = html;
    const box = byId("rows");
    const wins = byId("wins");
    const height = box.scrollHeight;
    const scroll = (by) => (getComputedStyle(box).overflowY === "auto" ? (box.scrollTop += by) : scrollBy(0, by));
    wins[isBefore ? "prepend" : "append"](...came.content.querySelectorAll(".win"));
    if (isBefore) scroll(box.scrollHeight - height);
    const gone = shed(isBefore);
    if (gone) scroll(-gone);
    edges();
    told();
  }

  // What goes for what came, at the other end; how high that was above what stays.
  function shed(isBefore) {
    let gone = 0;
    const parts = windows();
    while (rows().length > MOST_ROWS && parts.length > 1) {
      const far = isBefore ? parts.pop() : parts.shift();
      if (isNear(far)) break;
      gone += isBefore ? 0 : far.getBoundingClientRect().height;
      far.remove();
    }
    return gone;
  }

  // --- The end of a run that grows -------------------------------------------------------------------------------------

  // Rows that came anew from a row of the page on. What says the same stays as it is, under the pointer too: a call whose
  // answer came stands in its row, so the last ones may change. What does not join replaces all.
  function renew(parts) {
    if (!parts.length) return;
    const wins = byId("wins");
    const first = from(parts[0]);
    if (first > until(windows().at(-1)) + 1) wins.replaceChildren();
    const old = windows().filter((win) => from(win) >= first);
    const before = windows().filter((win) => from(win) < first).at(-1);
    if (before) trim(before, first);
    parts.forEach((part, at) => (old[at] ? patch(old[at], part) : wins.append(part)));
    old.slice(parts.length).forEach((win) => win.remove());
    edges();
    told();
    watch();
  }

  // A row that two events share took one from the rows before.
  function trim(win, first) {
    const isOver = (row) => row && (!row.id || until(row) >= first);
    while (isOver(win.lastElementChild)) win.lastElementChild.remove();
    if (!win.childElementCount) return win.remove();
    win.dataset.last = first - 1;
  }

  function patch(old, came) {
    const fresh = [...came.children];
    Object.assign(old.dataset, came.dataset);
    fresh.forEach((row, at) => {
      const present = old.children[at];
      if (!present) old.append(row);
      else if (said(present) !== said(row)) present.replaceWith(row);
    });
    while (old.childElementCount > fresh.length) old.lastElementChild.remove();
  }

  const said = (row) =>
    [row.id, row.classList[1], row.dataset.first, row.dataset.last, ...[...row.childNodes].map((part) => part.dataset?.since || part.textContent)].join("\n");

  run.list = {
    /** The rows from here on may still change, or have others behind them. */
    end: () => ({ first: from(windows().at(-1)), last: until(windows().at(-1)) }),
    first: () => from(windows()[0]),
    renew,
    shed: () => shed(false),
  };

  // A screen may be higher than the rows that are kept: what is in view stays.
  function isNear(part) {
    const box = byId("rows");
    const frame = getComputedStyle(box).overflowY === "auto" ? box.getBoundingClientRect() : { top: 0, bottom: innerHeight };
    const place = part.getBoundingClientRect();
    return place.bottom > frame.top - AHEAD_PX && place.top < frame.bottom + AHEAD_PX;
  }

  // A link at each end that is not the run's own.
  function edges() {
    const parts = windows();
    edge("before", Number(parts[0].dataset.first) - 1, "Earlier events, up to");
    edge("after", Number(parts.at(-1).dataset.last) + 1, "Later events, from");
  }

  function edge(side, number, words) {
    let link = byId("rows").querySelector(`.more-${side}`);
    if (number < 1 || number > run.last) return link?.remove();
    if (!link) {
      link = document.createElement("a");
      link.className = `more more-${side}`;
      byId("wins")[side](link);
    }
    const url = run.address;
    url.searchParams.set("v", number);
    link.href = url.pathname + url.search;
    link.textContent = `${words} ${count(number)}`;
  }

  const sum = (field) => windows().reduce((total, win) => total + Number(win.dataset[field]), 0);
  const words = (total, noun, verb) => (total ? `${count(total)} ${noun}${total === 1 ? "" : "s"} ${verb}` : "");

  function told() {
    const parts = windows();
    byId("shown").textContent = `${count(Number(parts[0].dataset.first))}–${count(Number(parts.at(-1).dataset.last))}`;
    byId("folded").textContent = [words(sum("folded"), "event", "folded"), words(sum("quiet"), "quiet event", "hidden")]
      .filter(Boolean)
      .join(" · ");
    name();
    remark();
    markRail();
    document.dispatchEvent(new CustomEvent("nagare:list"));
  }

  // Rows that come in may hold the cursor; where they are scrolled to is the reader's matter.
  function remark() {
    const row = rowOf(run.version);
    if (row && !row.hasAttribute("aria-current")) choose(byId("wins"), row);
  }

  // --- Begin, and begin again with a new list --------------------------------------------------------------------------

  function begin() {
    list = byId("list");
    byId("rows").addEventListener("click", held);
    byId("rows").addEventListener("keydown", entered);
    name();
    mark(false);
    watch();
    document.dispatchEvent(new CustomEvent("nagare:list"));
  }

  document.addEventListener("nagare:grown", () => {
    byId("shown-of").textContent = count(run.last);
    list.classList.replace([...list.classList].find((name) => name.startsWith("numbers-")), `numbers-${String(run.last).length}`);
    byId("wins").setAttribute("aria-label", `Events ${byId("shown").textContent} of ${count(run.last)}`);
    for (const row of rows()) row.setAttribute("aria-setsize", run.last);
  });
  document.addEventListener("nagare:cursor", (event) => mark(event.detail.smooth));
  document.addEventListener("nagare:shown", (event) => {
    if (byId("list") !== list) begin();
    else if (run.isCurrent() && !event.detail.isAnew) mark(false);
    if (run.isCurrent()) markRail();
  });
  nagare.actions["list.raw"] = () => run.go(run.version, { changes: { rows: run.address.searchParams.get("rows") ? null : "raw" } });
  nagare.run.rows = { all: rows, own };
  nagare.run.beside = (forward) => {
    const all = [...rows()].map(own);
    return (forward ? all.find((number) => number > run.version) : all.findLast((number) => number < run.version)) || 0;
  };

  begin();
})();
