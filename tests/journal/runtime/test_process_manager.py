"""Process managers: each event is taken in once, each command issued once, wherever the runner stops in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from journal.domain import codec
from journal.domain import process as processes
from journal.domain.aggregate import Repository
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.process import ProcessState
from journal.domain.stream import ANY_VERSION
from journal.models import Checkpoint, Dispatch, ParkedEvent
from journal.runtime import checkpoint, outbox, process_manager
from journal.runtime.clock import SettableClock
from journal.runtime.outbox import Delivery
from journal.runtime.process_manager import Command, Reaction, follow, load, manages, react
from journal.store import get_store
from tests.builders import raw

pytestmark = pytest.mark.django_db
STREAM = "process_refund-7"


class Refunds:
    """Asks for approval, then pays; gives up where nobody answers within a day."""

    name = "refund"
    reacts_to = frozenset({"order.refund_asked", "order.approved", "order.broken", "order.paid"})

    def process_of(self, event: RecordedEvent) -> str | None:
        """Return the order."""
        return event.stream.partition("-")[2]

    def decide(self, state: dict[str, Any], event: RecordedEvent) -> Reaction | None:
        """Return what is to be done."""
        match event.type:
            case "order.refund_asked":
                command = Command(effect="order", target="approval", payload={"amount": event.payload.get("amount", 0)})
                return Reaction(state={"is": "waiting"}, commands=(command,), timeout=timedelta(days=1))
            case "order.approved" if state.get("is") == "waiting":
                return Reaction(state={"is": "paying"}, commands=(Command(effect="order", target="payment"),))
            case "order.paid":
                return Reaction(state={"is": "paid"}, has_ended=True)
            case processes.TIMED_OUT:
                return Reaction(state={"is": "forgotten"}, commands=(Command(effect="order", target="apology"),))
            case "order.broken":
                raise RuntimeError("this manager has a defect")
        return None


MANAGER = Refunds()


class Done:
    """What the effect `order` did."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, str]] = []

    def __call__(self, delivery: Delivery) -> None:
        """Do it, once for each id."""
        if (delivery.id, delivery.target) not in self.commands:
            self.commands.append((delivery.id, delivery.target))

    @property
    def targets(self) -> list[str]:
        """What was done, in order."""
        return [target for _, target in self.commands]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """The effect `order`, and the manager, for one test."""
    found = Done()
    monkeypatch.setattr(process_manager, "_managers", {})
    monkeypatch.setitem(outbox._effects, "order", found)
    manages(Refunds)
    return found


@pytest.fixture
def clock() -> SettableClock:
    """A clock a moment after every append of the test."""
    return SettableClock(datetime.now(UTC) + timedelta(seconds=1))


def happened(kind: str, dispatch: str | None = None, **data: Any) -> RecordedEvent:
    """Append an event of order 7 and return it as recorded."""
    new = EventData(type=kind, data=codec.encode(data), metadata=codec.encode(Metadata(dispatch_id=dispatch)))
    (event_id,) = get_store().append("order-7", [new], expected_version=ANY_VERSION).ids
    return get_store().event(event_id)


def settle(clock: SettableClock) -> None:
    """Follow and deliver until nothing is left to do."""
    while follow(MANAGER, clock=clock) + len(outbox.deliver_due(clock=clock)):
        pass


def test_events_come_in_and_commands_go_out(done: Done, clock: SettableClock) -> None:
    """The state of the process says what it waits for."""
    happened("order.refund_asked", amount=12)
    settle(clock)
    state = load(get_store(), STREAM)
    assert done.targets == ["approval"]
    assert (state.own, [one["target"] for one in state.to_json()["open_commands"]]) == ({"is": "waiting"}, ["approval"])
    assert state.timeout is not None
    happened("order.approved", dispatch=done.commands[0][0])
    settle(clock)
    happened("order.paid", dispatch=done.commands[1][0])
    settle(clock)
    ended = load(get_store(), STREAM)
    assert done.targets == ["approval", "payment"]
    assert (ended.own, ended.open, ended.to_json()["status"]) == ({"is": "paid"}, {}, "ended")


def test_an_event_that_comes_again_changes_nothing(done: Done, clock: SettableClock) -> None:
    """Nor does the whole journal read again from the beginning."""
    asked = happened("order.refund_asked")
    settle(clock)
    assert not react(get_store(), MANAGER, asked)
    Checkpoint.objects.all().delete()
    settle(clock)
    assert done.targets == ["approval"]
    assert load(get_store(), STREAM).version == 1


def test_an_event_older_than_the_tracker_is_caught_by_the_reactions_id(
    done: Done, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracker is bounded; the journal is not."""
    monkeypatch.setattr(processes, "_HANDLED", 2)
    first = happened("order.refund_asked")
    for _ in range(4):
        happened("order.refund_asked")
    settle(clock)
    assert not load(get_store(), STREAM).handled.seen(first.id)
    assert not react(get_store(), MANAGER, first)


STEPS = ("follow", "claim", "effect", "acknowledge", "checkpoint")


class Stopped(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("at", STEPS)
def test_a_stop_between_any_two_steps_gives_the_same_outcome(
    at: str, done: Done, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped once at each place where it can be, the second run does what was left and nothing twice."""
    happened("order.refund_asked")
    with monkeypatch.context() as patched:
        _stop(patched, at, done)
        with pytest.raises(Stopped):
            settle(clock)
    clock.advance(timedelta(minutes=5))
    settle(clock)
    assert done.targets == ["approval"]
    assert load(get_store(), STREAM).version == 1
    assert set(Dispatch.objects.exclude(effect="process.timeout").values_list("state", flat=True)) == {"delivered"}


def _stop(patched: pytest.MonkeyPatch, at: str, done: Done) -> None:
    """Let the runner end before or after one of its steps."""

    def stop(*_: Any, **__: Any) -> Any:
        raise Stopped

    def after_effect(delivery: Delivery) -> None:
        done(delivery)
        raise Stopped

    match at:
        case "follow":
            patched.setattr(process_manager, "react", stop)
        case "claim":
            patched.setattr(outbox, "claim", stop)
        case "effect":
            patched.setitem(outbox._effects, "order", stop)
        case "acknowledge":
            patched.setitem(outbox._effects, "order", after_effect)
        case "checkpoint":
            patched.setattr(checkpoint, "advance", stop)


def test_the_tracker_survives_a_snapshot(done: Done, clock: SettableClock) -> None:
    """A process restored from JSON halfway is the one folded from the beginning."""
    happened("order.refund_asked")
    settle(clock)
    kept = load(get_store(), STREAM).freeze()
    happened("order.approved", dispatch=done.commands[0][0])
    settle(clock)
    restored = ProcessState.thaw(kept)
    for event in get_store().read_stream(STREAM, after=restored.version):
        restored.apply(event)
    assert restored.snapshot() == load(get_store(), STREAM).snapshot()
    assert restored.fork().to_json() == restored.to_json()


def test_what_does_not_come_in_time_is_an_event_like_others(done: Done, clock: SettableClock) -> None:
    """The timeout is a dispatch that is due later; delivered twice it happens once."""
    happened("order.refund_asked")
    settle(clock)
    clock.advance(timedelta(hours=23))
    settle(clock)
    assert load(get_store(), STREAM).own == {"is": "waiting"}
    clock.advance(timedelta(hours=2))
    settle(clock)
    Dispatch.objects.filter(effect="process.timeout").update(state="pending", next_try_us=0)
    settle(clock)
    assert done.targets == ["approval", "apology"]
    assert load(get_store(), STREAM).own == {"is": "forgotten"}


def test_a_worker_that_dies_between_a_timeout_and_the_reaction_to_it_loses_nothing(
    done: Done, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timeout stands in the stream; the next delivery finds it there and reacts."""
    happened("order.refund_asked")
    settle(clock)
    clock.advance(timedelta(hours=25))
    with monkeypatch.context() as patched:
        patched.setattr(process_manager, "_react", lambda *_: (_ for _ in ()).throw(Stopped()))
        with pytest.raises(Stopped):
            outbox.deliver_due(clock=clock)
    clock.advance(timedelta(minutes=5))
    settle(clock)
    assert done.targets == ["approval", "apology"]


def test_a_timeout_of_a_process_that_went_on_is_nothing(done: Done, clock: SettableClock) -> None:
    """Each reaction replaces it."""
    happened("order.refund_asked")
    happened("order.approved")
    settle(clock)
    assert not Dispatch.objects.filter(state="pending").exists()
    clock.advance(timedelta(days=2))
    settle(clock)
    assert done.targets == ["approval", "payment"]


def test_an_event_the_manager_cannot_take_is_parked_and_the_others_go_on(done: Done, clock: SettableClock) -> None:
    """With the reason; it is tried again later."""
    broken = happened("order.broken")
    happened("order.refund_asked")
    settle(clock)
    parked = ParkedEvent.objects.get()
    assert (parked.event_id, parked.subscription) == (broken.id, "process-refund")
    assert "this manager has a defect" in parked.reason
    assert done.targets == ["approval"]


def test_any_page_can_show_a_process(done: Done, clock: SettableClock) -> None:
    """It is a stream like others, with a state that says which event set what."""
    happened("order.refund_asked")
    settle(clock)
    get_store().append("order-8", [raw()], expected_version=ANY_VERSION)
    state = Repository(get_store()).load(STREAM)
    assert state.to_json()["state"] == {"is": "waiting"}
    assert state.blame()["/open_commands/0/target"] == 1
