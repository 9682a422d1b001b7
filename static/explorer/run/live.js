// The edge of a run that is not over: a nudge from the socket makes the head's count of new events come at once instead of
// at its next turn, and `l` shows them.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const LISTED_MS = 1000; // the list is made from the journal a moment later
  const LONGEST_WAIT_MS = 8000;
  const FINAL = [4400, 4401, 4403, 4404];
  const head = () => document.getElementById("live");
  if (!window.htmx || !head()?.dataset.socket) return;

  let waitMs = 500;
  let timer = 0;

  function news() {
    if (head()) htmx.trigger(head(), "nagare:news");
  }

  function connect() {
    if (!head()?.dataset.socket) return; // the run has ended meanwhile
    const url = new URL(head().dataset.socket, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.addEventListener("message", (event) => {
      waitMs = 500;
      if (JSON.parse(event.data).type !== "rows") return;
      news();
      clearTimeout(timer);
      timer = setTimeout(news, LISTED_MS);
    });
    socket.addEventListener("close", (event) => {
      if (FINAL.includes(event.code)) return;
      setTimeout(connect, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    });
  }

  nagare.actions["live.show"] = () => {
    const link = head()?.querySelector("a[data-full]");
    if (!link) return false;
    link.click();
    return true;
  };
  connect();
})();
