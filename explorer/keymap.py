"""The keys of the pages: one list, from which the browser, the sheet on `?`, the palette and the reference are made.

A key is written as the browser names it (`KeyboardEvent.key`): `j`, `J` for Shift and j, `ArrowDown`, `Mod+k` for Ctrl
or Command and k, `g r` for one after the other. What an action does stands in the script that registers it as
`nagare.actions[action]`; a page whose scripts do not know an action neither offers nor obeys its key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ANYWHERE: Final = "*"
"""Stands in `Key.pages` for every page; the others are names of routes."""

LETTERS_COOKIE: Final = "nagare-letters"
"""`off` in it: keys that are one character do nothing (WCAG 2.1.4); arrows, and letters with Ctrl or Command, do."""

_RUN: Final = frozenset({"run"})
_RUNS: Final = frozenset({"runs"})
_LIVE: Final = frozenset({"live"})
_LINEAGE: Final = frozenset({"lineage"})
_COMPARE: Final = frozenset({"compare"})
_BISECT: Final = frozenset({"run_bisect"})
_EYE: Final = frozenset({"run_manual"})
_FOUND: Final = frozenset({"run_bisect", "bisect", "regrade"})
_JUDGED: Final = frozenset({"rules", "regrades", "regrade", "bisects", "bisect", "schedules"})
_ALL: Final = frozenset({ANYWHERE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An action, the keys that call it, and the words under which people find it.

    `shown` replaces `keys` where keys are told to people: for a range, or where a key's own name says little.
    """

    keys: tuple[str, ...]
    action: str
    label: str
    group: str
    pages: frozenset[str] = _RUN
    shown: tuple[str, ...] = ()


KEYMAP: Final = (
    Key(keys=("j", "ArrowDown"), action="cursor.next", label="next in what you step through", group="Move"),
    Key(keys=("k", "ArrowUp"), action="cursor.previous", label="previous in what you step through", group="Move"),
    Key(keys=("Home",), action="cursor.first", label="first event", group="Move"),
    Key(keys=("End",), action="cursor.last", label="last event", group="Move"),
    Key(
        keys=(":",), action="cursor.number", label="go to an event by its number", group="Move", shown=("23 Enter", ":")
    ),
    Key(keys=("J",), action="decision.next", label="next tool call", group="Move"),
    Key(keys=("K",), action="decision.previous", label="previous tool call", group="Move"),
    Key(keys=("e",), action="error.next", label="next error", group="Move"),
    Key(keys=("E",), action="error.previous", label="previous error", group="Move"),
    Key(keys=("t",), action="tool.next", label="next call of this tool", group="Move"),
    Key(keys=("T",), action="tool.previous", label="previous call of this tool", group="Move"),
    Key(keys=("b",), action="cause.back", label="walk back to the cause", group="Move"),
    Key(keys=("f",), action="cause.forward", label="walk forward to the effect", group="Move"),
    Key(keys=("[",), action="jump.back", label="back in your jumps", group="Move"),
    Key(keys=("]",), action="jump.forward", label="forward in your jumps", group="Move"),
    Key(keys=(" ",), action="play.toggle", label="play or pause", group="Move"),
    Key(keys=("1",), action="tab.explain", label="Explain", group="Inspector"),
    Key(keys=("2",), action="tab.state", label="State", group="Inspector"),
    Key(keys=("3",), action="tab.diff", label="Diff", group="Inspector"),
    Key(keys=("4",), action="tab.payload", label="Payload", group="Inspector"),
    Key(keys=("5",), action="tab.context", label="Context", group="Inspector"),
    Key(keys=("6",), action="tab.causes", label="Causes", group="Inspector"),
    Key(keys=("m",), action="mark.set", label="mark this event", group="Inspector"),
    Key(keys=("d",), action="mark.diff", label="compare with the marked event", group="Inspector"),
    Key(keys=(".",), action="state.pin", label="pin the state's value at the cursor", group="Inspector"),
    Key(keys=("/",), action="find.open", label="find in this run", group="Find"),
    Key(keys=("n",), action="find.next", label="next hit", group="Find"),
    Key(keys=("N",), action="find.previous", label="previous hit", group="Find"),
    Key(keys=("z",), action="list.raw", label="every event in a row of its own, or grouped", group="List"),
    Key(keys=("a",), action="note.add", label="add a note on this event", group="Share"),
    Key(keys=("w",), action="whatif.open", label="what if it had gone otherwise at this event", group="Inspector"),
    Key(keys=("c",), action="compare.open", label="compare with another run", group="Inspector"),
    Key(keys=("B",), action="bisect.open", label="bisect this run", group="Inspector"),
    Key(keys=("y",), action="link.copy", label="copy the link to this event", group="Share"),
    Key(keys=("y",), action="link.copy", label="copy the link to this answer", group="Share", pages=_FOUND),
    Key(keys=("Enter",), action="answer.open", label="open the run at what was found", group="Find", pages=_FOUND),
    Key(keys=("n",), action="probe.next", label="next probe", group="Find", pages=_BISECT),
    Key(keys=("N",), action="probe.previous", label="previous probe", group="Find", pages=_BISECT),
    Key(keys=("g",), action="eye.good", label="the run is still good here", group="By eye", pages=_EYE),
    Key(keys=("x",), action="eye.bad", label="the run is bad here", group="By eye", pages=_EYE),
    Key(keys=("s",), action="eye.skip", label="cannot tell here", group="By eye", pages=_EYE),
    Key(keys=("u",), action="eye.undo", label="take back the last word", group="By eye", pages=_EYE),
    Key(keys=("j", "ArrowDown"), action="judged.next", label="next row", group="List", pages=_JUDGED),
    Key(keys=("k", "ArrowUp"), action="judged.previous", label="previous row", group="List", pages=_JUDGED),
    Key(keys=("j", "ArrowDown"), action="run.next", label="next run", group="List", pages=_RUNS),
    Key(keys=("k", "ArrowUp"), action="run.previous", label="previous run", group="List", pages=_RUNS),
    Key(keys=(" ",), action="run.peek", label="the run at a glance, beside the list", group="List", pages=_RUNS),
    Key(keys=("Escape",), action="peek.close", label="close the glance", group="List", pages=_RUNS, shown=("Esc",)),
    Key(keys=("x",), action="run.tick", label="tick the run, to compare it", group="List", pages=_RUNS),
    Key(keys=("n",), action="difference.next", label="next difference", group="Find", pages=_COMPARE),
    Key(keys=("N",), action="difference.previous", label="previous difference", group="Find", pages=_COMPARE),
    Key(keys=("/",), action="query.focus", label="to the query", group="Find", pages=_RUNS | _LIVE),
    Key(keys=("l",), action="live.follow", label="follow what is new", group="Move", pages=_RUN | _LIVE),
    Key(keys=("j", "ArrowDown"), action="live.next", label="next row", group="List", pages=_LIVE),
    Key(keys=("k", "ArrowUp"), action="live.previous", label="previous row", group="List", pages=_LIVE),
    Key(keys=("j", "ArrowDown"), action="lineage.next", label="next event", group="Move", pages=_LINEAGE),
    Key(keys=("k", "ArrowUp"), action="lineage.previous", label="previous event", group="Move", pages=_LINEAGE),
    Key(keys=("b",), action="lineage.back", label="to its nearest cause", group="Move", pages=_LINEAGE),
    Key(keys=("f",), action="lineage.forward", label="to its first effect", group="Move", pages=_LINEAGE),
    Key(keys=("Home",), action="lineage.home", label="back to the event itself", group="Move", pages=_LINEAGE),
    Key(keys=("g r",), action="page.runs", label="go to the runs", group="Pages", pages=_ALL),
    Key(keys=("g l",), action="page.live", label="go to the live page", group="Pages", pages=_ALL),
    Key(keys=("g i",), action="page.import", label="go to the import", group="Pages", pages=_ALL),
    Key(keys=("g u",), action="page.rules", label="go to the rules", group="Pages", pages=_ALL),
    Key(keys=("g g",), action="page.regrades", label="go to the re-grades", group="Pages", pages=_ALL),
    Key(keys=("g b",), action="page.bisects", label="go to the bisects", group="Pages", pages=_ALL),
    Key(keys=("g c",), action="page.schedules", label="go to the schedules", group="Pages", pages=_ALL),
    Key(keys=("g a",), action="page.audits", label="go to the audits", group="Pages", pages=_ALL),
    Key(keys=("g o",), action="page.ops", label="go to operations", group="Pages", pages=_ALL),
    Key(keys=("g s",), action="page.settings", label="go to the settings", group="Pages", pages=_ALL),
    Key(keys=("Mod+k",), action="palette.open", label="find an action, an event or a run", group="Pages", pages=_ALL),
    Key(keys=("?",), action="sheet.open", label="all keys", group="Pages", pages=_ALL),
)


def keys_of(page: str) -> tuple[Key, ...]:
    """Return what a page's keys are; `page` is the name of its route."""
    return tuple(key for key in KEYMAP if not key.pages.isdisjoint((page, ANYWHERE)))


def for_browser(page: str) -> list[dict[str, object]]:
    """Return a page's keys as the scripts read them."""
    return [
        {"keys": key.keys, "action": key.action, "label": key.label, "group": key.group, "shown": shown(key)}
        for key in keys_of(page)
    ]


def shown(key: Key) -> list[str]:
    """Return how people are told the keys of an action: `⇧J`, `Ctrl K`."""
    return list(key.shown or (_words(name) for name in key.keys))


_NAMES: Final = {"ArrowDown": "↓", "ArrowUp": "↑", "ArrowLeft": "←", "ArrowRight": "→", " ": "Space"}


def _words(name: str) -> str:
    if name.startswith("Mod+"):
        return f"Ctrl {name.removeprefix('Mod+').upper()}"
    if len(name) == 1 and name.isupper():
        return f"⇧{name}"
    return _NAMES.get(name, name)


def groups(keys: Iterable[Key]) -> dict[str, list[Key]]:
    """Return keys by their group, in the order of the list."""
    by_group: dict[str, list[Key]] = {}
    for key in keys:
        by_group.setdefault(key.group, []).append(key)
    return by_group
