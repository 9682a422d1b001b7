"""Alerting: events that somebody should know of become dispatches to the alerts stream, and that tells the receivers.

Two steps, each of them restartable. A subscription reads the journal and writes dispatches in the transaction of its
checkpoint. The effect `alert` appends to the alerts stream, in one transaction with a dispatch for each
webhook and mail address. Old events raise nothing: a history that is imported is no news.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
import stamina

from journal.domain import agent_run as run
from journal.domain import alerts, codec
from journal.domain.aggregate import Repository
from journal.domain.alerts import ABORTED, TOOL_FAILING, AlertsState, Raised, Redelivered
from journal.domain.catalog import catalog
from journal.domain.dispatch import DispatchRow, NewDispatch, answer_id, resolved
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.run_state import RunState
from journal.domain.stream import ANY_VERSION
from journal.domain.text import clip, plain
from journal.errors import WrongExpectedVersion
from journal.models import Webhook
from journal.runtime import outbox
from journal.runtime.clock import Clock, system_clock
from journal.runtime.loading import newest
from journal.runtime.outbox import Delivery, effect
from journal.runtime.subscription import Subscription
from journal.runtime.webhooks import wanted_by
from journal.store import EventStore, get_store

NAME: Final = "alerting"
ALERT: Final = "alert"
NEWS_FOR: Final = timedelta(hours=24)
"""An event recorded later than this after it occurred raises no alert."""

IN_A_ROW: Final = 3
"""How many failures of one tool, one after the other, raise an alert."""


def subscription(clock: Clock = system_clock) -> Subscription:
    """Return the subscription that turns events into dispatches, in the transaction that moves its checkpoint."""

    def handle(events: Sequence[RecordedEvent]) -> None:
        now, webhooks = clock(), list(Webhook.objects.order_by("id"))
        outbox.put(row for event in events for row in dispatches_for(event, webhooks, now=now))

    return Subscription(name=NAME, handle=handle, clock=clock)


def dispatches_for(event: RecordedEvent, webhooks: Sequence[Webhook], *, now: datetime) -> list[DispatchRow]:
    """Return what an event sets off: an alert where it is news, and itself to the webhooks that asked for its type."""
    asked = [hook for hook in webhooks if hook.project_id == event.project and hook.after_position < event.position]
    wanted = wanted_by(asked, event.type)
    if is_news(event) and (raised := alert_of(event)) is not None:
        target = alerts.stream_of(event.occurred_at)
        wanted.append(NewDispatch(effect=ALERT, target=target, payload=codec.encode(raised)))
    source = EventData(type=event.type, data=event.data, id=event.id)
    return resolved(event.project, [source], wanted, now_us=int(now.timestamp() * 1_000_000))


def ask(event: RecordedEvent, raised: Raised, *, now: datetime) -> None:
    """Ask for an alert that no event calls for by itself, inside the caller's transaction; once an event and stream."""
    target = alerts.stream_of(now)
    wanted = NewDispatch(effect=ALERT, target=target, payload=codec.encode(raised))
    source = EventData(type=event.type, data=event.data, id=event.id)
    outbox.put(resolved(event.project, [source], [wanted], now_us=int(now.timestamp() * 1_000_000)))


def is_news(event: RecordedEvent) -> bool:
    """Whether the event is of now, as far as the event itself says: an import of last year's runs is not."""
    return event.meta.time == "recorded" and event.recorded_at - event.occurred_at <= NEWS_FOR


def alert_of(event: RecordedEvent) -> Raised | None:
    """Return the alert that an event calls for: a run was aborted, or a tool failed for the third time in a row."""
    if event.type == catalog.name_of(run.Aborted):
        aborted = catalog.decode(event)
        why = getattr(aborted, "reason", None) or "no reason is recorded"
        return _raised(event, ABORTED, "A run was aborted", f"{event.stream} was aborted: {clip(plain(why))}")
    if event.type == catalog.name_of(run.ToolFailed) and _in_a_row(event) == IN_A_ROW:
        failed = catalog.decode(event)
        said = clip(plain(failed.message or "")) or "no message is recorded"
        title = f"{clip(failed.tool_name)} failed {IN_A_ROW} times in a row"
        return _raised(event, TOOL_FAILING, title, f"{title} in {event.stream}: {said}")
    return None


def _in_a_row(event: RecordedEvent) -> int:
    """Return how often the tool has now failed in a row: exactly at the limit is one alert for the whole row."""
    failed = catalog.decode(event)
    if not isinstance(failed, run.ToolFailed):
        return 0
    state = Repository(get_store(event.project)).load_at_version(event.stream, event.version)
    if not isinstance(state, RunState):
        return 0
    found = state.to_json()["failures"].get(failed.tool_name)
    return int(found["in_a_row"]) if found else 0


def _raised(event: RecordedEvent, kind: str, title: str, summary: str) -> Raised:
    return Raised(kind=kind, run=event.stream, version=event.version, event_id=event.id, title=title, summary=summary)


@effect(ALERT)
def receive(delivery: Delivery) -> None:
    """Take an alert into its stream, once however often it is delivered, and tell those who asked for its kind."""
    take(delivery, state=load(delivery.store, delivery.target))


def load(store: EventStore, stream: str) -> AlertsState:
    """Return the newest state of an alerts stream; an empty one where there are no alerts yet."""
    state = newest(store, stream)
    if not isinstance(state, AlertsState):
        raise TypeError(f"{stream} is no stream of alerts")
    return state


def take(delivery: Delivery, *, state: AlertsState) -> bool:
    """Append the alert unless the ring, or failing that the store by its id, knows the dispatch. Returns whether new.

    The append does not depend on the version: the event's id is derived from the dispatch, and that alone decides.
    """
    if state.ring.seen(delivery.id):
        _note_redelivery(delivery, found_by="ring")
        return False
    raised = msgspec.convert(delivery.payload, Raised)
    answer = EventData(
        id=answer_id(delivery.id),
        type=catalog.name_of(Raised),
        data=codec.encode(raised),
        metadata=codec.encode(Metadata(causation_id=delivery.event_id, dispatch_id=delivery.id)),
    )
    receivers = wanted_by(Webhook.objects.filter(project_id=delivery.project).order_by("id"), raised.kind)
    done = _append(delivery, answer, receivers)
    if not done:
        _note_redelivery(delivery, found_by="event id")
    return done


def _append(delivery: Delivery, event: EventData, dispatches: Sequence[NewDispatch] = ()) -> bool:
    for attempt in stamina.retry_context(on=WrongExpectedVersion, attempts=5):
        with attempt:
            return delivery.store.append(
                delivery.target, [event], expected_version=ANY_VERSION, dispatches=dispatches
            ).is_new
    raise AssertionError  # stamina raises the last error


def _note_redelivery(delivery: Delivery, *, found_by: Literal["ring", "event id"]) -> None:
    """Keep that a dispatch came again: the ring's hit rate is part of the state, and only events change that."""
    data = Redelivered(dispatch=delivery.id, found_by=found_by)
    event = EventData(
        id=answer_id(delivery.id, f"again {delivery.attempt} {found_by}"),
        type=catalog.name_of(Redelivered),
        data=codec.encode(data),
    )
    _append(delivery, event)
