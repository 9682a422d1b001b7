// Walking causes: `b` to the cause, `f` to the effect. Where there are several, a list opens: a digit or Enter takes one,
// the same key again the first, Esc none. Links of the drawing move the cursor like any other link of the page.
(() => {
  "use strict";
  const page = document.getElementById("debugger");
  if (!page || !window.nagare?.run) return;
  const { run, actions } = nagare;

  const WAYS = {
    cause: { key: "b", title: "Causes of", none: "No cause of this event is known." },
    effect: { key: "f", title: "Effects of", none: "No event names this one as its cause." },
  };

  // To an event of this run the cursor goes; another run is another page.
  function follow(link) {
    const url = new URL(link.getAttribute("href"), location.href);
    if (url.pathname === run.path) run.go(Number(url.searchParams.get("v")), { jump: true });
    else location.href = url;
  }

  // While what is there tells of another event the last walk waits, unless the cursor is moved in between.
  let waiting = "";

  function walk(name) {
    if (!run.isCurrent()) {
      waiting = name;
      return;
    }
    const choices = document.getElementById(`choices-${name}`);
    if (choices) return choose(name, choices);
    const link = document.getElementById(`walk-${name}`);
    if (link?.getAttribute("href")) return follow(link);
    document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text: WAYS[name].none } }));
  }

  // --- The choice --------------------------------------------------------------------------------------------------

  function choose(name, choices) {
    const dialog = document.createElement("dialog");
    const list = choices.cloneNode(true);
    list.hidden = false;
    list.removeAttribute("id");
    dialog.className = "choose";
    dialog.setAttribute("aria-labelledby", "choose-title");
    const title = element("h2", "section", `${WAYS[name].title} ${run.version}`);
    title.id = "choose-title";
    const keys = element("p", "label", `A digit or Enter goes there, ${WAYS[name].key} again to the first, Esc stays here.`);
    [...list.children].forEach((item, at) => item.prepend(element("kbd", "key", at + 1)));
    dialog.append(title, list, keys);
    dialog.addEventListener("keydown", (event) => typed(event, dialog, WAYS[name].key));
    dialog.addEventListener("click", (event) => pointed(event, dialog));
    dialog.addEventListener("close", () => dialog.remove());
    page.append(dialog);
    dialog.showModal();
    list.querySelector("a").focus();
  }

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function take(link, dialog) {
    dialog.close();
    follow(link);
  }

  function typed(event, dialog, key) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...dialog.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const moves = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };
    if (moves[event.key]) links.at((at + moves[event.key] + links.length) % links.length).focus();
    else if (event.key === key) take(links[0], dialog);
    else if (/^[1-9]$/.test(event.key) && links[event.key - 1]) take(links[event.key - 1], dialog);
    else return;
    event.preventDefault();
  }

  function pointed(event, dialog) {
    const link = event.target.closest("a");
    if (!link && event.target !== dialog) return;
    event.preventDefault();
    if (link) take(link, dialog);
    else dialog.close();
  }

  // --- The drawing -------------------------------------------------------------------------------------------------

  // Links in an SVG are not the links that the page's own script knows.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".graph-drawing a[data-version]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    follow(link);
  });

  document.addEventListener("nagare:cursor", () => (waiting = ""));
  document.addEventListener("nagare:shown", () => {
    if (!waiting || !run.isCurrent()) return;
    const name = waiting;
    waiting = "";
    walk(name);
  });
  actions["cause.back"] = () => walk("cause");
  actions["cause.forward"] = () => walk("effect");
})();
