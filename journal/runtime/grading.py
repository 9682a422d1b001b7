"""Rules on the journal: one run read once for any number of rules, and a range of the journal in its own order.

What is asked about a run says when it first broke a rule; what is asked about a range says which event, of all runs,
was the first: the moment a tool behind them changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime

from journal.domain.bisect import bisect_run
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Invariant, Lookup, find, no_lookup
from journal.domain.judging import Fold, Recorded
from journal.domain.rule import SavedRule
from journal.errors import RuleNotFound, StreamNotFound
from journal.runtime.grader import Failing, Found, Grader, failing
from journal.runtime.grading_range import OverRange, Range, StreamError, StreamFlip, bisect_journal
from journal.store import EventStore, get_store

__all__ = [
    "Failing", "Found", "Grader", "OverRange", "Range", "StreamError", "StreamFlip", "bisect", "bisect_journal",
    "bisect_stream", "failing", "grade_run", "grade_stream", "rule_named",
]  # fmt: skip


def rule_named(name: str) -> Invariant:
    """Return a registered rule.

    Raises:
        RuleNotFound: there is none of this name.
    """
    rule = find(name)
    if rule is None:
        raise RuleNotFound(rule=name)
    return rule


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
    return graded(stream, events, [Grader(rule, stream) for rule in rules], lookup=lookup)


def graded(
    stream: str, events: Iterable[RecordedEvent], graders: Sequence[Grader], *, lookup: Lookup = no_lookup
) -> dict[str, Found]:
    """Return what graders at their beginning find on a run, by the rule's name, from reading its events once."""
    fold = Fold(stream, [grader.rule for grader in graders], lookup=lookup)
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
