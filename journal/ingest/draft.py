"""What a format module makes of a file: runs of events that do not have ids, versions or streams yet.

A format module yields `RunDraft`s; `journal.ingest.writer` turns them into appended events. Rules for a format module:

- **Prefix-stable.** What it makes of the first records must not depend on later ones, so that a transcript that grew
  is extended. A trailing response that may still grow is no exception: give its events the keys they will keep.
- **Keys** name an event's place in the source and never repeat within a run (a record's uuid and the block's number;
  a message's index). The event's id is derived from project, format, `source_id` and key.
- **Nothing invented.** A field the source does not record stays at its default; a count the format cannot give is not
  named in `RunDraft.recorded`.
- **Nothing dropped.** A record that means nothing to a run becomes an `Opaque` event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from journal.domain.agent_run import AgentRunEvent
from journal.domain.event import CauseKind, Certainty, EventData

Count = Literal["decisions", "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd"]
EVERY_COUNT: frozenset[Count] = frozenset(
    ("decisions", "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd")
)

OutcomeStatus = Literal["success", "failure", "error", "aborted", "running", "unknown"]


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the source that is no event of a run; kept whole, shown raw, folded in lists.

    `name` becomes the event type `source.<name>` (such as `claude_code.progress`).
    """

    name: str
    data: dict[str, Any]


class Link(msgspec.Struct, frozen=True):
    """A cause of an event: the key of an earlier event, in the same run or in another run of the same format.

    `run` is the other run's `source_id`.
    """

    key: str
    kind: CauseKind = "triggered"
    certainty: Certainty = "recorded"
    run: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRun:
    """A stream as a journal exported it: its events keep their ids, their bytes and their stream's name."""

    stream: str
    events: list[EventData]


class Ref(msgspec.Struct, frozen=True):
    """Stands for an earlier event of the same run wherever an event's data needs its version.

    In `ModelCalled.messages` it is written as `{"version": n}`, in `dropped_versions` and `at_version` as `n`.
    """

    key: str


@dataclass(kw_only=True, slots=True)
class EventDraft:
    """One event to be. `at` is aware UTC, or None where the source has no time for it.

    `causes` may be left empty: `journal.ingest.linking` then links by call ids and by what the model was sent.
    `repeats` marks a copy of what another file of the run records itself, and better: it is appended where the journal
    does not have it, but where it says less than what the journal has, that is no revision.
    """

    key: str
    event: AgentRunEvent | Opaque
    at: datetime | None = None
    causes: tuple[Link, ...] = ()
    actor: str | None = None
    traceparent: str | None = None
    subjects: tuple[str, ...] = ()
    line: int | None = None
    repeats: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How the run ended, in the source's own labels (`raw`) and in ours (`status`)."""

    status: OutcomeStatus = "unknown"
    raw: Any = None


@dataclass(kw_only=True, slots=True)
class RunDraft:
    """One run. `source_id` identifies it within the format, and stays the same when the file grows.

    `recorded` names the counts the format keeps; the others are reported as null. `totals` overrides single counts of
    the import report where the source records them for the run only and not per response (they must also stand in an
    `Answered` event). `counted` are the events that the report counts where a file repeats what other files of the run
    brought already, as a log of one model call repeats the conversation so far; None means all. `parent` is
    `(source_id, key)` of the event in another run of the same format that spawned this one.
    """

    source_id: str
    events: Iterable[EventDraft]
    recorded: frozenset[Count] = EVERY_COUNT
    outcome: Outcome = field(default_factory=Outcome)
    totals: dict[Count, int | float] = field(default_factory=dict)
    counted: Iterable[EventDraft] | None = None
    parent: tuple[str, str | None] | None = None
    correlation: str | None = None

    def __iter__(self) -> Iterator[EventDraft]:
        return iter(self.events)
