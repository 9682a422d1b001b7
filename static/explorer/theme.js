// Puts the reader's theme on the root before the first paint, and lets the switch in the top bar change it.
// Loaded in the head without `defer`: a deferred script would show the other theme for a moment.
(() => {
  "use strict";
  const KEY = "nagare-theme";
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is switched off: the system's theme then
    }
  }

  function keep(theme) {
    try {
      if (theme) localStorage.setItem(KEY, theme);
      else localStorage.removeItem(KEY);
    } catch {
      // without storage the choice lasts as long as the page
    }
  }

  function apply(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  const system = () => (systemDark.matches ? "dark" : "light");
  const shown = () => root.dataset.theme || system();

  function label(button) {
    const other = shown() === "dark" ? "light" : "dark";
    button.title = `Switch to the ${other} theme`;
    button.setAttribute("aria-label", button.title);
  }

  // A choice that equals the system's is not kept, so that the page follows the system again.
  function toggle(button) {
    const theme = shown() === "dark" ? "light" : "dark";
    const own = theme === system() ? null : theme;
    keep(own);
    apply(own);
    label(button);
    document.dispatchEvent(new CustomEvent("nagare:theme", { detail: { theme } }));
  }

  apply(stored());
  addEventListener("storage", (event) => event.key === KEY && apply(event.newValue));
  addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.hidden = false;
      label(button);
      button.addEventListener("click", () => toggle(button));
      systemDark.addEventListener("change", () => label(button));
    }
  });
})();
