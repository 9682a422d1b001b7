"""What a re-grade looks at: chosen, estimated, and frozen in parts before anything is evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import perf_counter
from typing import Final

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from journal.domain.agent_run import CATEGORY
from journal.domain.grade import Judged, grade_id
from journal.domain.invariant import Invariant
from journal.domain.invariant import find as built_in
from journal.domain.rule import Evaluate
from journal.domain.run_state import RunState
from journal.domain.saved_rule import digest
from journal.models import GradeRow, Job, JobPart, JobRun, StreamRow
from journal.runtime import projection as projections
from journal.runtime import saved_rules, withdrawals
from journal.runtime.bulk import insert
from journal.runtime.grading import grade_run
from journal.runtime.read_model import live_generation
from journal.runtime.regrade_types import Definition, Estimate, FrozenRun
from journal.runtime.rule_process import rule_process
from journal.runtime.saved_rules import RuleRecord
from journal.runtime.selecting import selector
from journal.store import get_store
from journal.store.scope import RunScope, newest_position, run_scopes
from journal.store.snapshots import code_version

KIND: Final = "regrade"
PROJECTION: Final = "grades"
PARTS: Final = 16
"""Parts that a job is cut into at least, where that makes none too small: several for each worker there may be."""

FEWEST_EVENTS_A_PART: Final = 10_000
MOST_EVENTS_A_PART: Final = 100_000
RUNS_A_PART: Final = 1_000
"""Verdicts of a part are told in one append, which holds back readers while it lasts."""

RUNS_A_STEP: Final = 50_000
UNKNOWN: Final = "?"
"""In place of the previous version's verdict: it has to be evaluated as well."""

_PAGE: Final = 500
_MEASURED_ON: Final = 2_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def define(  # noqa: PLR0913 - a scope is what it is
    *,
    project: str,
    rule: str,
    version: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    query: str = "",
    force: bool = False,
    schedule: str | None = None,
) -> Definition:
    """Return what a re-grade would be asked now.

    Raises:
        RuleNotFound: there is no such rule or version.
        QueryRefused: the query cannot be asked.
    """
    record = saved_rules.find_rule(project, rule, version)
    query = query.strip()
    if query:
        selector(query)
    return Definition(
        rule=record.name,
        rule_version=record.version,
        kind=record.kind,
        expression=record.expression,
        digest=digest(record.expression) if record.kind == "saved" else "",
        monotone=record.monotone,
        state_code=state_code(),
        head=get_store(project).head(),
        since=since,
        until=until,
        query=query,
        force=force,
        schedule=schedule,
        previous_version=_previous_version(project, record),
    )


def state_code() -> str:
    """Return the digest of the code that folds runs: other code may come to other verdicts."""
    return code_version(RunState)


def _previous_version(project: str, record: RuleRecord) -> int | None:
    if record.version <= 1:
        return None
    if record.kind == "saved":
        return record.version - 1
    rows = _live(project).filter(rule=record.name, rule_version__lt=record.version)
    return rows.order_by("-rule_version").values_list("rule_version", flat=True).first()


def record_of(project: str, definition: Definition) -> RuleRecord:
    """Return the rule as it was frozen."""
    if definition.kind == "built-in":
        return saved_rules.find_rule(project, definition.rule, definition.rule_version)
    return RuleRecord(
        name=definition.rule,
        version=definition.rule_version,
        title=definition.rule,
        description="",
        monotone=definition.monotone,
        kind="saved",
        theme="saved",
        remembers="run",
        expression=definition.expression,
    )


def previous_of(project: str, definition: Definition) -> RuleRecord | None:
    """Return the rule's previous version where its text is known, so that it can be evaluated as well."""
    if definition.kind == "built-in" or definition.previous_version is None:
        return None
    return saved_rules.find_rule(project, definition.rule, definition.previous_version)


def is_journal_wide(definition: Definition) -> bool:
    """Whether the rule compares runs, so that all of them are judged together, in the journal's order."""
    known = built_in(definition.rule) if definition.kind == "built-in" else None
    return known is not None and known.remembers == "journal"


# --- Choosing ---------------------------------------------------------------------------------------------------------


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the scope, with the id of its verdict and whether that is there already."""

    scope: RunScope
    grade: str
    is_kept: bool
    previous: str = ""


def choose(project: str, job: str, definition: Definition) -> list[Chosen]:
    """Return the runs of the scope, those that have this very verdict marked.

    A rule that compares runs is evaluated on all of them again as soon as one verdict is missing. A run of which
    something was purged or erased since is judged anew: what was said of it before is gone with it.
    """
    projections.catch_up(projections.named(PROJECTION), patience_s=0)
    wide = newest_position(project, head=definition.head) if is_journal_wide(definition) else None
    scopes = list(scopes_of(project, definition))
    again = job if definition.force else ""
    gone = withdrawals.newest_orders(project)
    ids = [_grade(project, definition, scope, wide, again or gone.get(scope.stream, "")) for scope in scopes]
    kept = set() if definition.force else _known(project, ids)
    if wide is not None and len(kept) < len(ids):
        kept = set()
    previous = _previous_verdicts(project, definition, scopes)
    return [
        Chosen(
            scope=scope, grade=grade, is_kept=grade in kept, previous=previous.get(scope.stream, _default(definition))
        )
        for scope, grade in zip(scopes, ids, strict=True)
    ]


def _default(definition: Definition) -> str:
    return UNKNOWN if definition.kind == "saved" and definition.previous_version is not None else ""


def scopes_of(project: str, definition: Definition) -> Iterator[RunScope]:
    """Yield the runs of the scope in the order they came in."""
    found = run_scopes(project, head=definition.head, since=definition.since, until=definition.until)
    if not definition.query:
        yield from found
        return
    wanted = set(selector(definition.query).streams(project, definition.query, now=datetime.now(UTC)))
    yield from (scope for scope in found if scope.stream in wanted)


def _grade(project: str, definition: Definition, scope: RunScope, wide: int | None, again: str) -> str:
    return grade_id(
        Judged(
            project=project,
            rule=definition.rule,
            rule_version=definition.rule_version,
            digest=definition.digest,
            state_code=definition.state_code,
            stream=scope.stream,
            version=scope.version,
            since=moment(scope.since_us),
            until=moment(scope.until_us),
            head=wide,
            again=again,
        )
    )


def moment(us: int | None) -> datetime | None:
    """Return the time that a column of microseconds holds."""
    return None if us is None else _EPOCH + timedelta(microseconds=us)


def _known(project: str, ids: Sequence[str]) -> set[str]:
    rows = _live(project)
    return {grade for page in _pages(ids) for grade in rows.filter(grade__in=page).values_list("grade", flat=True)}


def _previous_verdicts(project: str, definition: Definition, scopes: Sequence[RunScope]) -> dict[str, str]:
    """Return by run what the previous version says of the same events; of a built-in rule, what it said last.

    The code of an earlier version of a built-in rule is gone, so only its verdicts tell.
    """
    version = definition.previous_version
    if version is None:
        return {}
    if definition.kind == "built-in":
        rows = _live(project).filter(rule=definition.rule, rule_version=version).order_by("position")
        return dict(rows.values_list("run", "verdict"))
    text = saved_rules.find_rule(project, definition.rule, version).expression
    before = msgspec.structs.replace(definition, rule_version=version, digest=digest(text))
    gone = withdrawals.newest_orders(project)
    by_id = {_grade(project, before, scope, None, gone.get(scope.stream, "")): scope.stream for scope in scopes}
    found = (_live(project).filter(grade__in=page).values_list("grade", "verdict") for page in _pages(list(by_id)))
    return {by_id[grade]: verdict for rows in found for grade, verdict in rows}


def _live(project: str) -> QuerySet[GradeRow]:
    return GradeRow.objects.filter(generation=live_generation(PROJECTION), project=project)


def _pages(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))


# --- Freezing ---------------------------------------------------------------------------------------------------------


def freeze(job: Job, project: str, definition: Definition) -> None:
    """Write down the runs that a job looks at, and the parts they make; what is written stays as it is."""
    if JobRun.objects.filter(job=job.id).exists():
        return
    chosen = choose(project, job.id, definition)
    open_runs = [each for each in chosen if not each.is_kept]
    parts = [open_runs] if is_journal_wide(definition) and open_runs else list(_parts(open_runs))
    rows = [_row(job, each, None) for each in chosen if each.is_kept]
    rows += [_row(job, each, number) for number, part in enumerate(parts) for each in part]
    try:
        with transaction.atomic():
            insert(JobRun, rows)
            JobPart.objects.bulk_create(
                [JobPart(job=job, number=number, runs=len(part)) for number, part in enumerate(parts)],
                batch_size=_PAGE,
            )
    except IntegrityError:  # an earlier attempt at this, taken for dead, was quicker: what it froze is as good
        if not JobRun.objects.filter(job=job.id).exists():
            raise


class _Row(msgspec.Struct, frozen=True):
    """A row of `JobRun`: making the model's own objects takes longer than writing them."""

    job: str
    part: int | None
    run: str
    run_version: int
    since_us: int | None
    until_us: int | None
    grade: str
    previous: str
    is_kept: bool


def _row(job: Job, chosen: Chosen, part: int | None) -> _Row:
    scope = chosen.scope
    return _Row(
        job.id,
        part,
        scope.stream,
        scope.version,
        scope.since_us,
        scope.until_us,
        chosen.grade,
        chosen.previous,
        chosen.is_kept,
    )


def frozen(job: str, part: int) -> list[FrozenRun]:
    """Return the runs of a part, as they were written down."""
    columns = ("run", "run_version", "since_us", "until_us", "grade", "previous")
    rows = JobRun.objects.filter(job=job, part=part).order_by("id").values_list(*columns)
    return [FrozenRun(*row) for row in rows]


def _parts(chosen: Sequence[Chosen]) -> Iterator[list[Chosen]]:
    """Yield parts of about one size: enough of them for all workers, each worth the claiming."""
    size = min(max(sum(each.scope.version for each in chosen) // PARTS, FEWEST_EVENTS_A_PART), MOST_EVENTS_A_PART)
    part: list[Chosen] = []
    events = 0
    for each in chosen:
        part.append(each)
        events += each.scope.version
        if events >= size or len(part) >= RUNS_A_PART:
            yield part
            part, events = [], 0
    if part:
        yield part


# --- Estimating -------------------------------------------------------------------------------------------------------


def estimated(project: str, definition: Definition) -> Estimate:
    """Return what a job of this definition would look at."""
    chosen = choose(project, "", definition)
    left = [each for each in chosen if not each.is_kept]
    events = sum(each.scope.version for each in left)
    rate = measured(project, definition, [each.scope for each in left])
    excluded, without = _excluded_by(project, definition) if not chosen else (None, 0)
    return Estimate(
        runs=len(chosen),
        events=events,
        graded=len(chosen) - len(left),
        seconds=events / rate if rate else 0.0,
        events_per_s=rate,
        excluded_by=excluded,
        matched_without_it=without,
    )


def measured(project: str, definition: Definition, scopes: Sequence[RunScope]) -> float:
    """Return events a second of one worker: as the last re-grade with such a rule went, else as a few runs go now."""
    done = Job.objects.filter(kind=KIND, project_id=project, status="done").order_by("-created_at")[:20]
    for job in done:
        told = job.result or {}
        if told.get("events_per_s") and job.arguments.get("kind") == definition.kind:
            return float(told["events_per_s"])
    return _tried(project, definition, scopes)


def _tried(project: str, definition: Definition, scopes: Sequence[RunScope]) -> float:
    store, events, began = get_store(project), 0, 0.0
    with rule_process() as process:
        rule = invariant_of(project, definition, process)
        for scope in scopes:
            if events == 0:
                grade_run(scope.stream, islice(store.read_stream(scope.stream), 1), [rule])  # starts what has to start
                began = perf_counter()
            until = min(scope.version, _MEASURED_ON - events)
            grade_run(scope.stream, store.read_stream(scope.stream, until=until), [rule])
            events += until
            if events >= _MEASURED_ON:
                break
    return events / max(perf_counter() - began, 1e-6) if events else 0.0


def invariant_of(project: str, definition: Definition, process: Evaluate) -> Invariant:
    """Return the frozen rule, to be evaluated."""
    return saved_rules.invariant_of(record_of(project, definition), process)


def _excluded_by(project: str, definition: Definition) -> tuple[str | None, int]:
    """Return the clause without which there would be runs, and how many; all of them where it takes several."""
    whole = msgspec.structs.replace(definition, since=None, until=None, query="")
    if not StreamRow.objects.filter(project=project, category=CATEGORY).exists():
        return "the project has no runs", 0
    found: list[tuple[str, int]] = []
    for text, without in _clauses(definition):
        count = sum(1 for _ in scopes_of(project, without))
        if count:
            found.append((text, count))
    if found:
        return max(found, key=lambda each: each[1])
    return "all clauses together", sum(1 for _ in scopes_of(project, whole))


def _clauses(definition: Definition) -> Iterator[tuple[str, Definition]]:
    if definition.since is not None:
        yield f"since {definition.since.isoformat()}", msgspec.structs.replace(definition, since=None)
    if definition.until is not None:
        yield f"until {definition.until.isoformat()}", msgspec.structs.replace(definition, until=None)
    for clause in selector(definition.query).clauses(definition.query) if definition.query else ():
        yield clause.text, msgspec.structs.replace(definition, query=clause.rest)
