// Pages of work under way: what changes in a job's row is told over the socket, and the page asks for its own part then.
// It also asks by itself every two seconds, so that a socket that cannot be had costs time only.
(() => {
  "use strict";
  const LONGEST_WAIT_MS = 8000;
  const PACE_MS = 500;
  const FINAL = [4400, 4401, 4403, 4404];
  const part = () => document.querySelector("[data-job]");
  if (!window.htmx || !part()) return;

  let waitMs = 500;
  let askedAt = 0;
  let timer = 0;
  let socket = null;

  function ask() {
    timer ||= setTimeout(
      () => {
        timer = 0;
        askedAt = Date.now();
        if (part()) htmx.trigger(part(), "nagare:job");
        else socket?.close(); // it has ended
      },
      Math.max(0, askedAt + PACE_MS - Date.now()),
    );
  }

  function connect() {
    if (!part()) return;
    const { job, project } = part().dataset;
    const url = new URL("/ws/live/", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ as: "jobs", ...(job && { job }), project });
    socket = new WebSocket(url);
    socket.addEventListener("message", (event) => {
      waitMs = 500;
      if (JSON.parse(event.data).type === "job") ask();
      else if (!part()) socket.close();
    });
    socket.addEventListener("close", (event) => {
      if (FINAL.includes(event.code)) return;
      setTimeout(connect, waitMs);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
    });
  }

  connect();
})();
