"""Rules on the journal: one run read once for any number of rules, and a range of the journal in its own order.

What is asked about a run says when it first broke a rule; what is asked about a range says which event, of all runs,
was the first: the moment a tool behind them changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Final

import msgspec

from journal.domain.agent_run import CATEGORY
from journal.domain.bisect import Flip, Outcome, Scanner, Side, bisect_run
from journal.domain.event import RecordedEvent
from journal.domain.invariant import (
    HOLDS,
    Call,
    Context,
    Evaluator,
    Fails,
    Holds,
    Invariant,
    Judgement,
    Lookup,
    Raised,
    find,
    judge,
    no_lookup,
    raised,
    withheld,
)
from journal.domain.judging import Fold, Recorded
from journal.domain.rule import AT_ONCE, SavedRule
from journal.errors import RuleNotFound, StreamNotFound
from journal.store import EventStore, get_store

_MOST_BYTES: Final = 1 << 20
"""What is asked of a saved rule at once."""


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


def bisect_stream(  # noqa: PLR0913 - a run is what it is
    rule: Invariant,
    store: EventStore,
    stream: str,
    *,
    check: bool = True,
    until: int | None = None,
    lookup: Lookup = no_lookup,
) -> Found:
    """Return where a run first breaks a rule, up to version `until`. Reads it once; see `domain.bisect.bisect_run`.

    Raises:
        StreamNotFound: the stream has no events.
    """
    run = Recorded(stream, store.read_stream(stream, until=until), rule, lookup=lookup)
    if not run.newest:
        raise StreamNotFound(stream=stream, project=store.project)
    if isinstance(rule, SavedRule) and (check or not rule.monotone):
        rule.prepare(run.contexts())
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
    graders = [Grader(rule, stream) for rule in rules]
    version = 0
    for event in events:
        ctx = fold.take(event)
        version = event.version
        for grader in graders:
            grader.take(ctx)
    for grader in graders:
        grader.batch.flush()
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


_Settle = Callable[["Grader", RecordedEvent, "Call | None", Judgement], None]


class _Batch:
    """Asks a saved rule about many events at once; `settle` is given the answers, in the order of the events."""

    def __init__(self, rule: Invariant, settle: _Settle) -> None:
        self._saved = rule if isinstance(rule, SavedRule) else None
        self.settle = settle
        self._asked: list[tuple[Grader, RecordedEvent, Call | None, bytes]] = []
        self._bytes = 0

    def add(self, grader: Grader, ctx: Context) -> None:
        """Ask about an event together with others."""
        assert self._saved is not None  # noqa: S101 - only a saved rule is asked later
        if (nothing := withheld(ctx.event)) is not None:
            self.flush()
            self.settle(grader, ctx.event, ctx.call, nothing)
            return
        try:
            asked = self._saved.asked(ctx)
        except Exception as error:  # noqa: BLE001 - data that nobody can write down again must not end the others
            self.flush()
            self.settle(grader, ctx.event, ctx.call, raised(error))
            return
        self._asked.append((grader, ctx.event, ctx.call, asked))
        self._bytes += len(asked)
        if len(self._asked) >= AT_ONCE or self._bytes > _MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Judge what waits."""
        asked, self._asked, self._bytes = self._asked, [], 0
        if self._saved is not None and asked:
            judgements = self._saved.judged([each[-1] for each in asked], [event.version for _, event, _, _ in asked])
            for (grader, event, call, _), judgement in zip(asked, judgements, strict=True):
                self.settle(grader, event, call, judgement)


def _settled(grader: Grader, event: RecordedEvent, call: Call | None, judgement: Judgement) -> None:
    grader.settle(event, call, judgement)


class Grader:
    """One rule on its way along one run. `counts` says which events count; the others are only remembered."""

    def __init__(
        self, rule: Invariant, stream: str, evaluator: Evaluator | None = None, *, batch: _Batch | None = None
    ) -> None:
        self.rule = rule
        self.batch = batch or _Batch(rule, _settled)
        self.scanner = Scanner()
        self.first: Failing | None = None
        self.about: tuple[RecordedEvent, Call | None] | None = None
        self._stream = stream
        self._evaluator = evaluator or rule.begin(stream)
        self._uncounted: set[int] = set()
        self._is_asked_later = isinstance(rule, SavedRule)

    def take(self, ctx: Context, *, counts: bool = True) -> None:
        """Judge the next event. One that does not count is only remembered."""
        if self.scanner.raised_at is not None:
            return
        if not counts:
            self._uncounted.add(ctx.version)
        if self._is_asked_later:
            self.batch.add(self, ctx)
            return
        judgement = judge(self._evaluator, ctx)
        if judgement is HOLDS and self.scanner.is_holding and counts:
            self.scanner.judged += 1  # nearly every event: nothing changes but the count
        else:
            self.batch.settle(self, ctx.event, ctx.call, judgement)

    def settle(self, event: RecordedEvent, call: Call | None, judgement: Judgement) -> None:
        """Take the judgement on an event in. `about` is the first that breaks the rule, or where that went wrong."""
        if self.scanner.is_over or (event.version in self._uncounted and not isinstance(judgement, Raised)):
            return
        self.scanner.take(event.version, judgement)
        if self.about is None and not isinstance(judgement, Holds):
            self.about = (event, call)
        if self.first is None and isinstance(judgement, Fails):
            self.first = failing(event, judgement)

    def found(self, events: int) -> Found:
        """Return the outcome over a run of `events`."""
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
        self._batch = _Batch(rule, self._settle)
        self._runs: dict[str, tuple[Fold, Grader]] = {}
        self._touched: set[str] = set()
        self.first: Failing | None = None
        self.flips: list[StreamFlip] = []
        self.events = 0

    def take(self, event: RecordedEvent) -> None:
        fold, grader = self._run(event.stream)
        ctx = fold.take(event)
        counts = self._range.covers(ctx)
        grader.take(ctx, counts=counts)
        if counts:
            self.events += 1
            self._touched.add(event.stream)

    def _settle(self, grader: Grader, event: RecordedEvent, call: Call | None, judgement: Judgement) -> None:
        flips = len(grader.scanner.flips)
        grader.settle(event, call, judgement)
        self.first = self.first or grader.first
        self.flips += _of(event.stream, grader.scanner.flips[flips:])

    def _run(self, stream: str) -> tuple[Fold, Grader]:
        if stream not in self._runs:
            fold = Fold(stream, [self._rule], lookup=self._lookup)
            self._runs[stream] = (fold, Grader(self._rule, stream, self._shared, batch=self._batch))
        return self._runs[stream]

    def found(self) -> OverRange:
        self._batch.flush()
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
    head: int | None = None,
    lookup: Lookup = no_lookup,
) -> OverRange:
    """Return the first event in the journal's order that breaks a rule, and every flip of every run in the range.

    Reads up to position `head` where that is given.

    Reads all agent runs once, by position: a run that began before `since` is folded from its beginning, and only what
    occurred in the range is judged by.
    """
    over = _OnJournal(rule, Range(since=since, until=until, tool=tool), lookup)
    for event in store.read_category(CATEGORY):
        if head is not None and event.position > head:
            break
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

    A name is looked for among the built-in rules and the project's saved ones.

    Raises:
        RuleNotFound: `rule` is a name that no rule has.
        StreamNotFound: the stream has no events.
        ValueError: a stream and a range are given.
    """
    from journal.runtime import lookups, saved_rules  # noqa: PLC0415 - they need tables, and one of them grades

    if stream is not None and (since or until or tool):
        raise ValueError("a stream is looked at whole: since, until and tool choose events of the journal")
    store = get_store(project)
    with saved_rules.opened(project, rule) if isinstance(rule, str) else nullcontext(rule) as known:
        if stream is None:
            return bisect_journal(known, store, since=since, until=until, tool=tool, lookup=lookups.of(project))
        return bisect_stream(known, store, stream, lookup=lookups.of(project))
