"""Addresses inside a run: which event, tab and way of stepping a page shows, and the links that change one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

TABS: Final = ("events", "explain", "state", "diff", "payload", "context", "causes")
"""`events` is the list itself, for screens too narrow to show it beside the inspector."""

_SCRUBS: Final = frozenset({"all", "decisions", "errors", "causes"})
_TOOL: Final = "tool:"
_WAYS: Final = ("back", "forward")
_DEEPEST: Final = 1_000
_LONGEST: Final = 200
_LONGEST_PATH: Final = 1_000
_PINS: Final = 12
_CARRIED: Final = {
    "tab": ("tab", "explain"),
    "scrub": ("scrub", "all"),
    "q": ("q", ""),
    "against": ("against", ""),
    "mark": ("mark", None),
    "path": ("key", ""),
    "pin": ("pin", ""),
    "filter": ("filter", ""),
    "rows": ("rows", ""),
    "dir": ("dir", ""),
    "depth": ("depth", 0),
    "project": ("project", ""),
}
"""What links carry along: parameter, attribute, and the value that need not be said."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """What the query of an address asks for. `asked` is the version as it was asked, None where none was.

    `against` and `mark` are what the diff compares with, `key` (`path=`) is the value whose history is shown, `pin` the
    pinned values as `pins_of` reads them, `filter` what is looked for in the state. `dir` turns the causes `back` or
    `forward` alone, over at most `depth` links (0 is any). `start` (`from=`) is where a tab that comes in pages begins,
    and `moment` (`at=`) a time in place of a version; links carry neither along.
    """

    stream: str
    asked: int | None = None
    tab: str = "explain"
    scrub: str = "all"
    q: str = ""
    against: str = ""
    mark: int | None = None
    key: str = ""
    pin: str = ""
    filter: str = ""
    rows: str = ""
    dir: str = ""
    depth: int = 0
    project: str = ""
    start: int = 0
    moment: datetime | None = None

    @classmethod
    def of(cls, stream: str, query: Mapping[str, str]) -> Address:
        """Read an address. What makes no sense counts as not said: an address is typed by people.

        A NUL is left out wherever one stands, as databases differ in whether they take it.
        """
        query = {name: value.replace("\x00", "") for name, value in query.items()}
        tab, scrub = query.get("tab", ""), query.get("scrub", "")
        q = query.get("q", "").strip()[:_LONGEST]
        known = scrub in _SCRUBS or (scrub.startswith(_TOOL) and len(scrub) > len(_TOOL))
        return cls(
            stream=stream.replace("\x00", ""),
            asked=_number(query.get("v", "")),
            tab=tab if tab in TABS else "explain",
            scrub=(scrub if known else "all")[: _LONGEST + len(_TOOL)],
            q=q,
            against=query.get("against", "")[:_LONGEST],
            mark=_number(query.get("mark", "")),
            key=_pointer(query.get("path", "")),
            pin=pinned(pins_of(query.get("pin", ""))),
            filter="".join(filter(str.isprintable, query.get("filter", ""))).strip()[:_LONGEST],
            rows="raw" if query.get("rows") == "raw" else "",
            dir=query.get("dir", "") if query.get("dir") in _WAYS else "",
            depth=max(0, min(_number(query.get("depth", "")) or 0, _DEEPEST)),
            project=query.get("project", ""),
            start=max(0, _number(query.get("from", "")) or 0),
            moment=_moment(query.get("at", "")),
        )

    @property
    def tool(self) -> str:
        """Return the tool that is stepped through, empty where something else is."""
        return self.scrub[len(_TOOL) :] if self.scrub.startswith(_TOOL) else ""

    @cached_property
    def path(self) -> str:
        """Return the page's address without its query."""
        return reverse("explorer:run", args=[self.stream])

    def carried(self, *but: str) -> dict[str, object]:
        """Return what links carry along, as names and values of a query, but for some."""
        given = {name: (getattr(self, field), usual) for name, (field, usual) in _CARRIED.items() if name not in but}
        return {name: value for name, (value, usual) in given.items() if value != usual}

    @cached_property
    def _rest(self) -> str:
        said = self.carried()
        return f"&{urlencode(said, errors='replace')}" if said else ""

    def at(self, version: int) -> str:
        """Return the same view at another event."""
        return f"{self.path}?v={version}{self._rest}"

    def with_tab(self, tab: str, version: int) -> str:
        """Return another tab at `version`."""
        return replace(self, tab=tab).at(version)

    def with_scrub(self, scrub: str, version: int) -> str:
        """Return the same view with another way of stepping."""
        return replace(self, scrub=scrub).at(version)

    def with_rows(self, rows: str, version: int) -> str:
        """Return the same view with other rows: `raw` for every event, empty for those that belong together in one."""
        return replace(self, rows=rows).at(version)

    def with_against(self, against: str, version: int) -> str:
        """Return the diff at `version` against another state."""
        return replace(self, tab="diff", against=against).at(version)

    def with_key(self, key: str, version: int) -> str:
        """Return the state at `version` with the history of one of its values; an empty pointer shows none."""
        return replace(self, tab="state", key=key).at(version)

    def with_pins(self, pins: Iterable[str], version: int) -> str:
        """Return the same view at `version` with other values pinned."""
        return replace(self, pin=pinned(pins)).at(version)

    def starting(self, start: int, version: int) -> str:
        """Return the page of this tab that begins at `start`."""
        return f"{self.at(version)}&from={start}"

    @property
    def pins(self) -> tuple[str, ...]:
        """Return the pointers of the pinned values."""
        return pins_of(self.pin)

    def elsewhere(self, stream: str, version: int = 0) -> str:
        """Return another run of the project, at an event where one is given."""
        other = Address(stream=stream, project=self.project)
        return other.at(version) if version else other.path

    def event(self, version: int, **query: str) -> str:
        """Return an event's permanent address."""
        path = reverse("explorer:event", args=[self.stream, version])
        said = {**({"project": self.project} if self.project else {}), **query}
        return f"{path}?{urlencode(said)}" if said else path


def _number(text: str) -> int | None:
    try:
        return int(text) if len(text) <= _LONGEST else None
    except ValueError:
        return None


def _pointer(text: str) -> str:
    return text if text.startswith("/") and len(text) <= _LONGEST_PATH else ""


def pins_of(text: str) -> tuple[str, ...]:
    """Return the JSON Pointers of a `pin=`: with commas between them, and a comma inside of one written as `~2`."""
    pointers = (_pointer(part.replace("~2", ",")) for part in text.split(","))
    return tuple(dict.fromkeys(pointer for pointer in pointers if pointer))[:_PINS]


def pinned(pointers: Iterable[str]) -> str:
    """Return what `pins_of` reads."""
    return ",".join(pointer.replace(",", "~2") for pointer in pointers)


def _moment(text: str) -> datetime | None:
    """Read an ISO time; one without a zone is UTC, since that is the zone in which the pages tell times."""
    try:
        found = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text.strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
