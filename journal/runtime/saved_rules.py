"""Rules that people save: each version is an event, in a stream of the rule's own.

A rule's name is its stream's, so that one who has just saved it finds it; lists come from the projection `rules`.
Expressions are evaluated in a process of their own (`journal.runtime.rule_process`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Final, Literal

import msgspec
import stamina

from journal.domain import codec
from journal.domain.agent_run import CATEGORY as RUNS
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.invariant import Invariant, all_invariants
from journal.domain.invariant import find as built_in
from journal.domain.rule import Evaluate, Problem, SavedRule, check
from journal.domain.saved_rule import CATEGORY, LONGEST_NAME, NAME, Retired, Saved
from journal.domain.stream import stream_name
from journal.errors import Refused, RuleNotFound, WrongExpectedVersion
from journal.models import RuleRow, StreamRow
from journal.runtime import projection as projections
from journal.runtime.grading import grade_stream
from journal.runtime.read_model import live_generation
from journal.runtime.rule_process import rule_process
from journal.store import get_store

PROJECTION: Final = "rules"
LONGEST_DESCRIPTION: Final = 2_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TRIES: Final = 8
_MOST_AT_ONCE: Final = 12
"""Saved rules that `every` gives: each is evaluated in a process."""
_AT_MOST: Final = 2_000
"""Events that saving catches the lists up by: where they are further behind, they show the rule a little later."""


class SavedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a saved rule. `is_new` is False where the text was the newest version's already."""

    project: str
    name: str
    version: int
    description: str
    expression: str
    monotone: bool
    saved_at: datetime
    saved_by: str | None
    is_retired: bool = False
    is_new: bool = True


class RuleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as lists and forms show it, built in or saved. A built-in one has no expression, time or author."""

    name: str
    version: int
    title: str
    description: str
    monotone: bool
    kind: Literal["built-in", "saved"]
    theme: str
    remembers: Literal["run", "journal"]
    expression: str = ""
    saved_at: datetime | None = None
    saved_by: str | None = None
    is_retired: bool = False


class RuleRefused(Refused):
    """A rule that cannot be saved. `problems` say where the expression is wrong, none where it is not that."""

    def __init__(self, reason: str, *, field: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(reason)
        self.field = field
        """`name`, `description` or `expression`."""
        self.problems = tuple(problems)


class TriedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What an expression says of one run. `verdict` is `raised` where the expression could not be evaluated."""

    stream: str
    events: int
    verdict: Literal["holds", "fails", "raised"]
    first_failing: int | None
    event_id: str | None
    message: str


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """An expression tried on some runs; nothing is stored."""

    runs: tuple[TriedRun, ...]
    events: int
    holds: int
    fails: int
    raised: int
    seconds: float


def save(  # noqa: PLR0913 - a rule is what it is
    *, project: str, name: str, description: str, expression: str, monotone: bool, by: str | None
) -> SavedVersion:
    """Save a version of a rule, and return it. The same text, description and claim again are the same version.

    Raises:
        RuleRefused: the name is no name or a built-in rule's, or something is wrong with the expression.
    """
    expression, description = expression.strip(), description.strip()
    _check_name(name)
    if len(description) > LONGEST_DESCRIPTION:
        raise RuleRefused(f"the description is longer than {LONGEST_DESCRIPTION:,} characters", field="description")
    _check_expression(expression)
    wanted = Saved(name=name, description=description, expression=expression, monotone=monotone, by=by)
    for attempt in stamina.retry_context(on=WrongExpectedVersion, attempts=_TRIES, wait_initial=0.01, wait_max=0.2):
        with attempt:
            saved = _save(project, wanted)
    _show()
    return saved


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise RuleRefused(
            f"{name[:80]!r} is no name for a rule: small letters, digits and single dashes between them, such as"
            f" no-slow-tools; {LONGEST_NAME} characters at most",
            field="name",
        )
    if built_in(name) is not None:
        raise RuleRefused(f"{name} is a built-in rule; choose another name", field="name")


def _check_expression(expression: str) -> None:
    problems = check(expression)
    if problems:
        first = problems[0]
        where = f"line {first.line}, column {first.column}: {first.message}"
        meant = f"; did you mean {first.suggestion}?" if first.suggestion else ""
        raise RuleRefused(f"the expression cannot be saved: {where}{meant}", field="expression", problems=problems)


def _save(project: str, wanted: Saved) -> SavedVersion:
    store, stream = get_store(project), stream_of(wanted.name)
    known = _versions(project, wanted.name)
    newest = known[-1] if known else None
    if newest is not None and not newest.is_retired and _is_same(newest, wanted):
        return msgspec.structs.replace(newest, is_new=False)
    saved = msgspec.structs.replace(wanted, version=newest.version + 1 if newest else 1)
    store.append(stream, [_event(saved, wanted.by)], expected_version=store.stream_version(stream))
    made = _versions(project, wanted.name)[-1]
    if made.version != saved.version or not _is_same(made, wanted):
        raise WrongExpectedVersion(stream=stream, expected=saved.version, actual=made.version)
    return made


def _is_same(known: SavedVersion, wanted: Saved) -> bool:
    return (known.expression, known.description, known.monotone) == (
        wanted.expression,
        wanted.description,
        wanted.monotone,
    )


def retire(*, project: str, name: str, by: str | None, reason: str = "") -> None:
    """Offer a saved rule no longer; its versions and verdicts stay. Saving it again brings it back.

    Raises:
        RuleNotFound: the project has no saved rule of this name, or it is retired already.
    """
    for attempt in stamina.retry_context(on=WrongExpectedVersion, attempts=_TRIES, wait_initial=0.01, wait_max=0.2):
        with attempt:
            version = get_store(project).stream_version(stream_of(name)) if NAME.fullmatch(name) else 0
            known = _versions(project, name) if version else []
            if not known or known[-1].is_retired:
                raise RuleNotFound(rule=name)
            retired = Retired(version=known[-1].version, by=by, reason=reason or None)
            get_store(project).append(stream_of(name), [_event(retired, by)], expected_version=version)
    _show()


def find_rule(project: str, name: str, version: int | None = None) -> RuleRecord:
    """Return a rule of a project, built in or saved; the newest version where none is given.

    A retired rule is found by its version alone.

    Raises:
        RuleNotFound: there is none of this name, or no such version.
    """
    known = built_in(name)
    if known is not None and version in (None, known.version):
        return _of_built_in(known)
    for saved in reversed(history(project, name) if known is None else []):
        if version == saved.version or (version is None and not saved.is_retired):
            return _of_saved(saved)
    raise RuleNotFound(rule=name if version is None else f"{name} in version {version}")


def listing(project: str, *, with_retired: bool = False) -> list[RuleRecord]:
    """Return the built-in and the saved rules of a project in their newest versions, by name."""
    rows = RuleRow.objects.filter(generation=live_generation(PROJECTION), project=project)
    newest = {row.name: row for row in rows.order_by("name", "version")}
    saved = [_of_saved(_of_row(row)) for row in newest.values() if with_retired or not row.is_retired]
    return sorted([*map(_of_built_in, all_invariants()), *saved], key=lambda rule: rule.name)


def history(project: str, name: str) -> list[SavedVersion]:
    """Return every version of a saved rule, the oldest first; nothing where there is no such rule."""
    return _versions(project, name) if NAME.fullmatch(name) and len(name) <= LONGEST_NAME else []


def invariant_of(record: RuleRecord, evaluate: Evaluate) -> Invariant:
    """Return a rule that can be evaluated; a saved one's expression by `evaluate`."""
    if record.kind == "built-in":
        known = built_in(record.name)
        if known is None:
            raise RuleNotFound(rule=record.name)
        return known
    return SavedRule(
        name=record.name,
        title=record.title,
        description=record.description,
        expression=record.expression,
        monotone=record.monotone,
        version=record.version,
        evaluate_with=evaluate,
    )


@contextmanager
def opened(project: str, name: str, version: int | None = None) -> Iterator[Invariant]:
    """Give a rule that can be evaluated, and end the process that a saved one is evaluated in.

    Raises:
        RuleNotFound: there is none of this name, or no such version.
    """
    with rule_process() as process:
        yield invariant_of(find_rule(project, name, version), process)


@contextmanager
def every(project: str) -> Iterator[tuple[Invariant, ...]]:
    """Give the built-in rules, and the saved ones by name as far as they are not too many."""
    saved = [record.name for record in listing(project) if record.kind == "saved"]
    with ExitStack() as stack:
        opens = [stack.enter_context(opened(project, name)) for name in saved[:_MOST_AT_ONCE]]
        yield (*opens, *all_invariants())


def try_on(
    project: str, expression: str, *, streams: Sequence[str] = (), sample: int = 20, monotone: bool = False
) -> Tried:
    """Evaluate an expression on some runs, the newest `sample` where none are named, and store nothing.

    Raises:
        RuleRefused: something is wrong with the expression.
        StreamNotFound: a stream has no events.
    """
    _check_expression(expression.strip())
    began = perf_counter()
    with rule_process() as process:
        rule = SavedRule(
            name="tried", expression=expression.strip(), monotone=monotone, version=1, evaluate_with=process
        )
        runs = tuple(_tried(project, stream, rule) for stream in streams or newest_runs(project, sample))
    verdicts = [run.verdict for run in runs]
    return Tried(
        runs=runs,
        events=sum(run.events for run in runs),
        holds=verdicts.count("holds"),
        fails=verdicts.count("fails"),
        raised=verdicts.count("raised"),
        seconds=perf_counter() - began,
    )


def newest_runs(project: str, most: int) -> list[str]:
    """Return the streams of the runs that came last into a project's journal."""
    rows = StreamRow.objects.filter(project=project, category=RUNS).order_by("-id")
    return list(rows.values_list("name", flat=True)[:most])


def _tried(project: str, stream: str, rule: SavedRule) -> TriedRun:
    found = grade_stream(get_store(project), stream, [rule])[rule.name]
    outcome, first = found.outcome, found.first_failing
    return TriedRun(
        stream=stream,
        events=outcome.events,
        verdict=outcome.verdict,
        first_failing=outcome.first_failing,
        event_id=first.event_id if first else None,
        message=first.message if first else outcome.error or outcome.note,
    )


def stream_of(name: str) -> str:
    """Return the stream of a saved rule."""
    return stream_name(CATEGORY, name)


def _event(data: Saved | Retired, by: str | None) -> EventData:
    return EventData(
        type=catalog.name_of(type(data)), data=codec.encode(data), metadata=codec.encode(Metadata(actor=by))
    )


def _versions(project: str, name: str) -> list[SavedVersion]:
    """Return the versions of a rule from its stream: one that was just saved is among them."""
    found: list[SavedVersion] = []
    for event in get_store(project).read_stream(stream_of(name)):
        match catalog.decode(event):
            case Saved() as saved:
                found.append(_of_event(event, saved))
            case Retired() if found:
                found[-1] = msgspec.structs.replace(found[-1], is_retired=True)
    return found


def _of_event(event: RecordedEvent, saved: Saved) -> SavedVersion:
    return SavedVersion(
        project=event.project,
        name=saved.name,
        version=saved.version,
        description=saved.description,
        expression=saved.expression,
        monotone=saved.monotone,
        saved_at=event.recorded_at,
        saved_by=saved.by,
    )


def _of_row(row: RuleRow) -> SavedVersion:
    return SavedVersion(
        project=row.project,
        name=row.name,
        version=row.version,
        description=row.description,
        expression=row.expression,
        monotone=row.monotone,
        saved_at=_EPOCH + timedelta(microseconds=row.saved_us),
        saved_by=row.saved_by or None,
        is_retired=row.is_retired,
    )


def _of_saved(saved: SavedVersion) -> RuleRecord:
    return RuleRecord(
        name=saved.name,
        version=saved.version,
        title=saved.name.replace("-", " ").capitalize(),
        description=saved.description,
        monotone=saved.monotone,
        kind="saved",
        theme=SavedRule.theme,
        remembers="run",
        expression=saved.expression,
        saved_at=saved.saved_at,
        saved_by=saved.saved_by,
        is_retired=saved.is_retired,
    )


def _of_built_in(rule: Invariant) -> RuleRecord:
    return RuleRecord(
        name=rule.name,
        version=rule.version,
        title=rule.title,
        description=rule.description,
        monotone=rule.monotone,
        kind="built-in",
        theme=rule.theme,
        remembers=rule.remembers,
    )


def _show() -> None:
    """Let lists show what was just saved, where they are not far behind."""
    projections.catch_up(projections.named(PROJECTION), most=_AT_MOST, patience_s=0)
