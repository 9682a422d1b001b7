"""What an incident is after its events, and what it decides when it is told to do something."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from audits.clocks import Deadline, deadlines, key_of
from audits.duties import Clock
from audits.incident_events import Closed, Concern, Held, Noted, Opened, Released, StepDone, Widened
from journal.domain.aggregate import aggregate
from journal.domain.decider import decides
from journal.domain.event import instant
from journal.domain.plain_aggregate import PlainAggregate
from journal.domain.sealing import INCIDENTS
from journal.errors import CommandRejected


@aggregate(INCIDENTS)
class Incident(PlainAggregate):
    """The state of one incident. Its attributes are what the debugger shows; times are text as on the wire."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.status = "new"
        self.title = ""
        self.noticed = ""
        self.aware_at = ""
        self.opened_by = ""
        self.concerns: list[dict[str, Any]] = []
        self.clocks: list[dict[str, Any]] = []
        self.steps: dict[str, dict[str, Any]] = {}
        self.notes: list[dict[str, str]] = []
        self.held: list[str] = []
        self.is_hold_kept = False
        self.account = ""
        self.closed_by = ""

    def evolve(self, event: Any) -> None:
        """Take the next event in."""
        match event:
            case Opened():
                self.status, self.title, self.noticed = "open", event.title, event.noticed
                self.aware_at = instant(event.aware_at) if event.aware_at else ""
                self.opened_by = event.by
                self._widen(event.concerns, event.clocks)
            case Widened():
                self._widen(event.concerns, event.clocks)
            case StepDone():
                done_at = instant(event.done_at) if event.done_at else ""
                said = {"words": event.words, "done_at": done_at, "account": event.account, "by": event.by}
                self.steps[key_of(event.clock, event.step)] = said
            case Noted():
                self.notes.append({"text": event.text, "by": event.by})
            case Held():
                self.held = list(dict.fromkeys([*self.held, *event.streams]))
                self.is_hold_kept = event.is_kept
            case Released():
                self.held = [stream for stream in self.held if stream not in event.streams]
            case Closed():
                self.status, self.account, self.closed_by = "closed", event.account, event.by

    def _widen(self, concerns: tuple[Concern, ...], clocks: tuple[Clock, ...]) -> None:
        self.concerns += [msgspec.to_builtins(one) for one in concerns]
        self.clocks += [msgspec.to_builtins(clock) for clock in clocks]

    def headline(self) -> str:
        """Return the incident's name in lists."""
        return self.title

    @property
    def known_clocks(self) -> tuple[Clock, ...]:
        """Return its clocks as they stood when they were started."""
        return msgspec.convert(tuple(self.clocks), tuple[Clock, ...])

    @property
    def known_concerns(self) -> tuple[Concern, ...]:
        """Return what it is about."""
        return msgspec.convert(tuple(self.concerns), tuple[Concern, ...])

    @property
    def streams(self) -> tuple[str, ...]:
        """Return the runs it is about."""
        return tuple(dict.fromkeys(one["stream"] for one in self.concerns))

    def deadlines(self) -> tuple[Deadline, ...]:
        """Return its steps with their deadlines."""
        if not self.aware_at:
            return ()
        done = {key: datetime.fromisoformat(step["done_at"]) for key, step in self.steps.items() if step["done_at"]}
        return deadlines(self.known_clocks, aware_at=datetime.fromisoformat(self.aware_at), done=done)


# --- What is asked for ------------------------------------------------------------------------------------------------


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """Begin. `now` is when it is asked: nobody became aware later than that."""

    title: str
    noticed: str
    aware_at: datetime
    concerns: tuple[Concern, ...]
    clocks: tuple[Clock, ...]
    by: str
    now: datetime


class Widen(msgspec.Struct, frozen=True, kw_only=True):
    """Add what turned out to be concerned."""

    concerns: tuple[Concern, ...]
    clocks: tuple[Clock, ...]
    by: str


class Do(msgspec.Struct, frozen=True, kw_only=True):
    """Record that a step was done."""

    clock: str
    step: str
    done_at: datetime
    account: str
    by: str
    now: datetime


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Write something down."""

    text: str
    by: str


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Keep the runs concerned from purge and erasure."""

    reason: str
    is_kept: bool
    by: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """Let them go."""

    reason: str
    by: str


class Close(msgspec.Struct, frozen=True, kw_only=True):
    """End it."""

    account: str
    by: str


@decides(INCIDENTS)
def decide(state: Incident, command: object) -> Iterator[msgspec.Struct]:
    """Decide what people ask for. What is closed takes notes and a release, and nothing else."""
    if isinstance(command, Open):
        yield _opened(state, command)
        return
    if state.status == "new":
        raise CommandRejected("there is no such incident")
    if state.status == "closed" and not isinstance(command, Note | Release):
        raise CommandRejected("the incident is closed; open another one and name this")
    match command:
        case Widen():
            yield from _widened(state, command)
        case Do():
            yield _done(state, command)
        case Hold():
            yield from _held(state, command)
        case Note() | Release() | Close():
            yield _said(state, command)
        case _:
            raise CommandRejected("it is no command of incidents")


def _said(state: Incident, command: Note | Release | Close) -> Noted | Released | Closed:
    """Return what takes its words from whoever asks, and needs some."""
    match command:
        case Note(text=text, by=by):
            if not text:
                raise CommandRejected("a note needs a text")
            return Noted(text=text, by=by)
        case Release(reason=reason, by=by):
            if not state.held:
                raise CommandRejected("nothing is held")
            if not reason:
                raise CommandRejected("say why the hold is over")
            return Released(streams=tuple(state.held), reason=reason, by=by)
        case Close(account=account, by=by):
            if not account:
                raise CommandRejected("say how it ended: an incident is closed with an account")
            left = tuple(f"{one.clock.name}: {one.step.words}" for one in state.deadlines() if one.done_at is None)
            return Closed(account=account, left=left, by=by)


def _opened(state: Incident, command: Open) -> Opened:
    if state.status != "new":
        raise CommandRejected("there is such an incident already")
    if not command.title:
        raise CommandRejected("an incident needs a title")
    if command.aware_at > command.now:
        raise CommandRejected("nobody became aware of it in the future")
    return Opened(
        title=command.title,
        noticed=command.noticed,
        aware_at=command.aware_at,
        concerns=_distinct(command.concerns),
        clocks=tuple({clock.id: clock for clock in command.clocks}.values()),
        by=command.by,
    )


def _widened(state: Incident, command: Widen) -> Iterator[Widened]:
    known = {clock["id"] for clock in state.clocks}
    concerns = tuple(one for one in _distinct(command.concerns) if one not in state.known_concerns)
    clocks = tuple(clock for clock in command.clocks if clock.id not in known)
    if concerns or clocks:
        yield Widened(concerns=concerns, clocks=clocks, by=command.by)


def _done(state: Incident, command: Do) -> StepDone:
    key = key_of(command.clock, command.step)
    step = next((one.step for one in state.deadlines() if one.key == key), None)
    if step is None:
        raise CommandRejected(f"the incident has no step {key}")
    if key in state.steps:
        raise CommandRejected(f"{step.words!r} is recorded as done already; a note says what was wrong with that")
    if command.done_at > command.now:
        raise CommandRejected("what was done cannot lie in the future")
    return StepDone(
        clock=command.clock,
        step=command.step,
        words=step.words,
        done_at=command.done_at,
        account=command.account,
        by=command.by,
    )


def _held(state: Incident, command: Hold) -> Iterator[Held]:
    streams = tuple(stream for stream in state.streams if stream not in state.held)
    if not state.streams:
        raise CommandRejected("the incident names no run that could be held")
    if streams:
        yield Held(streams=streams, reason=command.reason, is_kept=command.is_kept, by=command.by)


def _distinct(concerns: tuple[Concern, ...]) -> tuple[Concern, ...]:
    return tuple(dict.fromkeys(concerns))
