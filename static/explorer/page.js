// What every page does: menus close by themselves, copy buttons copy, and things done are told in a toast.
(() => {
  "use strict";
  const TOAST_MS = 6000;

  function closeMenus(except) {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu !== except) menu.open = false;
    }
  }

  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.activeElement?.closest("details.menu[open]");
    closeMenus(null);
    menu?.querySelector("summary").focus();
  });

  let timer = 0;

  // Only for things that are already done; errors stay on the page where they belong.
  function toast(text) {
    const box = document.getElementById("toast");
    if (!box) return;
    box.querySelector("[data-toast-text]").textContent = text;
    box.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(function leave() {
      if (box.matches(":hover, :focus-within")) timer = setTimeout(leave, 1000);
      else box.hidden = true;
    }, TOAST_MS);
  }

  document.addEventListener("nagare:toast", (event) => toast(event.detail.text));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    toast(button.dataset.copied || "Copied");
  });
})();
