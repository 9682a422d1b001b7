// The rule between list and inspector: by pointer and by arrow keys, and remembered.
(() => {
  "use strict";
  const KEY = "nagare-list-width";
  const [LEAST, MOST, STEP] = [30, 60, 2];
  const split = document.getElementById("split");
  const splitter = document.getElementById("splitter");
  if (!split || !splitter) return;

  function show(percent) {
    const width = Math.min(MOST, Math.max(LEAST, percent));
    split.style.setProperty("--list", `${width}%`);
    splitter.setAttribute("aria-valuenow", Math.round(width));
    return width;
  }

  function keep(percent) {
    const width = show(percent);
    try {
      localStorage.setItem(KEY, width);
    } catch {
      // without storage the width lasts as long as the page
    }
  }

  function kept() {
    try {
      return Number(localStorage.getItem(KEY));
    } catch {
      return 0;
    }
  }

  const now = () => (100 * document.getElementById("list").offsetWidth) / split.offsetWidth;

  splitter.addEventListener("pointerdown", (event) => splitter.setPointerCapture(event.pointerId));
  splitter.addEventListener("pointermove", (event) => {
    if (!splitter.hasPointerCapture(event.pointerId)) return;
    const box = split.getBoundingClientRect();
    keep((100 * (event.clientX - box.left)) / box.width);
  });
  splitter.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: now() - STEP, ArrowRight: now() + STEP, Home: LEAST, End: MOST }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    keep(to);
  });

  splitter.hidden = false;
  if (kept()) show(kept());
})();
