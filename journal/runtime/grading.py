"""Rules on the journal: one run read once for any number of rules, and a range of the journal in its own order.

What is asked about a run says when it first broke a rule; what is asked about a range says which event, of all runs,
was the first: the moment a tool behind them changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from journal.domain.agent_run import CATEGORY
from journal.domain.bisect import Flip, Outcome, Scanner, Side, bisect_run
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Context, Evaluator, Fails, Invariant, Lookup, Raised, find, judge, no_lookup
from journal.domain.judging import Fold, Recorded
from journal.errors import RuleNotFound, StreamNotFound
from journal.store import EventStore, get_store


class Failing(msgspec.Struct, frozen=True, kw_only=True):
    """An event that breaks a rule, and what was seen."""

    stream: str
    version: int
    position: int
    event_id: str
    type: str
    message: str
    versions: tuple[int, ...] = ()


class StreamFlip(msgspec.Struct, frozen=True, kw_only=True):
    """An event from which on a run's verdict is another."""

    stream: str
    version: int
    to: Side


class StreamError(msgspec.Struct, frozen=True, kw_only=True):
    """An event on which the rule went wrong; the rest of its run is not judged."""

    stream: str
    version: int
    message: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A rule on one run: the outcome, and the first failing event."""

    rule: str
    rule_version: int
    stream: str
    outcome: Outcome
    first_failing: Failing | None


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of the journal count: those that occurred in ``[since, until]``, of `tool` where it is set."""

    since: datetime | None = None
    until: datetime | None = None
    tool: str | None = None

    def covers(self, ctx: Context) -> bool:
        """Return whether an event counts."""
        moment = ctx.event.occurred_at
        if (self.since and moment < self.since) or (self.until and moment > self.until):
            return False
        return self.tool is None or self.tool == (ctx.call.tool if ctx.call else ctx.event.payload.get("toolName"))


class OverRange(msgspec.Struct, frozen=True, kw_only=True):
    """A rule on a range of the journal. `events` counts those in the range, `runs` the runs they are of."""

    rule: str
    rule_version: int
    monotone: bool
    range: Range
    first_failing: Failing | None
    flips: tuple[StreamFlip, ...]
    errors: tuple[StreamError, ...]
    evaluations: int
    events: int
    runs: int
    failing_runs: int

    @property
    def verdict(self) -> Side:
        """Whether any event of the range breaks the rule."""
        return "holds" if self.first_failing is None else "fails"


def rule_named(name: str) -> Invariant:
    """Return a registered rule.

    Raises:
        RuleNotFound: there is none of this name.
    """
    rule = find(name)
    if rule is None:
        raise RuleNotFound(rule=name)
    return rule


def failing(event: RecordedEvent, failure: Fails) -> Failing:
    """Return a failure with the event's place in the journal."""
    return Failing(
        stream=event.stream,
        version=event.version,
        position=event.position,
        event_id=event.id,
        type=event.type,
        message=failure.message,
        versions=failure.versions,
    )


def bisect_stream(
    rule: Invariant, store: EventStore, stream: str, *, check: bool = True, lookup: Lookup = no_lookup
) -> Found:
    """Return where a run first breaks a rule. Reads the run once; see `journal.domain.bisect.bisect_run`.

    Raises:
        StreamNotFound: the stream has no events.
    """
    run = Recorded(stream, store.read_stream(stream), rule, lookup=lookup)
    if not run.newest:
        raise StreamNotFound(stream=stream, project=store.project)
    outcome = bisect_run(rule, run, check=check)
    first = None
    if outcome.first_failing is not None and outcome.failure is not None:
        first = failing(run.event(outcome.first_failing), outcome.failure)
    return Found(rule=rule.name, rule_version=rule.version, stream=stream, outcome=outcome, first_failing=first)


def grade_run(
    stream: str, events: Iterable[RecordedEvent], rules: Sequence[Invariant], *, lookup: Lookup = no_lookup
) -> dict[str, Found]:
    """Return the outcome of every rule on a run, by the rule's name, from reading its events once."""
    fold = Fold(stream, rules, lookup=lookup)
    graders = [_Grader(rule, stream) for rule in rules]
    version = 0
    for event in events:
        ctx = fold.take(event)
        version = event.version
        for grader in graders:
            grader.take(ctx)
    return {grader.rule.name: grader.found(version) for grader in graders}


def grade_stream(
    store: EventStore, stream: str, rules: Sequence[Invariant], *, lookup: Lookup = no_lookup
) -> dict[str, Found]:
    """Return the outcome of every rule on a run of the journal.

    Raises:
        StreamNotFound: the stream has no events.
    """
    if not store.stream_version(stream):
        raise StreamNotFound(stream=stream, project=store.project)
    return grade_run(stream, store.read_stream(stream), rules, lookup=lookup)


class _Grader:
    """One rule on its way along one run."""

    def __init__(self, rule: Invariant, stream: str, evaluator: Evaluator | None = None) -> None:
        self.rule = rule
        self.scanner = Scanner()
        self.first: Failing | None = None
        self._stream = stream
        self._evaluator = evaluator or rule.begin(stream)

    def take(self, ctx: Context, *, counts: bool = True) -> None:
        """Judge the next event. One that does not count is only remembered."""
        if self.scanner.is_over:
            return
        judgement = judge(self._evaluator, ctx)
        if not counts and not isinstance(judgement, Raised):
            return
        self.scanner.take(ctx.version, judgement)
        if self.first is None and isinstance(judgement, Fails):
            self.first = failing(ctx.event, judgement)

    def found(self, events: int) -> Found:
        outcome = self.scanner.outcome(events=events, monotone=self.rule.monotone)
        return Found(
            rule=self.rule.name,
            rule_version=self.rule.version,
            stream=self._stream,
            outcome=outcome,
            first_failing=self.first,
        )


class _OnJournal:
    """A rule on all runs at once. Each run is folded from its first event on, wherever the range begins."""

    def __init__(self, rule: Invariant, chosen: Range, lookup: Lookup) -> None:
        self._rule = rule
        self._range = chosen
        self._lookup = lookup
        self._shared = rule.begin("") if rule.remembers == "journal" else None
        self._runs: dict[str, tuple[Fold, _Grader]] = {}
        self._touched: set[str] = set()
        self.first: Failing | None = None
        self.flips: list[StreamFlip] = []
        self.events = 0

    def take(self, event: RecordedEvent) -> None:
        fold, grader = self._run(event.stream)
        ctx = fold.take(event)
        counts = self._range.covers(ctx)
        flips = len(grader.scanner.flips)
        grader.take(ctx, counts=counts)
        if counts:
            self.events += 1
            self._touched.add(event.stream)
        self.first = self.first or grader.first
        self.flips += _of(event.stream, grader.scanner.flips[flips:])

    def _run(self, stream: str) -> tuple[Fold, _Grader]:
        if stream not in self._runs:
            fold = Fold(stream, [self._rule], lookup=self._lookup)
            self._runs[stream] = (fold, _Grader(self._rule, stream, self._shared))
        return self._runs[stream]

    def found(self) -> OverRange:
        scanners = {stream: grader.scanner for stream, (_, grader) in self._runs.items()}
        errors = (
            StreamError(stream=stream, version=scanner.raised_at, message=scanner.error)
            for stream, scanner in scanners.items()
            if scanner.raised_at is not None
        )
        return OverRange(
            rule=self._rule.name,
            rule_version=self._rule.version,
            monotone=self._rule.monotone,
            range=self._range,
            first_failing=self.first,
            flips=tuple(self.flips),
            errors=tuple(errors),
            evaluations=sum(scanner.judged for scanner in scanners.values()),
            events=self.events,
            runs=len(self._touched),
            failing_runs=sum(scanner.failure is not None for scanner in scanners.values()),
        )


def _of(stream: str, flips: Iterable[Flip]) -> Iterator[StreamFlip]:
    return (StreamFlip(stream=stream, version=flip.version, to=flip.to) for flip in flips)


def bisect_journal(  # noqa: PLR0913 - a range is what it is
    rule: Invariant,
    store: EventStore,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    tool: str | None = None,
    lookup: Lookup = no_lookup,
) -> OverRange:
    """Return the first event in the journal's order that breaks a rule, and every flip of every run in the range.

    Reads all agent runs once, by position: a run that began before `since` is folded from its beginning, and only what
    occurred in the range is judged by.
    """
    over = _OnJournal(rule, Range(since=since, until=until, tool=tool), lookup)
    for event in store.read_category(CATEGORY):
        over.take(event)
    return over.found()


def bisect(  # noqa: PLR0913 - the public call, by keywords
    rule: Invariant | str,
    *,
    stream: str | None = None,
    project: str = "default",
    since: datetime | None = None,
    until: datetime | None = None,
    tool: str | None = None,
) -> Found | OverRange:
    """Return where a rule first fails: in a run where `stream` is given, else in the journal's order over a range.

    Raises:
        RuleNotFound: `rule` is a name that no rule has.
        StreamNotFound: the stream has no events.
        ValueError: a stream and a range are given.
    """
    known = rule_named(rule) if isinstance(rule, str) else rule
    store = get_store(project)
    if stream is None:
        return bisect_journal(known, store, since=since, until=until, tool=tool)
    if since or until or tool:
        raise ValueError("a stream is looked at whole: since, until and tool choose events of the journal")
    return bisect_stream(known, store, stream)
