"""The tabs State, Diff, Payload and Context on the page: what they say, their links, and what they cost."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer.queries.run_address import Address, pinned, pins_of
from explorer.queries.run_panels import moment_for, panels
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from tests import builders
from tests.coding_run import EDIT_AT
from tests.run_pages import address, fresh_timelines, page, part, put, put_coding_run, reader, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
DEEP = [
    address("agent_run-7", 60, tab="state", path="/totals/decisions", pin="/status,/totals/cost_usd"),
    address("agent_run-7", 60, tab="state", filter="refunds"),
    address("agent_run-7", 60, tab="diff", mark=16, pin="/last_decision/tool"),
    address("agent_run-7", 60, tab="context", **{"from": 1}),
]


def _panel(html: str) -> str:
    return words(part(html, '<div class="panel"', '<nav class="walks"'))


@pytest.mark.parametrize("url", DEEP)
def test_a_fragment_with_parameters_shows_what_the_page_shows(reader: Client, url: str) -> None:
    """Whatever a tab is asked for, a cursor move gives the inspector of the whole page, byte for byte."""
    put_coding_run()
    inspector = part(page(reader, url, is_move=True), '<div class="at-head"', '<span class="steps"').strip()
    assert inspector in page(reader, url)


# --- State -----------------------------------------------------------------------------------------------------------


def test_every_leaf_says_when_it_changed_and_leads_there(reader: Client) -> None:
    """The number beside a value is a link to the event that set it."""
    html = page(reader, address(put_coding_run(), EDIT_AT, tab="state"))
    leaf = part(html, 'data-pointer="/last_decision"', "</p>")
    assert f'href="/runs/agent_run-7/?v={EDIT_AT}&amp;tab=state"' in leaf
    assert f"changed at </span>{EDIT_AT}" in leaf


def test_the_history_of_a_value_is_told(reader: Client) -> None:
    """Each event at which the value changed stands with what it was and what it became, newest first."""
    said = _panel(page(reader, address(put_coding_run(), 17, tab="state", path="/totals/tool_errors")))
    assert "totals.tool_errors Pin Close 1 Changed at, newest first Event From To event 16 0 1" in said
    assert "These are all, from the first event to 17." in said


def test_a_long_history_leads_on(reader: Client) -> None:
    """A page of changes ends with a link to the earlier ones, and the last page says that it is the last."""
    stream = put_coding_run()
    html = page(reader, address(stream, 200, tab="state", path="/totals/decisions"))
    seen = []
    for _ in range(9):
        seen += re.findall(r"event </span>(\d+)", part(html, '<table class="table history"', "</table>"))
        earlier = re.search(r'<a href="([^"]+)">Earlier changes', html)
        if not earlier:
            break
        html = page(reader, earlier[1].replace("&amp;", "&"))
    assert len(seen) == len(set(seen)) == 48
    assert [int(version) for version in seen] == sorted(map(int, seen), reverse=True)


def test_pins_stand_on_top_and_in_every_link(reader: Client) -> None:
    """A pinned value is shown with its event, whether it changed here, and a link without it."""
    html = page(reader, address(put_coding_run(), EDIT_AT, tab="state", pin="/last_decision/tool,/status"))
    said = _panel(html)
    assert f'Pinned values last_decision.tool "edit_file" ~ changed here changed at {EDIT_AT}' in said
    assert 'status "running" = same since changed at 1' in said
    assert "&amp;pin=%2Flast_decision%2Ftool%2C%2Fstatus" in part(html, 'id="step-next"', "</a>")
    assert 'href="/runs/agent_run-7/?v=23&amp;tab=state&amp;pin=%2Fstatus" data-unpin="/last_decision/tool"' in html


def test_pins_are_written_so_that_they_can_be_read() -> None:
    """A key with a comma is one pin, and each is kept once."""
    pointers = ('/known/results/grep {"a":1,"b":2}', "/status", "/status")
    assert pins_of(pinned(pointers)) == pointers[:2]
    assert pins_of("status,,/a") == ("/a",)


def test_a_filter_finds_names_and_values(reader: Client) -> None:
    """What has the text in its path or its value is listed with its whole path, whatever its case."""
    stream = put_coding_run()
    said = _panel(page(reader, address(stream, EDIT_AT, tab="state", filter="TOTALS")))
    assert "7 values with “ TOTALS ” changed at totals.decisions" in said
    assert "last_decision" in _panel(page(reader, address(stream, EDIT_AT, tab="state", filter="round_half_up")))
    none = _panel(page(reader, address(stream, EDIT_AT, tab="state", filter="zzz")))
    assert "No name and no value in the state after 23 has “ zzz ” in it." in none


def test_a_time_leads_to_the_last_event_by_then(reader: Client) -> None:
    """The state at a moment is that after the last event that had occurred, and the page says which that is."""
    events = [builders.event(builders.responded(), at=builders.NOON + timedelta(seconds=at)) for at in (0, 10, 20)]
    stream = put("agent_run-timed", events)
    html = page(reader, address(stream, tab="state", at="2026-11-22T12:00:15Z"))
    assert 'data-version="2"' in html
    assert "By 22 Nov 2026 12:00:15.000 UTC, event 2 was the last that had occurred." in words(html)
    early = words(page(reader, address(stream, tab="state", at="2026-11-22T11:00:00Z")))
    assert "Nothing had occurred by 22 Nov 2026 11:00:00.000 UTC: the run begins at" in early


def test_clocks_that_ran_backwards_are_told(reader: Client) -> None:
    """Events before the one that is found that carry a later time are counted."""
    seconds = (0, 30, 10, 40)
    events = [builders.event(builders.responded(), at=builders.NOON + timedelta(seconds=at)) for at in seconds]
    html = page(reader, address(put("agent_run-skewed", events), tab="state", at="2026-11-22T12:00:15"))
    assert 'data-version="3"' in html
    assert "Clocks ran backwards: 1 event before it tell a later time." in words(html)


def test_a_run_without_times_has_no_moments(reader: Client) -> None:
    """Where no time was recorded, none can be looked for."""
    stream = put("agent_run-timeless", [builders.event(builders.started(), time="unknown")])
    assert "source recorded no times" in words(page(reader, address(stream, tab="state", at="2026-11-22T12:00:15Z")))


# --- Diff ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "heads"),
    [
        ({"mark": 16}, "At 16 At 23"),
        ({"mark": 16, "against": "previous"}, "At 22 At 23"),
        ({"mark": 99_999}, "At 23 At 200"),
        ({"mark": 30, "against": "mark"}, "At 23 At 30"),
        ({"against": "mark"}, "At 22 At 23"),
        ({"against": "0"}, "At 0 At 23"),
    ],
)
def test_a_mark_is_compared_with(reader: Client, query: dict[str, int | str], heads: str) -> None:
    """Where an event is marked, the diff is against it unless another state is asked for."""
    assert heads in words(page(reader, address(put_coding_run(), EDIT_AT, tab="diff", **query)))


def test_a_cut_value_leads_to_all_of_it(reader: Client) -> None:
    """A long side says how much it leaves out, and its link shows the value in whole."""
    stream = put("agent_run-long", [builders.event(builders.started(prompt="p" * 1_000 + "END"))])
    html = page(reader, address(stream, 1, tab="diff"))
    assert "160 of 1,005 characters, see all" in words(html)
    whole = re.search(r'href="([^"]*path=%2Fprompt[^"]*)"', html)
    assert whole is not None
    assert "pppEND" in page(reader, whole[1].replace("&amp;", "&"))


def test_many_changes_come_in_pages(reader: Client) -> None:
    """The table says which changes it shows of how many, and its pages together are all of them."""
    html = page(reader, address(put_coding_run(), 200, tab="diff", against="first"))
    total = int(re.search(r"of (\d+)\. The next ones", words(html))[1])  # type: ignore[index]
    rows = html.count('<tr class="diff-')
    while following := re.search(r'<a href="([^"]+)">The next ones', html):
        html = page(reader, following[1].replace("&amp;", "&"))
        rows += html.count('<tr class="diff-')
    assert rows == total > 40


# --- Payload ---------------------------------------------------------------------------------------------------------


def test_a_picture_is_a_link(reader: Client) -> None:
    """Base64 is not in the page: its kind and size are, and its bytes come as a file that no browser runs."""
    encoded = base64.b64encode(PNG).decode()
    block = {"type": "image", "source": {"media_type": "image/png", "data": encoded}}
    stream = put("agent_run-picture", [builders.event(run.MessageReceived(content=[block]))])
    html = page(reader, address(stream, 1, tab="payload"))
    assert "image/png, 5.1 kB, download" in words(html)
    assert encoded[:100] not in html
    response = reader.get(f"/runs/{stream}/events/1/?download=blob&n=0")
    assert response.content == PNG
    assert response["Content-Type"] == "image/png"
    assert response["Content-Disposition"] == 'attachment; filename="agent_run-picture-1-1.png"'
    assert (response["X-Content-Type-Options"], "sandbox" in response["Content-Security-Policy"]) == ("nosniff", True)
    assert reader.get(f"/runs/{stream}/events/1/?download=blob&n=7").status_code == 404


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/javascript"])
def test_a_file_of_a_type_that_could_run_is_bytes(reader: Client, media_type: str) -> None:
    """What a source calls its bytes is not repeated to a browser, a few kinds of pictures apart."""
    encoded = base64.b64encode(b"<script>alert(1)</script>" * 100).decode()
    url = f"data:{media_type};base64,{encoded}"
    stream = put("agent_run-evil", [builders.event(run.MessageReceived(content=[{"url": url}]))])
    response = reader.get(f"/runs/{stream}/events/1/?download=blob&n=0")
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment;")


def test_pages_of_a_payload_follow_each_other(reader: Client) -> None:
    """A long payload is read a page at a time, each saying which part of how much it is."""
    lines = [f"line {at} of the file" for at in range(9_000)]
    stream = put("agent_run-long", [builders.event(run.Started(context={"lines": lines}))])
    html = page(reader, address(stream, 1, tab="payload"))
    assert re.search(r"6\d\.\d kB of 2\d\d\.\d kB, indented", words(html))
    seen = ""
    while True:
        seen += part(html, '<pre class="code payload"', "</pre>")
        following = re.search(r'<a class="button button-small payload-next" href="([^"]+)"', html)
        if not following:
            break
        html = page(reader, following[1].replace("&amp;", "&"))
    assert [int(at) for at in re.findall(r"line (\d+) of the file", seen)] == list(range(9_000))


def test_characters_that_cannot_be_seen_are_named_and_counted(reader: Client) -> None:
    """What reorders text or obeys a terminal is shown by name, and the page says how often that was done."""
    stream = put("agent_run-odd", [builders.event(run.MessageReceived(content="safe\u202egnp.exe\u202c"))])
    said = _panel(page(reader, address(stream, 1, tab="payload")))
    assert "RLO gnp.exe PDF" in said
    assert "2 characters that cannot be seen, or that would reorder or colour the text, are shown by name." in said


def test_the_metadata_is_told(reader: Client) -> None:
    """Ids, causes, actor, subjects and trace stand beside the stored bytes; what is not there is said to be missing."""
    event = builders.event(
        builders.started(),
        actor="agent:x",
        subjects=("user-42",),
        correlation_id="conversation-1",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    said = _panel(page(reader, address(put("agent_run-meta", [event]), 1, tab="payload")))
    assert "Actor agent:x Subjects user-42 Correlation id conversation-1 Causation id not recorded" in said
    assert "Trace 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" in said


@pytest.fixture
def newer_schema(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the catalog's newest schema of notes 2, with an upcaster that renames a field."""
    monkeypatch.setitem(catalog._structs, "agent_run.annotated", (run.Annotated, 2))
    monkeypatch.setitem(
        catalog._upcasters, ("agent_run.annotated", 1), lambda old: {"text": old.pop("note", None), **old}
    )
    return iter(())


@pytest.mark.usefixtures("newer_schema")
def test_an_older_event_is_shown_as_stored_and_as_read(reader: Client) -> None:
    """Stored bytes and what today's code makes of them stand side by side, with what the upcaster changed."""
    stream = put("agent_run-old", [builders.raw("agent_run.annotated", b'{"note":"seen","by":"ada"}')])
    said = _panel(page(reader, address(stream, 1, tab="payload")))
    assert "Stored with schema 1, read as 2" in said
    assert "added text absent" in said
    assert 'removed note "seen" absent' in said
    assert "As read today schema 2" in said


# --- Context ---------------------------------------------------------------------------------------------------------


def test_a_decision_shows_what_its_call_saw(reader: Client) -> None:
    """At a decision stand the messages of the call it came from, new ones in whole, and how that is known."""
    said = _panel(page(reader, address(put_coding_run(), EDIT_AT, tab="context")))
    assert "What the model saw when it decided on 23: the call at event 21 . reconstructed, not recorded" in said
    assert "The source recorded no request." in said
    assert "8 sent before, 2 new since the last call" in said
    assert "billing/refunds.py:88: return round(x, 2)" in said


def test_a_recorded_request_is_shown_as_one(reader: Client) -> None:
    """What the source recorded of a request is marked as recorded, with its tokens and tools as they were given."""
    story = [
        builders.started(tools=("look",)),
        run.MessageReceived(content="Please"),
        run.ModelCalled(model="orion", messages=({"role": "system", "content": "Be brief."}, {"version": 2})),
        builders.responded(input_tokens=1_204, cached_tokens=800, output_tokens=52),
    ]
    said = _panel(page(reader, address(put("agent_run-asked", [*map(builders.event, story)]), 4, tab="context")))
    assert "What the model saw at 3. recorded Model orion" in said
    assert "1,204 in, 800 of them cached, 52 out; recorded with event 4" in said
    assert "Tools offered look" in said
    assert "2 messages all new: it is the first call" in said
    assert "1 system in the request alone 9 bytes Be brief." in said
    assert "an estimate, four bytes each" in said


def test_content_that_was_not_captured_is_said_to_be_missing(reader: Client) -> None:
    """A source that records calls and no text leaves a sentence, not an empty page."""
    story = [run.MessageReceived(content=""), run.ModelCalled(model="orion"), run.ModelResponded()]
    said = _panel(page(reader, address(put("agent_run-mute", [*map(builders.event, story)]), 3, tab="context")))
    assert "Content not captured: the source recorded the call, and no text of what was sent." in said


def test_what_a_compaction_dropped_is_listed(reader: Client) -> None:
    """The events that had left the context stand with links, and the event at which they left it."""
    story = [
        builders.started(),
        run.MessageReceived(content="Long ago"),
        builders.responded("An answer."),
        run.ContextCompacted(summary="In short", dropped_versions=(2, 3)),
        builders.responded("On."),
    ]
    said = _panel(page(reader, address(put("agent_run-compacted", [*map(builders.event, story)]), 5, tab="context")))
    assert "2 events had left the context: compacted at 4 event 4 dropped event 2 event 3" in said
    assert "In short" in said


def test_an_event_between_calls_shows_the_next_one(reader: Client) -> None:
    """What came in is shown as the next call saw it; behind the last call, that one is shown."""
    stream = put_coding_run()
    assert "24 is no call of a model. The next one, event 25 , saw this." in _panel(
        page(reader, address(stream, 24, tab="context"))
    )
    assert "No call of a model is recorded at 1." in _panel(
        page(reader, address(put("agent_run-idle", [builders.event(builders.started())]), 1, tab="context"))
    )
    order = put("order-1", [builders.raw("order.paid")])
    assert "no model was called in it" in _panel(page(reader, address(order, 1, tab="context")))


def test_a_long_context_comes_in_pages(reader: Client) -> None:
    """No more than thirty-six messages are on a page, the newest first of all, with links to the others."""
    story = [
        builders.started(),
        *(run.MessageReceived(content=f"message {at}") for at in range(100)),
        builders.responded(),
    ]
    html = page(reader, address(put("agent_run-wide", [*map(builders.event, story)]), 102, tab="context"))
    assert html.count('<li class="message">') == 36
    assert "100 messages all new: it is the first call showing 65–100 Earlier messages" in _panel(html)
    earlier = re.search(r'<a class="small" href="([^"]+)">Earlier messages', html)
    assert earlier is not None
    before = page(reader, earlier[1].replace("&amp;", "&"))
    assert "showing 29–64" in _panel(before)


# --- Cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["explain", "state", "diff", "payload", "context"])
def test_a_tab_is_one_query(db: None, fresh_timelines: None, tab: str) -> None:
    """Everything that a tab shows comes from one read of the journal."""
    from explorer.models import EventLine, RunSummary  # noqa: PLC0415 - beside the test that needs them

    stream = put_coding_run(400)
    summary = RunSummary.objects.get(stream=stream)
    for version in (23, 24, 25, 380):
        line = EventLine.objects.get(run=summary, version=version)
        asked = Address.of(stream, {"v": str(version), "tab": tab, "pin": "/status", "filter": ""})
        with CaptureQueriesContext(connection) as queries:
            moment = moment_for("default", asked, version)
            assert moment is not None
            panels(summary, line, asked, moment, lines=(), response=None)
        assert len(queries) == 1, (version, [query["sql"][:90] for query in queries])


def test_a_mark_costs_a_query_once(db: None, fresh_timelines: None) -> None:
    """Stepping with a marked event reads the marked state the first time, and no more."""
    from explorer.models import EventLine, RunSummary  # noqa: PLC0415 - as above

    stream = put_coding_run(400)
    summary = RunSummary.objects.get(stream=stream)
    counts = []
    for version in (301, 302, 303):
        line = EventLine.objects.get(run=summary, version=version)
        asked = Address.of(stream, {"v": str(version), "tab": "diff", "mark": "40"})
        with CaptureQueriesContext(connection) as queries:
            moment = moment_for("default", asked, version)
            assert moment is not None
            panels(summary, line, asked, moment, lines=(), response=None)
        counts.append(len(queries))
    assert counts == [2, 1, 1]
