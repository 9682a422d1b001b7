// Ways to move the cursor: step buttons, number, slider, minimap, play, and the keys of all of them.
(() => {
  "use strict";
  if (!window.nagare?.run) return;
  const { run, actions } = nagare;
  const EDGE = 12 / 1280; // of the minimap's width, as the server draws it
  const PLAY_MS = 700;
  const PAGE = 0.05;

  const byId = (id) => document.getElementById(id);
  const scrub = () => run.address.searchParams.get("scrub") || "all";
  const toast = (text) => document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text } }));

  // --- What shows the cursor ------------------------------------------------------------------------------------------

  const slider = byId("slider");
  const number = byId("number");
  const map = byId("map");
  const drawn = () => Number(map.dataset.events); // the drawing of a run that grows comes a little later
  const share = (version, of = run.last) => (of > 1 ? Math.min(1, (version - 1) / (of - 1)) : 0);
  const across = (version) => `${100 * (EDGE + share(version, drawn()) * (1 - 2 * EDGE))}%`;

  function markMap() {
    const cursor = byId("map-cursor");
    cursor.setAttribute("x", across(run.version));
    byId("map-number").textContent = run.version;
    const width = Math.max(24, String(run.version).length * 6.4 + 8);
    const box = cursor.querySelector("rect");
    box.setAttribute("width", width);
    box.setAttribute("x", -width / 2);
    const marked = Number(run.address.searchParams.get("mark"));
    byId("map-marked").setAttribute("visibility", marked ? "visible" : "hidden");
    if (marked) byId("map-marked").setAttribute("x", across(run.clamp(marked)));
  }

  function markFields(title = "") {
    slider.setAttribute("aria-valuetext", `event ${run.version} of ${run.last}${title ? `, ${title}` : ""}`);
    if (Number(slider.value) !== run.version || title) {
      slider.value = run.version;
      slider.style.setProperty("--at", `${100 * share(run.version)}%`);
    }
    if (document.activeElement !== number) number.value = run.version;
    for (const field of document.querySelectorAll("[data-version][name=v]")) field.value = run.version;
  }

  // --- Stepping -------------------------------------------------------------------------------------------------------

  const KINDS = { decisions: ".row-reasoned", errors: ".row-tool_failed, .row-aborted", all: ".row" };
  const WALKS = { all: "row", decisions: "decision", errors: "error", tool: "tool" };
  let waiting = [];

  // Rows in the page answer at once. Beyond them the server's answer says where to: until it is there steps wait, in
  // their order, so that none is lost.
  function step(forward, way = scrub()) {
    waiting.push({ forward, way });
    settle();
  }

  function settle() {
    while (waiting.length) {
      const { forward, way } = waiting[0];
      const next = near(way, forward) || beyond(way, forward);
      if (next === null) return; // not known yet
      waiting.shift();
      if (next) run.go(next);
    }
  }

  function near(way, forward) {
    if (!KINDS[way] || run.isListOld() || !run.hasRow(run.version)) return 0;
    const { all, own } = run.rows;
    if (way === "all") return run.beside(forward);
    const rows = [...all()].filter((row) => row.matches(KINDS[way]));
    const found = forward ? rows.find((row) => own(row) > run.version) : rows.findLast((row) => own(row) < run.version);
    return found ? own(found) : 0;
  }

  /** Where the server's last answer leads: 0 is nowhere, null that there is none for this event yet. */
  function beyond(way, forward) {
    if (!run.isCurrent()) return null;
    const id = way === scrub() ? `step-${forward ? "next" : "previous"}` : `walk-${WALKS[way]}-${forward ? "after" : "before"}`;
    return versionOf(byId(id));
  }

  const versionOf = (link) => (link?.href ? Number(new URL(link.href).searchParams.get("v")) : 0);

  let playing = 0;
  function play() {
    const isOn = !playing && run.version < run.last;
    clearInterval(playing);
    playing = isOn ? setInterval(() => (run.version < run.last ? run.isCurrent() && step(true) : play()), PLAY_MS) : 0;
    const button = byId("play");
    button.setAttribute("aria-pressed", String(isOn));
    button.setAttribute("aria-label", isOn ? "Pause" : "Play");
    button.querySelector("use").setAttribute("href", isOn ? "#i-pause" : "#i-play");
  }

  // --- Slider, number, minimap ----------------------------------------------------------------------------------------

  slider.disabled = false;
  slider.addEventListener("input", () => run.go(Number(slider.value), { smooth: false }));
  slider.addEventListener("keydown", (event) => {
    const by = { PageUp: 1, PageDown: -1 }[event.key];
    const one = { ArrowRight: true, ArrowUp: true, ArrowLeft: false, ArrowDown: false }[event.key];
    if (by) run.go(run.version + by * Math.max(1, Math.round(run.last * PAGE)), { smooth: false });
    else if (one !== undefined && scrub() !== "all") step(one);
    else return;
    event.preventDefault();
  });

  number.addEventListener("focus", () => number.select());
  number.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = Number.parseInt(number.value.replace(/[,\s]/g, ""), 10);
    number.blur();
    if (Number.isNaN(asked)) number.value = run.version;
    else document.dispatchEvent(new CustomEvent("nagare:go", { detail: { version: asked, jump: true, typed: true } }));
  });
  document.addEventListener("nagare:digits", (event) => {
    number.value = event.detail.digits || run.version;
  });

  // A drag is one jump: the way there is no place to come back to.
  function pointed(event, jump) {
    const box = map.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width - EDGE) / (1 - 2 * EDGE);
    const to = run.clamp(Math.round(1 + at * (drawn() - 1)));
    if (jump || to !== run.version) run.go(to, { jump, smooth: false });
  }
  map.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    map.setPointerCapture(event.pointerId);
    pointed(event, true);
  });
  map.addEventListener("pointermove", (event) => map.hasPointerCapture(event.pointerId) && pointed(event, false));

  // --- The link, and the mark -----------------------------------------------------------------------------------------

  async function copyLink() {
    const link = new URL(byId("copy-link").href);
    link.pathname = link.pathname.replace(/\/events\/\d+\/$/, `/events/${run.version}/`);
    try {
      await navigator.clipboard.writeText(link.href);
      toast(`Link to event ${run.version} copied`);
    } catch {
      location.href = link.href; // no clipboard here: the address bar has it then
    }
  }
  byId("inspector").addEventListener("click", (event) => {
    if (!event.target.closest("#copy-link") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    copyLink();
  });

  function setMark() {
    run.go(run.version, { changes: { mark: run.version } });
    toast(`Event ${run.version} is marked; d compares with it`);
  }

  function diffMark() {
    if (!run.address.searchParams.get("mark")) return toast("No event is marked yet; m marks this one");
    run.go(run.version, { jump: true, changes: { tab: "diff", against: "mark" } });
  }

  // --- Keys -----------------------------------------------------------------------------------------------------------

  const TABS = ["explain", "state", "diff", "payload", "context", "causes"];
  for (const tab of TABS) {
    if (!document.querySelector(`.tab-${tab}`)) continue;
    actions[`tab.${tab}`] = () => run.go(run.version, { jump: true, changes: { tab: tab === "explain" ? null : tab } });
  }
  Object.assign(actions, {
    "cursor.next": () => step(true),
    "cursor.previous": () => step(false),
    "cursor.first": () => run.go(1, { jump: true }),
    "cursor.last": () => run.go(run.last, { jump: true }),
    "cursor.number": () => number.focus(),
    "decision.next": () => step(true, "decisions"),
    "decision.previous": () => step(false, "decisions"),
    "error.next": () => step(true, "errors"),
    "error.previous": () => step(false, "errors"),
    "tool.next": () => step(true, "tool"),
    "tool.previous": () => step(false, "tool"),
    "jump.back": run.back,
    "jump.forward": run.forward,
    "play.toggle": play,
    "mark.set": setMark,
    "mark.diff": diffMark,
    "link.copy": copyLink,
  });
  byId("play").hidden = false;
  byId("play").addEventListener("click", play);

  document.addEventListener("nagare:cursor", (event) => {
    if (byId("scrub-check")) byId("scrub-check").checked = false;
    if (event.detail.jump) waiting = [];
    markMap();
    markFields();
  });
  document.addEventListener("nagare:grown", () => {
    slider.max = run.last;
    slider.style.setProperty("--at", `${100 * share(run.version)}%`);
    markMap();
    markFields();
  });
  document.addEventListener("nagare:shown", (event) => {
    if (!run.isCurrent()) return;
    markFields(event.detail.title);
    settle();
  });
  markMap();
  markFields();
})();
