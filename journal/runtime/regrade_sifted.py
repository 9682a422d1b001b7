"""Runs judged by a rule that says what it looks at: only those events are read, many runs at once.

What comes out is what `grading` comes to by reading every event (a property test compares the two). It is quicker since
the others are not even fetched: a verdict on an event that was left out follows from the rule's own declaration. It is
not for runs of which something was purged or erased: of an event whose payload is gone no declaration says anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from journal.domain.bisect import Outcome, Scanner
from journal.domain.catalog import catalog
from journal.domain.invariant import (
    HOLDS,
    Call,
    Context,
    Evaluator,
    Holds,
    Invariant,
    Judgement,
    Lookup,
    judgement_of,
    raised,
)
from journal.domain.invariant import judged as verdict
from journal.domain.judging import Calls, Glimpse
from journal.domain.rule import Key, SavedRule
from journal.domain.run_parts import Parts
from journal.domain.sieve import OF_CALLS, Sieve, Types
from journal.runtime.regrade_types import FrozenRun
from journal.runtime.regrade_verdict import CALLED, STARTED, Blamed, Facts
from journal.store import EventStore
from journal.store.protocol import Told
from journal.store.sql import moment

_MOST_WAITING: Final = 4_096
"""Events about which a saved rule is asked together."""

_RUNS_AT_ONCE: Final = 500
_SELF: Final = frozenset((STARTED, CALLED))
"""Events in which a run says who it is."""


class Course:
    """One rule on its way along one run, told of some of its events."""

    def __init__(self, sieve: Sieve) -> None:
        self.scanner = Scanner()
        self.about: int | None = None
        self.call: Call | None = None
        self.is_waiting = False
        self._holds_between = sieve.between == "holds"
        self._last = 0

    def settle(self, version: int, judgement: Judgement, seen: Glimpse | None = None) -> None:
        """Take in the judgement on an event that was told, and its call where that can be `seen`."""
        scanner = self.scanner
        if scanner.is_over:
            return
        self._reach(version - 1)
        self._last = version
        scanner.take(version, judgement)
        if self.about is None and not isinstance(judgement, Holds):
            self.about, self.call = version, seen.call if seen is not None else None

    def _reach(self, version: int) -> None:
        """Take in that the rule held again where it failed last, on the events in between."""
        if self._holds_between and self._last < version and not self.scanner.is_holding:
            self.scanner.take(self._last + 1, HOLDS)

    def outcome(self, events: int, *, monotone: bool) -> Outcome:
        """Return what the judgements amount to, over a run of `events`."""
        if not self.scanner.is_over:
            self._reach(events)
        return self.scanner.outcome(events=events, monotone=monotone)


def _seen(glimpse: Glimpse) -> Context:
    """Return it as what a rule is given: it has all that one has, and says where that is not there."""
    return cast("Context", glimpse)


class _Built:
    """A rule in Python on its way along any number of runs."""

    def __init__(self, rule: Invariant, sieve: Sieve, lookup: Lookup) -> None:
        self.rule = rule
        self.sieve = sieve
        self.knows_calls = sieve.between == "holds"
        self._lookup = lookup
        self._memories: dict[str, tuple[Course, Glimpse, Evaluator]] = {}

    def take(self, stream: str, rows: Sequence[Told]) -> None:
        """Judge the next events of a run."""
        if stream not in self._memories:
            state = None if self.knows_calls else Parts(stream, self.sieve.parts)
            glimpse = Glimpse(stream, lookup=self._lookup, state=state)
            self._memories[stream] = (Course(self.sieve), glimpse, self.rule.begin(stream))
        course, glimpse, evaluator = self._memories[stream]
        if course.scanner.is_over:
            return
        if isinstance(glimpse.state_after, Parts):
            self._over_state(course, glimpse, evaluator, rows)
        else:
            self._over_events(course, glimpse, evaluator, rows)

    def _over_events(self, course: Course, glimpse: Glimpse, evaluator: Evaluator, rows: Sequence[Told]) -> None:
        kinds, take, passed, step, ctx = (
            self.sieve.judged.names,
            glimpse.take,
            glimpse.passed,
            evaluator.step,
            _seen(glimpse),
        )
        is_quiet = course.scanner.is_holding
        for row in rows:
            kind = row[2]
            if kind in OF_CALLS:
                passed.append(row)
            if kind not in kinds:
                continue
            take(row)
            try:
                verdict = step(ctx)
            except Exception as error:  # noqa: BLE001 - as in `judge`
                course.settle(row[1], raised(error), glimpse)
                return
            if verdict is HOLDS and is_quiet:
                continue
            course.settle(row[1], judgement_of(verdict), glimpse)
            if course.scanner.is_over:
                return
            is_quiet = course.scanner.is_holding
        glimpse.forget()

    def _over_state(self, course: Course, glimpse: Glimpse, evaluator: Evaluator, rows: Sequence[Told]) -> None:
        ctx, state = _seen(glimpse), glimpse.state_after
        for row in rows:
            glimpse.take(row)
            if isinstance(state, Parts):
                state.take(row[1], glimpse.data)
            judgement = verdict(evaluator, ctx)
            if judgement is not HOLDS or not course.scanner.is_holding:
                course.settle(row[1], judgement)
            if course.scanner.is_over:
                return

    def finish(self) -> None:
        """Judge what waits: nothing does."""

    def course(self, stream: str) -> Course:
        """Return how a run went."""
        known = self._memories.get(stream)
        return known[0] if known else Course(self.sieve)


class _Saved:
    """A saved rule on its way along any number of runs. Those events wait on which its answer is not known yet."""

    knows_calls = False

    def __init__(self, rule: SavedRule, sieve: Sieve) -> None:
        self.rule = rule
        self.sieve = sieve
        self._read = _Reader()
        self._memories: dict[str, tuple[Course, Parts]] = {}
        self._waiting: list[tuple[Course, int, Key | Judgement, bytes]] = []

    def take(self, stream: str, rows: Sequence[Told]) -> None:
        """Judge the next events of a run, or let them wait."""
        if stream not in self._memories:
            self._memories[stream] = (Course(self.sieve), Parts(stream, self.sieve.parts))
        course, state = self._memories[stream]
        rule, judged, folds, known = self.rule, self.sieve.judged, self.sieve.folds, self.rule.known
        is_first_judged, part = self.sieve.between == "same", None
        for _, version, kind, schema, raw, _ in rows:
            if kind in folds:
                state.take(version, self._read(kind, schema, raw))
                part = None
            if kind not in judged and not (is_first_judged and version == 1):
                continue
            try:
                part = rule.state_part(state) if part is None else part
                key = rule.key(kind, schema, raw, version, part)
            except Exception as error:  # noqa: BLE001 - data that nobody can write down again must not end the others
                self._wait(course, version, raised(error), raw)
                continue
            answer = known.get(key)
            if answer is None or answer.value is not True or course.is_waiting or not course.scanner.is_holding:
                self._wait(course, version, key, raw)
        if len(self._waiting) >= _MOST_WAITING:
            self.finish()

    def _wait(self, course: Course, version: int, asked: Key | Judgement, raw: bytes) -> None:
        course.is_waiting = True
        self._waiting.append((course, version, asked, raw))

    def finish(self) -> None:
        """Ask about what waits, and judge it in its order."""
        waiting, self._waiting = self._waiting, []
        rule = self.rule
        raws = {key: raw for _, _, key, raw in waiting if isinstance(key, tuple)}
        answers = {key: rule.known.get(key) for key in raws}
        asked = {key: rule.asked_for(key, raws[key]) for key, answer in answers.items() if answer is None}
        fresh = dict(zip(asked, rule.answers(list(asked.values())), strict=True))
        answers |= fresh
        for course, version, key, raw in waiting:
            course.is_waiting = False
            if not isinstance(key, tuple):
                course.settle(version, key)
            elif (answer := answers[key]) is not None:
                text = asked.get(key) or rule.asked_for(key, raw) if answer.error is not None else b""
                course.settle(version, HOLDS if answer.value is True else rule.judgement(answer, text, version))
        rule.known.update(fresh)
        rule.forget()

    def course(self, stream: str) -> Course:
        """Return how a run went."""
        known = self._memories.get(stream)
        return known[0] if known else Course(self.sieve)


class _Reader:
    """Decodes events of the newest schema without asking the catalog for each."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, Callable[[bytes], Any]]] = {}

    def __call__(self, kind: str, schema: int, raw: bytes) -> Any:
        """Return an event's data as the catalog reads it."""
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = catalog.reader(kind)
        if known[0] == schema:
            try:
                return known[1](raw)
            except msgspec.MsgspecError:
                pass
        return catalog.read(kind, schema, raw)


# --- Many runs --------------------------------------------------------------------------------------------------------


def can_be_sifted(rule: Invariant, before: Invariant | None) -> bool:
    """Return whether all that is to be asked of a run says what it looks at."""
    return rule.sieve() is not None and (before is None or before.sieve() is not None)


class Judged(msgspec.Struct, frozen=True):
    """How a rule did on a run, and its previous version where that was asked."""

    run: FrozenRun
    outcome: Outcome
    before: Outcome | None
    facts: Facts
    blamed: Blamed | None


def judged(  # noqa: PLR0913 - what is judged by what
    store: EventStore,
    runs: Sequence[FrozenRun],
    rule: Invariant,
    *,
    before: Invariant | None,
    asks_before: Callable[[FrozenRun], bool],
    lookup: Lookup,
    look: Callable[[], None],
) -> Iterator[Judged]:
    """Yield how a rule does on each of some whole runs. `look` is called now and then."""
    for start in range(0, len(runs), _RUNS_AT_ONCE):
        page = runs[start : start + _RUNS_AT_ONCE]
        main = _way(rule, lookup)
        other = _way(before, lookup) if before is not None else None
        asked = {run.run for run in page if other is not None and asks_before(run)}
        facts = _read(store, {run.run: run.run_version for run in page}, main, other, asked, look)
        blamed = _blamed(store, main, [run.run for run in page])
        for run in page:
            events = run.run_version if run.run in facts else 0
            yield Judged(
                run,
                main.course(run.run).outcome(events, monotone=rule.monotone),
                other.course(run.run).outcome(events, monotone=False) if other and run.run in asked else None,
                facts.get(run.run) or Facts(),
                blamed.get(run.run),
            )


def _way(rule: Invariant, lookup: Lookup) -> _Built | _Saved:
    sieve = rule.sieve()
    assert sieve is not None  # see `can_be_sifted`  # noqa: S101
    return _Saved(rule, sieve) if isinstance(rule, SavedRule) else _Built(rule, sieve, lookup)


def _read(  # noqa: PLR0913, PLR0917 - as above
    store: EventStore,
    runs: Mapping[str, int],
    main: _Built | _Saved,
    other: _Built | _Saved | None,
    asked: set[str],
    look: Callable[[], None],
) -> dict[str, Facts]:
    """Let the rules judge, and return what the runs say of themselves."""
    types = Types(_SELF) if CALLED in main.sieve.read else Types(frozenset((STARTED,)))
    types = main.sieve.read | types | (other.sieve.read if other else Types(frozenset()))
    facts: dict[str, Facts] = {}
    unknown: dict[str, int] = {}
    read = _Reader()
    for stream, rows in store.read_told(runs, types=types):
        main.take(stream, rows)
        if other is not None and stream in asked:
            other.take(stream, rows)
        if stream not in facts:
            facts[stream] = _facts(rows)
            _learn(facts[stream], read, rows[:1])
            if CALLED not in types and (rows[0][1] != 1 or facts[stream].model is None):
                unknown[stream] = runs[stream]
        _learn(facts[stream], read, rows)
        look()
    main.finish()
    if other is not None:
        other.finish()
    # A run that names its model first thing is read enough; the others name it in a request, or in nothing.
    again = set[str]()
    for stream, rows in store.read_told(unknown, types=Types(_SELF)) if unknown else ():
        if stream not in again:
            again.add(stream)
            facts[stream] = _facts(rows)
        _learn(facts[stream], read, rows)
        look()
    return facts


def _facts(first: Sequence[Told]) -> Facts:
    """Return what is known of a run before its events are looked at."""
    facts = Facts()
    facts.started_at = moment(first[0][5])
    return facts


def _learn(facts: Facts, read: _Reader, rows: Sequence[Told]) -> None:
    """Let facts take what a run says of itself. Nothing of it is held: a request to a model is a whole context."""
    for _, version, kind, schema, raw, _ in rows:
        if kind in _SELF and not facts.is_told(version):
            facts.take(version, read(kind, schema, raw))


def _blamed(store: EventStore, main: _Built | _Saved, streams: Iterable[str]) -> dict[str, Blamed]:
    """Return the events to blame, and the calls they answer: read by now only where the rule asks for calls."""
    courses = {stream: main.course(stream) for stream in streams}
    events = store.read_places({stream: course.about for stream, course in courses.items() if course.about})
    if main.knows_calls:
        return {stream: Blamed(event, courses[stream].call) for stream, event in events.items()}
    answers = {stream: event.version for stream, event in events.items() if event.type in OF_CALLS}
    calls = _calls(store, answers)
    return {stream: Blamed(event, calls.get(stream)) for stream, event in events.items()}


def _calls(store: EventStore, places: Mapping[str, int]) -> dict[str, Call | None]:
    """Return the call that the event at a version of each stream makes or answers."""
    read, found = _Reader(), dict[str, Call | None]()
    open_calls: defaultdict[str, Calls] = defaultdict(Calls)
    for stream, rows in store.read_told(places, types=Types(OF_CALLS)) if places else ():
        for _, version, kind, schema, raw, _ in rows:
            call = open_calls[stream].of(version, kind, read(kind, schema, raw)) if kind in OF_CALLS else None
            if version == places[stream]:
                found[stream] = call
    return found
