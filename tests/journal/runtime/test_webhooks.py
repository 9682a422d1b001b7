"""Webhooks and mails: what is sent, how it is signed, what is tried again, and where nothing is ever sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command

from journal.access import add_project
from journal.domain import agent_run as run
from journal.domain.alerts import Raised
from journal.domain.stream import ANY_VERSION
from journal.models import Dispatch, Project, Webhook
from journal.runtime import http_out, outbox, webhooks
from journal.runtime.clock import SettableClock
from journal.runtime.http_out import AddressRefused
from journal.runtime.webhooks import WebhookRefused, wanted_by
from journal.store import get_store
from journal.store.tracing import traceparent_of
from tests.builders import event
from tests.journal.runtime.receiver import Receiver, receiving
from tests.otel import telemetry

pytestmark = pytest.mark.django_db
ALERT = Raised(
    kind="run_aborted", run="agent_run-7", version=9, event_id="e", title="A run was aborted", summary="It was aborted."
)


@pytest.fixture(autouse=True)
def _project(settings: Any) -> None:
    """A project; receivers of tests are on loopback."""
    settings.ALLOW_PRIVATE_WEBHOOKS = True
    add_project("mine")


@pytest.fixture
def clock() -> SettableClock:
    """A clock a moment after every append of the test."""
    return SettableClock(datetime.now(UTC) + timedelta(seconds=1))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that says 200."""
    with receiving() as found:
        yield found


def raise_alert(data: Any = ALERT) -> None:
    """Append an event together with its dispatches, as the alerts stream does."""
    kind = getattr(data, "kind", "agent_run.answered")
    asked = wanted_by(Webhook.objects.filter(project_id="mine"), kind)
    get_store("mine").append("alerts-2026-11", [event(data)], expected_version=ANY_VERSION, dispatches=asked)


def dispatch() -> Dispatch:
    """Return the only dispatch."""
    return Dispatch.objects.get()


def test_a_webhook_gets_the_event_signed(receiver: Receiver, clock: SettableClock) -> None:
    """With the dispatch id and the time under the signature, as any Standard Webhooks library checks it."""
    made = webhooks.add(project="mine", url=receiver.url)
    raise_alert()
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    ((headers, body),) = receiver.requests
    assert headers["webhook-id"] == dispatch().id
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    document = json.loads(body)
    assert (document["type"], document["project"]) == ("run_aborted", "mine")
    assert document["event"]["data"]["run"] == "agent_run-7"


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def put_traced(traceparent: str) -> None:
    """Append an alert that says in which trace it was raised, together with its dispatches."""
    asked = wanted_by(Webhook.objects.filter(project_id="mine"), ALERT.kind)
    traced = event(ALERT, traceparent=traceparent)
    get_store("mine").append("alerts-2026-11", [traced], expected_version=ANY_VERSION, dispatches=asked)


def test_a_receiver_gets_the_attempts_own_span(receiver: Receiver, clock: SettableClock) -> None:
    """So that its trace goes on where ours ends; the event's own trace is linked from there."""
    webhooks.add(project="mine", url=receiver.url)
    put_traced(TRACE)
    with telemetry() as sdk:
        assert outbox.deliver_due(clock=clock) == ["delivered"]
        (attempt,) = sdk.spans("nagare.outbox.dispatch")
    ((headers, _),) = receiver.requests
    assert attempt.context is not None
    assert headers["traceparent"] == traceparent_of(attempt.context)


@pytest.mark.parametrize(("said", "sent"), [(TRACE, TRACE), (f"{TRACE}\r\nx-injected: 1", None), ("", None)])
def test_where_nobody_records_spans_the_events_trace_is_sent_on(
    said: str, sent: str | None, receiver: Receiver, clock: SettableClock
) -> None:
    """If it is one: what an imported event says there is a stranger's text."""
    webhooks.add(project="mine", url=receiver.url)
    put_traced(said)
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    ((headers, _),) = receiver.requests
    assert headers.get("traceparent") == sent
    assert "x-injected" not in headers


def test_a_receiver_that_fails_gets_it_again_under_the_same_id(clock: SettableClock) -> None:
    """500, then 200: two requests, one id, a new timestamp, delivered in the end."""
    with receiving(500, 200) as receiver:
        webhooks.add(project="mine", url=receiver.url)
        raise_alert()
        assert outbox.deliver_due(clock=clock) == ["retry"]
        assert dispatch().last_error == "BadAnswer: the receiver answered 500"
        clock.advance(timedelta(minutes=1))
        assert outbox.deliver_due(clock=clock) == ["delivered"]
    assert len(set(receiver.ids)) == 1
    first, second = (headers["webhook-timestamp"] for headers, _ in receiver.requests)
    assert first != second


@pytest.mark.parametrize("slowness", [Receiver.trickle, Receiver.silent])
def test_a_slow_receiver_is_cut_off(
    slowness: Callable[[Receiver, Any], None], clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that sends a byte now and then, which no timeout of a socket ends."""
    monkeypatch.setattr(http_out.post, "__kwdefaults__", {"deadline_s": 0.3})
    with receiving() as receiver:
        receiver.answers = [lambda handler: slowness(receiver, handler)]
        webhooks.add(project="mine", url=receiver.url)
        raise_alert()
        assert outbox.deliver_due(clock=clock) == ["retry"]
    assert "TimeoutError" in dispatch().last_error


def test_nobody_listening_is_tried_again(clock: SettableClock) -> None:
    """A receiver that is down is no reason to give up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    webhooks.add(project="mine", url=f"http://127.0.0.1:{port}/")
    raise_alert()
    assert outbox.deliver_due(clock=clock) == ["retry"]


def test_a_redirect_is_not_followed(clock: SettableClock) -> None:
    """It could lead where the address itself may not; the reason says what to do."""
    with receiving(302) as receiver:
        webhooks.add(project="mine", url=receiver.url)
        raise_alert()
        assert outbox.deliver_due(clock=clock) == ["retry"]
    assert "302; redirects are not followed" in dispatch().last_error


def test_a_receiver_that_is_gone_and_a_webhook_that_was_removed_are_parked(clock: SettableClock) -> None:
    """410 means never again; a removed webhook has nobody to send to."""
    with receiving(410) as receiver:
        made = webhooks.add(project="mine", url=receiver.url)
        raise_alert()
        assert outbox.deliver_due(clock=clock) == ["dead"]
    raise_alert()
    webhooks.remove(made.id, project="mine")
    assert outbox.deliver_due(clock=clock) == ["dead"]
    assert set(Dispatch.objects.values_list("last_error", flat=True)) == {
        "the receiver answered 410 Gone: it wants no more of these",
        "its webhook was removed",
    }


def test_an_event_that_is_too_large_is_named_without_its_data(receiver: Receiver, clock: SettableClock) -> None:
    """The receiver is told that something is left out, and can ask for the event."""
    webhooks.add(project="mine", url=receiver.url, on=["agent_run.answered"])
    raise_alert(run.Answered(response="x" * http_out.MAX_BODY_BYTES))
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    document = json.loads(receiver.requests[0][1])
    assert document["truncated"] is True
    assert "data" not in document["event"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.9.9",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_addresses_of_this_machine_and_its_network_are_not_public(address: str) -> None:
    """Also where IPv6 carries them inside."""
    assert not http_out.is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """Those can be sent to."""
    assert http_out.is_public(address)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/", "http and https are sent to"),
        ("file:///etc/passwd", "http and https are sent to"),
        ("http://", "names no host"),
        ("http://user:secret@example.com/", "user name in it"),
        ("http://example.com/a b", "spaces or control characters"),
        ("http://example.com/\r\nHost: x", "spaces or control characters"),
        ("http://example.com:99999/", "Port out of range"),
        ("http://127.0.0.1/", "not on the public internet"),
        ("http://[::1]:8000/", "not on the public internet"),
        ("http://localhost/", "not on the public internet"),
        ("http://2130706433/", "not on the public internet"),
        ("http://0x7f.1/", "not on the public internet"),
    ],
)
def test_where_nothing_is_sent(url: str, reason: str, settings: Any) -> None:
    """The refusal says why, when the webhook is made."""
    settings.ALLOW_PRIVATE_WEBHOOKS = False
    with pytest.raises(AddressRefused, match=reason):
        webhooks.add(project="mine", url=url)
    assert not Webhook.objects.exists()


def answering(*answers: list[str]) -> Callable[..., Any]:
    """Return a resolver that gives one list of addresses after the other."""
    left = list(answers)

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return getaddrinfo


def test_a_name_that_also_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """One private address among public ones is enough."""
    settings.ALLOW_PRIVATE_WEBHOOKS = False
    monkeypatch.setattr(socket, "getaddrinfo", answering(["93.184.215.14", "127.0.0.1"]))
    with pytest.raises(AddressRefused, match=r"example\.com is 127\.0\.0\.1"):
        webhooks.add(project="mine", url="http://example.com/")


def test_a_name_that_leads_inside_later_is_parked_and_nothing_is_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Any, clock: SettableClock
) -> None:
    """What counts is where it leads when something is sent."""
    settings.ALLOW_PRIVATE_WEBHOOKS = False
    monkeypatch.setattr(socket, "getaddrinfo", answering(["93.184.215.14"], ["127.0.0.1"]))
    webhooks.add(project="mine", url=receiver.url.replace("127.0.0.1", "example.com"))
    raise_alert()
    assert outbox.deliver_due(clock=clock) == ["dead"]
    assert "not on the public internet" in dispatch().last_error
    assert receiver.requests == []


def test_the_connection_goes_to_the_address_that_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, clock: SettableClock
) -> None:
    """A name is resolved once for each attempt: another answer a moment later has no effect."""
    asked: list[str] = []
    resolve = answering(["127.0.0.1"])

    def counting(host: str, port: int, *_: Any, **more: Any) -> Any:
        asked.append(host)
        return resolve(host, port, **more)

    webhooks.add(project="mine", url=receiver.url)
    Webhook.objects.update(url=receiver.url.replace("127.0.0.1", "hook.example"))
    raise_alert()
    monkeypatch.setattr(socket, "getaddrinfo", counting)
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    assert asked.count("hook.example") == 1
    assert receiver.requests[0][0]["host"].startswith("hook.example:")


def test_an_alert_goes_out_as_mail_with_an_id_of_its_own(clock: SettableClock) -> None:
    """A mailbox that gets it twice knows it by its Message-ID; a line break in a title ends no header."""
    webhooks.add(project="mine", url="mailto:ops@example.com")
    raise_alert(
        Raised(kind="run_aborted", run="agent_run-7", version=9, title="Aborted\nBcc: x@example.com", summary="S")
    )
    assert outbox.deliver_due(clock=clock) == ["delivered"]
    (sent,) = mail.outbox
    assert sent.to == ["ops@example.com"]
    assert sent.subject == "[nagare] mine: Aborted Bcc: x@example.com"
    assert sent.extra_headers["Message-ID"] == f"<{dispatch().id}@nagare>"
    assert "/runs/agent_run-7/?v=9&project=mine" in sent.body


@pytest.mark.parametrize(
    ("url", "on", "reason"),
    [
        ("mailto:nobody", [], "valid email"),
        ("mailto:ops@example.com", ["agent_run.answered"], "would be a mail for each event"),
        ("http://127.0.0.1:9/", ["whatever"], "neither an alert kind"),
    ],
)
def test_what_cannot_be_asked_for(url: str, on: list[str], reason: str) -> None:
    """Refused when it is asked, not when it first fails."""
    with pytest.raises(WebhookRefused, match=reason):
        webhooks.add(project="mine", url=url, on=on)


def shown(*arguments: str) -> Any:
    """Return what a command prints with --json."""
    out = StringIO()
    call_command(*arguments, "--project", "mine", "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_shows_the_secret_once() -> None:
    """When the webhook is made, never in a list; another project's webhook is not there."""
    made = shown("webhook", "add", "http://127.0.0.1:9/", "--on", "run_aborted")
    assert made["secret"].startswith("whsec_")
    assert made["on"] == ["run_aborted"]
    (listed,) = shown("webhook", "list")["webhooks"]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    Project.objects.create(slug="theirs", name="Theirs")
    with pytest.raises(CommandError, match="has no webhook"):
        call_command("webhook", "remove", made["id"], "--project", "theirs")
    shown("webhook", "remove", made["id"])
    assert not Webhook.objects.exists()
