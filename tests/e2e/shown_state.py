"""Reads the State tab as it stands in the browser, and compares it with a state that the command line printed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from playwright.sync_api import Page

Shown = dict[str, Any]
"""A node of the tree: its name, the event that set it, the text of a leaf or the children and the note of a branch."""

_NAME: Final = 120
_CUT: Final = 300
_READ: Final = """
() => {
  const text = (node, which) => node.querySelector(which)?.textContent ?? "";
  const inner = (parent) => [...parent.children].filter((child) => child.matches("details.node, p.leaf")).map(read);
  const isNote = (node) => node.nodeType === Node.ELEMENT_NODE && node.matches(".label");
  function said(value) {
    const parts = [...value.childNodes];
    const own = parts.filter((part) => !isNote(part)).map((part) => part.textContent).join("");
    return parts.some(isNote) ? own.trimEnd() : own;
  }
  function read(node) {
    if (node.matches("p.leaf")) {
      const value = node.querySelector("[class^=leaf-]");
      const mark = node.querySelector(".vmark");
      return { name: text(node, ".node-name"), text: said(value), isCut: Boolean(value.querySelector(".label")),
               version: mark && Number(mark.lastChild.textContent) };
    }
    const hidden = node.querySelector(":scope > .node-hidden");
    return { name: text(node, ":scope > summary .node-name"), summary: text(node, ":scope > summary > .label"),
             hidden: hidden ? hidden.textContent : "", children: inner(node) };
  }
  return inner(document.querySelector("#panel .tree"));
}
"""


def shown_state(page: Page) -> list[Shown]:
    """Return the tree of the State tab that is open."""
    found: list[Shown] = page.evaluate(_READ)
    return found


def assert_shows(shown: Sequence[Shown], state: Mapping[str, Any]) -> int:
    """Compare every node with the state and its blame; of long lists the newest part is there and the rest is counted.

    Returns how many leaves there were.
    """
    document = {name: value for name, value in state.items() if name not in ("stream", "version", "blame")}
    return _assert_entries(shown, list(document.items()), "", state["blame"])


def _assert_entries(
    shown: Sequence[Shown], entries: Sequence[tuple[Any, Any]], pointer: str, blame: Mapping[str, int]
) -> int:
    assert shown, pointer
    newest = entries[len(entries) - len(shown) :]
    return sum(
        _assert_node(node, str(name), value, f"{pointer}/{_escaped(str(name))}", blame)
        for node, (name, value) in zip(shown, newest, strict=True)
    )


def _assert_node(node: Shown, name: str, value: Any, pointer: str, blame: Mapping[str, int]) -> int:
    assert node["name"] == name or node["name"].startswith(name[:_NAME].rstrip() + "…"), pointer
    if "children" not in node:
        _assert_leaf(node, value, pointer, blame)
        return 1
    entries = list(value.items() if isinstance(value, dict) else enumerate(value))
    left_out = len(entries) - len(node["children"])
    assert node["summary"].split()[0] == f"{len(entries):,}", pointer
    assert bool(left_out) == bool(node["hidden"]), pointer
    assert not left_out or f" {left_out:,} earlier not shown" in node["hidden"], pointer
    return _assert_entries(node["children"], entries, pointer, blame)


def _assert_leaf(node: Shown, value: Any, pointer: str, blame: Mapping[str, int]) -> None:
    if value is None:
        assert node["text"] == "not recorded", pointer
    elif node["isCut"]:
        assert node["text"] == json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:_CUT] + "…", pointer
    else:
        assert json.loads(node["text"]) == value, pointer
    inside = {version for place, version in blame.items() if place == pointer or place.startswith(f"{pointer}/")}
    assert node["version"] == (max(inside) if inside else None), pointer
    assert len(inside) <= 1, pointer


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
