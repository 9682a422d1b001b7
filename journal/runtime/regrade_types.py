"""What is said about a re-grade: what it was asked, how far it is, what came out."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict

import msgspec

Side = Literal["holds", "fails", "error"]
Status = Literal["queued", "running", "done", "failed", "cancelled"]


class Scope(TypedDict, total=False):
    """Which runs a re-grade looks at, and by which version of its rule: the keywords of all that asks for one."""

    version: int | None
    since: datetime | None
    until: datetime | None
    query: str
    force: bool


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a job was asked to do, frozen when it was submitted: a later version of the rule changes none of it."""

    rule: str
    rule_version: int
    kind: Literal["built-in", "saved"]
    expression: str
    digest: str
    monotone: bool
    state_code: str
    head: int
    since: datetime | None = None
    until: datetime | None = None
    query: str = ""
    force: bool = False
    previous_version: int | None = None
    schedule: str | None = None


class FrozenRun(msgspec.Struct, frozen=True):
    """A run that a job looks at: up to which version, which of its events count, and the id that its verdict will have.

    `previous` is what the rule's previous version says of it, where that is known without asking it.
    """

    run: str
    run_version: int
    since_us: int | None = None
    until_us: int | None = None
    grade: str = ""
    previous: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether all of its events count."""
        return self.since_us is None and self.until_us is None


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a re-grade would look at. `seconds` is for one worker, from the rate that was last measured.

    `graded` of the runs have a verdict of this very rule already and would be left out. `excluded_by` names the clause
    that left no run over; `matched_without_it` how many there are without it.
    """

    runs: int
    events: int
    graded: int
    seconds: float
    events_per_s: float
    excluded_by: str | None = None
    matched_without_it: int = 0


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's verdict on one run, and the first event that breaks it, or on which the rule went wrong."""

    rule: str
    rule_version: int
    stream: str
    run_version: int
    verdict: Side
    version: int | None
    position: int | None
    event_id: str | None
    event_type: str | None
    message: str
    tool: str
    model: str
    agent: str
    started_at: datetime | None
    occurred_at: datetime | None
    flips: int
    previous: Side | None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A dry run: what the rule says of some of the runs. Nothing is stored."""

    grades: tuple[Grade, ...]
    events: int
    seconds: float
    holds: int
    fails: int
    errors: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is. Rates and the time that is left are None until something was measured."""

    status: Status
    step: Literal["plan", "grade", "report"]
    runs: int
    total: int
    events: int
    events_per_s: float | None
    eta_s: float | None
    holds: int
    fails: int
    errors: int
    newly_failing: int
    newly_holding: int
    skipped: int
    workers: int
    error: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts of the runs that have something in common: a tool, a model, an agent, a day."""

    name: str
    runs: int
    fails: int
    errors: int


class Flips(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the matrix: so many runs were `before` under the previous version and are `now` under this one.

    `before` is None for runs that the previous version says nothing of.
    """

    before: Side | None
    now: Side
    runs: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a job, read from the projection `grades`."""

    rule: str
    rule_version: int
    previous_version: int | None
    runs: int
    holds: int
    fails: int
    errors: int
    skipped: int
    newly_failing: int
    newly_holding: int
    first_failing: Grade | None
    matrix: tuple[Flips, ...]
    by_tool: tuple[Group, ...]
    by_model: tuple[Group, ...]
    by_agent: tuple[Group, ...]
    by_day: tuple[Group, ...]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some verdicts of a job, and where the next ones begin; empty where there are no more."""

    grades: tuple[Grade, ...]
    next: str
