// The edge of a run that is not over. A socket says how far the run goes and nothing else; what is new is asked for from
// the last rows of this page on, so that a nudge that got lost, a socket that broke and a laptop that slept cost time only.
// Whoever scrolls up or moves the cursor is left alone: what is new then waits, counted, until they follow again.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const root = document.getElementById("debugger");
  if (!nagare.run?.list || !root?.dataset.socket) return;
  const { run } = nagare;
  const PACE_MS = 250; // rows come in so often at most
  const HEAD_MS = 1000; // and chips and counts, where no rows do
  const MAP_MS = 3000; // and the drawing
  const LISTED_MS = 400; // the list is made from the journal a moment later
  const POLL_MS = 4000; // without a socket
  const STALE_MS = 5000;
  const DEAD_MS = 15000;
  const LONGEST_WAIT_MS = 8000;
  const TOLD_MS = 10000;
  const SLACK_PX = 8;
  const OPENED_PX = 80; // a run that is opened at its newest event has that in view, and a little room below
  const JOINS = 80; // events that come in behind the others; beyond, the list begins anew at the end
  const NEAR = 8; // events behind the cursor that what is told of it may hang on
  const FINAL = { 4400: "This page asks for nothing that is here.", 4401: "Your session has ended.", 4403: "You may not read this project any more.", 4404: "The run is gone." };

  const byId = (id) => document.getElementById(id);
  const count = (number) => number.toLocaleString("en");
  const chip = byId("live-chip");
  const runs = () => "runs" in root.dataset;
  let isOver = false;

  // --- Following, and being left alone -----------------------------------------------------------------------------

  let following = false;
  let seen = run.last; // how far the list went when following ended

  // The list scrolls by itself, or with the page where there is one column; there it may be behind another tab.
  const box = () => (getComputedStyle(byId("rows")).overflowY === "auto" ? byId("rows") : document.scrollingElement);
  const isShown = () => byId("rows").offsetParent !== null;
  const isAtEnd = (within = SLACK_PX) => isShown() && box().scrollHeight - box().scrollTop - box().clientHeight <= within;
  const isListed = () => run.list.end().last >= run.last;

  function toEnd() {
    if (isShown()) box().scrollTop = box().scrollHeight;
    top = box().scrollTop;
  }

  function showChip() {
    const unseen = Math.max(0, run.last - seen);
    chip.hidden = !runs() && (following || !unseen);
    chip.classList.toggle("is-paused", !following);
    byId("live-chip-text").textContent = following ? "Following" : unseen ? `Paused, ${count(unseen)} new` : "Paused";
  }

  function pause() {
    if (!following) return;
    following = false;
    seen = run.list.end().last;
    showChip();
  }

  function follow() {
    if (isOver) return false;
    following = true;
    showChip();
    if (isListed()) toEnd();
    else ask();
    return true;
  }

  let top = 0;
  function scrolled(event) {
    if (event.target !== byId("rows") && event.target !== document) return;
    const now = box().scrollTop;
    if (now < top - SLACK_PX && !isAtEnd()) pause();
    else if (now > top && !following && isListed() && isAtEnd()) follow();
    top = now;
  }
  document.addEventListener("scroll", scrolled, { capture: true, passive: true });
  document.addEventListener("nagare:cursor", pause);
  // The list scrolls by itself where rows come or go above what is in view: nobody scrolled then.
  document.addEventListener("nagare:list", () => (following ? toEnd() : (top = box().scrollTop)));
  document.addEventListener("selectionchange", () => {
    const selected = getSelection();
    if (selected && !selected.isCollapsed && byId("list").contains(selected.anchorNode)) pause();
  });
  nagare.actions["live.follow"] = follow;

  // --- Asking for what is new --------------------------------------------------------------------------------------

  let heard = run.last; // how far the run goes, as the socket said
  let heardAt = Date.now();
  let skewMs = root.dataset.now / 1000 - heardAt;
  let isAsking = false;
  let isWanted = false;
  let askedAt = 0;
  let timer = 0;
  let mapAt = Date.now();
  let isMapOld = false;
  let areRowsOld = false; // a verdict on one of them changed
  let isInspectorOld = false;

  function ask(inMs = 0) {
    const pace = following ? PACE_MS : HEAD_MS;
    timer ||= setTimeout(pull, Math.max(inMs, askedAt + pace - Date.now()));
  }

  function address() {
    const url = run.address;
    const end = run.list.end();
    url.searchParams.set("part", "edge");
    if (areRowsOld || following) {
      const isFar = Math.max(heard, run.last) - end.last > JOINS;
      url.searchParams.set("edge", following && isFar ? "newest" : "from");
      url.searchParams.set("v", areRowsOld ? run.list.first() : end.first);
    }
    if (isMapOld && Date.now() - mapAt > MAP_MS) url.searchParams.set("map", "1");
    return url;
  }

  async function pull() {
    timer = 0;
    if (isOver || !navigator.onLine) return; // back on line it is asked again
    if (isAsking) {
      isWanted = true;
      return;
    }
    isAsking = true;
    askedAt = Date.now();
    const old = byId("list");
    const url = address();
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(DEAD_MS), headers: { "HX-Request": "true" } });
      if (answer.headers.has("HX-Redirect")) location.href = answer.headers.get("HX-Redirect");
      else if (answer.ok) take(await answer.text(), url, old);
      else if (answer.status === 404 || answer.status === 410) end(FINAL[4404]);
    } catch {
      // it is asked again at the next nudge, or in a while
    } finally {
      isAsking = false;
      if (isWanted) {
        isWanted = false;
        ask();
      }
    }
  }

  function take(html, url, old) {
    const came = document.createElement("template");
    came.innerHTML = html;
    const edge = came.content.getElementById("edge");
    if (!edge) return;
    heardAt = Date.now();
    skewMs = edge.dataset.now / 1000 - heardAt;
    const before = run.last;
    const ran = runs();
    const isGraded = edge.dataset.graded !== root.dataset.graded;
    put(edge);
    if (Number(edge.dataset.events) > before) run.grow(Number(edge.dataset.events));
    draw(edge);
    list([...edge.querySelectorAll(".win")], url, old);
    isMapOld ||= isGraded || run.last > before;
    areRowsOld ||= isGraded;
    isInspectorOld ||= isGraded || (run.last > before && run.version > before - NEAR);
    untold += run.last - before;
    if (ran && !runs()) {
      say("The run has ended");
      checkAgain();
    }
    showChip();
    if (run.last < heard) ask(LISTED_MS);
    else if (areRowsOld || (following && !isListed())) ask();
    look();
  }

  // Chips, facts and counts: as they stand in a page that is loaded now.
  function put(edge) {
    root.toggleAttribute("data-runs", "runs" in edge.dataset);
    root.dataset.graded = edge.dataset.graded;
    byId("run-of").textContent = `of ${count(Number(edge.dataset.events))}`;
    const mark = byId("intact"); // asked for apart: what it says stays
    for (const part of edge.querySelectorAll(":scope > [id]")) {
      const own = byId(part.id);
      if (mark && own?.contains(mark)) part.querySelector("#intact")?.replaceChildren(mark.textContent);
      if (!own || words(own) === words(part)) continue;
      own.replaceChildren(...part.childNodes);
      if (mark && !mark.isConnected) own.querySelector("#intact")?.replaceWith(mark);
    }
  }

  const words = (element) => element.textContent.replace(/\s+/g, " ").trim();

  // A run that went on is checked again, once it is sealed to its end.
  function checkAgain() {
    const mark = byId("intact");
    if (mark) window.htmx?.ajax("GET", mark.href, { target: mark, swap: "outerHTML" });
  }

  // The pointer may be on the drawing: what is in it comes anew, and it stays.
  function draw(edge) {
    const drawn = edge.querySelector("#map");
    if (!drawn) return;
    const map = byId("map");
    map.setAttribute("aria-label", drawn.getAttribute("aria-label"));
    Object.assign(map.dataset, drawn.dataset);
    map.replaceChildren(...drawn.childNodes);
    isMapOld = false;
    mapAt = Date.now();
    run.grow(run.last);
  }

  // Rows fit where the list is still the one that they were asked for.
  function list(parts, url, old) {
    const from = Number(url.searchParams.get("v"));
    if (!parts.length || byId("list") !== old) return;
    const isAnew = from === run.list.first() && areRowsOld;
    const shown = run.list.end();
    if (isAnew) areRowsOld = false;
    else if (!following || from !== shown.first) return;
    if (!following && Number(parts.at(-1).dataset.last) < shown.last) return; // longer than an answer: moves bring it
    run.list.renew(parts);
    for (const row of run.rows.all()) row.classList.toggle("row-new", following && run.rows.own(row) > shown.last);
    if (!following) return;
    toEnd();
    run.list.shed();
    toEnd();
    seen = run.list.end().last;
  }

  // --- The socket --------------------------------------------------------------------------------------------------

  let socket = null;
  let waitMs = 500;

  function connect() {
    if (isOver || socket) return;
    const url = new URL(root.dataset.socket, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const own = new WebSocket(url);
    socket = own;
    own.addEventListener("message", (event) => own === socket && hear(JSON.parse(event.data)));
    own.addEventListener("close", (event) => {
      if (own !== socket) return;
      socket = null;
      if (FINAL[event.code]) return end(FINAL[event.code]);
      setTimeout(connect, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    });
  }

  function hear(frame) {
    const wasStale = Date.now() - heardAt > STALE_MS;
    heardAt = Date.now();
    waitMs = 500;
    if (frame.type === "edge") heard = Math.max(heard, frame.version);
    if (heard > run.last || wasStale) ask();
    if (wasStale) look();
  }

  function end(words) {
    isOver = true;
    socket?.close();
    byId("live-banner-text").textContent = `Not live. ${words}`;
    byId("live-again").hidden = false;
    byId("live-banner").hidden = false;
    chip.hidden = true;
  }

  // --- What goes on without news -----------------------------------------------------------------------------------

  let untold = 0;
  let toldAt = 0;

  function say(words) {
    byId("live-said").textContent = words;
    toldAt = Date.now();
    untold = 0;
  }

  function look() {
    if (isOver) return;
    const now = Date.now();
    const silent = now - heardAt;
    const isStale = silent > STALE_MS;
    if (isStale) byId("live-banner-text").textContent = `Not live. No news for ${Math.round(silent / 1000)} s.`;
    if (byId("live-banner").hidden === isStale) byId("live-banner").hidden = !isStale;
    if (silent > DEAD_MS && socket?.readyState === WebSocket.OPEN) {
      // A laptop that slept: the connection looks open and is gone.
      const gone = socket;
      socket = null;
      gone.close();
      connect();
    }
    if (navigator.onLine && socket?.readyState !== WebSocket.OPEN && now - askedAt > POLL_MS) ask();
    if (isMapOld && now - mapAt > MAP_MS) ask();
    if (isInspectorOld && run.refresh()) isInspectorOld = false;
    if (untold && now - toldAt > TOLD_MS) say(`${count(untold)} new ${untold === 1 ? "event" : "events"}, ${count(run.last)} in all`);
    countOn(now);
  }

  // Calls without an answer say for how long they have been running, by the server's clock.
  function countOn(now) {
    for (const waiting of document.querySelectorAll("#wins .waiting")) {
      const seconds = Math.max(0, Math.floor((now + skewMs - waiting.dataset.since / 1000) / 1000));
      const words = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, "0")}s`;
      waiting.lastChild.textContent = `running ${words}`;
    }
  }

  run.whenDrawn(() => {
    following = runs() && isListed() && isAtEnd(OPENED_PX);
    showChip(); // which makes room for itself
    if (following) toEnd();
    else top = box().scrollTop;
  });
  // Later scripts may still be loading in that frame; when they are done every button of an action is shown.
  document.addEventListener("DOMContentLoaded", showChip);
  connect();
  setInterval(look, 1000);
  document.addEventListener("nagare:cursor", () => (isInspectorOld = false));
  document.addEventListener("visibilitychange", () => document.hidden || look());
  addEventListener("online", () => {
    waitMs = 500;
    connect();
    ask();
  });
})();
