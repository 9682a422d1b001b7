// The inspector's tabs: pinned values, forms that move the cursor's page instead of loading it again, and long payloads
// that grow by a page. All of it works by links and forms without this.
(() => {
  "use strict";
  const run = window.nagare?.run;
  if (!run) return;
  const KEPT = "nagare-pins";
  const TABS = ["state", "diff"];

  // --- Pins: in the address, so that a link shows them; in this browser, so that they are there next time ------------

  const written = (pointers) => pointers.map((pointer) => pointer.replaceAll(",", "~2")).join(",");
  const read = (text) => (text || "").split(",").map((pointer) => pointer.replaceAll("~2", ",")).filter((pointer) => pointer.startsWith("/"));
  const shown = () => read(run.address.searchParams.get("pin"));

  function kept() {
    try {
      return read(localStorage.getItem(KEPT));
    } catch {
      return [];
    }
  }

  function keep(pointers) {
    try {
      localStorage.setItem(KEPT, written(pointers));
    } catch {
      // without storage the address alone has them
    }
  }

  function underFocus() {
    const near = document.activeElement?.closest("[data-pointer]") || document.querySelector(".leaf[data-pointer]:hover");
    return (near && decodeURIComponent(near.dataset.pointer)) || run.address.searchParams.get("path");
  }

  let focusAgain = "";
  nagare.actions["state.pin"] = () => {
    const pointer = underFocus();
    if (!pointer || !TABS.includes(run.address.searchParams.get("tab"))) {
      document.dispatchEvent(new CustomEvent("nagare:toast", { detail: { text: "To pin a value, put the focus on it in the State tab" } }));
      return;
    }
    const now = shown();
    const pinned = now.includes(pointer) ? now.filter((other) => other !== pointer) : [...now, pointer];
    keep(pinned);
    focusAgain = pointer;
    run.go(run.version, { changes: { pin: written(pinned) || null } });
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-pin], [data-unpin]");
    if (link?.dataset.pin) keep([...shown(), decodeURIComponent(link.dataset.pin)]);
    else if (link) keep(shown().filter((pointer) => pointer !== decodeURIComponent(link.dataset.unpin)));
  }, true);

  // A page without pins in its address gets those of this browser once a tab that shows them is open.
  function bring() {
    const query = run.address.searchParams;
    if (!TABS.includes(query.get("tab")) || query.has("pin")) return;
    const pins = kept();
    if (pins.length) run.go(run.version, { changes: { pin: written(pins) } });
  }
  document.addEventListener("nagare:cursor", bring);
  bring();

  document.addEventListener("nagare:shown", () => {
    const at = focusAgain;
    focusAgain = "";
    if (at) [...document.querySelectorAll("#panel [data-pointer]")].find((one) => decodeURIComponent(one.dataset.pointer) === at)?.querySelector("a, summary")?.focus();
  });

  // --- Forms of the inspector ------------------------------------------------------------------------------------------

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches?.("#inspector form[data-goes]")) return;
    event.preventDefault();
    const url = new URL(form.action);
    for (const [name, value] of new FormData(form)) if (value) url.searchParams.set(name, value);
    run.go(Number(url.searchParams.get("v")), { jump: true, url });
  });

  // --- The next page of a payload is put behind the one before ---------------------------------------------------------

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(".payload-next");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    grow(link);
  }, true);

  async function grow(link) {
    const part = link.closest("[data-part]");
    link.setAttribute("aria-disabled", "true");
    const url = new URL(link.href);
    url.searchParams.set("part", "cursor");
    try {
      const answer = await fetch(url, { headers: { "HX-Request": "true" } });
      if (!answer.ok) throw new Error(answer.status);
      const more = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(`[data-part="${part.dataset.part}"]`);
      part.querySelector("pre").append(...more.querySelector("pre").childNodes);
      part.querySelector(".part-shown").textContent = more.dataset.through;
      const next = more.querySelector(".payload-next");
      if (next) link.replaceWith(next);
      else link.remove();
      (next || part.querySelector("pre")).focus({ preventScroll: true });
    } catch {
      location.href = link.href;
    }
  }
})();
