"""Catch-up subscriptions: each event once, in order, whatever fails, and by whoever holds the lease."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from psycopg.errors import ProgramLimitExceeded

from journal.domain.event import RecordedEvent
from journal.domain.stream import ANY_VERSION
from journal.models import ParkedEvent, Project
from journal.runtime import checkpoint, parked
from journal.runtime import subscription as subscriptions
from journal.runtime.checkpoint import Fenced, Overtaken
from journal.runtime.clock import SettableClock
from journal.runtime.subscription import (
    HandlingStopped,
    Subscription,
    follow,
    retry_parked,
    run_once,
    stop_at,
)
from journal.store import every_project, get_store
from tests.builders import raw

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Crash(BaseException):
    """The process ends here: nothing catches it."""


class Seen:
    """A handler that writes a row for each event, in the same database, and fails where it is told to."""

    def __init__(self) -> None:
        self.poison: set[str] = set()
        self.crash_at: str | None = None
        self.calls = 0

    def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Write the rows."""
        self.calls += 1
        for event in events:
            Project.objects.create(slug=f"seen-{event.id}", name=str(event.position))
            if event.id == self.crash_at:
                raise Crash
            if event.id in self.poison:
                raise ValueError(f"cannot take {event.type}")

    @property
    def ids(self) -> list[str]:
        """The ids of the events that were handled, in order of position."""
        rows = Project.objects.filter(slug__startswith="seen-").values_list("slug", "name")
        return [slug.removeprefix("seen-") for slug, _ in sorted(rows, key=lambda row: int(row[1]))]


@pytest.fixture
def seen() -> Seen:
    """The handler."""
    return Seen()


def append(count: int, *, stream: str = "run-1", kind: str = "test.noted") -> list[str]:
    """Append events and return their ids."""
    made = [raw(kind) for _ in range(count)]
    return list(get_store().append(stream, made, expected_version=ANY_VERSION).ids)


def of(seen: Seen, **fields: object) -> Subscription:
    """Return a subscription of the handler."""
    return Subscription(name="sub", handle=seen.handle, **{"batch": 4, **fields})  # type: ignore[arg-type]


def drain(subscription: Subscription, *, token: int = 0) -> int:
    """Run until the head. Returns how many events were set aside."""
    aside = 0
    while True:
        done = run_once(subscription, token=token)
        aside += done.parked
        if done.is_at_head:
            return aside


def test_every_event_is_handled_once_in_order(seen: Seen) -> None:
    """Over batches, and over calls that find nothing new."""
    ids = append(10)
    drain(of(seen))
    drain(of(seen))
    ids += append(3)
    drain(of(seen))
    assert seen.ids == ids


def test_a_filter_passes_over_what_is_not_wanted(seen: Seen) -> None:
    """And the checkpoint moves past it, so that it is not read again."""
    wanted = append(1, stream="order-1", kind="order.placed")
    append(9)
    drain(of(seen, categories=frozenset({"order"}), types=frozenset({"order.placed"})))
    assert seen.ids == wanted
    assert checkpoint.read("sub").position == get_store().head()


def test_a_poison_event_is_set_aside_and_the_others_go_on(seen: Seen) -> None:
    """With its reason; the rest of its batch is handled once."""
    ids = append(10)
    seen.poison = {ids[5]}
    assert drain(of(seen)) == 1
    assert seen.ids == ids[:5] + ids[6:]
    row = ParkedEvent.objects.get()
    assert (row.event_id, row.reason, row.state) == (ids[5], "ValueError: cannot take test.noted", "waiting")


def test_a_parked_event_is_tried_again_when_it_is_due_and_leaves_the_list_when_it_works(seen: Seen) -> None:
    """Not before."""
    ids = append(3)
    seen.poison = {ids[1]}
    clock = SettableClock(NOON)
    subscription = of(seen, clock=clock)
    drain(subscription)
    seen.poison = set()
    assert retry_parked(subscription) == 0
    clock.advance(parked.pause(1))
    assert retry_parked(subscription) == 1
    assert seen.ids == ids
    assert not ParkedEvent.objects.exists()


def test_the_pauses_grow_until_the_event_waits_for_a_person_who_requeues_it(seen: Seen) -> None:
    """A defect that lasts is tried a few times, then left alone."""
    ids = append(1)
    seen.poison = set(ids)
    clock = SettableClock(NOON)
    subscription = of(seen, clock=clock)
    drain(subscription)
    pauses = []
    while (row := ParkedEvent.objects.get()).state == "waiting":
        pauses.append(row.next_try_at - clock.now)
        clock.now = row.next_try_at
        assert retry_parked(subscription) == 0
    assert row.attempts == parked.MOST_ATTEMPTS
    assert pauses == sorted(pauses)
    clock.advance(timedelta(days=365))
    assert retry_parked(subscription) == 0
    seen.poison = set()
    assert parked.requeue(row.id, now=clock.now)
    assert retry_parked(subscription) == 1
    assert seen.ids == ids


def test_an_effect_of_a_failed_attempt_is_undone(seen: Seen) -> None:
    """The handler writes its row before it fails: neither the batch nor the retry leaves it behind."""
    ids = append(1)
    seen.poison = set(ids)
    clock = SettableClock(NOON)
    drain(of(seen, clock=clock))
    clock.advance(timedelta(hours=2))
    retry_parked(of(seen, clock=clock))
    assert seen.ids == []


def test_work_that_must_be_complete_stops_at_a_poison_event(seen: Seen) -> None:
    """Names the event and the reason; what was handled before it stays, what comes after is not touched."""
    ids = append(6)
    seen.poison = {ids[2]}
    with pytest.raises(HandlingStopped) as caught:
        drain(of(seen, policy=stop_at))
    assert caught.value.event_id == ids[2]
    assert "cannot take" in str(caught.value)
    assert seen.ids == ids[:2]


def test_a_lost_connection_is_nobodys_poison(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised, nothing is parked, and the batch is handled when the database is back."""
    ids = append(3)

    def lost(events: Sequence[RecordedEvent]) -> None:
        raise OperationalError("server closed the connection")

    with pytest.raises(OperationalError):
        run_once(Subscription(name="sub", handle=lost))
    assert not ParkedEvent.objects.exists()
    drain(of(seen))
    assert seen.ids == ids


def test_an_event_that_is_too_large_for_the_database_is_poison(seen: Seen) -> None:
    """PostgreSQL calls that an operational error, as it does a lost connection; no later try would end otherwise."""
    ids = append(3)

    def refused(events: Sequence[RecordedEvent]) -> None:
        if ids[1] in {event.id for event in events}:
            raise OperationalError("string is too long for tsvector") from ProgramLimitExceeded()
        seen.handle(events)

    run_once(Subscription(name="sub", handle=refused))
    assert list(ParkedEvent.objects.values_list("event_id", "reason")) == [
        (ids[1], "DataError: string is too long for tsvector")
    ]
    assert seen.ids == [ids[0], ids[2]]


def test_a_subscriber_that_every_event_poisons_stops(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many failures are a defect of the handler; passing over the whole journal would hide it."""
    monkeypatch.setattr(parked, "MOST_PARKED", 3)
    ids = append(9)
    seen.poison = set(ids)
    with pytest.raises(parked.TooManyParked):
        drain(of(seen))
    assert ParkedEvent.objects.count() == 3
    seen.poison = set()
    drain(of(seen))
    assert seen.ids == ids[3:]


def test_a_replaced_owner_handles_nothing_more(seen: Seen) -> None:
    """Its work on the batch is undone with the checkpoint; the new owner's is the only one."""
    ids = append(8)
    checkpoint.take("sub", token=1)
    run_once(of(seen), token=1)
    checkpoint.take("sub", token=2)
    with pytest.raises(Fenced):
        run_once(of(seen), token=1)
    assert seen.ids == ids[:4]
    drain(of(seen), token=2)
    assert seen.ids == ids


def test_a_replaced_owner_cannot_retry_what_is_parked(seen: Seen) -> None:
    """Retries are fenced too."""
    ids = append(1)
    seen.poison = set(ids)
    clock = SettableClock(NOON)
    drain(of(seen, clock=clock), token=1)
    checkpoint.take("sub", token=2)
    clock.advance(timedelta(hours=2))
    with pytest.raises(Fenced):
        retry_parked(of(seen, clock=clock), token=1)


def test_a_batch_that_another_process_has_handled_meanwhile_is_left_to_it(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever moves the checkpoint first has it; the other has done nothing yet and is told."""
    ids = append(4)
    everything = every_project()

    class Slow:
        """A journal that is read so slowly that another process handles the batch meanwhile."""

        def read_all(self, **where: int) -> list[RecordedEvent]:
            events = list(everything.read_all(**where))
            monkeypatch.undo()
            drain(of(seen))
            return events

    monkeypatch.setattr(subscriptions, "every_project", Slow)
    with pytest.raises(Overtaken):
        run_once(of(seen))
    assert seen.ids == ids


class TestCrashes(TestCase):
    """A process may end between any two steps."""

    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    @given(
        batch=st.integers(1, 5),
        crashes=st.lists(st.integers(0, 11), max_size=6),
        poison=st.sets(st.integers(0, 11), max_size=3),
    )
    def test_effects_happen_once_however_often_the_process_dies(
        self, batch: int, crashes: list[int], poison: set[int]
    ) -> None:
        """Crashed in the middle of any batch, any number of times, with poison among the events."""
        seen = Seen()
        ids = append(12)
        seen.poison = {ids[at] for at in poison}
        for at in crashes:
            seen.crash_at = ids[at]
            try:
                drain(of(seen, batch=batch))
            except Crash:
                continue
        seen.crash_at = None
        drain(of(seen, batch=batch))
        assert seen.ids == [one for at, one in enumerate(ids) if at not in poison]
        assert set(ParkedEvent.objects.values_list("event_id", flat=True)) == seen.poison


@pytest.mark.django_db(transaction=True)
def test_following_goes_on_until_it_is_stopped(seen: Seen) -> None:
    """Each wake-up catches up; the lease is given back at the end."""
    stop = threading.Event()
    ids: list[str] = []

    def wakeups() -> Iterator[None]:
        for _ in range(3):
            ids.extend(append(5))
            yield None
        stop.set()

    follow(lambda: of(seen), lease_name="sub", wakeups=wakeups, stop=stop, ttl=timedelta(milliseconds=300))
    assert seen.ids == ids
