// The live page: rows that the server made come in over a socket. Whoever scrolls up or selects is left alone: what is
// new then waits, counted, until they follow again.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const MOST_ROWS = 500;
  const STALE_MS = 5000;
  const DEAD_MS = 15000;
  const LONGEST_WAIT_MS = 8000;
  const RATE_MS = 10000;
  const TOLD_MS = 10000;
  const SLACK_PX = 8;
  const FINAL = { 4400: "this page asks for nothing that is here", 4401: "Your session has ended.", 4403: "You may not read this project any more.", 4404: "There is no such project." };

  const byId = (id) => document.getElementById(id);
  const page = byId("live");
  const box = byId("live-scroll");
  const list = byId("live-rows");
  const chip = byId("live-chip");
  const count = (number) => number.toLocaleString("en");

  nagare.actions["query.focus"] = () => byId("live-q").focus();

  // --- Following, and being left alone -----------------------------------------------------------------------------

  let following = true;
  let held = [];
  let heldRows = 0;
  let dropped = 0;
  let droppedAfter = 0;
  let reason = "";

  const isAtEnd = () => box.scrollHeight - box.scrollTop - box.clientHeight <= SLACK_PX;
  const toEnd = () => (box.scrollTop = box.scrollHeight);

  function showChip() {
    chip.classList.toggle("is-paused", !following);
    byId("live-chip-text").textContent = following ? "Following" : `Paused, ${count(heldRows + dropped)} new`;
    tellState();
  }

  function pause(why) {
    if (!following) return;
    following = false;
    reason = why;
    showChip();
  }

  function follow() {
    following = true;
    reason = "";
    if (dropped) gap();
    for (const frame of held) put(frame.html);
    held = [];
    heldRows = dropped = 0;
    trim();
    toEnd();
    showChip();
    return true;
  }

  // More came while it was paused than the page holds.
  function gap() {
    const item = document.createElement("li");
    item.className = "live-gap";
    const link = document.createElement("a");
    link.href = `${location.pathname}?after=${droppedAfter}`;
    link.textContent = "Read them";
    item.append(`${count(dropped)} events came before these and are not shown. `, link);
    list.append(item);
  }

  function put(html) {
    byId("live-none")?.remove();
    list.insertAdjacentHTML("beforeend", html);
  }

  function trim() {
    while (list.childElementCount > MOST_ROWS) list.firstElementChild.remove();
  }

  function take(frame) {
    if (following) {
      put(frame.html);
      trim();
      toEnd();
      return;
    }
    held.push({ html: frame.html, rows: frame.count, after: position });
    heldRows += frame.count;
    while (heldRows > MOST_ROWS && held.length > 1) {
      const oldest = held.shift();
      if (!dropped) droppedAfter = oldest.after;
      dropped += oldest.rows;
      heldRows -= oldest.rows;
    }
    showChip();
  }

  let top = 0;
  box.addEventListener("scroll", () => {
    if (box.scrollTop < top - SLACK_PX && !isAtEnd()) pause("you scrolled up");
    else if (!following && reason === "you scrolled up" && isAtEnd()) follow();
    top = box.scrollTop;
  });
  document.addEventListener("selectionchange", () => {
    const selected = getSelection();
    if (selected && !selected.isCollapsed && list.contains(selected.anchorNode)) pause("something is selected");
  });
  list.addEventListener("focusin", () => pause("a row is selected"));

  function walk(step) {
    const links = [...list.querySelectorAll(".live-open")];
    if (!links.length) return false;
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? links.length - 1 : Math.max(0, Math.min(links.length - 1, at + step));
    links[next].focus({ preventScroll: true });
    links[next].scrollIntoView({ block: "nearest" });
    return true;
  }
  nagare.actions["live.next"] = () => walk(1);
  nagare.actions["live.previous"] = () => walk(-1);

  // --- The socket --------------------------------------------------------------------------------------------------

  let socket = null;
  let position = Number(page.dataset.position);
  let heardAt = Date.now();
  let newestAt = 0;
  let waitMs = 500;
  let isOver = false;
  let isSampled = false;
  let arrivals = [];
  let untold = 0;
  let toldAt = 0;

  function address() {
    const url = new URL(page.dataset.socket, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ as: "rows", project: page.dataset.project, q: page.dataset.q, after: position });
    return url;
  }

  function connect() {
    if (isOver || socket) return;
    const own = new WebSocket(address());
    socket = own;
    own.addEventListener("message", (event) => own === socket && hear(JSON.parse(event.data)));
    own.addEventListener("close", (event) => {
      if (own !== socket) return;
      socket = null;
      if (FINAL[event.code]) return end(FINAL[event.code]);
      setTimeout(connect, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      look();
    });
  }

  function hear(frame) {
    heardAt = Date.now();
    waitMs = 500;
    if (frame.type === "rows") {
      if (frame.html) take(frame);
      position = frame.position;
      newestAt = heardAt;
      isSampled = frame.left_out > 0;
      arrivals.push([heardAt, frame.count]);
      untold += frame.count;
      beat(frame.count);
    }
    if (frame.type === "horizon") position = Math.max(position, frame.position);
    look();
  }

  function end(words) {
    isOver = true;
    byId("live-banner-text").textContent = `Not live. ${words}`;
    byId("live-again").hidden = false;
    byId("live-banner").hidden = false;
    tellState();
  }

  function tellState() {
    const words = isOver || byId("live-banner").hidden === false ? "Not connected" : isSampled ? "Connected; more comes than rows can show" : "Connected, nothing missed";
    byId("live-state").textContent = following ? words : `${words} · Paused because ${reason}`;
  }

  function look() {
    if (isOver) return;
    beat(0);
    const now = Date.now();
    const silent = now - heardAt;
    const isStale = silent > STALE_MS;
    const banner = byId("live-banner");
    if (isStale) byId("live-banner-text").textContent = `Not live. No news for ${Math.round(silent / 1000)} s.`;
    if (banner.hidden === isStale) banner.hidden = !isStale;
    if (silent > DEAD_MS && socket?.readyState === WebSocket.OPEN) {
      // A laptop that slept: the connection looks open and is gone.
      const gone = socket;
      socket = null;
      gone.close();
      heardAt = now - STALE_MS;
      connect();
    }
    arrivals = arrivals.filter(([at]) => now - at < RATE_MS);
    const rate = arrivals.reduce((total, [, rows]) => total + rows, 0) / (RATE_MS / 1000);
    byId("live-rate").textContent = `${rate >= 10 || rate === 0 ? Math.round(rate) : rate.toFixed(1)} events/s`;
    if (newestAt) byId("live-newest").textContent = `newest ${Math.round((now - newestAt) / 1000)} s ago`;
    byId("live-position").textContent = count(position);
    if (untold && now - toldAt > TOLD_MS) {
      byId("live-said").textContent = `${count(untold)} new ${untold === 1 ? "event" : "events"}`;
      untold = 0;
      toldAt = now;
    }
    tellState();
  }

  // Events a second over the last minute: what the page came with, then what arrived; the newest ten are the rate's.
  const pulse = byId("live-pulse");
  const counts = (pulse.dataset.counts || "").split(",").map(Number);
  let second = Math.floor(Date.now() / 1000);

  function beat(fresh) {
    const now = Math.floor(Date.now() / 1000);
    for (; second < now; second += 1) counts.shift(), counts.push(0);
    counts[counts.length - 1] += fresh;
    const most = Math.max(5, ...counts);
    const bars = counts.map((count, at) => (count ? `M${at * 6} 26v${-Math.max(2, Math.round((24 * count) / most))}h4V26z` : ""));
    const [before, newest] = pulse.querySelectorAll("path");
    before.setAttribute("d", `${bars.slice(0, -10).join("")}M0 25h360v1H0z`);
    newest.setAttribute("d", bars.slice(-10).join(""));
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "live-runs") byId("live-open").textContent = event.target.dataset.runs;
  });

  toEnd();
  top = box.scrollTop;
  beat(0);
  if ("follows" in page.dataset) {
    nagare.actions["live.follow"] = follow;
    showChip();
    connect();
    setInterval(look, 1000);
    addEventListener("online", () => {
      waitMs = 500;
      connect();
    });
  } else box.scrollTop = 0;
})();
