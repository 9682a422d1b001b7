"""One list of keys: no key means two things on a page, and the reference and the browser are told the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from explorer.keymap import ANYWHERE, KEYMAP, LETTERS_COOKIE, Key, for_browser, keys_of, shown
from tests.run_pages import address, fresh_timelines, page, put_coding_run, reader

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "keyboard.md").read_text()
SCRIPTS = "".join(path.read_text() for path in (ROOT / "static" / "explorer").rglob("*.js"))
PAGES = sorted({name for key in KEYMAP for name in key.pages if name != ANYWHERE})
_WHERE = {
    "run": "a run",
    "runs": "the runs",
    "live": "the live page",
    "compare": "a comparison",
    "lineage": "a lineage",
    "run_bisect": "a run’s bisect",
    "run_manual": "a bisect by eye",
    "bisect": "a bisect",
    "bisects": "the bisects",
    "regrade": "a re-grade",
    "regrades": "the re-grades",
    "rules": "the rules",
    "schedules": "the schedules",
    ANYWHERE: "every page",
}


def row(key: Key) -> str:
    """Return a key as the reference has it."""
    keys = " ".join(f"`{name}`" for name in shown(key))
    where = ", ".join(_WHERE[name] for name in sorted(key.pages))
    return f"| {keys} | {key.label} | {where} | `{key.action}` |"


def test_the_reference_has_every_key_and_no_other() -> None:
    """A row for each, in the list's order."""
    assert [line for line in REFERENCE.splitlines() if re.search(r"\| `\w+\.\w+` \|$", line)] == [
        row(key) for key in sorted(KEYMAP, key=lambda key: _first_of_group(key.group))
    ]


def _first_of_group(group: str) -> int:
    return next(at for at, key in enumerate(KEYMAP) if key.group == group)


@pytest.mark.parametrize("name", PAGES)
def test_a_key_means_one_thing_on_a_page(name: str) -> None:
    """And so does an action."""
    keys = [key for entry in keys_of(name) for key in entry.keys]
    actions = [entry.action for entry in keys_of(name)]
    assert len(keys) == len(set(keys))
    assert len(actions) == len(set(actions))


@pytest.mark.parametrize("key", KEYMAP, ids=lambda key: key.action)
def test_every_action_is_registered_by_a_script(key: Key) -> None:
    """By its name, by the name of its tab, or as a page that the server tells the address of."""
    family, _, name = key.action.partition(".")
    known = f'"{key.action}"' in SCRIPTS or (family == "tab" and f'"{name}"' in SCRIPTS) or family == "page"
    assert known


def test_keys_are_told_as_they_are_labelled() -> None:
    """Shift by its sign, arrows drawn, Ctrl by name."""
    told = {key.action: shown(key) for key in KEYMAP}
    assert told["cursor.next"] == ["j", "↓"]
    assert told["decision.next"] == ["⇧J"]
    assert told["palette.open"] == ["Ctrl K"]
    assert told["cursor.number"] == ["23 Enter", ":"]


def test_a_page_carries_its_keys(reader: Client) -> None:
    """As data that runs nothing, with the addresses its actions lead to; letters are on until somebody says no."""
    stream = put_coding_run(30)
    script = _data(page(reader, address(stream)))
    assert script["letters"] == "on"
    assert script["keys"] == json.loads(json.dumps(for_browser("run")))
    assert script["pages"]["page.runs"] == "/runs/"
    assert "page.import" not in script["pages"]  # a viewer may not
    reader.cookies[LETTERS_COOKIE] = "off"
    assert _data(page(reader, address(stream)))["letters"] == "off"


def _data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="nagare-keys" data-letters="(\w+)">(.*?)</script>', html)
    assert found is not None
    return {"letters": found[1], **json.loads(found[2])}


def test_the_palette_finds_runs_by_title_or_stream(reader: Client) -> None:
    """Newest first; with nothing asked the newest runs; never those of another project."""
    stream = put_coding_run(30)
    put_coding_run(30, stream="agent_run-other", project="elsewhere")
    for asked in ("", "REFUND", stream[-3:]):
        (run,) = reader.get("/palette/", {"q": asked}).json()["runs"]
        assert run["href"] == f"/runs/{stream}/"
        assert run["note"] == "answered, 30 events"
    assert reader.get("/palette/", {"q": "no such run"}).json()["runs"] == []
