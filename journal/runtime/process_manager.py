"""Process managers: events in, commands out.

A manager is a pure function of its own state and an event. What it decides is appended to the process's stream, in one
transaction with the dispatches that carry its commands; the outbox delivers them. Nothing is done outside that
transaction, so a stop between any two steps leaves either the reaction and its commands, or neither. Taking the same
event in again changes nothing: the tracker in the state knows it, and past the tracker's size the reaction's id does.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any, Final, Protocol, TypeVar

import msgspec
import stamina
import structlog
from django.db import InterfaceError, OperationalError, transaction

from journal.domain import codec
from journal.domain.aggregate import aggregate
from journal.domain.catalog import catalog
from journal.domain.dispatch import NewDispatch, answer_id, dispatch_id
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.process import (
    CATEGORY_PREFIX,
    TIMED_OUT,
    TIMEOUT,
    Issued,
    ProcessState,
    Reacted,
    TimedOut,
    reaction_id,
)
from journal.domain.stream import ANY_VERSION, category, stream_name
from journal.errors import EventIdReused, EventNotFound, WrongExpectedVersion
from journal.models import StreamRow
from journal.runtime import checkpoint, loading, outbox, parked, tracing
from journal.runtime.clock import Clock, system_clock
from journal.runtime.outbox import Delivery, Undeliverable, effect
from journal.store import EventStore, every_project, get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_BATCH: Final = 500
_TRIES: Final = 8


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command: an effect on a target. One reaction issues each pair of them once at most."""

    effect: str
    target: str
    payload: dict[str, Any] = {}


class Reaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a manager decided: its state from now on, commands, and how long it waits for what comes next.

    A process waits for one thing at a time: each reaction replaces the timeout before it, None ends the waiting.
    """

    state: dict[str, Any]
    commands: tuple[Command, ...] = ()
    timeout: timedelta | None = None
    has_ended: bool = False


class ProcessManager(Protocol):
    """Decides on events. Pure: no clock, no I/O; the event has all that a decision may depend on."""

    name: str
    reacts_to: frozenset[str]
    """Event types; `process.timed_out` comes to every manager that sets a timeout."""

    def process_of(self, event: RecordedEvent) -> str | None:
        """Return the id of the process that an event belongs to; None where it belongs to none."""

    def decide(self, state: dict[str, Any], event: RecordedEvent) -> Reaction | None:
        """Return the reaction; None where the event changes nothing and nothing need be kept of it."""


M = TypeVar("M", bound=type[ProcessManager])
_managers: dict[str, ProcessManager] = {}


def manages(manager: M) -> M:
    """Register a process manager class, and the state of its streams."""
    _managers[manager.name] = manager()
    aggregate(f"{CATEGORY_PREFIX}{manager.name}")(ProcessState)
    return manager


def registered() -> tuple[ProcessManager, ...]:
    """Return the process managers of all installed apps."""
    return tuple(_managers.values())


def process_stream(manager: ProcessManager, ident: str) -> str:
    """Return the stream of one process."""
    return stream_name(f"{CATEGORY_PREFIX}{manager.name}", ident)


def load(store: EventStore, stream: str) -> ProcessState:
    """Return the newest state of a process; an empty one where it has not begun."""
    state = loading.newest(store, stream)
    if not isinstance(state, ProcessState):
        raise TypeError(f"{stream} is the stream of no process manager")
    return state


def react(store: EventStore, manager: ProcessManager, event: RecordedEvent) -> bool:
    """Let a manager take an event in, once however often this is called. Returns whether it reacted now."""
    ident = manager.process_of(event)
    return ident is not None and _react(store, manager, process_stream(manager, ident), event)


def _react(store: EventStore, manager: ProcessManager, stream: str, event: RecordedEvent) -> bool:
    """Load, decide, append; again where another process was first in between."""
    for attempt in stamina.retry_context(on=WrongExpectedVersion, attempts=_TRIES, wait_initial=0.01, wait_max=0.5):
        with attempt:
            process = load(store, stream)
            if process.has_ended or _is_known(store, process, event):
                return False
            reaction = manager.decide(process.own, event)
            if reaction is None:
                return False
            return _append(store, process, event, reaction)
    raise AssertionError  # stamina raises the last conflict


def _is_known(store: EventStore, process: ProcessState, event: RecordedEvent) -> bool:
    if process.handled.seen(event.id):
        return True
    if not process.handled.evicted:
        return False
    try:
        store.event(reaction_id(process.stream, event.id))
    except EventNotFound:
        return False
    return True


def _append(store: EventStore, process: ProcessState, event: RecordedEvent, reaction: Reaction) -> bool:
    own_id = reaction_id(process.stream, event.id)
    dispatches = _dispatches(process, event, reaction)
    issued = [
        Issued(
            dispatch=str(dispatch_id(store.project, own_id, one.effect, one.target)),
            effect=one.effect,
            target=one.target,
        )
        for one in dispatches
    ]
    timeout = issued.pop() if reaction.timeout is not None else None
    reacted = Reacted(
        event_id=event.id,
        event_type=event.type,
        state=reaction.state,
        commands=tuple(issued),
        answers=event.meta.dispatch_id,
        timeout=timeout.dispatch if timeout else None,
        timeout_at=dispatches[-1].due_at if timeout else None,
        has_ended=reaction.has_ended,
    )
    metadata = Metadata(
        causation_id=event.id, correlation_id=event.meta.correlation_id, traceparent=event.meta.traceparent
    )
    data = EventData(
        id=own_id, type=catalog.name_of(Reacted), data=codec.encode(reacted), metadata=codec.encode(metadata)
    )
    try:
        is_new = store.append(process.stream, [data], expected_version=process.version, dispatches=dispatches).is_new
    except EventIdReused:  # another process reacted to it a moment ago, from another state: its reaction holds
        return False
    if process.timeout is not None and store.capabilities.durable:  # only tidiness: delivered, it would do nothing
        outbox.withdraw(process.timeout["dispatch"], reason="the process no longer waits for it", now=event.recorded_at)
    return is_new


def _dispatches(process: ProcessState, event: RecordedEvent, reaction: Reaction) -> list[NewDispatch]:
    """Return what carries the commands, and last of all the timeout: a dispatch that is due later."""
    found = [
        NewDispatch(effect=one.effect, target=one.target, payload=codec.encode(one.payload))
        for one in reaction.commands
    ]
    if reaction.timeout is not None:
        due = event.recorded_at + reaction.timeout
        found.append(NewDispatch(effect=TIMEOUT, target=process.stream, due_at=due))
    return found


@effect(TIMEOUT)
def time_out(delivery: Delivery) -> None:
    """Tell a process that it waited long enough, unless it waits no more, or for something else by now."""
    manager = _managers.get(category(delivery.target).removeprefix(CATEGORY_PREFIX))
    if manager is None:
        raise Undeliverable(f"no installed app has the process manager of {delivery.target}")
    store = delivery.store
    own_id = answer_id(delivery.id)
    process = load(store, delivery.target)
    waits = process.timeout is not None and process.timeout["dispatch"] == delivery.id and not process.has_ended
    if waits:
        told = EventData(
            id=own_id,
            type=TIMED_OUT,
            data=codec.encode(TimedOut(dispatch=delivery.id)),
            metadata=codec.encode(Metadata(causation_id=delivery.event_id, dispatch_id=delivery.id)),
        )
        store.append(delivery.target, [told], expected_version=ANY_VERSION)
    try:
        event = store.event(own_id)
    except EventNotFound:
        return
    _react(store, manager, delivery.target, event)  # also where a worker died after the append above


def follow(manager: ProcessManager, *, clock: Clock = system_clock, token: int = 0) -> int:
    """Take the next events of the journal in, behind the manager's checkpoint. Returns how many were looked at.

    An event that the manager cannot take is parked with the reason and tried again later; the others go on. Reactions
    are durable on their own, and known when they come again, so the checkpoint may move after them.

    Raises:
        Fenced, Overtaken: another holder of the lease is at it.
    """
    name = checkpoint_name(manager)
    mark = checkpoint.read(name)
    events = list(islice(every_project().read_all(after=mark.position, limit=_BATCH), _BATCH))
    failed = [(event, reason) for event in events if (reason := _take_in(manager, event))]
    if events:
        with transaction.atomic():
            for event, reason in failed:
                parked.park(name, event, reason, now=clock())
                tracing.parked(name, event)
            checkpoint.advance(mark, to=events[-1].position, token=token)
    else:
        _retry_parked(manager, clock=clock, token=token)
    return len(events)


def _retry_parked(manager: ProcessManager, *, clock: Clock, token: int) -> None:
    for row in parked.due(checkpoint_name(manager), now=clock()):
        try:
            reason = _take_in(manager, get_store(row.project).event(row.event_id))
        except EventNotFound as error:
            reason = str(error)
        if reason:
            parked.failed_again(row, reason, now=clock())
        else:
            with transaction.atomic():
                parked.settle(row, token=token)


def _take_in(manager: ProcessManager, event: RecordedEvent) -> str:
    """React to an event that is for the manager. Returns why it cannot be taken; the connection's errors are raised."""
    if event.type not in manager.reacts_to or event.type == TIMED_OUT:
        return ""
    try:
        with tracing.handling(checkpoint_name(manager), [event]), parked.limits_are_the_events():
            react(get_store(event.project), manager, event)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - a manager of another app may raise anything
        return parked.reason_of(error)
    return ""


def newest(manager: ProcessManager, *, project: str, limit: int = 20) -> list[ProcessState]:
    """Return a project's newest processes of a manager, for the inspector."""
    streams = StreamRow.objects.filter(project=project, category=f"{CATEGORY_PREFIX}{manager.name}").order_by("-id")
    store = get_store(project)
    return [load(store, name) for name in streams.values_list("name", flat=True)[:limit]]


def checkpoint_name(manager: ProcessManager) -> str:
    """Return the name of the manager's checkpoint."""
    return f"process-{manager.name}"
