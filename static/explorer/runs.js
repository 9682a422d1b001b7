// The run list: the focus walks the rows, a glance at a run stands beside them, and the query line says how to go on.
// Without this script rows, glances and queries are links and a form.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const query = document.querySelector("[data-query]");
  const options = document.getElementById("q-options");
  const htmlOf = async (address, signal) => {
    const response = await fetch(address, { signal, headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return response.text();
  };

  // --- Rows ----------------------------------------------------------------------------------------------------------

  const titles = () => [...document.querySelectorAll("[data-run] .runs-open")];
  const rowAt = (element) => element?.closest?.("[data-run]");
  let last = null; // the row that had the focus, for keys pressed while nothing has it

  document.addEventListener("focusin", (event) => (last = rowAt(event.target) || last));

  function move(by) {
    const all = titles();
    if (!all.length) return false;
    const row = rowAt(document.activeElement) || (last?.isConnected ? last : document.querySelector("[data-run].is-cursor"));
    const at = row ? all.indexOf(row.querySelector(".runs-open")) : by > 0 ? -1 : all.length;
    const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
    next.focus({ preventScroll: true });
    next.closest("[data-run]").scrollIntoView({ block: "nearest" });
    if (isPeeking()) peekAt(rowAt(next));
    return true;
  }

  // --- A glance beside the list --------------------------------------------------------------------------------------

  const panel = () => document.getElementById("peek");
  const isPeeking = () => Boolean(panel() && !panel().hidden);
  let peeking = null;

  function mark(row) {
    for (const other of document.querySelectorAll("[data-run].is-cursor")) other.classList.remove("is-cursor");
    row?.classList.add("is-cursor");
  }

  function remember(stream) {
    const address = new URL(location.href);
    if (stream) address.searchParams.set("peek", stream);
    else address.searchParams.delete("peek");
    history.replaceState(history.state, "", address);
  }

  async function peekAt(row) {
    const link = row.querySelector(".runs-open");
    mark(row);
    peeking?.abort();
    peeking = new AbortController();
    try {
      const html = await htmlOf(`${link.pathname}peek/`, peeking.signal);
      panel().outerHTML = html;
      remember(row.dataset.run);
    } catch (error) {
      if (error.name !== "AbortError") location.assign(row.querySelector(".runs-peek").href);
    }
  }

  function close() {
    if (!isPeeking()) return false;
    peeking?.abort();
    const row = document.querySelector("[data-run].is-cursor");
    panel().hidden = true;
    panel().replaceChildren();
    mark(null);
    remember("");
    row?.querySelector(".runs-open").focus({ preventScroll: true });
    return true;
  }

  function toggle() {
    const row = rowAt(document.activeElement) || (last?.isConnected ? last : null) || document.querySelector("[data-run]");
    if (!row) return false;
    if (isPeeking() && row.classList.contains("is-cursor")) return close();
    row.querySelector(".runs-open").focus({ preventScroll: true });
    peekAt(row);
    return true;
  }

  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    if (event.target.closest("[data-peek-close]")) {
      event.preventDefault();
      close();
    } else if (event.target.closest(".runs-peek")) {
      event.preventDefault();
      peekAt(rowAt(event.target));
    }
  });

  // Other rows: what stood beside the old ones goes.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "rows" && event.target.id !== "rows") return;
    if (isPeeking()) close();
    if (document.getElementById("query-problem")) {
      query.setAttribute("aria-invalid", "true");
      query.setAttribute("aria-describedby", "query-problem");
    } else {
      query.removeAttribute("aria-invalid");
      query.removeAttribute("aria-describedby");
    }
  });

  // --- Two runs to compare ---------------------------------------------------------------------------------------------

  // A box in each row; the link beside the query leads on with what is ticked. Without a script it asks which two.
  const compare = document.querySelector("[data-compare]");

  function offer() {
    for (const row of document.querySelectorAll("[data-run]")) {
      if (row.querySelector(".runs-tick")) continue;
      const box = document.createElement("input");
      box.type = "checkbox";
      box.className = "runs-tick";
      box.setAttribute("aria-label", `Compare ${row.querySelector(".runs-open").textContent}`);
      row.querySelector(".col-status").prepend(box);
    }
    lead();
  }

  function lead() {
    if (!compare) return;
    const streams = [...document.querySelectorAll(".runs-tick:checked")].map((box) => rowAt(box).dataset.run);
    const address = new URL(compare.href);
    address.search = new URLSearchParams(streams.slice(0, 2).map((stream, at) => ["ab"[at], stream]));
    compare.setAttribute("href", address.pathname + address.search);
    compare.title = streams.length > 2 ? `${streams.length} runs are ticked; the first two are compared` : "";
  }

  function tick() {
    const row = rowAt(document.activeElement) || (last?.isConnected ? last : null);
    const box = row?.querySelector(".runs-tick");
    if (!box) return false;
    box.checked = !box.checked;
    lead();
    return true;
  }

  document.addEventListener("change", (event) => event.target.matches?.(".runs-tick") && lead());
  document.addEventListener("htmx:afterSwap", offer);
  offer();

  Object.assign(nagare.actions, {
    "run.tick": tick,
    "run.next": () => move(1),
    "run.previous": () => move(-1),
    "run.peek": toggle,
    "peek.close": close,
    "query.focus": () => query.select(),
  });

  // --- Ways to go on in the query line: a combobox -------------------------------------------------------------------

  if (!query || !options) return;
  const WAIT_MS = 60;
  let waiting = 0;
  let asking = null;
  let chosen = -1;
  query.setAttribute("role", "combobox");
  query.setAttribute("aria-autocomplete", "list");
  query.setAttribute("aria-controls", options.id);
  query.setAttribute("aria-expanded", "false");

  const all = () => [...options.children];

  function choose(at) {
    const items = all();
    chosen = items.length ? (at + items.length + 1) % (items.length + 1) : -1;
    if (chosen === items.length) chosen = -1; // past either end: the text itself again
    items.forEach((item, place) => item.setAttribute("aria-selected", String(place === chosen)));
    if (chosen < 0) query.removeAttribute("aria-activedescendant");
    else {
      query.setAttribute("aria-activedescendant", items[chosen].id);
      items[chosen].scrollIntoView({ block: "nearest" });
    }
  }

  function hide() {
    clearTimeout(waiting);
    asking?.abort();
    options.hidden = true;
    options.replaceChildren();
    query.setAttribute("aria-expanded", "false");
    choose(-1);
  }

  async function ask() {
    asking?.abort();
    asking = new AbortController();
    const said = new URLSearchParams({ q: query.value, at: query.selectionStart });
    try {
      const html = await htmlOf(`${query.dataset.complete}?${said}`, asking.signal);
      options.innerHTML = html;
      options.hidden = !options.children.length;
      query.setAttribute("aria-expanded", String(!options.hidden));
      choose(-1);
    } catch {
      hide(); // what helps with typing never stands in its way
    }
  }

  function take(item) {
    query.value = item.dataset.query;
    query.setSelectionRange(Number(item.dataset.caret), Number(item.dataset.caret));
    query.focus();
    ask();
  }

  query.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(ask, WAIT_MS);
  });
  query.addEventListener("click", ask);
  query.addEventListener("blur", hide);
  query.form.addEventListener("submit", hide);
  options.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the field keeps the focus
    const item = event.target.closest("[role=option]");
    if (item) take(item);
  });

  query.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const isOpen = !options.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (isOpen) choose(event.key === "ArrowDown" ? chosen + 1 : chosen < 0 ? all().length - 1 : chosen - 1);
      else ask();
    } else if (event.key === "Escape" && isOpen) {
      event.preventDefault(); // the browser would empty the field
      event.stopPropagation();
      hide();
    } else if ((event.key === "Enter" && chosen >= 0) || (event.key === "Tab" && isOpen && chosen >= 0)) {
      event.preventDefault();
      take(all()[chosen]);
    }
  });
})();
