// The sheet of all keys (`?`) and the palette (Ctrl or Command and K): what this page can do, by name.
(() => {
  "use strict";
  const QUIET_MS = 120;
  const SVG = "http://www.w3.org/2000/svg";
  const NUMBER = /^[0-9][0-9,\s]*$/;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function dialog(id, className, name) {
    const element = make("dialog", `dialog ${className}`);
    element.id = id;
    element.setAttribute("aria-label", name);
    document.body.append(element);
    // A click beside the dialog is one on the dialog itself, whose content fills it.
    element.addEventListener("click", (event) => event.target === element && element.close());
    return element;
  }

  // --- The sheet -----------------------------------------------------------------------------------------------------

  function groups() {
    const byName = new Map();
    for (const entry of nagare.keys.known()) byName.set(entry.group, [...(byName.get(entry.group) || []), entry]);
    return byName;
  }

  function group(name, entries) {
    const section = make("section", "sheet-group");
    const list = make("dl");
    for (const entry of entries) {
      const row = make("div", "sheet-key");
      const keys = make("dt");
      for (const key of entry.shown) keys.append(make("kbd", "key", key));
      row.append(keys, make("dd", "", entry.label));
      list.append(row);
    }
    section.append(make("h3", "small", name), list);
    return section;
  }

  // The signs of events, as the page's sprite draws them.
  function legend() {
    const section = make("section", "sheet-group");
    const list = make("ul", "sheet-kinds");
    for (const [kind, words] of Object.entries(nagare.keys.kinds)) {
      const item = make("li");
      const sign = document.createElementNS(SVG, "svg");
      for (const [name, value] of Object.entries({ class: `glyph glyph-${kind}`, width: 16, height: 16, "aria-hidden": "true" })) sign.setAttribute(name, value);
      const use = document.createElementNS(SVG, "use");
      use.setAttribute("href", `#g-${kind}`);
      sign.append(use);
      item.append(sign, words);
      list.append(item);
    }
    section.append(make("h3", "small", "Events"), list);
    return section;
  }

  function closer() {
    const form = make("form");
    form.method = "dialog";
    form.append(make("button", "button", "Close"));
    return form;
  }

  function sheet() {
    const element = dialog("keys-dialog", "sheet", "All keys");
    const head = make("div", "sheet-head");
    head.append(make("h2", "section", "All keys"), closer());
    const body = make("div", "sheet-body");
    body.tabIndex = 0;
    for (const [name, entries] of groups()) body.append(group(name, entries));
    if (nagare.keys.kinds) body.append(legend());
    const foot = make("div", "sheet-foot");
    const label = make("label", "sheet-off");
    const off = make("input");
    off.type = "checkbox";
    off.id = "keys-off";
    off.checked = nagare.keys.lettersAreOff();
    off.addEventListener("change", () => nagare.keys.switchLetters(off.checked));
    label.append(off, "Letters, digits and signs do nothing");
    foot.append(label, make("span", "small quiet", "Arrows, Home, End and the palette still work."));
    element.append(head, body, foot);
    return element;
  }

  nagare.actions["sheet.open"] = () => (document.getElementById("keys-dialog") || sheet()).showModal();

  // --- The palette: a field that owns a list, as the combobox pattern has it ------------------------------------------

  let palette = null;
  let field = null;
  let list = null;
  let items = [];
  let chosen = 0;
  let timer = 0;
  let request = null;
  let runs = [];
  let opener = null;

  function build() {
    palette = dialog("palette", "palette", "Palette");
    const frame = make("div", "palette-field");
    field = make("input");
    field.type = "text";
    field.autocomplete = "off";
    field.spellcheck = false;
    field.placeholder = nagare.actions["cursor.number"] ? "An action, an event’s number, or a run" : "An action or a run";
    for (const [name, value] of Object.entries({
      role: "combobox", "aria-label": field.placeholder, "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list",
    })) field.setAttribute(name, value);
    frame.append(field, make("kbd", "key", "Esc"));
    list = make("div", "palette-list");
    list.id = "palette-list";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "What can be done");
    palette.append(frame, list);
    field.addEventListener("input", typed);
    field.addEventListener("keydown", pressed);
    palette.addEventListener("close", () => opener?.focus?.());
  }

  function typed() {
    draw();
    clearTimeout(timer);
    timer = setTimeout(ask, QUIET_MS);
  }

  // The last word that was typed wins, as with the cursor.
  async function ask() {
    request?.abort();
    request = new AbortController();
    try {
      const answer = await fetch(`${nagare.keys.palette}?q=${encodeURIComponent(field.value.trim())}`, {
        signal: request.signal,
        headers: { Accept: "application/json" },
      });
      runs = answer.ok ? (await answer.json()).runs : [];
    } catch (error) {
      if (error.name === "AbortError") return;
      runs = [];
    }
    draw();
  }

  function matching(said) {
    const wanted = said.toLowerCase();
    return nagare.keys
      .known()
      .filter((entry) => entry.action !== "palette.open" && `${entry.group} ${entry.label}`.toLowerCase().includes(wanted))
      .map((entry) => ({ group: entry.group, words: entry.label, keys: entry.shown, isOurs: true, act: () => nagare.keys.run(entry.action, null) }));
  }

  function draw() {
    const said = field.value.trim();
    const number = NUMBER.test(said) && nagare.actions["cursor.number"] ? Number(said.replace(/[,\s]/g, "")) : 0;
    const go = () => document.dispatchEvent(new CustomEvent("nagare:go", { detail: { version: number, jump: true, typed: true } }));
    const first = number ? [{ group: "Event", words: `Go to event ${number.toLocaleString("en")}`, keys: [], act: go }] : [];
    const found = runs.map((run) => ({ group: "Runs", words: run.title, note: run.note, keys: [], act: () => (location.href = run.href) }));
    items = said ? [...first, ...matching(said), ...found] : [...found, ...matching(said)];
    chosen = 0;
    list.replaceChildren();
    let last = "";
    items.forEach((item, at) => {
      if (item.group !== last) {
        const title = make("div", "palette-group", item.group);
        title.setAttribute("role", "presentation");
        list.append(title);
      }
      last = item.group;
      list.append(option(item, at));
    });
    if (!items.length) list.append(make("p", "palette-none", "Nothing here is called that."));
    mark();
  }

  function option(item, at) {
    const element = make("div", "palette-item");
    element.id = `palette-${at}`;
    element.setAttribute("role", "option");
    element.append(make("bdi", `palette-words${item.isOurs ? " palette-action" : ""}`, item.words));
    if (item.note) element.append(make("span", "palette-note", item.note));
    for (const key of item.keys) element.append(make("kbd", "key", key));
    element.addEventListener("click", () => choose(at));
    return element;
  }

  function mark() {
    for (const [at, element] of list.querySelectorAll("[role=option]").entries()) element.setAttribute("aria-selected", String(at === chosen));
    const element = document.getElementById(`palette-${chosen}`);
    if (element) field.setAttribute("aria-activedescendant", element.id);
    else field.removeAttribute("aria-activedescendant");
    element?.scrollIntoView({ block: "nearest" });
  }

  function choose(at) {
    const item = items[at];
    if (!item) return;
    palette.close();
    if (nagare.keys.isField(opener)) leave();
    item.act();
  }

  // Who opened it while typing and chose something is done with that field: the next key is one of the page again. Who
  // closes it without a choice types on.
  function leave() {
    opener.blur();
    opener = null;
    document.getElementById("wins")?.focus({ preventScroll: true });
  }

  function pressed(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && items.length) chosen = (chosen + by + items.length) % items.length;
    else if (event.key === "Enter") choose(chosen);
    else return;
    event.preventDefault();
    if (by) mark();
  }

  nagare.actions["palette.open"] = () => {
    if (!palette) build();
    if (palette.open) return;
    opener = document.activeElement;
    field.value = "";
    palette.showModal();
    draw();
    ask();
  };
})();
