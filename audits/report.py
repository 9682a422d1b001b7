"""The audit report as data: pure assembly of what an auditor reads, from evidence that was gathered.

An action is a decision to call a tool, an answer, a hand-off, something committed to memory, an abort, or what a person
asked. Its justification is what the model itself gave as its reason, quoted and said to be that; where none was
recorded, that is said.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from audits.bundle import Evidence
from audits.selection import Part, Query
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.leaf import leaf_of
from journal.domain.text import amount, clip, plain
from journal.domain.withdrawn import Mark, mark_on
from journal.runtime.verdicts import Regraded

MOST_ACTIONS: Final = 2_000
"""In the visible part; every event is in the attached files however many there are."""

_QUOTED: Final = 1_200
_TITLE: Final = 110
_ACTIONS: Final = (run.Reasoned, run.Answered, run.HandedOff, run.MemoryWritten, run.Aborted)
_NONE: Final = "none found"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A name and its value; `is_wrong` is drawn in red and says so."""

    name: str
    value: str
    is_wrong: bool = False
    is_sum: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Action:
    """One action. `number` counts through the report, `version` is the event's in its run."""

    number: int
    event_id: str
    at: datetime
    kind: str
    letter: str
    sentence: str
    version: int
    reason: str
    reason_at: int
    reason_note: str
    facts: tuple[Fact, ...]
    fails: tuple[str, ...]
    index: int
    leaf: str

    @property
    def anchor(self) -> str:
        """The name of the action's place in the report."""
        return f"action-{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One covered run, with its actions."""

    number: int
    stream: str
    title: str
    agent: str
    model: str
    started: datetime
    ended_at: datetime
    ended: str
    events: int
    note: str
    failing: tuple[str, ...]
    """Every rule that fails, once each: as a verdict in the run says, or the newest of a re-grade."""

    elsewhere: tuple[str, ...]
    """The failures that stand at no printed action, each with the event it is about."""

    actions: tuple[Action, ...]
    actions_in_all: int

    @property
    def anchor(self) -> str:
        """The name of the run's place in the report."""
        return f"run-{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A check that was made of the evidence as it was written; `is_good` None could not be made."""

    name: str
    is_good: bool | None
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Everything a report says, in order."""

    id: str
    title: str
    about: str
    period: str
    project: str
    agents: str
    as_of: datetime
    root: str
    actions: int
    failing: int
    checks: tuple[Check, ...]
    asked: tuple[Fact, ...]
    complete: tuple[Fact, ...]
    runs: tuple[Run, ...]
    earlier: tuple[Fact, ...]
    files: tuple[Fact, ...]
    keys: tuple[Fact, ...]
    made_with: str
    cut: str
    types: tuple[Fact, ...] = field(default=())

    @property
    def is_good(self) -> bool:
        """Whether nothing failed; what could not be checked stands in its line."""
        return all(check.is_good is not False for check in self.checks)

    @property
    def shown(self) -> int:
        """How many actions the visible part holds."""
        return sum(len(one.actions) for one in self.runs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Who asked for a report and what for, as they typed it, and where the installation's own facts come from."""

    by: str
    purpose: str
    made_with: str
    as_of: datetime
    earlier: tuple[Fact, ...] = ()
    keys: tuple[Fact, ...] = ()


def report(evidence: Evidence, asked: Asked, *, checks: Sequence[Check]) -> Report:
    """Assemble the report."""
    query = evidence.selection.query
    runs = tuple(_runs(evidence))
    actions = sum(one.actions_in_all for one in runs)
    shown = sum(len(one.actions) for one in runs)
    cut = "" if shown == actions else (
        f"The first {shown:,} of {amount(actions, 'action')} are printed; all {len(evidence.selection.events):,} events"
        " are in the attached files. Ask for parts of the period to have every action printed."
    )  # fmt: skip
    short = evidence.checkpoint.root.hex()
    return Report(
        id=f"{evidence.checkpoint.size}-{_digest(evidence)[:8]}",
        title=f"Every action for {query.value}" if query.subject else f"Every action under {query.value}",
        about=query.value,
        period=_period(query),
        project=query.project,
        agents=", ".join(sorted({one.agent for one in runs if one.agent})) or "no agent named",
        as_of=asked.as_of,
        root=f"{short[:4]} {short[4:8]} {short[8:12]}",
        actions=actions,
        failing=sum(bool(one.failing) for one in runs),
        checks=tuple(checks),
        asked=tuple(_asked(evidence, asked)),
        complete=tuple(_complete(evidence)),
        runs=runs,
        earlier=asked.earlier or (Fact(name="Earlier audits of this", value=_NONE),),
        files=tuple(Fact(name=name, value=digest) for name, digest in evidence.manifest["files"].items()),
        keys=asked.keys,
        made_with=asked.made_with,
        cut=cut,
        types=tuple(
            Fact(name=name, value=f"{count:,}") for name, count in evidence.manifest["counts"]["by_type"].items()
        ),
    )


def _digest(evidence: Evidence) -> str:
    return hashlib.sha256(evidence.files["manifest.json"]).hexdigest()


def _period(query: Query) -> str:
    if query.since and query.until:
        return f"{_day(query.since)} to {_day(query.until)}"
    if query.since:
        return f"from {_day(query.since)} on"
    return f"up to {_day(query.until)}" if query.until else "all that is recorded"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _asked(evidence: Evidence, asked: Asked) -> Iterator[Fact]:
    query, parts = evidence.selection.query, evidence.selection.parts
    correlations = {event.meta.correlation_id for event in evidence.selection.events if event.meta.correlation_id}
    kind = "Subject" if query.subject else "Correlation id"
    yield Fact(name=f"{kind}, as typed", value=query.value)
    runs = amount(len(parts), "run")
    yield Fact(name="Resolved to", value=f"{runs} that name it, {amount(len(correlations), 'correlation id')}")
    since = _instant(query.since) if query.since else "the beginning"
    until = _instant(query.until) if query.until else "the newest event"
    yield Fact(name="Period", value=f"from {since} to {until}, by time of occurrence, both included")
    for name, value in (("Only agent", query.agent), ("Only tool", query.tool)):
        if value:
            yield Fact(name=name, value=value)
    yield Fact(name="Purpose, as stated", value=asked.purpose or "none stated")
    yield Fact(name="Asked for by", value=asked.by)
    yield Fact(
        name="As of", value=f"the checkpoint signed {_instant(asked.as_of)}, at {evidence.checkpoint.size:,} events"
    )
    yield Fact(name="Made with", value=asked.made_with)


def _complete(evidence: Evidence) -> Iterator[Fact]:
    account = evidence.selection.completeness
    yield Fact(name="Events of the project in the period", value=f"{account.in_period:,}", is_sum=True)
    yield Fact(name="In this report", value=f"{account.covered:,}", is_sum=True)
    for reason, count in account.left_out.items():
        yield Fact(name=f"Left out of its runs: {reason}", value=f"{count:,}")
    kind = "subjects" if evidence.selection.query.subject else "correlation ids"
    yield Fact(name=f"Left out: runs that name other {kind}", value=_count(account.others))
    yield Fact(name=f"Left out: runs that name no {kind[:-1]}", value=_count(account.unnamed))
    yield Fact(name="Left out: the journal's records of its own work", value=_count(account.own))
    yield Fact(name="Of these runs, not under the checkpoint yet", value=_count(account.unsealed))
    begun = sum(part.begins_before for part in evidence.selection.parts)
    going_on = sum(part.goes_on for part in evidence.selection.parts)
    yield Fact(name="Runs that begin before what is covered", value=_count(begun))
    yield Fact(name="Runs that go on after it", value=_count(going_on))
    yield Fact(name="In this report, without a recorded cause", value=_count(account.without_cause))
    yield Fact(name="In this report, whose source recorded no time", value=_count(account.time_unknown))
    yield Fact(name="In this report, secrets replaced before they were stored", value=_count(account.redacted))
    yield from _regraded(evidence)


def _regraded(evidence: Evidence) -> Iterator[Fact]:
    """Say which re-grades the report knows: those told under the checkpoint, up to the last one."""
    found = evidence.regraded
    ends = {part.stream: part.last for part in evidence.selection.parts}
    says = Counter(one.says for one in found)
    of_these = {
        "failing": says["fails"],
        "of rules that went wrong": says["error"],
        "on less of a run than is covered": sum(not one.is_whole or one.run_version < ends[one.run] for one in found),
    }
    unjudged = len(ends) - len({one.run for one in found})
    said = ", ".join((_count(len(found)), *(f"{count:,} {what}" for what, count in of_these.items() if count)))
    said += f"; {amount(unjudged, 'run')} not judged" if unjudged else ""
    last = max(found, key=lambda one: one.position, default=None)
    told = f"{_rule(last)}, entry {evidence.places[last.grade]:,}" if last else _NONE
    yield Fact(name="Verdicts of re-grades, the newest of a rule on a run", value=said)
    yield Fact(name="The last of these that was recorded", value=told)


def _rule(verdict: Regraded) -> str:
    return f"{verdict.rule}, version {verdict.rule_version}"


def _count(count: int) -> str:
    return f"{count:,}" if count else _NONE


# --- Runs and actions -----------------------------------------------------------------------------------------------


def _runs(evidence: Evidence) -> Iterator[Run]:
    by_stream: dict[str, list[RecordedEvent]] = {}
    for event in evidence.selection.events:
        by_stream.setdefault(event.stream, []).append(event)
    parts = {part.stream: part for part in evidence.selection.parts}
    left, number = MOST_ACTIONS, 0
    regraded: dict[str, list[Regraded]] = {}
    for verdict in evidence.regraded:
        regraded.setdefault(verdict.run, []).append(verdict)
    ordered = sorted(by_stream.items(), key=lambda item: (item[1][0].occurred_at, item[0]))
    for at, (stream, events) in enumerate(ordered, 1):
        events.sort(key=lambda event: event.version)
        found = _run(
            at,
            parts[stream],
            events,
            evidence.places,
            regraded.get(stream, ()),
            first=number + 1,
            most=left,
        )
        left -= len(found.actions)
        number += found.actions_in_all
        yield found


def _run(  # noqa: PLR0913 - a run and its place in the report
    number: int,
    part: Part,
    events: list[RecordedEvent],
    places: dict[str, int],
    regraded: Sequence[Regraded],
    *,
    first: int,
    most: int,
) -> Run:
    decoded = [(event, catalog.decode(event)) for event in events]
    reader = _Reader(decoded)
    acting = [(event, data) for event, data in decoded if _is_action(data)]
    fails = _failures(decoded, regraded)
    printed = {event.version for event, _ in acting[:most]}
    started = next((data for _, data in decoded if isinstance(data, run.Started)), None)
    asked = next(
        (data.content for _, data in decoded if isinstance(data, run.MessageReceived) and data.role == "user"), None
    )
    return Run(
        number=number,
        stream=part.stream,
        title=clip(plain(asked or (started.prompt if started else None)) or part.stream, _TITLE),
        agent=part.agent,
        model=(started.model if started else None) or "",
        started=events[0].occurred_at,
        ended_at=events[-1].occurred_at,
        ended=_ended(decoded, part),
        events=len(events),
        note=_note(part),
        failing=tuple(dict.fromkeys(rule for _, rules in sorted(fails.items()) for rule in rules)),
        elsewhere=tuple(
            f"{f'Event {at:,}. ' if at else ''}{rule}"
            for at, rules in sorted(fails.items())
            if at not in printed
            for rule in rules
        ),
        actions=tuple(
            reader.action(first + at, event, data, fails=fails.get(event.version, ()), index=places[event.id])
            for at, (event, data) in enumerate(acting[:most])
        ),
        actions_in_all=len(acting),
    )


def _is_action(data: Any) -> bool:
    return isinstance(data, _ACTIONS) or (isinstance(data, run.MessageReceived) and data.role == "user")


def _ended(decoded: Iterable[tuple[RecordedEvent, Any]], part: Part) -> str:
    ended = ""
    for _, data in decoded:
        if isinstance(data, run.Answered | run.Aborted):
            ended = "answered" if isinstance(data, run.Answered) else "aborted"
    return ended or ("goes on" if part.goes_on else "no end recorded")


def _note(part: Part) -> str:
    said = []
    if part.begins_before:
        said.append(f"begins at event {part.first}")
    if part.goes_on:
        said.append(f"goes on to event {part.newest}")
    left_out = Counter[str]()
    for first, last, reason in part.left_out:
        left_out[reason] += last - first + 1
    said += [f"{amount(count, 'event')} left out: {reason}" for reason, count in left_out.items()]
    return "; ".join(said)


def _failures(decoded: Sequence[tuple[RecordedEvent, Any]], regraded: Iterable[Regraded]) -> dict[int, tuple[str, ...]]:
    """Return the failing verdicts that stand in the run and those of re-grades, by the event they are about.

    A re-grade's message may quote that event, so of one that is not covered or is gone only that the rule fails is
    said. What is about no event stands at 0.
    """
    found: dict[int, tuple[str, ...]] = {}
    for event, data in decoded:
        if isinstance(data, run.Graded) and data.verdict == "fails" and data.rule:
            at = data.at_version or event.version
            said = f"{data.rule}: {clip(data.message)}" if data.message else data.rule
            found[at] = (*found.get(at, ()), said)
    marks = {event.version: mark_on(event) for event, _ in decoded}
    for verdict in regraded:
        if verdict.says == "fails":
            at = verdict.at_version or 0
            found[at] = (*found.get(at, ()), f"{_rule(verdict)}{_failure(verdict, marks)}")
    return found


def _failure(verdict: Regraded, marks: Mapping[int, Mark | None]) -> str:
    if verdict.at_version and verdict.at_version not in marks:
        return ": at an event that this report does not cover"
    if verdict.at_version and (mark := marks[verdict.at_version]) is not None:
        return f": at an event that was {mark.words}"
    return f": {clip(verdict.message)}" if verdict.message else ""


_KINDS: Final[dict[Any, tuple[str, str]]] = {
    run.Reasoned: ("decision", "D"),
    run.Answered: ("answer", "A"),
    run.HandedOff: ("hand-off", "H"),
    run.MemoryWritten: ("memory", "W"),
    run.Aborted: ("abort", "X"),
    run.MessageReceived: ("message", "M"),
}


class _Reader:
    """What one run says of its actions: outcomes by call, and reasons of the responses they came from."""

    def __init__(self, decoded: Sequence[tuple[RecordedEvent, Any]]) -> None:
        self._by_id = {event.id: (event, data) for event, data in decoded}
        self._outcomes: dict[str, tuple[RecordedEvent, Any]] = {}
        self._responses = [(event, data) for event, data in decoded if isinstance(data, run.ModelResponded)]
        for event, data in decoded:
            if isinstance(data, run.ToolReturned | run.ToolFailed):
                for key in (data.call_id, event.meta.causation_id):
                    if key:
                        self._outcomes.setdefault(key, (event, data))

    def action(self, number: int, event: RecordedEvent, data: Any, *, fails: tuple[str, ...], index: int) -> Action:
        """Return one action."""
        kind, letter = _KINDS[type(data)]
        reason, reason_at, note = self._reason(event, data)
        return Action(
            number=number,
            event_id=event.id,
            at=event.occurred_at,
            kind=kind,
            letter=letter,
            sentence=explain(event).summary,
            version=event.version,
            reason=reason,
            reason_at=reason_at,
            reason_note=note,
            facts=tuple(self._facts(event, data)),
            fails=fails,
            index=index,
            leaf=leaf_of(event).hash.hex()[:8],
        )

    def _reason(self, event: RecordedEvent, data: Any) -> tuple[str, int, str]:
        """Return the recorded reason, the event it stands in, and whose it is; none is made up."""
        if isinstance(data, run.MessageReceived):
            return plain(data.content)[:_QUOTED], 0, "what was said"
        if isinstance(data, run.Answered):
            return plain(data.response)[:_QUOTED], 0, "the answer as it was given"
        own = getattr(data, "thought", None) or getattr(data, "reason", None)
        if own:
            return clip(own, _QUOTED), event.version, "the model's own stated reason, not verified"
        for cause in (event.meta.causation_id, *(link.id for link in event.meta.causes)):
            found = self._by_id.get(cause or "")
            if (
                found
                and isinstance(found[1], run.ModelResponded)
                and (said := found[1].reasoning or plain(found[1].content))
            ):
                return clip(said, _QUOTED), found[0].version, "the model's own stated reason, not verified"
        return "", 0, "no reason was recorded" if isinstance(data, run.Reasoned) else ""

    def _facts(self, event: RecordedEvent, data: Any) -> Iterator[Fact]:
        if isinstance(data, run.Reasoned):
            yield self._outcome(event, data)
        elif isinstance(data, run.HandedOff) and data.instruction:
            yield Fact(name="Instruction", value=clip(data.instruction, _QUOTED))
        if not isinstance(data, run.MessageReceived):
            yield Fact(name="Rests on", value=self._rests_on(event))
        if event.meta.actor and event.meta.actor.startswith("user:"):
            yield Fact(name="By", value=event.meta.actor)

    def _outcome(self, event: RecordedEvent, data: run.Reasoned) -> Fact:
        found = self._outcomes.get(data.call_id or "") or self._outcomes.get(event.id)
        if found is None:
            return Fact(name="Outcome", value="not recorded in what is covered")
        took = f", {found[1].latency_ms:,.0f} ms" if found[1].latency_ms is not None else ""
        said = f"{explain(found[0]).summary}{took} (event {found[0].version})"
        return Fact(name="Outcome", value=said, is_wrong=isinstance(found[1], run.ToolFailed))

    def _rests_on(self, event: RecordedEvent) -> str:
        links = [(event.meta.causation_id, "recorded")] if event.meta.causation_id else []
        links += [(link.id, link.certainty) for link in event.meta.causes]
        known = sorted({self._by_id[cause][0].version for cause, _ in links if cause in self._by_id})
        if not links:
            return "no cause recorded"
        outside = len({cause for cause, _ in links if cause not in self._by_id})
        inferred = any(certainty == "inferred" for _, certainty in links)
        said = f"event{'s' if len(known) > 1 else ''} {', '.join(map(str, known))}" if known else ""
        rest = f"{amount(outside, 'event')} outside this run" if outside else ""
        return " and ".join(part for part in (said, rest) if part) + (
            ", worked out on import" if inferred else ", as recorded"
        )
