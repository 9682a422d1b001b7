"""Where a run first breaks a rule: read in order for any rule, searched for where a broken rule stays broken.

A search asks about log2(n) times. Its answer is right only if the rule is monotone, which no search can find out, so a
search is followed by a reading of the same run, which either confirms it or replaces it: a wrong claim is reported and
never answered with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, Protocol

import msgspec

from journal.domain.invariant import Context, Fails, Holds, Invariant, Judgement, Raised, judge

Side = Literal["fails", "holds"]


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """An event from which on the verdict is another. A run with no events holds."""

    version: int
    to: Side


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a search asked about."""

    version: int
    verdict: Literal["fails", "holds", "raised"]
    message: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a rule on a run.

    `verdict` is `raised` where the rule went wrong before any failure was found. What it says ends at `raised_at`, the
    first event on which the rule went wrong. `evaluations` is how often the rule was asked to find the answer, and
    `checked` how often to confirm it. `recovered_at` is set where a rule claims to be monotone and is not: the first
    event at which it held again.
    """

    verdict: Literal["holds", "fails", "raised"]
    monotone: bool
    events: int
    evaluations: int
    method: Literal["bisect", "scan"]
    first_failing: int | None = None
    failure: Fails | None = None
    flips: tuple[Flip, ...] = ()
    probes: tuple[Probe, ...] = ()
    checked: int = 0
    raised_at: int | None = None
    error: str = ""
    recovered_at: int | None = None
    note: str = ""

    @property
    def never_held(self) -> bool:
        """Whether the run broke the rule with its first event and never kept it."""
        return self.first_failing == 1 and len(self.flips) == 1 and self.raised_at is None

    @property
    def is_claim_broken(self) -> bool:
        """Whether the rule claims to be monotone and this run shows that it is not."""
        return self.recovered_at is not None

    def words(self) -> str:
        """Return the outcome as sentences."""
        return " ".join(_sentences(self))


class Run(Protocol):
    """A run as rules see it."""

    @property
    def newest(self) -> int:
        """The newest version; 0 where there are no events."""

    def contexts(self) -> Iterator[Context]:
        """Yield the context of every event, in order."""

    def at(self, version: int) -> Context:
        """Return the context of one event."""


def first_failure(holds: Callable[[int], bool], *, after: int, until: int) -> int | None:
    """Return the lowest failing version in ``(after, until]``, or None where `until` holds.

    Asks at most log2(n) + 2 times, so it is only right for rules that never hold again once broken.

    Raises:
        ValueError: `after` is past `until`.
    """
    if after > until:
        raise ValueError(f"after {after} is past until {until}: the range ({after}, {until}] is no range")
    if after == until or holds(until):
        return None
    good, bad = after, until
    while bad - good > 1:
        middle = (good + bad) // 2
        if holds(middle):
            good = middle
        else:
            bad = middle
    return bad


class Scanner:
    """Takes the judgements on a run in order. An evaluator that went wrong is not believed any more."""

    def __init__(self) -> None:
        self.events = 0
        self.judged = 0
        self.flips: list[Flip] = []
        self.failure: Fails | None = None
        self.note = ""
        self.raised_at: int | None = None
        self.error = ""
        self._side: Side = "holds"

    @property
    def is_over(self) -> bool:
        """Whether the rule went wrong, so that asking on tells nothing."""
        return self.raised_at is not None

    @property
    def is_holding(self) -> bool:
        """Whether the newest judgement was none against the run."""
        return self._side == "holds"

    def take(self, version: int, judgement: Judgement) -> None:
        """Take in the judgement on the next event."""
        self.judged += 1
        match judgement:
            case Raised(message):
                self.raised_at, self.error = version, message
                return
            case Fails():
                side: Side = "fails"
                self.failure = self.failure or judgement
            case Holds(message):
                side = "holds"
                self.note = message or self.note
        if side != self._side:
            self._side = side
            self.flips.append(Flip(version=version, to=side))

    def outcome(self, *, events: int, monotone: bool) -> Outcome:
        """Return what the judgements so far amount to, over a run of `events`."""
        failed = self.flips[0].version if self.flips else None
        back = self.flips[1].version if len(self.flips) > 1 else None
        return Outcome(
            verdict="fails" if failed is not None else "raised" if self.is_over else "holds",
            monotone=monotone,
            events=events,
            evaluations=self.judged,
            method="scan",
            first_failing=failed,
            failure=self.failure,
            flips=tuple(self.flips),
            raised_at=self.raised_at,
            error=self.error,
            recovered_at=back if monotone else None,
            note=self.note,
        )


def scan(judgements: Iterable[tuple[int, Judgement]], *, monotone: bool = False) -> Outcome:
    """Return the outcome of judgements by version, in order. Reads on to the end for every flip, but past no error."""
    scanner = Scanner()
    version = 0
    for version, judgement in judgements:
        if not scanner.is_over:
            scanner.take(version, judgement)
    return scanner.outcome(events=version, monotone=monotone)


def bisect_run(rule: Invariant, run: Run, *, check: bool = True, after: int = 0) -> Outcome:
    """Return where a run first breaks a rule behind `after`.

    A monotone rule that can be asked about any event is searched for: at most log2(n) + 2 evaluations. With `check` the
    answer is then confirmed by reading the run; without, it stands and falls with the rule's claim. Any other rule is
    asked about every event. Events up to `after` are told to a rule that remembers, and what it says of them is not
    counted.
    """
    if not rule.monotone or not rule.can_be_probed:
        return read_run(rule, run, after=after)
    found = _search(rule, run, after)
    if not check:
        return found
    seen = read_run(rule, run, after=after)
    if (seen.verdict, seen.flips, seen.raised_at) == (found.verdict, found.flips, found.raised_at):
        return msgspec.structs.replace(found, checked=seen.evaluations, note=seen.note)
    return msgspec.structs.replace(seen, probes=found.probes, checked=found.evaluations)


def read_run(rule: Invariant, run: Run, *, after: int = 0) -> Outcome:
    """Return where a run first breaks a rule behind `after`, and every flip, from asking about every event in order."""
    evaluator, scanner = rule.begin(_stream(run)), Scanner()
    for ctx in run.contexts():
        judgement = judge(evaluator, ctx)
        if ctx.version > after or isinstance(judgement, Raised):
            scanner.take(ctx.version, judgement)
        if scanner.is_over:
            break
    return scanner.outcome(events=run.newest, monotone=rule.monotone)


def _stream(run: Run) -> str:
    return next((ctx.stream for ctx in run.contexts()), "")


class _Wrong(Exception):
    """The rule raised on a probe."""


def _search(rule: Invariant, run: Run, after: int) -> Outcome:
    evaluator = rule.begin("")
    judged: dict[int, Judgement] = {}

    def holds(version: int) -> bool:
        judged[version] = judge(evaluator, run.at(version))
        if isinstance(judged[version], Raised):
            raise _Wrong
        return isinstance(judged[version], Holds)

    try:
        failed = first_failure(holds, after=min(after, run.newest), until=run.newest)
    except _Wrong:
        failed = None
    failure = judged[failed] if failed is not None else None
    wrong = next((version for version, found in judged.items() if isinstance(found, Raised)), None)
    return Outcome(
        verdict="raised" if wrong else "fails" if failed else "holds",
        monotone=True,
        events=run.newest,
        evaluations=len(judged),
        method="bisect",
        first_failing=failed,
        failure=failure if isinstance(failure, Fails) else None,
        flips=(Flip(version=failed, to="fails"),) if failed else (),
        probes=tuple(_probe(version, found) for version, found in judged.items()),
        raised_at=wrong,
        error=judged[wrong].message if wrong else "",
    )


def _probe(version: int, judgement: Judgement) -> Probe:
    match judgement:
        case Holds(message):
            return Probe(version=version, verdict="holds", message=message)
        case Fails(message, _):
            return Probe(version=version, verdict="fails", message=message)
        case Raised(message):
            return Probe(version=version, verdict="raised", message=message)


def _sentences(outcome: Outcome) -> Iterator[str]:
    yield _headline(outcome)
    if outcome.recovered_at is not None:
        yield (
            f"The rule claims that a broken run stays broken, and held again at {outcome.recovered_at}: the claim is"
            " wrong, and this answer comes from every event."
        )
    elif outcome.method == "bisect" and not outcome.checked:
        yield "Searched, not read: true if the rule, once broken, stays broken."
    if outcome.raised_at is not None and outcome.verdict == "fails":
        yield f"The rule raised at event {outcome.raised_at} ({outcome.error}); nothing is known from there on."


def _headline(outcome: Outcome) -> str:
    if outcome.verdict == "raised":
        return (
            f"It cannot be told: the rule itself went wrong at event {outcome.raised_at} ({outcome.error})."
            " That is no failure of the run."
        )
    if outcome.first_failing is None:
        return f"Holds at all {outcome.events:,} events." if outcome.events else "Holds: there are no events."
    if outcome.never_held:
        return f"Never held: fails at event 1 and at every event since, {outcome.events:,} in all."
    if outcome.first_failing == 1:
        return "Fails at event 1, the first; there is no event before it that held."
    return f"First fails at event {outcome.first_failing}; held at {outcome.first_failing - 1}."
