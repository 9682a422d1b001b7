// One cursor: list, minimap, slider, number, address and inspector show the same event. Row, minimap and number move in the
// browser at once; the inspector follows from the server, and of quick steps only the last one is asked for.
(() => {
  "use strict";
  const root = document.getElementById("debugger");
  if (!root || !window.htmx) return;

  const byId = (id) => document.getElementById(id);
  const last = Number(root.dataset.events);
  const path = root.dataset.path;
  const EDGE = 12 / 1280; // of the minimap's width, as the server draws it
  const QUIET_MS = 60;
  const MOST_WINDOWS = 2;
  const OFF = "nagare-keys-off";

  let version = Number(byId("at").dataset.version);
  let timer = 0;
  let asked = 0;
  let request = null;

  const clamp = (number) => Math.min(last, Math.max(1, number));
  const inspector = () => byId("inspector");
  const current = () => new URL(location.href);
  const isCurrent = () => Number(byId("at").dataset.version) === version;

  function addressAt(number, changes = {}) {
    const url = current();
    url.searchParams.set("v", number);
    for (const [name, value] of Object.entries(changes)) {
      if (value) url.searchParams.set(name, value);
      else url.searchParams.delete(name);
    }
    return url;
  }

  // --- What moves at once -----------------------------------------------------------------------------------------

  // A folded model call has no row of its own: the row of its response stands for it.
  function rowOf(number) {
    const row = byId(`e${number}`);
    if (row) return row;
    const next = byId(`e${number + 1}`);
    return next && Number(next.dataset.first) === number ? next : null;
  }

  function markRow(smooth) {
    for (const row of document.querySelectorAll(".row[aria-current]")) row.removeAttribute("aria-current");
    const row = rowOf(version);
    if (!row) return;
    row.setAttribute("aria-current", "true");
    rove(row);
    reveal(row, smooth);
  }

  // One row of the list is in the order of Tab; the arrows do the rest.
  function rove(row) {
    for (const other of document.querySelectorAll('.row[tabindex="0"]')) other.tabIndex = -1;
    row.tabIndex = 0;
    if (document.activeElement?.classList.contains("row") && document.activeElement !== row) row.focus({ preventScroll: true });
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

  function markMap() {
    const share = last > 1 ? (version - 1) / (last - 1) : 0;
    byId("map-cursor").setAttribute("x", `${100 * (EDGE + share * (1 - 2 * EDGE))}%`);
    byId("map-number").textContent = version;
    const width = Math.max(24, String(version).length * 6.4 + 8);
    const box = byId("map-cursor").querySelector("rect");
    box.setAttribute("width", width);
    box.setAttribute("x", -width / 2);
  }

  function markFields() {
    const slider = byId("slider");
    slider.value = version;
    slider.setAttribute("aria-valuetext", `event ${version} of ${last}`);
    slider.style.setProperty("--at", `${(100 * (version - 1)) / Math.max(1, last - 1)}%`);
    if (document.activeElement !== byId("number")) byId("number").value = version;
    for (const field of document.querySelectorAll("[data-version][name=v]")) field.value = version;
  }

  function markRail() {
    const above = new Set(byId("at").dataset.ancestors.split(",").filter(Boolean).map(Number));
    const lowest = above.size ? Math.min(...above) : Infinity;
    for (const row of document.querySelectorAll(".row")) {
      const until = Number(row.id.slice(1));
      const from = Number(row.dataset.first || until);
      row.classList.toggle("row-ancestor", above.has(until) || above.has(from));
      row.classList.toggle("row-rail", lowest <= until && from <= version);
    }
  }

  // --- Moving -----------------------------------------------------------------------------------------------------

  function go(number, { jump = false, changes = {}, keepHistory = false, smooth = true } = {}) {
    version = clamp(number);
    const url = addressAt(version, changes);
    if (!keepHistory) history[jump ? "pushState" : "replaceState"]({ nagare: version }, "", url);
    markRow(smooth);
    markMap();
    markFields();
    byId("split").dataset.tab = url.searchParams.get("tab") || "explain";
    clearTimeout(timer);
    const wait = performance.now() - asked < 4 * QUIET_MS ? QUIET_MS : 0;
    timer = setTimeout(load, wait, url);
  }

  // The last step wins: what an older one still waits for is dropped.
  async function load(url) {
    asked = performance.now();
    request?.abort();
    request = new AbortController();
    const to = new URL(url);
    to.searchParams.set("part", rowOf(version) ? "cursor" : "list");
    byId("panel").classList.toggle("is-old", !isCurrent());
    inspector().classList.add("htmx-request");
    try {
      const answer = await fetch(to, { signal: request.signal, headers: { "HX-Request": "true" } });
      if (answer.headers.has("HX-Redirect")) location.href = answer.headers.get("HX-Redirect");
      else if (answer.ok) show(await answer.text());
      else tell(`The server answered ${answer.status}.`);
    } catch (error) {
      if (error.name !== "AbortError") tell("The server cannot be reached.");
    }
  }

  function show(html) {
    inspector().classList.remove("htmx-request");
    const spec = { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 };
    htmx.swap(inspector(), html, spec, { afterSettleCallback: arrived });
  }

  // What stands there stays, and says that it is not the event that was asked for.
  function tell(reason) {
    inspector().classList.remove("htmx-request");
    const note = document.createElement("p");
    note.className = "banner banner-caution";
    note.setAttribute("role", "status");
    note.textContent = `Event ${version} could not be loaded. ${reason} Below is event ${byId("at").dataset.version}.`;
    byId("panel").querySelector(".banner")?.remove();
    byId("panel").prepend(note);
  }

  // Rows that come in above must not move those in view. The events of one swap come once for each of its elements.
  let height = 0;
  const isAbove = (event) => Boolean(event.detail.requestConfig?.path.includes("edge=before"));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target?.closest?.("#rows")) height = byId("rows").scrollHeight;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!isAbove(event)) return;
    const box = byId("rows");
    const more = box.scrollHeight - height;
    height = box.scrollHeight;
    if (box.scrollHeight > box.clientHeight) box.scrollTop += more;
    else scrollBy(0, more);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.closest?.("#rows")) grown(isAbove(event));
  });

  function arrived() {
    if (!isCurrent()) return; // a later step is on its way
    document.querySelectorAll(".row").forEach((row) => (row.tabIndex = -1));
    markRow(false);
    markRail();
    markFields();
    const title = byId("panel").querySelector(".title");
    byId("said").textContent = `${version} of ${last}, ${title ? title.textContent : ""}`;
  }

  // --- Windows of the list ----------------------------------------------------------------------------------------

  function grown(above) {
    const windows = [...document.querySelectorAll("#rows .win")];
    if (windows.length > MOST_WINDOWS) drop(windows, above);
    const shown = [...document.querySelectorAll("#rows .win")];
    const first = Number(shown[0].dataset.first).toLocaleString("en");
    byId("shown").textContent = `${first}–${Number(shown.at(-1).dataset.last).toLocaleString("en")}`;
    for (const row of document.querySelectorAll(".row:not([tabindex])")) row.tabIndex = -1;
    const row = rowOf(version);
    if (row) {
      row.setAttribute("aria-current", "true");
      row.tabIndex = 0;
    }
    markRail();
  }

  // The far end goes when the list grows: its place is taken by a link that brings it back.
  function drop(windows, isLast) {
    const box = byId("rows");
    const gone = isLast ? windows.at(-1) : windows[0];
    const side = isLast ? gone.nextElementSibling : gone.previousElementSibling;
    if (side?.classList.contains("more")) side.remove();
    const before = box.scrollHeight;
    const link = opener(gone, isLast);
    gone.replaceWith(link);
    if (!isLast) box.scrollTop -= before - box.scrollHeight;
    htmx.process(link);
  }

  function opener(gone, isAfter) {
    const number = Number(isAfter ? gone.dataset.first : gone.dataset.last);
    const link = document.createElement("a");
    const url = addressAt(number);
    link.className = "more";
    link.href = url.pathname + url.search;
    link.textContent = isAfter ? `Later events, from ${number.toLocaleString("en")}` : `Earlier events, up to ${number.toLocaleString("en")}`;
    link.setAttribute("hx-get", `${url.pathname}${url.search}&part=window&edge=${isAfter ? "after" : "before"}`);
    link.setAttribute("hx-trigger", "intersect once");
    link.setAttribute("hx-swap", "outerHTML");
    link.setAttribute("hx-target", "this");
    return link;
  }

  // --- Links of this page move the cursor instead of loading it again ----------------------------------------------

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.id === "copy-link") {
      event.preventDefault();
      copyLink();
      return;
    }
    if (!root.contains(link) || link.pathname !== path || link.hasAttribute("data-full") || link.classList.contains("more")) return;
    const url = new URL(link.href);
    if (!url.searchParams.has("v")) return;
    event.preventDefault();
    const changes = {};
    for (const name of ["tab", "scrub", "q", "against"]) changes[name] = url.searchParams.get(name);
    const number = Number(url.searchParams.get("v"));
    if (byId("scrub-check")) byId("scrub-check").checked = false;
    if (link.matches("#step-previous, #step-next")) return go(number, { changes });
    go(number, { jump: number !== version || changes.tab !== current().searchParams.get("tab"), changes });
  });

  addEventListener("popstate", () => {
    const number = Number(current().searchParams.get("v"));
    go(number || 1, { keepHistory: true, smooth: false });
  });

  async function copyLink() {
    const link = new URL(byId("at").dataset.link, location.href);
    try {
      await navigator.clipboard.writeText(link.href);
      document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text: `Link to event ${version} copied` } }));
    } catch {
      location.href = link.href; // no clipboard here: the address bar has it then
    }
  }

  // --- Slider, number, minimap -------------------------------------------------------------------------------------

  const slider = byId("slider");
  slider.disabled = false;
  slider.addEventListener("input", () => go(Number(slider.value), { smooth: false }));

  byId("number").addEventListener("focus", (event) => event.target.select());
  document.querySelector(".transport-go").addEventListener("submit", (event) => {
    event.preventDefault();
    const number = Number.parseInt(byId("number").value.replace(/[,\s]/g, ""), 10);
    byId("number").blur();
    if (Number.isNaN(number)) byId("number").value = version;
    else if (number !== clamp(number)) location.href = addressAt(number); // the server says what was wrong with it
    else go(number, { jump: true });
  });

  const map = byId("map");
  function pointed(event, jump) {
    const box = map.getBoundingClientRect();
    const share = ((event.clientX - box.left) / box.width - EDGE) / (1 - 2 * EDGE);
    const number = clamp(Math.round(1 + share * (last - 1)));
    if (jump || number !== version) go(number, { jump, smooth: false });
  }
  map.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    map.setPointerCapture(event.pointerId);
    pointed(event, true);
  });
  map.addEventListener("pointermove", (event) => {
    if (map.hasPointerCapture(event.pointerId)) pointed(event, false);
  });

  // --- Stepping ----------------------------------------------------------------------------------------------------

  const KINDS = { decisions: ".row-reasoned", errors: ".row-tool_failed, .row-aborted", all: ".row" };

  // Rows in the browser answer at once; beyond them, and for other ways, the server's last answer says where to.
  function step(forward, way = current().searchParams.get("scrub") || "all") {
    if (KINDS[way]) {
      const number = near(KINDS[way], forward);
      if (number) return go(number);
    }
    if (way === "all") return go(version + (forward ? 1 : -1));
    const names = { decisions: "decision", errors: "error" };
    return names[way] ? walk(`${names[way]}-${forward ? "after" : "before"}`, false) : follow(byId(forward ? "step-next" : "step-previous"));
  }

  function near(which, forward) {
    const rows = [...document.querySelectorAll(`#rows ${which.split(", ").join(", #rows ")}`)];
    const found = forward
      ? rows.find((row) => Number(row.dataset.first || row.id.slice(1)) > version)
      : rows.findLast((row) => Number(row.id.slice(1)) < version && Number(row.dataset.first || 0) !== version);
    return found ? Number(found.id.slice(1)) : 0;
  }

  function follow(link, jump = false) {
    if (!link?.href || !isCurrent()) return;
    const url = new URL(link.href);
    if (url.pathname !== path) location.href = url;
    else go(Number(url.searchParams.get("v")), { jump });
  }

  const walk = (name, jump = true) => follow(byId(`walk-${name}`), jump);

  function tab(number) {
    const names = ["explain", "state", "diff", "payload", "causes"];
    go(version, { jump: true, changes: { tab: number === 1 ? null : names[number - 1] } });
  }

  let playing = 0;
  function play() {
    const button = byId("play");
    if (playing || version >= last) {
      clearInterval(playing);
      playing = 0;
    } else {
      playing = setInterval(() => (version < last ? isCurrent() && step(true) : play()), 700);
    }
    button.setAttribute("aria-pressed", String(Boolean(playing)));
    button.setAttribute("aria-label", playing ? "Pause" : "Play");
    button.querySelector("use").setAttribute("href", playing ? "#i-pause" : "#i-play");
  }
  byId("play").hidden = false;
  byId("play").addEventListener("click", play);

  // --- Keys --------------------------------------------------------------------------------------------------------

  const KEYS = {
    j: () => step(true),
    ArrowDown: () => step(true),
    k: () => step(false),
    ArrowUp: () => step(false),
    J: () => step(true, "decisions"),
    K: () => step(false, "decisions"),
    e: () => walk("error-after"),
    E: () => walk("error-before"),
    t: () => walk("tool-after"),
    T: () => walk("tool-before"),
    b: () => walk("cause"),
    f: () => walk("effect"),
    "[": () => history.back(),
    "]": () => history.forward(),
    Home: () => go(1, { jump: true }),
    End: () => go(last, { jump: true }),
    y: copyLink,
    " ": play,
    ":": () => byId("number").focus(),
    "/": () => byId("find").focus(),
    "?": openKeys,
  };

  let digits = "";
  let digitTimer = 0;

  // "2" "3" Enter goes to 23; one digit alone is a tab once it is clear that no second one follows.
  function digit(key) {
    digits += key;
    byId("number").value = digits;
    clearTimeout(digitTimer);
    digitTimer = setTimeout(() => {
      const number = Number(digits);
      const isTab = digits.length === 1 && number >= 1 && number <= 5;
      forget();
      if (isTab) tab(number);
    }, digits.length === 1 ? 700 : 3000);
  }

  function forget() {
    clearTimeout(digitTimer);
    digits = "";
    byId("number").value = version;
  }

  function isOff() {
    try {
      return localStorage.getItem(OFF) === "1";
    } catch {
      return false;
    }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target;
    if (target.matches("input, select, textarea, [contenteditable]") || target.closest("dialog")) return;
    if (target.id === "splitter" || (event.key === " " && target.matches("button, summary, a"))) return;
    if (event.key.length === 1 && isOff()) return;
    if (digits && event.key === "Enter") {
      const number = Number(digits);
      forget();
      event.preventDefault();
      return number === clamp(number) ? go(number, { jump: true }) : void (location.href = addressAt(number));
    }
    if (/^[0-9]$/.test(event.key)) {
      event.preventDefault();
      return digit(event.key);
    }
    if (digits) forget();
    if (target.matches("pre, .panel, .panel *") && ["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) return;
    const act = KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  function openKeys() {
    let dialog = byId("keys-dialog");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "keys-dialog";
      dialog.className = "dialog";
      dialog.append(byId("keys").content.cloneNode(true));
      document.body.append(dialog);
      const off = byId("keys-off");
      off.checked = isOff();
      off.addEventListener("change", () => localStorage.setItem(OFF, off.checked ? "1" : "0"));
    }
    dialog.showModal();
  }
  byId("keys-open").hidden = false;
  byId("keys-open").addEventListener("click", openKeys);

  // --- Splitter ----------------------------------------------------------------------------------------------------

  const split = byId("split");
  const splitter = byId("splitter");
  splitter.hidden = false;

  function width(percent) {
    const shown = Math.min(60, Math.max(30, percent));
    split.style.setProperty("--list", `${shown}%`);
    splitter.setAttribute("aria-valuenow", Math.round(shown));
    try {
      localStorage.setItem("nagare-list-width", shown);
    } catch {
      // without storage the width lasts as long as the page
    }
  }
  const percentNow = () => (100 * byId("list").offsetWidth) / split.offsetWidth;
  try {
    const kept = Number(localStorage.getItem("nagare-list-width"));
    if (kept) width(kept);
  } catch {
    // as above
  }
  splitter.addEventListener("pointerdown", (event) => splitter.setPointerCapture(event.pointerId));
  splitter.addEventListener("pointermove", (event) => {
    if (!splitter.hasPointerCapture(event.pointerId)) return;
    const box = split.getBoundingClientRect();
    width((100 * (event.clientX - box.left)) / box.width);
  });
  splitter.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (by) width(percentNow() + by);
  });

  // --- Begin -------------------------------------------------------------------------------------------------------

  for (const row of document.querySelectorAll(".row")) row.tabIndex = -1;
  history.replaceState({ nagare: version }, "");
  markFields();
  const row = rowOf(version);
  if (row) {
    row.tabIndex = 0;
    reveal(row, false);
  }
})();
