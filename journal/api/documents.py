"""The shapes of answers, for the OpenAPI document; the answers are made elsewhere, and a test holds them to these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from journal.domain.event import CauseKind, Certainty

Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Side = Literal["holds", "fails"]


class Event(msgspec.Struct, kw_only=True):
    """An event on the wire. `data` and `metadata` are the bytes that were sent."""

    position: int
    project: str
    stream: str
    version: int
    id: str
    type: str
    schema: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    occurred_at: Time
    recorded_at: Time
    data_raw: str | msgspec.UnsetType = msgspec.UNSET
    metadata_raw: str | msgspec.UnsetType = msgspec.UNSET


class Events(msgspec.Struct, kw_only=True):
    """A page of events. `next` is null where there are no more for now."""

    items: list[Event]
    next: str | None


class Appended(msgspec.Struct, kw_only=True):
    """The outcome of an append: the stream's version after it, and the events' ids in order."""

    stream: str
    version: int
    ids: list[str]


class Link(msgspec.Struct, kw_only=True):
    """A link from a cause to its effect, both by event id."""

    cause: str
    effect: str
    kind: CauseKind
    certainty: Certainty


class LineageEvent(msgspec.Struct, kw_only=True):
    """An event in reach; `depth` counts the links to it."""

    id: str
    stream: str
    version: int
    position: int
    type: str
    depth: int
    summary: str


class Lineage(msgspec.Struct, kw_only=True):
    """What led to an event, or what it led to, nearest first, over all streams.

    `loose` are events that record no cause, `missing` causes that the journal does not hold, `cycles` ways round;
    `cut` says that more is in reach than was walked.
    """

    event: str
    direction: Literal["up", "down"]
    events: list[LineageEvent]
    links: list[Link]
    loose: list[str]
    missing: list[str]
    cycles: list[list[str]]
    cut: bool


class State(msgspec.Struct, kw_only=True):
    """A run's state after `version`; `blame` names the event that set each leaf, by JSON Pointer."""

    stream: str
    version: int
    blame: dict[str, int]


class Explained(msgspec.Struct, kw_only=True):
    """An event in prose."""

    version: int
    id: str
    type: str
    occurred_at: Time
    title: str
    summary: str
    detail: str | None
    actor: str | None
    tags: dict[str, str]


class Explanations(msgspec.Struct, kw_only=True):
    """A run in prose."""

    stream: str
    events: list[Explained]


class Change(msgspec.Struct, kw_only=True):
    """A leaf that differs; a missing side is left out. `version` is the event that last set it."""

    path: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET


class Diff(msgspec.Struct, kw_only=True, rename={"since": "from", "until": "to"}):
    """What changed in a run's state."""

    stream: str
    since: int
    until: int
    changes: list[Change]


class JobProgress(msgspec.Struct, kw_only=True):
    """How far a job is. `total` is null until it is known."""

    done: int
    total: int | None
    unit: str


class Job(msgspec.Struct, kw_only=True):
    """Long work: ask again at its address until it has ended."""

    id: str
    kind: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: JobProgress
    result: Any
    error: str | None
    created_at: Time
    finished_at: Time | None


class Projection(msgspec.Struct, kw_only=True):
    """A read model and how far it is behind the journal."""

    name: str
    position: int
    head: int
    lag: int


class Projections(msgspec.Struct, kw_only=True):
    """All of them."""

    items: list[Projection]
    next: None


class Rule(msgspec.Struct, kw_only=True):
    """A rule in its newest version, built in or saved."""

    name: str
    version: int
    title: str
    description: str
    monotone: bool
    kind: Literal["built-in", "saved"]
    theme: str
    remembers: Literal["run", "journal"]
    expression: str
    saved_at: Time | None
    saved_by: str | None


class Rules(msgspec.Struct, kw_only=True):
    """All rules of the project."""

    items: list[Rule]
    next: None


class SavedRule(msgspec.Struct, kw_only=True):
    """What was saved."""

    name: str
    version: int


class Schedule(msgspec.Struct, kw_only=True):
    """A job that is due again and again. `outcome` is how its last run ended."""

    id: str
    name: str
    kind: str
    cron: str
    timezone: str
    arguments: dict[str, Any]
    is_paused: bool
    next_due_at: Time | None
    last_due_at: Time | None
    last_job: str | None
    outcome: dict[str, Any] | None
    created_by: str | None
    created_at: Time
    has_open_job: bool


class Schedules(msgspec.Struct, kw_only=True):
    """The project's schedules, the next due first."""

    items: list[Schedule]
    next: None
