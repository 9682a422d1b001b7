// Pages of rules, bisects, re-grades: keys that follow links of the page, and links that are copied instead of followed.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const say = (text) => document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text } }));
  const follow = (selector) => () => {
    const link = document.querySelector(selector);
    if (!link) return false;
    link.click();
    return true;
  };

  async function copy(link) {
    await navigator.clipboard.writeText(link.href);
    say("Link copied");
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-copy-link]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || !navigator.clipboard) return;
    event.preventDefault();
    copy(link);
  });

  if (document.querySelector("#bisect, [data-judge]")) {
    nagare.actions["answer.open"] = (event) => {
      if (event?.type === "keydown" && event.target !== document.body && !event.target.matches("main, #answer")) return false;
      return follow("#open-run")();
    };
    nagare.actions["link.copy"] = () => {
      const link = document.querySelector("[data-copy-link]");
      if (!link) return false;
      copy(link);
      return true;
    };
  }

  // --- Probes and rows that are walked with j, k, n, N --------------------------------------------------------------

  function walker(rows, link) {
    return (step) => () => {
      const all = [...document.querySelectorAll(rows)];
      if (!all.length) return false;
      const at = all.findIndex((row) => row.classList.contains("is-cursor"));
      const next = at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step));
      all[at]?.classList.remove("is-cursor");
      all[next].classList.add("is-cursor");
      const target = all[next].querySelector(link);
      target?.focus({ preventScroll: true });
      all[next].scrollIntoView({ block: "nearest" });
      return true;
    };
  }

  const probe = walker(".probe", "a");
  nagare.actions["probe.next"] = probe(1);
  nagare.actions["probe.previous"] = probe(-1);
  const row = walker("[data-walk] tbody tr", "a");
  nagare.actions["judged.next"] = row(1);
  nagare.actions["judged.previous"] = row(-1);

  // --- A bisect by eye -----------------------------------------------------------------------------------------------

  const eye = { "eye.good": "#eye-good", "eye.bad": "#eye-bad", "eye.skip": "#eye-skip", "eye.undo": "#eye-undo" };
  for (const [action, link] of Object.entries(eye)) {
    if (document.querySelector(link)) nagare.actions[action] = follow(link);
  }

  // The answer comes in place of the question: whoever asked by keyboard or by ear is led to it.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "bisect" && !("job" in event.target.dataset)) document.getElementById("answer")?.focus({ preventScroll: true });
  });
})();
