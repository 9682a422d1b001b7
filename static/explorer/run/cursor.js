// One cursor: list, minimap, slider, number, address and inspector show the same event. What stands in the page moves at
// once and hears of it as `nagare:cursor`; the inspector follows from the server, and of quick steps the last one wins.
(() => {
  "use strict";
  const root = document.getElementById("debugger");
  if (!root || !window.htmx) return;

  const byId = (id) => document.getElementById(id);
  const last = Number(root.dataset.events);
  const path = root.dataset.path;
  const FETCH_MS = 80; // at most one answer is asked for in this time
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
  let request = null;
  const scrolled = new Map();

  const inspector = () => byId("inspector");
  const shown = () => Number(byId("at").dataset.version);
  const isCurrent = () => shown() === version && !request && !fetchTimer;
  const clamp = (number) => Math.min(last, Math.max(1, number));
  const say = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));

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
    const to = target(clamp(number), url, changes);
    const before = address.searchParams;
    wantsList ||= before.get("rows") !== to.searchParams.get("rows");
    version = clamp(number);
    if (isBack) address = to;
    else move(to, jump && to.href !== address.href);
    byId("split").dataset.tab = to.searchParams.get("tab") || "explain";
    say("nagare:cursor", { version, jump, smooth });
    byId("panel").classList.toggle("is-old", shown() !== version);
    inspector().classList.add("htmx-request");
    fetchTimer ||= setTimeout(load, Math.max(0, asked + FETCH_MS - performance.now()));
  }

  // The last step wins: what an older one still waits for is dropped.
  async function load() {
    fetchTimer = 0;
    asked = performance.now();
    request?.abort();
    const own = new AbortController();
    request = own;
    const to = new URL(address);
    to.searchParams.set("part", wantsList || !nagare.run.hasRow(version) ? "list" : "cursor");
    try {
      const answer = await fetch(to, { signal: own.signal, headers: { "HX-Request": "true" } });
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

  // --- What the server answered ---------------------------------------------------------------------------------------

  function show(html) {
    wantsList = false;
    const tab = byId("at").dataset.tab;
    scrolled.set(tab, byId("panel").scrollTop);
    const focus = focused();
    htmx.swap(inspector(), html, { swapStyle: "innerHTML", swapDelay: 0, settleDelay: 0 }, {
      afterSettleCallback: () => {
        byId("panel").scrollTop = scrolled.get(byId("at").dataset.tab) || 0;
        refocus(focus);
        arrived();
      },
    });
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

  // Where the tabs are wider than the screen, the chosen one is in view.
  function showTab() {
    const tab = byId("at").querySelector(".tab[aria-current]");
    const tabs = tab?.parentElement;
    if (tabs) tabs.scrollLeft = Math.max(0, tab.offsetLeft + tab.offsetWidth + 12 - tabs.offsetLeft - tabs.clientWidth);
  }

  function arrived() {
    showTab();
    if (!request && !fetchTimer) inspector().classList.remove("htmx-request");
    byId("panel").classList.toggle("is-old", shown() !== version);
    const title = byId("inspector").querySelector(".event-title .title")?.textContent.trim() || "";
    say("nagare:shown", { version: shown(), title });
    if (isCurrent()) byId("said").textContent = `${version} of ${last}, ${title}`;
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
    last,
    path,
    get version() {
      return version;
    },
    get address() {
      return new URL(address);
    },
    isCurrent,
    clamp,
    go,
    hasRow: () => true,
    back: () => place > 0 && history.back(),
    forward: () => place < newest && history.forward(),
  };

  address = target(version, null, {});
  history.replaceState({ nagare: place }, "", address);
  showTab();
})();
