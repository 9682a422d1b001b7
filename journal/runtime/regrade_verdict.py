"""One run's verdict: what is told of it in the journal, and what a part counts of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from journal.domain import agent_run, codec
from journal.domain.bisect import Outcome
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.invariant import Call
from journal.runtime import regrade_plan
from journal.runtime.regrade_types import Definition, FrozenRun, Grade, Side

STARTED: Final = catalog.name_of(agent_run.Started)
CALLED: Final = catalog.name_of(agent_run.ModelCalled)

_EARLY: Final = 10
"""Events within which a run says who it is, if ever."""

_SIDES: Final[dict[str, Side]] = {"holds": "holds", "fails": "fails", "raised": "error"}
_GRADED: Final = catalog.name_of(agent_run.Graded)


class Facts:
    """What lists say of a run, from its first events: who did it with which model, and when."""

    def __init__(self) -> None:
        self.agent: str | None = None
        self.model: str | None = None
        self.started_at: datetime | None = None

    def is_told(self, version: int) -> bool:
        """Return whether an event at a version can say nothing new any more."""
        return self.model is not None and (self.agent is not None or version > _EARLY)

    def take(self, version: int, data: Any) -> None:
        """Look at an event of a run's `started` and `model_called`, in order of version; later ones say nothing new."""
        if self.is_told(version):
            return
        if not isinstance(data, agent_run.ModelCalled):
            self.agent = self.agent or getattr(data, "agent", None)
        self.model = self.model or getattr(data, "model", None)


class Blamed(msgspec.Struct, frozen=True):
    """The first event that breaks a rule, or on which the rule went wrong, and the call it makes or answers."""

    event: RecordedEvent
    call: Call | None

    @property
    def tool(self) -> str | None:
        """The tool of the call; that which the event names where the journal has no call."""
        if self.call is not None and self.call.tool:
            return str(self.call.tool)
        named = self.event.payload.get("toolName")
        return str(named) if named else None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of a run of a job, and what a part counts of it."""

    run: FrozenRun
    side: Side
    previous: Side | None
    data: agent_run.Graded
    events: int


def side_of(word: str) -> Side | None:
    """Return a side by its name; None where nothing is known."""
    return next((side for side in _SIDES.values() if side == word), None)


def verdict_on(  # noqa: PLR0913 - all that is told of a run
    run: FrozenRun,
    definition: Definition,
    *,
    job: str,
    outcome: Outcome,
    before: Outcome | None,
    facts: Facts,
    blamed: Blamed | None,
) -> Verdict:
    """Return the verdict that an outcome amounts to; `before` is that of the previous version where it was asked."""
    side = _SIDES[outcome.verdict]
    previous = side_of(run.previous) if before is None else _SIDES[before.verdict]
    event = blamed.event if blamed is not None and side != "holds" else None
    failed = outcome.failure.message if outcome.failure else ""
    data = agent_run.Graded(
        rule=definition.rule,
        by="regrade",
        verdict=side,
        message=(failed if side == "fails" else outcome.error if side == "error" else outcome.note) or None,
        at_version=event.version if event else None,
        run=agent_run.GradedRun(
            stream=run.run,
            version=run.run_version,
            rule_version=definition.rule_version,
            digest=definition.digest,
            state_code=definition.state_code,
            job=job,
            since=regrade_plan.moment(run.since_us),
            until=regrade_plan.moment(run.until_us),
            event_id=event.id if event else None,
            event_type=event.type if event else None,
            position=event.position if event else None,
            occurred_at=event.occurred_at if event else None,
            tool=blamed.tool if event and blamed else None,
            model=facts.model,
            agent=facts.agent,
            started_at=facts.started_at,
            flips=len(outcome.flips),
            previous=previous,
            previous_version=definition.previous_version if previous else None,
        ),
    )
    return Verdict(run=run, side=side, previous=previous, data=data, events=outcome.events)


def as_event(job: str, verdict: Verdict) -> EventData:
    """Return a verdict as it is told; its id is derived from what was judged."""
    cause = verdict.data.run.event_id if verdict.data.run else None
    return EventData(
        id=verdict.run.grade,
        type=_GRADED,
        data=codec.encode(verdict.data),
        metadata=codec.encode(Metadata(correlation_id=f"job:{job}", causation_id=cause)),
    )


def as_grade(verdict: Verdict) -> Grade:
    """Return a verdict as lists show it."""
    data, of = verdict.data, verdict.data.run
    assert of is not None  # each verdict says which run it is about  # noqa: S101
    return Grade(
        rule=data.rule or "",
        rule_version=of.rule_version,
        stream=of.stream,
        run_version=of.version,
        verdict=verdict.side,
        version=data.at_version,
        position=of.position,
        event_id=of.event_id,
        event_type=of.event_type,
        message=data.message or "",
        tool=of.tool or "",
        model=of.model or "",
        agent=of.agent or "",
        started_at=of.started_at,
        occurred_at=of.occurred_at,
        flips=of.flips,
        previous=verdict.previous,
    )


def counted(found: Sequence[Verdict]) -> dict[str, float]:
    """Return what a part says of its verdicts."""
    sides = [verdict.side for verdict in found]
    turns = [(verdict.previous, verdict.side) for verdict in found]
    return {
        "events": sum(verdict.events for verdict in found),
        "holds": sides.count("holds"),
        "fails": sides.count("fails"),
        "errors": sides.count("error"),
        "newly_failing": turns.count(("holds", "fails")),
        "newly_holding": turns.count(("fails", "holds")),
    }
