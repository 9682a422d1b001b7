"""A process: what one instance of a process manager has taken in, decided, and still waits for.

Its stream is `process_<manager>-<id>`, an event for each reaction. The tracker of issued commands is part of the state
and nothing else, so a restart, a replay and a snapshot all give the same one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

import msgspec

from journal.domain.aggregate import blame_of
from journal.domain.catalog import catalog
from journal.domain.dispatch import DedupeRing
from journal.domain.event import RecordedEvent
from journal.domain.kept_state import KeptState

CATEGORY_PREFIX: Final = "process_"
TIMEOUT: Final = "process.timeout"
TIMED_OUT: Final = "process.timed_out"
_REACTIONS: Final = UUID("0b6a3a6e-7c52-5d0c-8a1f-3f2d9b6c4e18")
_HANDLED: Final = 1_024


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


class Issued(_Data, frozen=True, kw_only=True):
    """A command that was issued: the dispatch that carries it."""

    dispatch: str
    effect: str
    target: str


@catalog.event("process.reacted")
class Reacted(_Data, frozen=True, kw_only=True):
    """The manager took an event in. `state` is its own state afterwards, `answers` the command the event answers."""

    event_id: str = ""
    event_type: str = ""
    state: dict[str, Any] = {}
    commands: tuple[Issued, ...] = ()
    answers: str | None = None
    timeout: str | None = None
    timeout_at: datetime | None = None
    has_ended: bool = False


@catalog.event(TIMED_OUT)
class TimedOut(_Data, frozen=True, kw_only=True):
    """What the process waited for did not come in time."""

    dispatch: str = ""


def reaction_id(stream: str, event_id: str) -> str:
    """Return the id of a process's reaction to an event: reacting again finds it stored."""
    return str(uuid5(_REACTIONS, f"{stream} {event_id}"))


class ProcessState(KeptState):
    """The state of one process."""

    folded_by: ClassVar[tuple[str, ...]] = (__name__, "journal.domain.kept_state", "journal.domain.dispatch")

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.own: dict[str, Any] = {}
        self.handled = DedupeRing(_HANDLED)
        self.open: dict[str, dict[str, Any]] = {}
        self.timeout: dict[str, Any] | None = None
        self.issued = 0
        self.has_ended = False

    def apply(self, event: RecordedEvent) -> None:
        """Take the next event in."""
        self.version = event.version
        match catalog.decode(event):
            case Reacted() as reacted:
                self._react(reacted)
            case TimedOut():
                self.timeout = None

    def _react(self, reacted: Reacted) -> None:
        self.own = reacted.state
        self.handled.add(reacted.event_id)
        self.open.pop(reacted.answers or "", None)
        for command in reacted.commands:
            self.open[command.dispatch] = {
                "effect": command.effect,
                "target": command.target,
                "version": self.version,
            }
        self.issued += len(reacted.commands)
        self.has_ended = reacted.has_ended
        due = reacted.timeout_at.isoformat() if reacted.timeout_at else None
        self.timeout = {"dispatch": reacted.timeout, "at": due, "version": self.version} if reacted.timeout else None
        if reacted.has_ended:
            self.open.clear()

    def to_json(self) -> dict[str, Any]:
        """Return the state as a page shows it."""
        return {
            "stream": self.stream,
            "version": self.version,
            "status": "ended" if self.has_ended else "running" if self.version else "new",
            "state": self.own,
            "open_commands": [{"dispatch": dispatch, **what} for dispatch, what in self.open.items()],
            "timeout": self.timeout,
            "issued": self.issued,
            "handled": self.handled.misses,
        }

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf: commands and the timeout have their own, the rest is the newest."""
        newest = {f"/{name}": self.version for name in ("status", "state", "issued", "handled")} if self.version else {}
        return blame_of(self.to_json(), newest)

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Return the newest version: an answer or the end removes a command."""
        del pointer, gone
        return self.version or None

    def _kept(self) -> dict[str, Any]:
        return {
            "own": dict(self.own),
            "handled": self.handled.to_json(),
            "open": {dispatch: dict(what) for dispatch, what in self.open.items()},
            "timeout": self.timeout,
            "issued": self.issued,
            "has_ended": self.has_ended,
        }

    def _take_up(self, kept: dict[str, Any]) -> None:
        self.own, self.open = dict(kept["own"]), dict(kept["open"])
        self.handled = DedupeRing.from_json(kept["handled"])
        self.timeout, self.issued, self.has_ended = kept["timeout"], kept["issued"], kept["has_ended"]
