"""Addresses inside a run: which event, tab and way of stepping a page shows, and the links that change one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

TABS: Final = ("events", "explain", "state", "diff", "payload", "causes")
"""`events` is the list itself, for screens too narrow to show it beside the inspector."""

_SCRUBS: Final = frozenset({"all", "decisions", "errors", "causes", "found"})
_TOOL: Final = "tool:"
_LONGEST: Final = 200
_DEFAULTS: Final = {"tab": "explain", "scrub": "all", "q": "", "against": "previous", "project": ""}


@dataclass(frozen=True, kw_only=True)
class Address:
    """What the query of an address asks for. `asked` is the version as it was asked, None where none was."""

    stream: str
    asked: int | None = None
    tab: str = "explain"
    scrub: str = "all"
    q: str = ""
    against: str = "previous"
    project: str = ""

    @classmethod
    def of(cls, stream: str, query: Mapping[str, str]) -> Address:
        """Read an address. What makes no sense counts as not said: an address is typed by people."""
        tab, scrub = query.get("tab", ""), query.get("scrub", "")
        q = query.get("q", "").strip()[:_LONGEST]
        known = scrub in _SCRUBS or (scrub.startswith(_TOOL) and len(scrub) > len(_TOOL))
        return cls(
            stream=stream,
            asked=_number(query.get("v", "")),
            tab=tab if tab in TABS else "explain",
            scrub=(scrub if known else "found" if q else "all")[: _LONGEST + len(_TOOL)],
            q=q,
            against=query.get("against", "") or "previous",
            project=query.get("project", ""),
        )

    @property
    def tool(self) -> str:
        """Return the tool that is stepped through, empty where something else is."""
        return self.scrub[len(_TOOL) :] if self.scrub.startswith(_TOOL) else ""

    @cached_property
    def path(self) -> str:
        """Return the page's address without its query."""
        return reverse("explorer:run", args=[self.stream])

    @cached_property
    def _rest(self) -> str:
        values = {name: getattr(self, name) for name in _DEFAULTS}
        said = {name: value for name, value in values.items() if value != _DEFAULTS[name]}
        return f"&{urlencode(said)}" if said else ""

    def at(self, version: int) -> str:
        """Return the same view at another event."""
        return f"{self.path}?v={version}{self._rest}"

    def with_tab(self, tab: str, version: int) -> str:
        """Return another tab at `version`."""
        return replace(self, tab=tab).at(version)

    def with_scrub(self, scrub: str, version: int) -> str:
        """Return the same view with another way of stepping; a search is left where it is not stepped through."""
        return replace(self, scrub=scrub, q=self.q if scrub == "found" else "").at(version)

    def with_against(self, against: str, version: int) -> str:
        """Return the diff at `version` against another state."""
        return replace(self, tab="diff", against=against).at(version)

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
