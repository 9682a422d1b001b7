"""Dispatches are written with their events, claimed once, tried again, and parked for a person in the end."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections

from journal.domain import codec
from journal.domain.alerts import Raised
from journal.domain.dispatch import NewDispatch, dispatch_id
from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.errors import WrongExpectedVersion
from journal.models import Dispatch
from journal.runtime import alerting, outbox
from journal.runtime.clock import SettableClock
from journal.runtime.outbox import Delivery, Undeliverable
from journal.store import get_store
from journal.store.memory import MemoryStore
from tests.builders import identity, raw

pytestmark = pytest.mark.django_db
FULL = bool(os.environ.get("FULL"))
KILLS = 50 if FULL else 8


@pytest.fixture
def clock() -> SettableClock:
    """A clock a moment after every append of the test."""
    return SettableClock(datetime.now(UTC) + timedelta(seconds=1))


class Effects:
    """An effect that keeps what it was given, and fails as often as it is told."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.failures: list[Exception] = []

    def __call__(self, delivery: Delivery) -> None:
        """Keep the delivery, then fail where a failure is left."""
        self.got.append(delivery)
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> Effects:
    """The effect `test`."""
    found = Effects()
    monkeypatch.setitem(outbox._effects, "test", found)
    return found


def ask(target: str = "a", *, event_id: str | None = None, effect: str = "test", payload: Any = None) -> str:
    """Append an event with one dispatch; return the dispatch's id."""
    known = event_id or str(uuid4())
    asked = NewDispatch(effect=effect, target=target, payload=codec.encode(payload or {"n": 1}))
    get_store().append("run-7", [raw(id=known)], expected_version=ANY_VERSION, dispatches=[asked])
    return str(dispatch_id("default", known, effect, target))


def row(dispatch: str) -> Dispatch:
    """Return a stored dispatch."""
    return Dispatch.objects.get(id=dispatch)


def test_a_dispatch_is_stored_exactly_where_its_event_is() -> None:
    """A refused append leaves neither, a repeated one adds neither."""
    ask(event_id=identity("first"))
    with pytest.raises(WrongExpectedVersion):
        get_store().append(
            "run-7", [raw()], expected_version=NO_STREAM, dispatches=[NewDispatch(effect="test", target="b")]
        )
    ask(event_id=identity("first"))
    assert list(Dispatch.objects.values_list("target", flat=True)) == ["a"]


@pytest.mark.django_db(transaction=True)
def test_where_a_dispatch_cannot_be_stored_its_event_is_not_either() -> None:
    """They are one transaction in this direction too."""
    ask(event_id=identity("x"))
    Dispatch.objects.update(id=str(dispatch_id("default", identity("y"), "test", "a")))
    with pytest.raises(IntegrityError):
        ask(event_id=identity("y"))
    assert get_store().stream_version("run-7") == 1


def test_the_memory_store_keeps_the_same_rows() -> None:
    """What is derived does not depend on the store."""
    memory = MemoryStore()
    asked = [NewDispatch(effect="test", target="a")]
    memory.append("run-7", [raw(id=identity("x"))], expected_version=NO_STREAM, dispatches=asked)
    assert [kept.id for kept in memory.dispatches] == [ask(event_id=identity("x"))]


def test_what_is_due_is_delivered_and_then_done(effects: Effects, clock: SettableClock) -> None:
    """The effect gets the id, the event that asked and the payload."""
    dispatch = ask(event_id=identity("x"))
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    (delivery,) = effects.got
    assert (delivery.id, delivery.event().id, delivery.payload) == (dispatch, identity("x"), {"n": 1})
    assert row(dispatch).state == "delivered"
    assert outbox.deliver_due(clock=clock) == []


def test_a_failure_is_tried_again_later_and_later(effects: Effects, clock: SettableClock) -> None:
    """Twice as long each time, up to an hour, with the reason kept."""
    effects.failures = [RuntimeError("down")] * 3
    dispatch = ask()
    waits = []
    for _ in range(3):
        assert outbox.deliver_due(clock=clock) == ["retry"]
        assert outbox.deliver_due(clock=clock) == []
        found = row(dispatch)
        waits.append(found.next_try_us / 1_000_000 - clock().timestamp())
        assert found.last_error == "RuntimeError: down"
        clock.advance(timedelta(seconds=waits[-1] + 1))
    assert [round(wait / waits[0]) for wait in waits] == [1, 2, 4]
    assert outbox.back_off(dispatch, 40) <= outbox.LONGEST_DELAY * 1.1
    assert outbox.deliver_due(clock=clock) == ["delivered"]


def test_after_the_last_attempt_it_is_parked_and_can_be_queued_again(effects: Effects, clock: SettableClock) -> None:
    """Under the same id, with a new set of attempts."""
    effects.failures = [RuntimeError("down")] * outbox.MAX_ATTEMPTS
    dispatch = ask()
    outcomes = []
    for _ in range(outbox.MAX_ATTEMPTS):
        outcomes += outbox.deliver_due(clock=clock)
        clock.advance(timedelta(hours=2))
    assert outcomes == ["retry"] * (outbox.MAX_ATTEMPTS - 1) + ["dead"]
    assert "attempt 12 of 12: RuntimeError: down" in row(dispatch).last_error
    assert outbox.deliver_due(clock=clock) == []
    outbox.requeue(dispatch, now=clock())
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    assert len({delivery.id for delivery in effects.got}) == 1


def test_what_cannot_be_delivered_is_parked_at_once(effects: Effects, clock: SettableClock) -> None:
    """As is an effect that nobody installed, without harm to the others."""
    effects.failures = [Undeliverable("the receiver is gone")]
    dispatch = ask()
    assert outbox.deliver_due(clock=clock) == ["dead"]
    assert row(dispatch).last_error == "the receiver is gone"
    unknown = ask(effect="nobody-has-this")
    outcomes = outbox.deliver_due(clock=clock, effects=["nobody-has-this"])
    assert outcomes == ["dead"]
    assert "no installed app has an effect 'nobody-has-this'" in row(unknown).last_error


def test_a_dispatch_is_claimed_by_one_worker(clock: SettableClock) -> None:
    """The second to come, with the same row in hand, gets nothing."""
    found = row(ask())
    assert outbox.claim(found, now=clock(), token=1) is not None
    assert outbox.claim(found, now=clock(), token=1) is None


def test_an_earlier_holder_can_neither_claim_nor_end_what_a_later_one_has(
    effects: Effects, clock: SettableClock
) -> None:
    """A worker that was paused past its lease finds its token refused."""
    dispatch = ask()
    paused = outbox.claim(row(dispatch), now=clock(), token=1)
    assert paused is not None
    assert outbox.due(now=clock(), token=1, effects=["test"]).count() == 0
    later = outbox.claim(outbox.due(now=clock(), token=2, effects=["test"]).get(), now=clock(), token=2)
    assert later is not None
    assert outbox.deliver(paused) == "lost"
    assert outbox.claim(row(dispatch), now=clock() + timedelta(hours=1), token=1) is None
    assert row(dispatch).state == "pending"
    assert outbox.deliver(later) == "delivered"


def test_a_worker_that_lost_its_lease_stops_before_the_next_dispatch(effects: Effects, clock: SettableClock) -> None:
    """What it has not claimed is left to whoever has the lease."""
    ask("a")
    ask("b")
    answers = iter([True, False])
    assert outbox.deliver_due(clock=clock, holds=lambda: next(answers)) == ["delivered"]
    assert Dispatch.objects.filter(state="pending", attempts=0).count() == 1


def test_a_dispatch_that_kills_every_worker_is_parked(clock: SettableClock) -> None:
    """Attempts are counted when they begin, so even those that nobody could end are."""
    dispatch = ask()
    for token in range(1, outbox.MAX_ATTEMPTS + 1):
        assert outbox.claim(row(dispatch), now=clock(), token=token) is not None
    assert outbox.deliver_due(clock=clock, token=99, effects=["test"]) == ["dead"]
    assert "the worker died" in row(dispatch).last_error


def test_what_was_delivered_long_ago_is_forgotten(effects: Effects, clock: SettableClock) -> None:
    """What is dead or pending stays."""
    delivered, dead = ask("a"), ask("b")
    effects.failures = [Undeliverable("no")]
    outbox.deliver_due(clock=clock, target="b")
    outbox.deliver_due(clock=clock)
    clock.advance(outbox.KEPT_FOR + timedelta(days=1))
    assert outbox.prune(now=clock()) == 1
    assert not Dispatch.objects.filter(id=delivered).exists()
    assert row(dead).state == "dead"


def shown(*arguments: str) -> Any:
    """Return what a command prints with --json."""
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_lists_and_queues_again(effects: Effects, clock: SettableClock) -> None:
    """By state, with id, attempts, effect and reason."""
    effects.failures = [Undeliverable("no such receiver")]
    dead, waiting = ask("a"), ask("b")
    outbox.deliver_due(clock=clock, target="a")
    (found,) = shown("outbox", "--state", "dead")["dispatches"]
    assert (found["id"], found["attempts"], found["effect"], found["last_error"]) == (
        dead,
        1,
        "test",
        "no such receiver",
    )
    assert [one["id"] for one in shown("outbox", "--state", "pending")["dispatches"]] == [waiting]
    assert shown("outbox", "requeue", dead)["state"] == "pending"
    with pytest.raises(CommandError, match="it is pending; only a dead one can be queued again"):
        call_command("outbox", "requeue", dead)
    with pytest.raises(CommandError, match="there is none"):
        call_command("outbox", "requeue", identity("no dispatch"))


def alert(number: int) -> str:
    """Append an event that asks for an alert."""
    raised = Raised(
        kind="run_aborted", run=f"agent_run-{number}", version=3, event_id=identity(number), title="Aborted"
    )
    return ask("alerts-2026-11", effect="alert", payload=raised, event_id=identity(("alert", number)))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_receiver_counts_each_dispatch_once_however_often_workers_are_killed() -> None:
    """Each worker is killed with SIGKILL after an effect and before it could write that down."""
    wanted = [alert(number) for number in range(KILLS + 3)]
    for token in range(1, KILLS + 1):
        assert _killed_after_an_effect(token)
    clock = SettableClock(datetime.now(UTC) + timedelta(minutes=1))
    while outbox.deliver_due(clock=clock, token=KILLS + 1):
        pass
    state = alerting.load(get_store(), "alerts-2026-11")
    taken = [
        event.meta.dispatch_id for event in get_store().read_stream("alerts-2026-11") if event.type == "alerts.raised"
    ]
    assert sorted(map(str, taken)) == sorted(wanted)
    assert (state.received, state.ring.hits) == (len(wanted), KILLS)
    assert set(Dispatch.objects.values_list("state", flat=True)) == {"delivered"}


def _killed_after_an_effect(token: int) -> bool:
    """Run a worker in a process of its own that dies at its second acknowledgement. Returns whether it was killed."""
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        try:
            _die_at_the_second_end()
            outbox.deliver_due(clock=lambda: datetime.now(UTC) + timedelta(seconds=1), token=token)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def _die_at_the_second_end() -> None:
    end, calls = outbox._end, []

    def dying(delivery: Delivery, *, state: str, error: str = "") -> str:
        calls.append(delivery.id)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return end(delivery, state=state, error=error)

    outbox._end = dying
