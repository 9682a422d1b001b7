// One cursor: list, minimap, slider, number, address and inspector show the same event. What stands in the page moves at
// once and hears of it as `nagare:cursor`; the inspector follows from the server, and of quick steps the last one wins.
(() => {
  "use strict";
  const root = document.getElementById("debugger");
  if (!root) return;

  const byId = (id) => document.getElementById(id);
  let last = Number(root.dataset.events);
  const path = root.dataset.path;
  const FETCH_MS = 80; // at most one answer is asked for in this time
  const DIM_MS = 80; // what is shown of another event than the cursor's is dimmed once it stands there for longer
  const FRESH_MS = 10000; // what was asked for ahead is used for so long: a run may grow
  const ADDRESS_MS = 150; // browsers stop listening to pages that rewrite their address all the time
  const PASSING = ["from", "at"]; // parameters of one page of one tab: they do not move along with the cursor

  let version = Number(byId("at").dataset.version);
  let address = new URL(location.href);
  let place = history.state?.nagare ?? 0;
  let newest = place;
  let addressTimer = 0;
  let fetchTimer = 0;
  let asked = -Infinity;
  let wantsList = false;
  let dimTimer = 0;
  let request = null;
  let wasForward = true;
  let isAnew = false; // what stands there is asked for again: nothing moved, and nothing needs to be said
  let ahead = null; // the answer for the row that comes next: {href, html, at}, without html while it is on its way
  const scrolled = new Map();

  const inspector = () => byId("inspector");
  const shown = () => Number(byId("at").dataset.version);
  const isCurrent = () => shown() === version && !request && !fetchTimer;
  const clamp = (number) => Math.min(last, Math.max(1, number));
  const say = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

  // What looks where things stand does so together in the next frame, behind all that writes: the page is laid out once.
  let looks = [];
  function whenDrawn(look) {
    if (!looks.length) requestAnimationFrame(() => looks.splice(0).forEach((one) => one()));
    looks.push(look);
  }

  // --- The address: jumps are places to come back to, steps are not ---------------------------------------------------

  function keepAddress() {
    clearTimeout(addressTimer);
    addressTimer = 0;
    if (location.href !== address.href || history.state?.nagare !== place) history.replaceState({ nagare: place }, "", address);
  }

  function move(url, isJump) {
    if (isJump) {
      keepAddress();
      address = url;
      place += 1;
      newest = place;
      history.pushState({ nagare: place }, "", address);
    } else {
      address = url;
      addressTimer ||= setTimeout(keepAddress, ADDRESS_MS);
    }
  }

  addEventListener("popstate", () => {
    clearTimeout(addressTimer);
    addressTimer = 0;
    place = history.state?.nagare ?? 0;
    const url = new URL(location.href);
    if (url.pathname === path) go(Number(url.searchParams.get("v")) || 1, { url, isBack: true, smooth: false });
  });
  addEventListener("pagehide", keepAddress);

  // --- Moving ---------------------------------------------------------------------------------------------------------

  function target(number, url, changes) {
    const to = new URL(url || address);
    if (!url) for (const name of PASSING) to.searchParams.delete(name);
    to.searchParams.set("v", number);
    for (const [name, value] of Object.entries(changes)) {
      if (value) to.searchParams.set(name, value);
      else to.searchParams.delete(name);
    }
    to.hash = "";
    return to;
  }

  function go(number, { jump = false, changes = {}, url = null, isBack = false, smooth = true } = {}) {
    isAnew = false;
    const to = target(clamp(number), url, changes);
    const before = address.searchParams;
    wantsList ||= before.get("rows") !== to.searchParams.get("rows");
    wasForward = clamp(number) >= version;
    version = clamp(number);
    if (isBack) address = to;
    else move(to, jump && to.href !== address.href);
    const tab = to.searchParams.get("tab") || "explain";
    if (byId("split").dataset.tab !== tab) byId("split").dataset.tab = tab;
    say("nagare:cursor", { version, jump, smooth });
    dimTimer ||= setTimeout(dim, DIM_MS);
    inspector().classList.add("htmx-request");
    if (!fetchTimer) soon();
  }

  // What has to be asked for is asked for before the row is drawn, so that the server works meanwhile; what is here already
  // is shown behind the row.
  function soon() {
    const waitMs = kept() ? 0 : Math.max(0, asked + FETCH_MS - performance.now());
    if (!waitMs && !(nagare.run.hasRow(version) && kept())) load();
    else fetchTimer = setTimeout(load, waitMs);
  }

  function dim() {
    dimTimer = 0;
    byId("panel").classList.toggle("is-old", shown() !== version);
  }

  // Where to ask: the list comes along where the row is not in the page.
  function asking(url, part) {
    const to = new URL(url);
    to.searchParams.set("part", part);
    return to;
  }

  const kept = () => (!wantsList && ahead?.html && ahead.href === address.href && performance.now() - ahead.at < FRESH_MS ? ahead.html : "");

  // The last step wins: what an older one still waits for is dropped.
  async function load() {
    fetchTimer = 0;
    request?.abort();
    request = null;
    const known = nagare.run.hasRow(version) && kept();
    if (known) return show(known);
    asked = performance.now();
    const own = new AbortController();
    request = own;
    try {
      const answer = await fetch(asking(address, wantsList || !nagare.run.hasRow(version) ? "list" : "cursor"), { signal: own.signal, headers: { "HX-Request": "true" } });
      const html = answer.ok ? await answer.text() : "";
      if (request !== own) return;
      request = null;
      if (answer.headers.has("HX-Redirect")) location.href = answer.headers.get("HX-Redirect");
      else if (answer.ok) show(html);
      else tell(`The server answered ${answer.status}.`);
    } catch (error) {
      if (error.name === "AbortError" || request !== own) return;
      request = null;
      tell("The server cannot be reached.");
    }
  }

  // Who steps on goes on: the next row's answer is asked for once this one stands there, and nothing else is waited for.
  async function askAhead() {
    const number = nagare.run.beside(wasForward);
    const href = number ? target(number, null, {}).href : "";
    if (!href || !isCurrent() || ahead?.href === href) return;
    const own = { href, html: "", at: performance.now() };
    ahead = own;
    try {
      const answer = await fetch(asking(href, "ahead"), { priority: "low", headers: { "HX-Request": "true" } });
      if (answer.ok && !answer.headers.has("HX-Redirect")) own.html = await answer.text();
    } catch {
      // it is asked for again when the cursor is there
    }
  }

  // --- What the server answered ---------------------------------------------------------------------------------------

  // The parser of a template runs no scripts and loads nothing. Parts that stand elsewhere in the page go there by id.
  function show(html) {
    wantsList = false;
    const focus = focused();
    const came = document.createElement("template");
    came.innerHTML = html;
    for (const part of came.content.querySelectorAll("[hx-swap-oob]")) {
      part.removeAttribute("hx-swap-oob");
      byId(part.id).replaceWith(part);
    }
    inspector().replaceChildren(came.content);
    refocus(focus);
    arrived();
  }

  // Who had the focus in what is replaced has it in what replaces it; else in the panel, rather than nowhere.
  function focused() {
    const element = document.activeElement;
    if (!element || !element.closest("#inspector, #steps-back, #steps-on, #segments, #list")) return null;
    if (element.closest("#list")) return "#wins";
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.matches(".tab")) return `.${[...element.classList].find((name) => name.startsWith("tab-"))}`;
    return element.closest("#inspector") ? "#panel" : "#slider";
  }

  function refocus(selector) {
    if (!selector || document.activeElement !== document.body) return;
    const element = document.querySelector(selector) || byId("panel");
    if (element.id === "panel") element.tabIndex = -1;
    element.focus({ preventScroll: true });
  }

  // Where the tabs are wider than the screen, the chosen one is in view; and a tab is read on where it was left.
  function settle() {
    const tab = byId("at").querySelector(".tab[aria-current]");
    const tabs = tab?.parentElement;
    if (tabs) tabs.scrollLeft = Math.max(0, tab.offsetLeft + tab.offsetWidth + 12 - tabs.offsetLeft - tabs.clientWidth);
    const top = scrolled.get(byId("at").dataset.tab) || 0;
    if (top) byId("panel").scrollTop = top;
  }

  document.addEventListener("scroll", (event) => event.target.id === "panel" && scrolled.set(byId("at").dataset.tab, event.target.scrollTop), {
    capture: true,
    passive: true,
  });

  function arrived() {
    if (!request && !fetchTimer) inspector().classList.remove("htmx-request");
    byId("panel").classList.toggle("is-old", shown() !== version);
    const title = byId("inspector").querySelector(".event-title .title")?.textContent.trim() || "";
    say("nagare:shown", { version: shown(), title, isAnew });
    if (isCurrent() && !isAnew) byId("said").textContent = `${version} of ${last}, ${title}`;
    nagare.run.whenDrawn(settle);
    isAnew = false;
    if (isCurrent()) setTimeout(askAhead);
  }

  // More of the run came: what is told of its length, and where steps lead, goes along.
  function grow(to) {
    last = Math.max(last, to);
    root.dataset.events = last;
    say("nagare:grown", { last });
  }

  // What stands around the cursor may have changed. Whoever reads or selects in the inspector is left alone.
  function refresh() {
    const selection = getSelection();
    const isRead = inspector().contains(document.activeElement) || (!selection.isCollapsed && inspector().contains(selection.anchorNode));
    if (!isCurrent() || isRead || !nagare.run.hasRow(version)) return false;
    ahead = null;
    isAnew = true;
    load();
    return true;
  }

  // What stands there stays, and says that it is not the event that was asked for.
  function tell(reason) {
    inspector().classList.remove("htmx-request");
    const note = document.createElement("p");
    note.className = "banner banner-caution";
    note.setAttribute("role", "status");
    note.textContent = `Event ${version} could not be loaded. ${reason} Below is event ${shown()}.`;
    byId("panel").querySelector(".banner")?.remove();
    byId("panel").prepend(note);
  }

  // --- Links of this page move the cursor instead of loading it again -------------------------------------------------

  // Rows, minimap and head were made for an address of before: of their links only the event counts.
  const OLD = "#list, .run-head, .map";

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (!root.contains(link) || link.pathname !== path || link.target || link.hasAttribute("data-full") || link.hasAttribute("download")) return;
    const url = new URL(link.href);
    const number = Number(url.searchParams.get("v"));
    if (!number) return;
    event.preventDefault();
    const isStep = link.matches("#step-previous, #step-next");
    const changes = link.id === "rows-switch" ? { rows: address.searchParams.get("rows") ? null : "raw" } : {};
    go(number, link.closest(OLD) ? { jump: number !== version, changes: changes } : { jump: !isStep, url });
  });

  document.addEventListener("nagare:go", (event) => {
    const { version: number, typed, ...options } = event.detail;
    if (typed && number !== clamp(number)) location.href = target(number, null, {}); // the server says what is wrong with it
    else go(number, options);
  });

  // --- For the other scripts ------------------------------------------------------------------------------------------

  nagare.run = {
    path,
    get last() {
      return last;
    },
    get version() {
      return version;
    },
    get address() {
      return new URL(address);
    },
    isCurrent,
    clamp,
    go,
    grow,
    refresh,
    whenDrawn,
    isListOld: () => wantsList,
    hasRow: () => true,
    beside: () => 0,
    back: () => place > 0 && history.back(),
    forward: () => place < newest && history.forward(),
  };

  address = target(version, null, {});
  history.replaceState({ nagare: place }, "", address);
  whenDrawn(settle);
})();
