"""From an event to an alert to its receivers: once each, whatever is repeated, and only for what is news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.core import mail

from journal.access import add_project
from journal.domain import agent_run as run
from journal.domain import alerts, codec
from journal.domain.alerts import AlertsState, Raised
from journal.domain.dispatch import DedupeRing
from journal.domain.event import EventData, Metadata
from journal.domain.stream import ANY_VERSION
from journal.models import Checkpoint, Dispatch, Snapshot
from journal.runtime import alerting, outbox_loop, webhooks
from journal.runtime.clock import SettableClock
from journal.runtime.outbox import Delivery
from journal.runtime.subscription import run_once
from journal.store import get_store
from tests.builders import event, failed, identity, returned, started

pytestmark = pytest.mark.django_db
RUN = "agent_run-7"
STREAM = "alerts-2026-11"


@pytest.fixture(autouse=True)
def _project() -> None:
    """A project."""
    add_project("mine")


@pytest.fixture
def clock() -> SettableClock:
    """A clock a moment after every append of the test."""
    return SettableClock(datetime.now(UTC) + timedelta(seconds=2))


def happened(*events: msgspec.Struct, stream: str = RUN, **metadata: Any) -> None:
    """Append what happened just now."""
    get_store("mine").append(stream, [event(data, **metadata) for data in events], expected_version=ANY_VERSION)


def settle(clock: SettableClock) -> None:
    """Let the outbox's loop come to rest."""
    while outbox_loop.turn(clock=clock):
        pass


def raised() -> list[Raised]:
    """Return the alerts there are."""
    found = get_store("mine").read_category(alerts.CATEGORY)
    return [msgspec.json.decode(one.data, type=Raised) for one in found if one.type == "alerts.raised"]


def test_an_aborted_run_is_told_by_mail_once(clock: SettableClock) -> None:
    """However often the loop turns, and also after its checkpoint was lost."""
    webhooks.add(project="mine", url="mailto:ops@example.com")
    happened(started(), run.Aborted(reason="Out of budget"))
    settle(clock)
    Checkpoint.objects.all().delete()
    settle(clock)
    assert [one.subject for one in mail.outbox] == ["[nagare] mine: A run was aborted"]
    assert "agent_run-7 was aborted: Out of budget" in mail.outbox[0].body


def test_a_tool_that_fails_again_and_again_is_told_at_the_third_time(clock: SettableClock) -> None:
    """Not at the second, not again at the fourth; after a success the count begins anew."""
    happened(started(), failed(), failed())
    settle(clock)
    assert raised() == []
    happened(failed("permission denied"), failed())
    settle(clock)
    (alert,) = raised()
    assert (alert.kind, alert.version, alert.title) == ("tool_failing", 4, "read_file failed 3 times in a row")
    assert alert.summary.endswith("in agent_run-7: permission denied")
    happened(returned(), failed(), failed(), failed())
    settle(clock)
    assert [one.version for one in raised()] == [4, 9]


def test_history_is_no_news(clock: SettableClock) -> None:
    """An import of old runs, or of runs without times, raises nothing."""
    old = event(run.Aborted(reason="Last year"), at=datetime.now(UTC) - timedelta(days=300))
    get_store("mine").append(RUN, [event(started()), old], expected_version=ANY_VERSION)
    happened(started(), run.Aborted(reason="No idea when"), stream="agent_run-8", time="unknown")
    settle(clock)
    assert raised() == []


def test_a_webhook_on_an_event_type_gets_what_was_recorded_after_it_was_made(
    clock: SettableClock, settings: Any
) -> None:
    """Of its own project alone, and of this type alone."""
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    happened(run.Answered(response="before"))
    webhooks.add(project="mine", url="http://127.0.0.1:9/", on=["agent_run.answered"])
    happened(started(), run.Answered(response="after"))
    get_store("default").append("agent_run-9", [event(run.Answered())], expected_version=ANY_VERSION)
    run_once(alerting.subscription(clock))
    (found,) = Dispatch.objects.all()
    assert get_store("mine").event(found.event_id).payload == {"response": "after"}


def delivery(number: int, attempt: int = 1) -> Delivery:
    """Return an alert's dispatch."""
    alert = Raised(kind="run_aborted", run=f"agent_run-{number}", version=2, title="Aborted")
    return Delivery(
        id=identity(("dispatch", number)),
        project="mine",
        event_id=identity(number),
        effect="alert",
        target=STREAM,
        payload=msgspec.json.decode(codec.encode(alert)),
        attempt=attempt,
        at=datetime.now(UTC),
    )


def loaded(state: AlertsState) -> AlertsState:
    """Bring a state up to date from the stream."""
    for one in get_store("mine").read_stream(STREAM, after=state.version):
        state.apply(one)
    return state


def test_a_redelivery_older_than_the_ring_is_caught_by_the_event_id() -> None:
    """After ten times as many dispatches as the ring holds, the first one again counts once."""
    size = 8
    state = AlertsState(STREAM, ring_size=size)
    for number in range(10 * size):
        assert alerting.take(delivery(number), state=loaded(state))
    assert not loaded(state).ring.seen(delivery(0).id)
    assert state.ring.is_nearly_full
    assert not alerting.take(delivery(0, attempt=2), state=state)
    newest = loaded(state)
    assert newest.received == 10 * size
    assert list(get_store("mine").read_stream(STREAM))[-1].payload["foundBy"] == "event id"


def test_a_recent_redelivery_is_caught_by_the_ring_and_seen_in_its_hit_rate() -> None:
    """The state says how often that happens."""
    for number in (1, 2, 3):
        alerting.receive(delivery(number))
    alerting.receive(delivery(2, attempt=2))
    state = alerting.load(get_store("mine"), STREAM)
    assert (state.received, state.to_json()["ring"]) == (
        3,
        {"size": 512, "used": 3, "hit_rate": 0.25, "is_nearly_full": False, "evicted": 0},
    )


def test_the_ring_is_the_same_after_a_snapshot_and_after_a_restart() -> None:
    """A state restored from JSON and given the rest equals the one folded from the beginning."""
    state = AlertsState(STREAM)
    for number in range(5):
        alerting.receive(delivery(number))
    kept = loaded(state).freeze()
    for number in range(3, 9):
        alerting.receive(delivery(number, attempt=2))
    restored = loaded(AlertsState.thaw(kept))
    assert restored.snapshot() == alerting.load(get_store("mine"), STREAM).snapshot()
    assert isinstance(restored.ring, DedupeRing)
    assert restored.received == 9
    assert set(restored.blame()) >= {"/received", "/newest/0/title"}


def test_a_long_stream_of_alerts_is_loaded_from_a_snapshot_with_the_same_ring() -> None:
    """What a restart folds is the rest alone, and deleting the snapshot changes nothing but time."""
    events = [
        EventData(
            type="alerts.raised",
            data=codec.encode(Raised(kind="run_aborted", run=f"agent_run-{number}")),
            metadata=codec.encode(Metadata(dispatch_id=identity(number))),
        )
        for number in range(1_100)
    ]
    get_store("mine").append(STREAM, events, expected_version=ANY_VERSION)
    folded = alerting.load(get_store("mine"), STREAM).snapshot()
    assert Snapshot.objects.filter(stream=STREAM).exists()
    assert alerting.load(get_store("mine"), STREAM).snapshot() == folded
    Snapshot.objects.all().delete()
    assert alerting.load(get_store("mine"), STREAM).snapshot() == folded


def test_two_workers_with_the_same_dispatch_raise_one_alert() -> None:
    """Both loaded the state before either appended: the event's id decides."""
    stale = alerting.load(get_store("mine"), STREAM)
    assert alerting.take(delivery(1), state=stale)
    assert not alerting.take(delivery(1, attempt=2), state=stale)
    assert alerting.load(get_store("mine"), STREAM).received == 1


def test_an_alert_of_last_month_goes_to_last_months_stream() -> None:
    """Where it went the first time, whenever it comes again."""
    assert alerts.stream_of(datetime(2026, 10, 31, 23, 59, tzinfo=UTC)) == "alerts-2026-10"
