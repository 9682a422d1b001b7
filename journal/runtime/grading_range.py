"""A rule on a range of the journal, in its own order: which event, of all runs, was the first to break it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from journal.domain.agent_run import CATEGORY
from journal.domain.bisect import Flip, Side
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Call, Context, Invariant, Judgement, Lookup, no_lookup
from journal.domain.judging import Fold
from journal.runtime.grader import Batch, Failing, Grader
from journal.store import EventStore


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


class _OnJournal:
    """A rule on all runs at once. Each run is folded from its first event on, wherever the range begins."""

    def __init__(self, rule: Invariant, chosen: Range, lookup: Lookup) -> None:
        self._rule = rule
        self._range = chosen
        self._lookup = lookup
        self._shared = rule.begin("") if rule.remembers == "journal" else None
        self._batch = Batch(rule, self._settle)
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
