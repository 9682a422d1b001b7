// Puts the reader's theme on the root before the first paint, and lets the switch in the top bar change it. The server
// reads the same cookie (explorer/preferences.py), so without this script the theme of the settings holds as well.
// Loaded in the head without `defer`: a deferred script would show the other theme for a moment.
(() => {
  "use strict";
  const COOKIE = "nagare-theme";
  const YEAR_S = 31536000;
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    const found = document.cookie.split("; ").find((part) => part.startsWith(`${COOKIE}=`));
    return found ? found.slice(COOKIE.length + 1) : null;
  }

  function keep(theme) {
    document.cookie = `${COOKIE}=${theme || ""}; path=/; max-age=${theme ? YEAR_S : 0}; samesite=lax`;
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
  addEventListener("visibilitychange", () => document.hidden || apply(stored())); // another tab may have switched
  addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-theme-switch]")) {
      button.hidden = false;
      label(button);
      button.addEventListener("click", () => toggle(button));
      systemDark.addEventListener("change", () => label(button));
    }
  });
})();
