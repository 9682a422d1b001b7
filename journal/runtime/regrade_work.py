"""How the verdicts of a re-grade come about: a part's runs are folded and judged, and told in one append."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from journal.access.projects import DEFAULT_PROJECT
from journal.domain import agent_run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.grade import stream_of
from journal.domain.invariant import Invariant
from journal.domain.judging import Fold
from journal.domain.stream import ANY_VERSION
from journal.errors import EventIdReused, EventNotFound
from journal.models import Job, JobPart
from journal.runtime import job as jobs
from journal.runtime import job_parts, lookups, regrade_plan, saved_rules, withdrawals
from journal.runtime.grading import Grader
from journal.runtime.regrade_sifted import can_be_sifted, judged
from journal.runtime.regrade_types import Definition, FrozenRun, Sample
from journal.runtime.regrade_verdict import (
    CALLED,
    STARTED,
    Blamed,
    Facts,
    Verdict,
    as_event,
    as_grade,
    counted,
    verdict_on,
)
from journal.runtime.rule_process import rule_process
from journal.store import EventStore, get_store
from journal.store.sql import microseconds

_LOOK_EVERY_S: Final = 0.5
"""How often a worker looks whether its part is still its own: a cancelled job stops this soon."""

_SELF: Final = frozenset((STARTED, CALLED))


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


class _Run:
    """One run of a job on its way through the rules, told every event with its states."""

    def __init__(self, run: FrozenRun, rules: Rules, project: str, evaluator: Any = None) -> None:
        self.run = run
        known = [rules.rule, *([rules.previous] if rules.previous and _asks_previous(run) else [])]
        self._fold = Fold(run.run, known, lookup=lookups.of(project))
        self._graders = [Grader(known[0], run.run, evaluator), *(Grader(rule, run.run) for rule in known[1:])]
        self._facts = Facts()
        self.events = 0

    def take(self, event: RecordedEvent) -> None:
        """Judge the next event; one out of the range is only remembered."""
        self.events += 1
        if self._facts.started_at is None:
            self._facts.started_at = event.occurred_at
        if event.type in _SELF:
            self._facts.take(event.version, catalog.decode(event))
        ctx = self._fold.take(event)
        counts = self.run.is_whole or self._covers(event)
        for grader in self._graders:
            grader.take(ctx, counts=counts)

    def _covers(self, event: RecordedEvent) -> bool:
        at, since, until = microseconds(event.occurred_at), self.run.since_us, self.run.until_us
        return (since is None or at >= since) and (until is None or at <= until)

    def verdict(self, definition: Definition, job: str) -> Verdict:
        """Return the verdict on all that was taken."""
        for grader in self._graders:
            grader.batch.flush()
        outcome, *before = [grader.found(self.events).outcome for grader in self._graders]
        about = self._graders[0].about
        return verdict_on(
            self.run,
            definition,
            job=job,
            outcome=outcome,
            before=before[0] if before else None,
            facts=self._facts,
            blamed=Blamed(*about) if about else None,
        )


def _asks_previous(run: FrozenRun) -> bool:
    return run.previous == regrade_plan.UNKNOWN


def verdicts(  # noqa: PLR0913 - what is judged by what
    project: str,
    definition: Definition,
    runs: Sequence[FrozenRun],
    rules: Rules,
    *,
    job: str,
    look: Callable[[], None],
) -> Iterator[Verdict]:
    """Yield the verdict on each run, each folded up to its frozen version. `look` is called now and then.

    Whole runs are told only what the rule looks at, where it says so. A run of which some events do not count is read
    whole: whether the verdict turned on one that was left out would depend on when that occurred. So is one of which
    something was purged or erased.
    """
    store = get_store(project)
    if rules.rule.remembers == "journal":
        yield from _over_the_journal(store, definition, runs, rules, job=job, look=look)
        return
    gone = withdrawals.streams(project) if can_be_sifted(rules.rule, rules.previous) else None
    sifted = [run for run in runs if gone is not None and run.is_whole and run.run not in gone]
    for found in judged(
        store, sifted, rules.rule, before=rules.previous, asks_before=_asks_previous, lookup=lookups.of(project),
        look=look,
    ):  # fmt: skip
        yield verdict_on(
            found.run, definition, job=job, outcome=found.outcome, before=found.before, facts=found.facts,
            blamed=found.blamed,
        )  # fmt: skip
    told = {run.run for run in sifted}
    for run in runs:
        if run.run in told:
            continue
        judging = _Run(run, rules, project)
        for event in store.read_stream(run.run, until=run.run_version):
            judging.take(event)
        look()
        yield judging.verdict(definition, job)


def _over_the_journal(  # noqa: PLR0913 - as above
    store: EventStore,
    definition: Definition,
    runs: Sequence[FrozenRun],
    rules: Rules,
    *,
    job: str,
    look: Callable[[], None],
) -> Iterator[Verdict]:
    """Judge all runs together, in the journal's order; what is not in the scope is told to the rule and not counted."""
    shared = rules.rule.begin("")
    known = {run.run: _Run(run, rules, store.project, shared) for run in runs}
    for event in store.read_category(agent_run.CATEGORY):
        if event.position > definition.head:
            break
        judging = known.get(event.stream)
        if judging is None:
            nobody = FrozenRun(event.stream, 0, since_us=1, until_us=0)
            judging = known[event.stream] = _Run(nobody, rules, store.project, shared)
        judging.take(event)
        look()
    yield from (known[run.run].verdict(definition, job) for run in runs)


# --- Parts ------------------------------------------------------------------------------------------------------------


def do_part(job: Job, definition: Definition, part: JobPart, rules: Rules) -> None:
    """Judge a part's runs, tell the verdicts, and write down that it is done. Doing it again tells nothing twice.

    Raises:
        JobLost: the job was cancelled, or another worker has the part.
    """
    project = job.project_id or DEFAULT_PROJECT
    began = time.perf_counter()
    runs = regrade_plan.frozen(job.id, part.number)
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
    events = [as_event(job, verdict) for verdict in found]
    stream = stream_of(job, part)
    try:
        store.append(stream, events, expected_version=ANY_VERSION)
    except EventIdReused:
        new = [event for event in events if not _is_there(store, str(event.id))]
        if new:
            store.append(stream, new, expected_version=ANY_VERSION)


def _is_there(store: EventStore, event_id: str) -> bool:
    try:
        store.event(event_id)
    except EventNotFound:
        return False
    return True


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
    began = time.perf_counter()
    with evaluating(project, definition) as rules:
        unknown = regrade_plan.UNKNOWN if rules.previous else ""
        runs = [FrozenRun(each.stream, each.version, each.since_us, each.until_us, previous=unknown) for each in chosen]
        found = list(verdicts(project, definition, runs, rules, job="", look=lambda: None))
    counts = counted(found)
    return Sample(
        grades=tuple(as_grade(verdict) for verdict in found),
        events=int(counts["events"]),
        seconds=time.perf_counter() - began,
        holds=int(counts["holds"]),
        fails=int(counts["fails"]),
        errors=int(counts["errors"]),
    )


def now() -> datetime:
    """Return the time, for what a job notes of itself."""
    return datetime.now(UTC)
