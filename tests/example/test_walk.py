"""Every page shows streams that are no agent runs: nothing but the example app says what an order is."""

from __future__ import annotations

import json
import re
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from orders.aggregates import Pay, Place
from orders.events import Item
from orders.models import OpenOrder

from explorer import timelines
from explorer.models import EventLine, RunSummary
from journal.access.permissions import Role
from journal.access.projects import add_project, add_user, ensure_project
from journal.runtime import outbox, process_manager
from journal.runtime.clock import system_clock
from journal.runtime.projection import catch_up_all, named, rebuild
from journal.runtime.repository import repository
from journal.store import get_store

pytestmark = pytest.mark.django_db(transaction=True)

STREAM = "order-1001"
PROCESS = "process_shipping-1001"
LINE = (
    b'{"order": "2001", "customer": "Bob", "items": [{"sku": "tea", "quantity": 1, "price_cents": 450}],'
    b' "paid_cents": 450}\n'
)
COMMANDS = (
    ("state", STREAM),
    ("state", STREAM, "--version", "1"),
    ("explain", STREAM),
    ("diff", STREAM, "--from", "1", "--to", "3"),
    ("runs",),
    ("projections",),
)
TABS = ("explain", "state", "diff", "payload", "causes", "events")


@pytest.fixture
def shop() -> Client:
    """Place, pay and ship an order through everything the app brought, and sign somebody in."""
    timelines.clear()
    user, _ = add_user("ada", role=Role.ENGINEER, project=ensure_project("default").slug)
    orders = repository("default")
    orders.execute(STREAM, Place(customer="Ada", items=(Item(sku="tea", quantity=2, price_cents=450),)))
    orders.execute(STREAM, Pay(amount_cents=900))
    for manager in process_manager.registered():
        process_manager.follow(manager)
    while outbox.deliver_due(clock=system_clock, effects=["orders.ship"]):
        pass
    for manager in process_manager.registered():
        process_manager.follow(manager)
    catch_up_all()
    client = Client()
    client.force_login(user)
    return client


def _words(client: Client, address: str) -> str:
    answer = client.get(address, HTTP_ACCEPT="text/html")
    assert answer.status_code == 200, address
    return " ".join(answer.content.decode().split())


def test_a_paid_order_ships_itself(shop: Client) -> None:
    """Event, process, dispatch, command, event: and the process ends."""
    kinds = [event.type for event in get_store("default").read_stream(STREAM)]
    assert kinds == ["order.placed", "order.paid", "order.shipped"]
    assert process_manager.load(get_store("default"), PROCESS).has_ended
    assert not OpenOrder.objects.exists()


def test_the_run_list_shows_an_order(shop: Client) -> None:
    """By the name its state gives it."""
    page = _words(shop, "/runs/")
    assert "Order of Ada, shipped" in page
    assert STREAM in page


@pytest.mark.parametrize("stream", [STREAM, PROCESS])
def test_every_tab_shows_every_event(shop: Client, stream: str) -> None:
    """Whole pages and the fragments that cursor moves ask for, whatever the slider steps through."""
    newest = get_store("default").stream_version(stream)
    assert newest > 1
    for version, tab in product(range(1, newest + 1), TABS):
        page = _words(shop, f"/runs/{stream}/?v={version}&tab={tab}").partition('<script type="application/json"')[0]
        assert "agent_run" not in page
        assert "unknown type" not in page
    for tab, part in product(TABS, ("", "list", "window", "edge")):
        fragment = shop.get(f"/runs/{stream}/?v=2&tab={tab}&part={part}", HTTP_HX_REQUEST="true")
        assert fragment.status_code == 200
    for scrub in ("all", "decisions", "errors", "causes", "tool:x"):
        _words(shop, f"/runs/{stream}/?v=1&scrub={scrub}&q=tea")


def test_an_event_is_explained_by_the_app(shop: Client) -> None:
    """Sentence, detail, tags and actor are the explainer's."""
    page = _words(shop, f"/runs/{STREAM}/?v=1")
    for said in ("Ada orders 2 pieces of 1 articles", "2 × tea at 4.50", "customer:Ada", "Order placed"):
        assert said in page


def test_the_state_names_the_event_that_set_each_value(shop: Client) -> None:
    """Without the app having to keep a record of it."""
    assert "state by the aggregate order" in _words(shop, f"/runs/{STREAM}/?v=3&tab=state")
    assert repository("default").load(STREAM).blame() == {
        "/status": 3,
        "/customer": 1,
        "/items/tea/quantity": 1,
        "/items/tea/price_cents": 1,
        "/total_cents": 1,
        "/parcel": 3,
    }


def test_the_causes_lead_over_streams_back_to_the_payment(shop: Client) -> None:
    """Shipped, because the process reacted, because the order was paid."""
    count = '<span class="segment-count">{}</span>'
    page = _words(shop, f"/runs/{STREAM}/?v=3&tab=causes")
    assert f"Causes {count.format(2)}" in page
    assert "in the run" in page
    assert f"Causes {count.format(1)}" in _words(shop, f"/runs/{PROCESS}/?v=1&tab=causes")


def test_permalink_and_downloads(shop: Client) -> None:
    """The event on the wire, and its stored bytes."""
    event = shop.get(f"/runs/{STREAM}/events/1/", HTTP_ACCEPT="application/json").json()
    assert (event["type"], event["data"]["customer"]) == ("order.placed", "Ada")
    assert json.loads(shop.get(f"/runs/{STREAM}/events/1/?download=data").content) == event["data"]


def test_searches_take_orders(shop: Client) -> None:
    """A key that orders have nothing for finds none, and breaks nothing."""
    for query in ("Ada", "status:recorded", "steps:>1", "errors:>0", "cost:>1", "order-1001", "-failed"):
        assert shop.get("/runs/", {"q": query}).status_code == 200


def test_commands_take_orders(shop: Client) -> None:
    """Each as JSON and in words."""
    for command, options in product(COMMANDS, ((), ("--json",))):
        out = StringIO()
        call_command(*command, *options, stdout=out)
        assert out.getvalue(), command


def test_an_order_is_exported_and_comes_back(shop: Client, tmp_path: Path) -> None:
    """The journal's own format holds streams of every category."""
    out = StringIO()
    call_command("export", STREAM, stdout=out)
    file = tmp_path / "order.jsonl"
    file.write_text(out.getvalue())
    add_project("copy")
    call_command("import", str(file), "--project", "copy", "--json", stdout=StringIO())
    kinds = [event.type for event in get_store("copy").read_stream(STREAM)]
    assert kinds == ["order.placed", "order.paid", "order.shipped"]


def test_an_order_log_is_imported_once(shop: Client, tmp_path: Path) -> None:
    """By the app's own format, into streams of the order's own events."""
    file = tmp_path / "orders.jsonl"
    file.write_bytes(LINE)
    for status in ("imported", "unchanged"):
        out = StringIO()
        call_command("import", str(file), "--json", stdout=out)
        (entry,) = json.loads(out.getvalue())["files"]
        assert (entry["format"], entry["status"]) == ("orders", status)
        assert entry["runs"][0]["stream"] == "order-2001"
    catch_up_all()
    assert "Order of Bob, paid" in _words(shop, "/runs/")
    (open_order,) = OpenOrder.objects.all()
    assert (open_order.stream, open_order.is_paid) == ("order-2001", True)


def test_the_how_to_s_program_runs(shop: Client) -> None:
    """As it stands there, on an order that is not there yet."""
    how_to = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "bring-your-own-aggregates.md"
    (program,) = re.findall(r"^```python\n(from journal.*?)^```", how_to.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(program.replace("order-1001", "order-7"), str(how_to), "exec"), names)
    assert names["orders"].load("order-7").to_json()["status"] == "paid"
    assert names["orders"].load_at_version("order-7", 1).to_json()["status"] == "placed"


def test_a_rebuild_gives_the_same_rows(shop: Client) -> None:
    """The projection's digest is that of the one filled event by event."""
    projection = named("open_orders")
    before = projection.digest(generation=0)
    rebuild(projection)
    assert OpenOrder.objects.count() == 0
    assert projection.digest(generation=0) == before


def test_lines_and_summaries_say_what_they_know(shop: Client) -> None:
    """What other apps' events mean is theirs: a type that ends like one of an agent run's is none."""
    assert set(EventLine.objects.values_list("kind", flat=True)) == {"event"}
    run = RunSummary.objects.get(stream=STREAM)
    assert (run.status, run.decisions, run.tool_calls, run.cost_usd) == ("recorded", 0, 0, None)
