"""The outbox: dispatches are claimed, delivered, tried again with back-off, and parked for a person when that fails.

Delivery is at least once. A worker may die between an effect and writing down that it happened, so each effect gets the
dispatch id, and its receiver must know it again. Claiming and ending are conditional updates that carry the fencing
token of the worker's lease: rows that a later holder has claimed refuse an earlier one. A claim counts as an attempt
and moves the next try on, so a dispatch that kills its worker is parked like one that is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
import structlog
from django.db.models import Count, F, Min, Q, QuerySet

from journal.domain.dispatch import DispatchRow
from journal.domain.event import RecordedEvent
from journal.errors import JournalError
from journal.models import Dispatch
from journal.runtime import tracing
from journal.store import EventStore, get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MAX_ATTEMPTS: Final = 12
FIRST_DELAY: Final = timedelta(seconds=5)
LONGEST_DELAY: Final = timedelta(hours=1)
CLAIM_HOLDS: Final = timedelta(seconds=30)
"""How long a claimed dispatch is left alone by holders of the same token; longer than any delivery may take."""

KEPT_FOR: Final = timedelta(days=30)
"""How long a delivered dispatch is still listed."""

BATCH: Final = 50
_ERROR_SHOWN: Final = 2_000
_JITTER: Final = 0.1

STATES: Final = ("pending", "delivered", "dead")


class Undeliverable(Exception):
    """Trying again cannot help: park the dispatch with this reason."""


class LetGo(Exception):
    """The worker has lost what it was working on: leave the dispatch to whoever has it now."""


class NoSuchDispatch(JournalError):
    """No dispatch has this id, or not in a state that allows what was asked."""

    def __init__(self, *, dispatch: str, reason: str) -> None:
        self.dispatch = dispatch
        self.reason = reason
        super().__init__(f"dispatch {dispatch}: {reason}; `nagare outbox` lists those there are")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One attempt at one dispatch, as an effect gets it."""

    id: str
    project: str
    event_id: str
    effect: str
    target: str
    payload: dict[str, Any]
    attempt: int
    at: datetime
    token: int = 0

    @property
    def store(self) -> EventStore:
        """The journal of the dispatch's project."""
        return get_store(self.project)

    def event(self) -> RecordedEvent:
        """Return the event that asked for this. An event is stored before its dispatch can be seen."""
        return self.store.event(self.event_id)


class Effect(Protocol):
    """What a dispatch does. Returns when it is done; raises `Undeliverable` to park it, anything else to try again."""

    def __call__(self, delivery: Delivery) -> None:
        """Do it. May be called again for the same `delivery.id`."""


_effects: dict[str, Effect] = {}
_elsewhere: set[str] = set()


def effect(name: str, *, in_outbox: bool = True) -> Callable[[Effect], Effect]:
    """Register the decorated function as the effect `name`.

    One that may take longer than a claim holds is not `in_outbox`: the outbox's loop leaves it to a worker of its own.
    """

    def register(function: Effect) -> Effect:
        _effects[name] = function
        if not in_outbox:
            _elsewhere.add(name)
        return function

    return register


def in_outbox() -> tuple[str, ...]:
    """Return the effects that the outbox's loop delivers."""
    return tuple(name for name in _effects if name not in _elsewhere)


def put(rows: Iterable[DispatchRow]) -> int:
    """Write dispatches that no append asked for, inside the caller's transaction. Known ids are left as they are."""
    by_id = {row.id: row for row in rows}
    known = set(Dispatch.objects.filter(id__in=list(by_id)).values_list("id", flat=True))
    fresh = [_unsaved(row) for row in by_id.values() if row.id not in known]
    Dispatch.objects.bulk_create(fresh)
    return len(fresh)


def due(*, now: datetime, token: int = 0, effects: Collection[str] | None = None, **where: Any) -> QuerySet[Dispatch]:
    """Return the dispatches that can be claimed, the longest due first.

    What an earlier holder has claimed and not ended is due at once: that holder is fenced, it cannot end it any more.
    """
    free = Q(next_try_us__lte=_us(now)) | Q(attempts__gt=0, last_error="", token__lt=token)
    wanted = in_outbox() if effects is None else effects
    return Dispatch.objects.filter(free, state="pending", effect__in=list(wanted), token__lte=token, **where).order_by(
        "next_try_us", "id"
    )


def claim(row: Dispatch, *, now: datetime, token: int = 0) -> Delivery | None:
    """Take one dispatch for one attempt. None where another worker was first or it is no longer pending."""
    attempt = row.attempts + 1
    delay = max(CLAIM_HOLDS, back_off(row.id, attempt))
    taken = Dispatch.objects.filter(id=row.id, state="pending", attempts=row.attempts, token__lte=token).update(
        attempts=F("attempts") + 1, token=token, next_try_us=_us(now + delay), last_error=""
    )
    if not taken:
        return None
    return Delivery(
        id=row.id,
        project=row.project,
        event_id=row.event_id,
        effect=row.effect,
        target=row.target,
        payload=msgspec.json.decode(row.payload),
        attempt=attempt,
        at=now,
        token=token,
    )


def deliver(delivery: Delivery) -> str:
    """Do a claimed dispatch's effect and write down how it ended: "delivered", "retry", "dead" or "lost".

    "lost": a later holder of the lease has it by now, and its word holds.
    """
    try:
        with tracing.dispatching(delivery):
            _effect_of(delivery)(delivery)
    except LetGo:
        return "lost"
    except Undeliverable as refusal:
        return _end(delivery, state="dead", error=str(refusal))
    except Exception as error:  # noqa: BLE001 - an effect may fail in any way; it is logged, counted, tried again or parked
        return _failed(delivery, error)
    return _end(delivery, state="delivered")


def deliver_due(
    *,
    clock: Callable[[], datetime],
    token: int = 0,
    holds: Callable[[], bool] = lambda: True,
    effects: Collection[str] | None = None,
    most: int = BATCH,
    **where: Any,
) -> list[str]:
    """Claim and deliver what is due, up to `most`, as long as `holds` says the lease is ours. Returns the outcomes."""
    outcomes = []
    for row in due(now=clock(), token=token, effects=effects, **where)[:most]:
        if not holds():
            break
        if row.attempts >= MAX_ATTEMPTS:
            outcomes.append(_worn_out(row, now=clock(), token=token))
        elif (delivery := claim(row, now=clock(), token=token)) is not None:
            outcomes.append(deliver(delivery))
    return outcomes


def requeue(dispatch: str, *, now: datetime) -> Dispatch:
    """Give a parked dispatch a new set of attempts, at once. Its id stays, so a receiver that has it knows it.

    Raises:
        NoSuchDispatch: there is none, or it is not parked.
    """
    row = _find(dispatch)
    moved = Dispatch.objects.filter(id=row.id, state="dead").update(
        state="pending", attempts=0, next_try_us=_us(now), last_error="", ended_us=None
    )
    if not moved:
        raise NoSuchDispatch(dispatch=row.id, reason=f"it is {row.state}; only a dead one can be queued again")
    row.refresh_from_db()
    log.info("dispatch_requeued", dispatch_id=row.id, effect=row.effect)
    return row


def withdraw(dispatch: str, *, reason: str, now: datetime) -> bool:
    """End a dispatch that nobody has tried yet, since nobody needs it any more. Returns whether it was there to end."""
    untried = Dispatch.objects.filter(id=dispatch, state="pending", attempts=0)
    return bool(untried.update(state="delivered", last_error=reason, ended_us=_us(now)))


def figures(*, now: datetime) -> dict[str, Any]:
    """Return how many dispatches are in each state, per effect, and how long the oldest due one has waited."""
    counted = Dispatch.objects.values("effect", "state").annotate(count=Count("id")).order_by("effect", "state")
    by_effect: dict[str, dict[str, int]] = {}
    for line in counted:
        by_effect.setdefault(line["effect"], {})[line["state"]] = line["count"]
    oldest = Dispatch.objects.filter(state="pending", next_try_us__lte=_us(now)).aggregate(at=Min("next_try_us"))["at"]
    return {
        **{state: sum(states.get(state, 0) for states in by_effect.values()) for state in STATES},
        "by_effect": by_effect,
        "oldest_due_s": (_us(now) - oldest) / 1_000_000 if oldest is not None else None,
    }


def prune(*, now: datetime) -> int:
    """Delete what was delivered long ago: the journal has the events, and the receivers have the ids."""
    return Dispatch.objects.filter(state="delivered", ended_us__lt=_us(now - KEPT_FOR)).delete()[0]


def back_off(dispatch: str, attempt: int) -> timedelta:
    """Return how long to wait after an attempt: twice as long each time, up to an hour.

    A tenth is added or taken by the id, so that dispatches that failed together do not all come back together.
    """
    delay = min(FIRST_DELAY * (1 << min(attempt - 1, 20)), LONGEST_DELAY)
    share = UUID(dispatch).int % 1_000 / 1_000
    return delay * (1 - _JITTER + 2 * _JITTER * share)


def _find(dispatch: str) -> Dispatch:
    row = Dispatch.objects.filter(id=dispatch).first()
    if row is None:
        raise NoSuchDispatch(dispatch=dispatch, reason="there is none")
    return row


def _effect_of(delivery: Delivery) -> Effect:
    known = _effects.get(delivery.effect)
    if known is None:
        raise Undeliverable(f"no installed app has an effect {delivery.effect!r}")
    return known


def _failed(delivery: Delivery, error: Exception) -> str:
    reason = f"{type(error).__name__}: {error}"
    if delivery.attempt >= MAX_ATTEMPTS:
        return _end(delivery, state="dead", error=f"attempt {delivery.attempt} of {MAX_ATTEMPTS}: {reason}")
    wait = back_off(delivery.id, delivery.attempt)
    log.warning(
        "dispatch_failed",
        dispatch_id=delivery.id,
        effect=delivery.effect,
        attempts=delivery.attempt,
        next_try_in_s=wait.total_seconds(),
        error=type(error).__name__,
    )
    kept = _mine(delivery).update(next_try_us=_us(delivery.at + wait), last_error=reason[:_ERROR_SHOWN])
    return "retry" if kept else _lost(delivery)


def _end(delivery: Delivery, *, state: str, error: str = "") -> str:
    ended = _mine(delivery).update(state=state, last_error=error[:_ERROR_SHOWN], ended_us=_us(delivery.at))
    if not ended:
        return _lost(delivery)
    if state == "dead":
        log.error("dispatch_parked", dispatch_id=delivery.id, effect=delivery.effect, attempts=delivery.attempt)
    return state


def _lost(delivery: Delivery) -> str:
    log.warning("dispatch_lost", dispatch_id=delivery.id, effect=delivery.effect)
    return "lost"


def _worn_out(row: Dispatch, *, now: datetime, token: int) -> str:
    """Park a dispatch whose every attempt ended with the worker's death, before it takes another one along."""
    reason = f"{row.attempts} attempts, and the worker died in the last one"
    parked = Dispatch.objects.filter(id=row.id, state="pending", attempts=row.attempts, token__lte=token).update(
        state="dead", token=token, last_error=reason, ended_us=_us(now)
    )
    log.error("dispatch_parked", dispatch_id=row.id, effect=row.effect, attempts=row.attempts)
    return "dead" if parked else "lost"


def _mine(delivery: Delivery) -> QuerySet[Dispatch]:
    return Dispatch.objects.filter(id=delivery.id, state="pending", attempts=delivery.attempt, token=delivery.token)


def _unsaved(row: DispatchRow) -> Dispatch:
    return Dispatch(
        id=row.id,
        project=row.project,
        event_id=row.event_id,
        effect=row.effect,
        target=row.target,
        payload=row.payload.decode(),
        next_try_us=row.due_us,
        last_error="",
        created_us=row.created_us,
    )


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
