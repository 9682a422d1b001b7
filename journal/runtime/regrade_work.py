"""How the verdicts of a re-grade come about: a part's runs are folded and judged, and told in one append."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from journal.access.projects import DEFAULT_PROJECT
from journal.domain import agent_run, codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.grade import stream_of
from journal.domain.invariant import Invariant
from journal.domain.judging import Fold
from journal.domain.stream import ANY_VERSION
from journal.errors import EventIdReused, EventNotFound
from journal.models import Job, JobPart, JobRun
from journal.runtime import job as jobs
from journal.runtime import job_parts, lookups, regrade_plan, saved_rules
from journal.runtime.grading import Found, Grader
from journal.runtime.regrade_types import Definition, Grade, Sample, Side
from journal.runtime.rule_process import rule_process
from journal.store import EventStore, get_store
from journal.store.sql import microseconds

_LOOK_EVERY_S: Final = 0.5
"""How often a worker looks whether its part is still its own: a cancelled job stops this soon."""

_EARLY: Final = 10
"""Events within which a run says who it is, if ever."""

_SIDES: Final[dict[str, Side]] = {"holds": "holds", "fails": "fails", "raised": "error"}
_GRADED: Final = catalog.name_of(agent_run.Graded)
_STARTED: Final = catalog.name_of(agent_run.Started)
_CALLED: Final = catalog.name_of(agent_run.ModelCalled)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rule as it was frozen, and its previous version where that can be asked."""

    rule: Invariant
    previous: Invariant | None


@contextmanager
def evaluating(project: str, definition: Definition) -> Iterator[Rules]:
    """Give the rules of a definition, ready to be evaluated."""
    before = regrade_plan.previous_of(project, definition)
    with rule_process() as process:
        yield Rules(
            rule=regrade_plan.invariant_of(project, definition, process),
            previous=saved_rules.invariant_of(before, process) if before else None,
        )


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of a run of a job, and what a part counts of it."""

    run: JobRun
    side: Side
    previous: Side | None
    found: Found
    data: agent_run.Graded
    events: int


class _Facts:
    """What lists say of a run, from its first events: who did it with which model, and when."""

    def __init__(self) -> None:
        self.agent: str | None = None
        self.model: str | None = None
        self.started_at: datetime | None = None
        self.are_known = False

    def take(self, event: RecordedEvent) -> None:
        """Look at the next event, until there is nothing left to learn."""
        if self.started_at is None:
            self.started_at = event.occurred_at
        if event.type == _STARTED:
            started = catalog.decode(event)
            self.agent = self.agent or getattr(started, "agent", None)
            self.model = self.model or getattr(started, "model", None)
        elif self.model is None and event.type == _CALLED:
            self.model = getattr(catalog.decode(event), "model", None)
        self.are_known = self.model is not None and (self.agent is not None or event.version >= _EARLY)


class _Run:
    """One run of a job on its way through the rules."""

    def __init__(self, run: JobRun, definition: Definition, rules: Rules, project: str, evaluator: Any = None) -> None:
        self.run = run
        self._definition = definition
        asks_previous = rules.previous is not None and run.previous == regrade_plan.UNKNOWN
        known = [rules.rule, *([rules.previous] if asks_previous and rules.previous else [])]
        self._fold = Fold(run.run, known, lookup=lookups.of(project))
        self._graders = [Grader(known[0], run.run, evaluator), *(Grader(rule, run.run) for rule in known[1:])]
        self._facts = _Facts()
        self._is_whole = run.since_us is None and run.until_us is None
        self.events = 0

    def take(self, event: RecordedEvent) -> None:
        """Judge the next event; one out of the range is only remembered."""
        self.events += 1
        if not self._facts.are_known:
            self._facts.take(event)
        ctx = self._fold.take(event)
        counts = self._is_whole or self._covers(event)
        for grader in self._graders:
            grader.take(ctx, counts=counts)

    def _covers(self, event: RecordedEvent) -> bool:
        at, since, until = microseconds(event.occurred_at), self.run.since_us, self.run.until_us
        return (since is None or at >= since) and (until is None or at <= until)

    def verdict(self, job: str) -> Verdict:
        """Return the verdict on all that was taken."""
        for grader in self._graders:
            grader.batch.flush()
        grader, *previous = self._graders
        found = grader.found(self.events)
        before = _side(self.run.previous)
        if previous:
            before = _SIDES[previous[0].found(self.events).outcome.verdict]
        side = _SIDES[found.outcome.verdict]
        data = self._data(job, found, side, before, grader.about)
        return Verdict(run=self.run, side=side, previous=before, found=found, data=data, events=self.events)

    def _data(self, job: str, found: Found, side: Side, before: Side | None, about: Any) -> agent_run.Graded:
        event, call = about if about and side != "holds" else (None, None)
        outcome, definition = found.outcome, self._definition
        failed = outcome.failure.message if outcome.failure else ""
        return agent_run.Graded(
            rule=definition.rule,
            by="regrade",
            verdict=side,
            message=(failed if side == "fails" else outcome.error if side == "error" else outcome.note) or None,
            at_version=event.version if event else None,
            run=agent_run.GradedRun(
                stream=self.run.run,
                version=self.run.run_version,
                rule_version=definition.rule_version,
                digest=definition.digest,
                state_code=definition.state_code,
                job=job,
                since=regrade_plan.moment(self.run.since_us),
                until=regrade_plan.moment(self.run.until_us),
                event_id=event.id if event else None,
                event_type=event.type if event else None,
                position=event.position if event else None,
                occurred_at=event.occurred_at if event else None,
                tool=_tool(event, call) if event else None,
                model=self._facts.model,
                agent=self._facts.agent,
                started_at=self._facts.started_at,
                flips=len(outcome.flips),
                previous=before,
                previous_version=definition.previous_version if before else None,
            ),
        )


def _side(word: str) -> Side | None:
    return next((side for side in _SIDES.values() if side == word), None)


def _tool(event: RecordedEvent, call: Any) -> str | None:
    if call is not None and call.tool:
        return str(call.tool)
    named = event.payload.get("toolName")
    return str(named) if named else None


def verdicts(  # noqa: PLR0913 - what is judged by what
    project: str, definition: Definition, runs: Sequence[JobRun], rules: Rules, *, job: str, look: Callable[[], None]
) -> Iterator[Verdict]:
    """Yield the verdict on each run, each folded up to its frozen version. `look` is called now and then."""
    store = get_store(project)
    if rules.rule.remembers == "journal":
        yield from _over_the_journal(store, definition, runs, rules, job=job, look=look)
        return
    for run in runs:
        judging = _Run(run, definition, rules, project)
        for event in store.read_stream(run.run, until=run.run_version):
            judging.take(event)
        look()
        yield judging.verdict(job)


def _over_the_journal(  # noqa: PLR0913 - as above
    store: EventStore,
    definition: Definition,
    runs: Sequence[JobRun],
    rules: Rules,
    *,
    job: str,
    look: Callable[[], None],
) -> Iterator[Verdict]:
    """Judge all runs together, in the journal's order; what is not in the scope is told to the rule and not counted."""
    shared = rules.rule.begin("")
    known = {run.run: _Run(run, definition, rules, store.project, shared) for run in runs}
    for event in store.read_category(agent_run.CATEGORY):
        if event.position > definition.head:
            break
        judging = known.get(event.stream)
        if judging is None:
            nobody = JobRun(run=event.stream, run_version=0, since_us=1, until_us=0)
            judging = known[event.stream] = _Run(nobody, definition, rules, store.project, shared)
        judging.take(event)
        look()
    yield from (known[run.run].verdict(job) for run in runs)


# --- Parts ------------------------------------------------------------------------------------------------------------


def do_part(job: Job, definition: Definition, part: JobPart, rules: Rules) -> None:
    """Judge a part's runs, tell the verdicts, and write down that it is done. Doing it again tells nothing twice.

    Raises:
        JobLost: the job was cancelled, or another worker has the part.
    """
    project = job.project_id or DEFAULT_PROJECT
    began = time.perf_counter()
    runs = list(JobRun.objects.filter(job=job.id, part=part.number).order_by("id"))
    try:
        with job_parts.beating(part):
            found = list(verdicts(project, definition, runs, rules, job=job.id, look=_looking(part)))
    except jobs.JobLost:
        job_parts.let_go(part)
        raise
    tell(get_store(project), job.id, part.number, found)
    job_parts.finish(part, {**counted(found), "seconds": time.perf_counter() - began})


def _looking(part: JobPart) -> Callable[[], None]:
    looked = time.monotonic()

    def look() -> None:
        nonlocal looked
        if time.monotonic() - looked < _LOOK_EVERY_S:
            return
        looked = time.monotonic()
        if not job_parts.is_ours(part):
            raise jobs.JobLost(str(part))

    return look


def tell(store: EventStore, job: str, part: int, found: Sequence[Verdict]) -> None:
    """Append the verdicts of a part, all of them at once; those that another job has told are left to it."""
    events = [_event(job, verdict) for verdict in found]
    stream = stream_of(job, part)
    try:
        store.append(stream, events, expected_version=ANY_VERSION)
    except EventIdReused:
        new = [event for event in events if not _is_there(store, str(event.id))]
        if new:
            store.append(stream, new, expected_version=ANY_VERSION)


def _event(job: str, verdict: Verdict) -> EventData:
    return EventData(
        id=verdict.run.grade,
        type=_GRADED,
        data=codec.encode(verdict.data),
        metadata=codec.encode(
            Metadata(correlation_id=f"job:{job}", causation_id=verdict.data.run.event_id if verdict.data.run else None)
        ),
    )


def _is_there(store: EventStore, event_id: str) -> bool:
    try:
        store.event(event_id)
    except EventNotFound:
        return False
    return True


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


# --- The job ----------------------------------------------------------------------------------------------------------


def help_with(job_id: str) -> int:
    """Take parts of a job that another worker drives, until there are none to take. Returns how many were done."""
    job = Job.objects.filter(id=job_id, status="running").first()
    part = job_parts.claim(job_id) if job else None
    if job is None or part is None:
        return 0
    definition, done = definition_of(job), 0
    with evaluating(job.project_id or DEFAULT_PROJECT, definition) as rules:
        while part is not None:
            try:
                do_part(job, definition, part, rules)
            except jobs.JobLost:
                return done
            done += 1
            part = job_parts.claim(job_id)
    return done


def definition_of(job: Job) -> Definition:
    """Return what a job was asked to do."""
    return msgspec.convert(job.arguments, Definition, strict=False)


def sampled(project: str, definition: Definition, most: int) -> Sample:
    """Return what the rule says of some runs, spread evenly over the scope. Stores nothing."""
    scopes = list(regrade_plan.scopes_of(project, definition))
    chosen = [scopes[at * len(scopes) // most] for at in range(most)] if len(scopes) > most else scopes
    runs = [
        JobRun(run=each.stream, run_version=each.version, since_us=each.since_us, until_us=each.until_us)
        for each in chosen
    ]
    began = time.perf_counter()
    with evaluating(project, definition) as rules:
        for run in runs:
            run.previous = regrade_plan.UNKNOWN if rules.previous else ""
        found = list(verdicts(project, definition, runs, rules, job="", look=lambda: None))
    counts = counted(found)
    return Sample(
        grades=tuple(_as_grade(verdict) for verdict in found),
        events=int(counts["events"]),
        seconds=time.perf_counter() - began,
        holds=int(counts["holds"]),
        fails=int(counts["fails"]),
        errors=int(counts["errors"]),
    )


def _as_grade(verdict: Verdict) -> Grade:
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


def now() -> datetime:
    """Return the time, for what a job notes of itself."""
    return datetime.now(UTC)
