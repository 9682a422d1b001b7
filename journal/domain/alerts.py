"""Alerts: a stream a month and project that receives them, each dispatch once, and remembers which it has seen.

It is the example of an idempotent receiver. The ring of seen dispatch ids is part of the state and nothing else:
folding the stream, or loading a snapshot and folding the rest, gives the same ring.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final, Literal

import msgspec

from journal.domain.aggregate import aggregate, blame_of
from journal.domain.catalog import catalog
from journal.domain.dispatch import RING_SIZE, DedupeRing
from journal.domain.event import RecordedEvent
from journal.domain.kept_state import KeptState

CATEGORY: Final = "alerts"
ABORTED: Final = "run_aborted"
TOOL_FAILING: Final = "tool_failing"
FAILING_CHANGED: Final = "failing_changed"
LOG_BROKEN: Final = "log_broken"
KINDS: Final = (ABORTED, TOOL_FAILING, FAILING_CHANGED, LOG_BROKEN)
_NEWEST: Final = 20


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


@catalog.event("alerts.raised")
class Raised(_Data, frozen=True, kw_only=True):
    """Somebody should look at an event of a run."""

    kind: str = ""
    run: str = ""
    version: int = 0
    event_id: str = ""
    title: str = ""
    summary: str = ""


@catalog.event("alerts.redelivered")
class Redelivered(_Data, frozen=True, kw_only=True):
    """A dispatch came again and changed nothing. `found_by` is what knew it."""

    dispatch: str = ""
    found_by: Literal["ring", "event id"] = "ring"


def stream_of(moment: datetime) -> str:
    """Return the stream of an alert about something that occurred then: a month's, so that no stream grows for ever.

    It depends on the event alone: a redelivery in another month goes where the first one went.
    """
    return f"{CATEGORY}-{moment:%Y-%m}"


class AlertsState(KeptState):
    """What the stream knows: how many alerts of each kind, the newest of them, and the ring."""

    folded_by: ClassVar[tuple[str, ...]] = (__name__, "journal.domain.kept_state", "journal.domain.dispatch")

    def __init__(self, stream: str, *, ring_size: int = RING_SIZE) -> None:
        super().__init__(stream)
        self.ring = DedupeRing(ring_size)
        self.by_kind: dict[str, int] = {}
        self._newest: list[dict[str, Any]] = []

    def apply(self, event: RecordedEvent) -> None:
        """Take the next event in."""
        self.version = event.version
        match catalog.decode(event):
            case Raised() as raised:
                self.by_kind[raised.kind] = self.by_kind.get(raised.kind, 0) + 1
                self._newest = [*self._newest[1 - _NEWEST :], _line(event.version, raised)]
                if event.meta.dispatch_id:
                    self.ring.add(event.meta.dispatch_id)
            case Redelivered(dispatch=dispatch):
                self.ring.hit(dispatch)

    @property
    def received(self) -> int:
        """How many alerts there are."""
        return sum(self.by_kind.values())

    def to_json(self) -> dict[str, Any]:
        """Return the state; of the ring its figures, since its ids are many and say nothing to a reader."""
        return {
            "stream": self.stream,
            "version": self.version,
            "received": self.received,
            "by_kind": dict(self.by_kind),
            "newest": list(self._newest),
            "ring": self.ring.figures(),
        }

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf: each alert's own; sums come from the newest event."""
        sums = {f"/{name}": self.version for name in ("received", "by_kind", "ring")} if self.version else {}
        return blame_of(self.to_json(), sums)

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Return the newest version: with each alert the oldest shown one goes."""
        del pointer, gone
        return self.version or None

    def _kept(self) -> dict[str, Any]:
        return {
            "by_kind": dict(self.by_kind),
            "newest": list(self._newest),
            "ring": self.ring.to_json(),
        }

    def _take_up(self, kept: dict[str, Any]) -> None:
        self.by_kind, self._newest = dict(kept["by_kind"]), list(kept["newest"])
        self.ring = DedupeRing.from_json(kept["ring"])


def _line(version: int, raised: Raised) -> dict[str, Any]:
    return {"version": version, "kind": raised.kind, "run": raised.run, "at": raised.version, "title": raised.title}


aggregate(CATEGORY)(AlertsState)
