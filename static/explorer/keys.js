// One regime of keys for every page. The map (explorer/keymap.py) stands in the page as JSON; scripts say what an action
// does: `nagare.actions["find.next"] = (event) => …`. An action that returns false leaves the key to the browser.
//
// Events of the run page, all on document: `nagare:cursor` (detail {version}) after each move of the cursor,
// `nagare:go` (detail {version, jump, changes}) to move it, `nagare:list` when rows of the list came or went.
window.nagare = window.nagare || {};
nagare.actions = nagare.actions || {};
(() => {
  "use strict";
  const DIGIT_MS = 700;
  const TYPED_MS = 3000;
  const SEQUENCE_MS = 1500;
  const COOKIE = "nagare-letters";
  const YEAR_S = 31536000;

  const element = document.getElementById("nagare-keys");
  const data = element ? JSON.parse(element.textContent) : { keys: [], pages: {}, palette: "" };
  const map = data.keys;
  const byKey = new Map(map.flatMap((entry) => entry.keys.map((key) => [key, entry])));
  const firsts = new Set([...byKey.keys()].filter((key) => key.length > 1 && key.includes(" ")).map((key) => key.split(" ")[0]));

  nagare.keys = {
    /** What this page can do: the entries of the map whose action some script has registered. */
    known: () => map.filter((entry) => nagare.actions[entry.action]),
    lettersAreOff: () => element?.dataset.letters === "off",
    switchLetters(off) {
      element.dataset.letters = off ? "off" : "on";
      document.cookie = `${COOKIE}=${off ? "off" : "on"}; path=/; max-age=${YEAR_S}; samesite=lax`;
    },
    palette: data.palette,
    kinds: data.kinds,
    run: (action, event) => nagare.actions[action]?.(event),
    /** Whether letters typed at an element are its own. */
    isField: (target) => isField(target),
  };
  for (const [action, address] of Object.entries(data.pages)) {
    nagare.actions[action] = () => {
      location.href = address;
    };
  }

  // A link of a page that a key follows too, and that needs no script of its own.
  const bisect = document.getElementById("bisect-link");
  if (bisect) nagare.actions["bisect.open"] = () => bisect.click();

  // --- What is typed piece by piece: numbers, and keys of two letters ------------------------------------------------

  let digits = "";
  let digitTimer = 0;
  let first = "";
  let firstTimer = 0;

  const typed = (text) => document.dispatchEvent(new CustomEvent("nagare:digits", { detail: { digits: text } }));

  function forget() {
    clearTimeout(digitTimer);
    if (digits) typed("");
    digits = "";
  }

  // "2" "3" Enter goes to 23; one digit alone is a tab once it is clear that no second one follows.
  function digit(event) {
    digits += event.key;
    typed(digits);
    clearTimeout(digitTimer);
    const alone = digits.length === 1;
    digitTimer = setTimeout(() => {
      const key = digits;
      forget();
      if (alone) act(byKey.get(key), event);
    }, alone ? DIGIT_MS : TYPED_MS);
  }

  function enter() {
    const number = Number(digits);
    forget();
    document.dispatchEvent(new CustomEvent("nagare:go", { detail: { version: number, jump: true, typed: true } }));
  }

  function begin(key) {
    first = key;
    clearTimeout(firstTimer);
    firstTimer = setTimeout(() => (first = ""), SEQUENCE_MS);
  }

  // --- Whose key it is -----------------------------------------------------------------------------------------------

  const isField = (target) => target.matches?.("input:not([type=range], [type=checkbox], [type=radio]), select, textarea, [contenteditable]");
  const OWN = {
    " ": "button, summary, a:not(.runs-open), input",
    ArrowDown: "input, [role=separator], [role=tree] *, pre, .panel, .panel *",
    ArrowUp: "input, [role=separator], [role=tree] *, pre, .panel, .panel *",
    Home: "input, [role=separator], [role=tree] *, pre, .panel, .panel *",
    End: "input, [role=separator], [role=tree] *, pre, .panel, .panel *",
  };

  // Fields keep their letters, and things that scroll or move by themselves their arrows. A dialog that was just closed may
  // still have the focus for a moment.
  function isOthers(event) {
    const target = event.target;
    if (!target.matches || target.closest("dialog:not([open])")) return false;
    return isField(target) || Boolean(target.closest("dialog")) || Boolean(OWN[event.key] && target.matches(OWN[event.key]));
  }

  function act(entry, event) {
    const action = entry && nagare.actions[entry.action];
    if (!action) return false;
    return action(event) !== false;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (!event.shiftKey && act(byKey.get(`Mod+${event.key.toLowerCase()}`), event)) event.preventDefault();
      return;
    }
    if (isOthers(event)) return;
    if (event.key.length === 1 && nagare.keys.lettersAreOff()) return;
    if (/^[0-9]$/.test(event.key) && nagare.actions["cursor.number"]) {
      event.preventDefault();
      digit(event);
      return;
    }
    if (digits && event.key === "Enter") {
      event.preventDefault();
      enter();
      return;
    }
    if (["Shift", "CapsLock"].includes(event.key)) return;
    forget();
    const sequence = first && `${first} ${event.key}`;
    first = "";
    if (act(byKey.get(sequence) || byKey.get(event.key), event)) event.preventDefault();
    else if (firsts.has(event.key)) begin(event.key);
  });

  // --- Buttons for actions: only where there is something to do --------------------------------------------------------

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-action]");
    if (button) nagare.keys.run(button.dataset.action, event);
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("[data-action]")) button.hidden = !nagare.actions[button.dataset.action];
  });
})();
