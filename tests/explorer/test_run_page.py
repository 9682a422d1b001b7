"""The debugger as a page: what it shows at an event, its links, and its parts on their own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from journal.domain import agent_run as run
from tests import builders
from tests.coding_run import EDIT_AT, THOUGHT, coding_run
from tests.run_pages import address, fresh_timelines, links, page, part, put, put_coding_run, reader, words

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

TABS = ("explain", "state", "diff", "payload", "context", "causes")


def test_the_edit_is_explained(reader: Client) -> None:
    """At the edit stand the stated reason and its place, what was known, what was done and what came of it."""
    said = words(page(reader, address(put_coding_run(), EDIT_AT)))
    assert f"“ {THOUGHT} ” The model’s own stated reason, recorded in event 22 . Not verified." in said
    assert "billing/refunds.py seen in part 1 line in the result of grep event 20" in said
    assert "tests/test_refunds.py read whole 148 lines" in said
    assert "− return round(x, 2)" in said
    assert "+ return Decimal(x).quantize(CENT, ROUND_HALF_UP)" in said
    assert "event 24 edit_file returned" in said


def test_the_list_says_which_part_it_shows(reader: Client) -> None:
    """A window is labelled with its first and last event, is whole between them, and shows folded pairs as one row."""
    html = page(reader, address(put_coding_run(), EDIT_AT))
    rows = part(html, '<nav class="events-body"', "</nav>")
    shown = [number for text in re.findall(r'<span class="no">([\d–]+)', rows) for number in _span(text)]
    assert shown == list(range(1, 81))
    assert "1–80 of 200" in words(html)
    assert ">21–22<" in rows
    assert rows.count("aria-current") == 1


def _span(text: str) -> list[int]:
    first, _, last = text.partition("–")
    return list(range(int(first), int(last or first) + 1))


def test_a_row_says_its_place_and_kind(reader: Client) -> None:
    """A screen reader hears "23–24, decision, Call edit_file billing/refunds.py" and what that gave."""
    row = part(page(reader, address(put_coding_run(), EDIT_AT)), 'id="e23"', "</a>")
    assert '<span class="no">23–24</span>' in row
    assert 'aria-label="decision"' in row
    assert "Call edit_file billing/refunds.py path billing/refunds.py, replacements 1 52 ms" in words(f"<a {row}")


def test_a_result_stands_in_the_row_of_its_call(reader: Client) -> None:
    """Right behind it: other results keep a row, failures always do, and each version is reached all the same."""
    calls = {at: builders.reasoned(call_id=f"c{at}") for at in range(1, 5)}
    told = [builders.started(), calls[1], builders.returned(call_id="c1"), calls[2], calls[3]]
    told += [builders.returned(call_id="c2"), calls[4], builders.failed(call_id="c4")]
    stream = put("agent_run-pairs", [builders.event(one) for one in told])
    html = page(reader, address(stream, 3))
    assert numbers(html) == ["1", "2–3", "4", "5", "6", "7", "8"]
    assert "1 event folded" in words(html)
    assert 'aria-current="true" data-last="3"' in html
    assert 'data-version="3"' in html
    assert (_step(html, "previous"), _step(html, "next")) == (2, 4)
    assert numbers(page(reader, address(stream, 3, rows="raw"))) == [str(version) for version in range(1, 9)]


def test_what_belongs_together_is_not_torn_at_the_end_of_a_window(reader: Client) -> None:
    """A window that ends at a call takes its result along, and the next one begins behind it."""
    turns = [
        one for at in range(70) for one in (builders.reasoned(call_id=f"c{at}"), builders.returned(call_id=f"c{at}"))
    ]
    stream = put("agent_run-torn", [builders.event(one) for one in (builders.started(), *turns)])
    html = page(reader, address(stream, 1))
    assert numbers(html)[-1] == "80–81"
    assert "1–81 of 141" in words(html)
    later = page(reader, address(stream, 82, part="window", edge="after"), is_move=True)
    assert numbers(later)[0] == "82–83"
    earlier = page(reader, address(stream, 81, part="window", edge="before"), is_move=True)
    assert numbers(earlier)[-1] == "80–81"


def numbers(html: str) -> list[str]:
    """Return the numbers of the rows of a list."""
    return re.findall(r'<span class="no">([\d–]+)', html)


def test_every_row_is_a_step_and_every_event_one_where_each_has_a_row(reader: Client) -> None:
    """The links of a page without a script lead through the same rows as the keys; raw, through every event."""
    stream = put_coding_run(30)
    rows = [int(row) for row in re.findall(r'class="row [^"]*" id="e(\d+)"', page(reader, address(stream, 1)))]
    for query in ({}, {"rows": "raw"}):
        wanted = list(range(1, 31)) if query else rows
        at, seen = 1, [1]
        while (after := _step(page(reader, address(stream, at, **query)), "next")) is not None:
            at = after
            seen.append(at)
        assert seen == wanted


@pytest.mark.parametrize("tab", TABS)
def test_a_move_shows_what_the_page_shows(reader: Client, tab: str) -> None:
    """The fragment of a cursor move is the inspector of the whole page at that address, byte for byte.

    Only where the event's notes stand is the page further: in a move they are asked for once the cursor rests.
    """
    url = address(put_coding_run(), EDIT_AT, tab=tab)
    whole, move = page(reader, url), page(reader, url, is_move=True)
    whole = whole.replace(f'id="notes-here" data-version="{EDIT_AT}"', 'id="notes-here"')
    inspector = part(move, '<div class="at-head"', '<span class="steps"').strip()
    assert inspector in whole
    assert "<html" not in move
    assert "hx-swap-oob" not in whole


def test_a_move_out_of_the_window_brings_the_list(reader: Client) -> None:
    """With `part=list` the answer holds the window around the new event; without, only what hangs on the cursor."""
    stream = put_coding_run()
    assert 'id="e151"' in page(reader, address(stream, 151, part="list"), is_move=True)
    assert 'id="e151"' not in page(reader, address(stream, 151), is_move=True)


def test_parts_need_an_htmx_request(reader: Client) -> None:
    """An address with `part` that somebody opens shows the whole page."""
    assert "<html" in page(reader, address(put_coding_run(), 150, part="window"))


def test_windows_join_without_a_gap(reader: Client) -> None:
    """The later window begins where the first one ends, and the earlier one ends where it begins."""
    stream = put_coding_run()
    later = page(reader, address(stream, 81, part="window", edge="after"), is_move=True)
    assert 'data-first="81"' in later
    assert "Earlier events" not in later
    assert "Later events, from 121" in later
    earlier = page(reader, address(stream, 80, part="window", edge="before"), is_move=True)
    assert 'data-first="41"' in earlier
    assert 'data-last="80"' in earlier
    assert "Earlier events, up to 40" in earlier


def test_every_event_has_a_row_where_that_is_asked_for(reader: Client) -> None:
    """`rows=raw` unfolds model calls and results, and links carry it along."""
    stream = put_coding_run(60)
    html = page(reader, address(stream, EDIT_AT, rows="raw"))
    rows = part(html, '<nav class="events-body"', "</nav>")
    assert re.findall(r'<span class="no">([\d–]+)', rows) == [str(version) for version in range(1, 61)]
    assert f'href="/runs/{stream}/?v=24&amp;rows=raw"' in rows
    assert "events folded" not in words(html)
    assert "events folded" in words(page(reader, address(stream, EDIT_AT)))


def test_quiet_events_share_a_row_that_counts_them(reader: Client) -> None:
    """What no catalog knows says little of an agent; the list says how many such events are hidden."""
    kinds = [builders.event(builders.started()), *(builders.raw("agent_run.odd") for _ in range(38))]
    stream = put("agent_run-quiet", [*kinds, builders.event(builders.responded())])
    html = page(reader, address(stream, 5))
    rows = part(html, '<nav class="events-body"', "</nav>")
    assert re.findall(r'<span class="no">([\d–]+)', rows) == ["1", "2–39", "40"]
    assert "38 quiet events folded" in words(rows)
    assert "38 quiet events hidden" in words(html)
    assert 'aria-current="true" data-first="2"' in rows
    assert "quiet" not in words(
        part(page(reader, address(stream, 5, rows="raw")), '<nav class="events-body"', "</nav>")
    )


def test_a_long_pause_is_a_line_of_the_list(reader: Client) -> None:
    """Longer than five times the run's usual pause, it stands before the event it ended with."""
    start = datetime(2026, 11, 22, 12, tzinfo=UTC)
    waits = [1] * 12 + [7_440] + [1] * 3
    times = [start + timedelta(seconds=sum(waits[:at])) for at in range(len(waits) + 1)]
    events = [
        builders.event(builders.started() if at == 0 else builders.responded(), at=time)
        for at, time in enumerate(times)
    ]
    rows = part(page(reader, address(put("agent_run-idle", events), 1)), '<nav class="events-body"', "</nav>")
    assert re.findall(r">idle ([^<]+)<", rows) == ["2 h 04m"]
    assert rows.index("idle 2 h") < rows.index('id="e14"') < rows.index('id="e15"')


def test_verdicts_stand_in_the_head_on_the_row_and_on_the_minimap(reader: Client) -> None:
    """The first failing rule with its event, how many hold; a flag over the event, and a chip on its row."""
    grades = [
        run.Graded(rule="read-before-edit", verdict="fails", at_version=EDIT_AT),
        run.Graded(rule="no-loop", verdict="holds"),
        run.Graded(rule="cost-under-10", verdict="holds"),
    ]
    stream = put("agent_run-graded", [*coding_run(60, stream="agent_run-graded"), *map(builders.event, grades)])
    html = page(reader, address(stream, 1))
    head = part(html, '<div class="run-chips"', "</header>")
    assert "read-before-edit fails at 23" in words(head)
    assert f'href="/runs/{stream}/?v=23"' in head
    assert "2 rules hold" in words(head)
    assert "read-before-edit fails" in words(part(html, 'id="e23"', "</a>"))
    assert part(html, '<svg class="map-flag"', "</svg>").count("first failure") == 1


@pytest.mark.parametrize(
    ("asked", "sentence", "number"),
    [
        (230, "You asked for 230. The run ends at 200, so here is 200.", 200),
        (0, "You asked for 0. Events begin at 1, so here is 1.", 1),
        (-4, "You asked for -4. Events begin at 1, so here is 1.", 1),
        (10**30, f"You asked for {10**30}. The run ends at 200, so here is 200.", 200),
    ],
)
def test_an_unknown_version_clamps_and_says_so(reader: Client, asked: int, sentence: str, number: int) -> None:
    """A version the run does not have leads to the nearest one, with a sentence that says so."""
    html = page(reader, address(put_coding_run(), asked))
    assert sentence in words(html)
    assert f'data-version="{number}"' in html


@pytest.mark.parametrize("asked", ["", "abc", "1e3", "2" * 400])
def test_a_version_that_is_no_number_is_not_said(reader: Client, asked: str) -> None:
    """Without a version that can be read the page begins at the first event."""
    assert 'data-version="1"' in page(reader, address(put_coding_run(30), asked))


@pytest.mark.parametrize(
    ("scrub", "before", "after"),
    [("all", 19, 23), ("decisions", 19, 23), ("errors", 16, 40), ("tool:edit_file", None, 23), ("causes", 20, 23)],
)
def test_steps_respect_what_is_stepped_through(reader: Client, scrub: str, before: int | None, after: int) -> None:
    """Previous and next lead to the neighbours in the chosen subset, as links that work without a script."""
    html = page(reader, address(put_coding_run(), 22, scrub=scrub))
    assert _step(html, "previous") == before
    assert _step(html, "next") == after


def _step(html: str, name: str) -> int | None:
    found = re.search(rf'id="step-{name}" href="[^"]*\?v=(\d+)', html)
    return int(found.group(1)) if found else None


def test_segments_say_how_many_there_are(reader: Client) -> None:
    """Each way of stepping has its count, that of tools for the event's own tool."""
    html = page(reader, address(put_coding_run(), EDIT_AT))
    said = words(part(html, '<nav class="segments"', "</nav>"))
    assert said == "all 200 tool calls 49 edit_file 12 errors 9 causes 15"


def test_every_link_of_the_page_opens(reader: Client) -> None:
    """Without a script, rows, tabs, steps, windows and marks are plain links that lead to pages."""
    html = page(reader, address(put_coding_run(), 100, tab="causes"))
    targets = {link for link in links(html) if link.startswith("/runs/")}
    assert len(targets) > 80
    assert {reader.get(target).status_code for target in sorted(targets)[::7]} <= {200, 302}


def test_the_state_names_the_event_of_each_value(reader: Client) -> None:
    """A value of the state stands with the event that set it, and long lists say how much is left out."""
    html = page(reader, address(put_coding_run(), 190, tab="state"))
    said = words(html)
    assert 'status "running" changed at 1' in said
    assert "earlier not shown" in said


@pytest.mark.parametrize(
    ("against", "heads"),
    [
        ("previous", "At 22 At 23"),
        ("first", "At 1 At 23"),
        ("final", "At 23 At 200"),
        ("9", "At 9 At 23"),
        ("x", "At 22 At 23"),
    ],
)
def test_a_diff_names_its_sides(reader: Client, against: str, heads: str) -> None:
    """The table is headed by the older and the newer version, whatever the cursor is compared with."""
    said = words(page(reader, address(put_coding_run(), EDIT_AT, tab="diff", against=against)))
    assert heads in said
    assert "changed," in said


def test_a_big_payload_is_cut_and_says_so(reader: Client) -> None:
    """The page shows 64 kB and the true size; the whole comes as a file that a browser will not run."""
    text = "<script>x</script>" * 20_000
    stream = put("agent_run-big", [builders.event(builders.started(prompt=text))])
    html = page(reader, address(stream, 1, tab="payload"))
    assert "kB of 360." in words(html)
    assert len(html) < 400_000
    response = reader.get(f"/runs/{stream}/events/1/?download=data")
    assert response["Content-Disposition"].startswith("attachment")
    assert "sandbox" in response["Content-Security-Policy"]
    assert response.content == builders.event(builders.started(prompt=text)).data


def test_a_permalink_leads_to_the_debugger(reader: Client) -> None:
    """A person is led to the debugger at that event, a program that asks for JSON gets it as on the wire."""
    stream = put_coding_run(30)
    response = reader.get(f"/runs/{stream}/events/23/")
    assert (response.status_code, response["Location"]) == (302, f"/runs/{stream}/?v=23")
    wire = reader.get(f"/runs/{stream}/events/23/", headers={"Accept": "application/json"})
    assert (wire.json()["version"], wire.json()["type"]) == (23, "agent_run.reasoned")
    assert "Accept" in wire["Vary"]
    assert reader.get(f"/runs/{stream}/events/99/", headers={"Accept": "application/json"}).status_code == 404


def test_a_stream_of_any_category_opens(reader: Client) -> None:
    """Events that no catalog knows are shown raw, with the newest data of each type as state."""
    stream = put("order-1", [builders.raw("order.placed", b'{"lines":[1,2]}'), builders.raw("order.paid")])
    for tab in TABS:
        said = words(page(reader, address(stream, 2, tab=tab)))
        assert "order.paid" in said
    assert "tool calls" not in said


def test_sub_agents_are_linked_both_ways(reader: Client) -> None:
    """The hand-off leads to the child's run, and the child's head leads back."""
    child = "agent_run-child"
    put(
        "agent_run-parent",
        [builders.event(builders.started(prompt="Plan")), builders.event(run.HandedOff(child_run=child))],
    )
    put(child, [builders.event(builders.started(prompt="Do", parent_run="agent_run-parent"))])
    assert f'href="/runs/{child}/"' in page(reader, address("agent_run-parent", 2))
    assert 'href="/runs/agent_run-parent/"' in page(reader, address(child))


def test_missing_causes_are_said(reader: Client) -> None:
    """Where no cause is recorded, both tabs say so in a sentence."""
    stream = put("agent_run-loose", [builders.event(builders.started()), builders.event(builders.responded())])
    assert "No causation id is recorded for this event." in words(page(reader, address(stream, 2)))
    said = words(page(reader, address(stream, 2, tab="causes")))
    assert "no causation id recorded" in said
    assert "No causation id is recorded: nothing is known about what led to this event." in said


def test_the_causes_are_drawn_and_written(reader: Client) -> None:
    """Each event of the drawing has a row that says its link in words; effects stand under the cursor."""
    html = page(reader, address(put_coding_run(), EDIT_AT, tab="causes"))
    graph = part(html, '<ol class="graph-rows">', "</ol>")
    assert graph.count("<li") - 1 == html.count('<use class="glyph-')
    said = words(graph)
    assert "reads 16, quotes 20, triggered by 20" in said
    assert said.index("Direct effects of 23") > said.index("answers 22")


def test_a_decision_without_a_result_says_so(reader: Client) -> None:
    """A call that nothing answers is said to have no result."""
    stream = put("agent_run-open", [builders.event(builders.started()), builders.event(builders.reasoned(path="a.py"))])
    assert "No result of this call is recorded." in words(page(reader, address(stream, 2)))


def test_the_whole_run_can_be_opened_event_by_event(reader: Client) -> None:
    """Every kind of event has an Explain, a State and a Causes tab that render."""
    kinds = [
        builders.started(),
        run.MessageReceived(content="hi"),
        run.ModelCalled(model="m"),
        builders.responded(),
        builders.reasoned(path="a.py"),
        builders.returned(),
        builders.reasoned(call_id="c2"),
        builders.failed(call_id="c2"),
        run.HandedOff(to_agent="x"),
        run.ContextCompacted(summary="s", dropped_versions=(2,)),
        run.MemoryWritten(key="k"),
        run.Answered(response="a"),
        run.Aborted(reason="r"),
        run.Graded(rule="r", verdict="fails"),
        run.Annotated(text="n"),
    ]
    stream = put("agent_run-kinds", [builders.event(kind) for kind in kinds])
    for version in range(1, len(kinds) + 1):
        for tab in TABS:
            assert f'data-version="{version}"' in page(reader, address(stream, version, tab=tab), is_move=True)


def test_the_builder_makes_runs_of_any_length() -> None:
    """The run of these tests has as many events as were asked for, and the same ones every time."""
    for events in (30, 199, 200, 201, 2_000):
        assert len(coding_run(events)) == events
    assert coding_run(60) == coding_run(60)


_OOB = ' hx-swap-oob="outerHTML"'


@pytest.mark.parametrize("rows", ["", "raw"])
def test_every_part_of_a_move_is_that_of_the_page(reader: Client, rows: str) -> None:
    """List, step buttons and what one steps through: the same as in the whole page, but that they say where they go."""
    url = address(put_coding_run(), EDIT_AT, rows=rows, scrub="errors")
    whole, move = page(reader, url), page(reader, f"{url}&part=list", is_move=True)
    for begin, end in (
        ('<section id="list"', "</section>"),
        ('<span class="steps" id="steps-back"', "\n"),
        ('<span class="steps" id="steps-on"', "\n"),
        ('<div class="scrub" id="segments"', "</nav>"),
    ):
        sent = part(move, begin, end)
        assert _OOB in sent, begin
        assert sent.replace(_OOB, "") in whole, begin


def test_rows_that_come_in_are_those_of_the_page(reader: Client) -> None:
    """What an edge of the list brings is what a page in its middle shows, the marks of its cursor apart."""
    stream = put_coding_run()
    came = _rows(page(reader, address(stream, 81, part="window", edge="after"), is_move=True))
    shown = _rows(page(reader, address(stream, 110)))
    assert len(came) > 15
    assert {number: row for number, row in shown.items() if number in came} == came


def _rows(html: str) -> dict[str, str]:
    """Return rows by number, without the cursor and what hangs on it: the rail and where their links lead."""
    plain = re.sub(r' aria-current="true"| row-ancestor| row-rail', "", html)
    return dict(re.findall(r'<a class="row [^"]*" id="(e\d+)"(.*?)</a>', plain))
