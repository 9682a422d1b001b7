"""One rule on its way along one run, told every event, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from journal.domain.bisect import Outcome, Scanner
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
    Raised,
    judge,
    raised,
    withheld,
)
from journal.domain.rule import AT_ONCE, SavedRule

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


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A rule on one run: the outcome, and the first failing event."""

    rule: str
    rule_version: int
    stream: str
    outcome: Outcome
    first_failing: Failing | None


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


_Settle = Callable[["Grader", RecordedEvent, "Call | None", Judgement], None]


class Batch:
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
        self, rule: Invariant, stream: str, evaluator: Evaluator | None = None, *, batch: Batch | None = None
    ) -> None:
        self.rule = rule
        self.batch = batch or Batch(rule, _settled)
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
