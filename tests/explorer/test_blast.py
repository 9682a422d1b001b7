"""What rests on an event: by causes against a graph library, by value against reading every text, and within bounds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase, TransactionTestCase

from explorer.queries import blast as blasts
from explorer.queries.blast import Blast, blast
from journal.access import Role, add_project, add_user
from journal.domain import agent_run as run
from journal.domain.event import Cause, EventData
from journal.errors import VersionNotFound
from journal.models import CauseRow
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.builders import event, identity, reasoned, responded, returned, started
from tests.databases import SEARCHES
from tests.run_pages import fresh_timelines, page, put, reader, signed_in, words

if TYPE_CHECKING:
    from journal.domain.event import Certainty

__all__ = ["fresh_timelines", "reader"]

pytestmark = SEARCHES

_projects = iter(range(1_000_000))


def told(name: object, data: Any = None, *, by: object = None, certainty: Certainty = "recorded") -> EventData:
    """Return an event with a name for its id, and at most one cause."""
    causes = (Cause(id=identity(by), kind="read", certainty=certainty),) if by else ()
    return event(data or responded(str(name)), id=identity(name), causes=causes)


def rests_on(stream: str, version: int, *, project: str = "default", values: Sequence[str] | None = None) -> Blast:
    """Return what rests on an event that is there."""
    found = blast(project, stream, version, values=values)
    assert found is not None
    return found


def places(found: Blast, how: str = "") -> list[tuple[str, int]]:
    """Return where the events are, of one certainty or of all."""
    return [(one.stream, one.version) for one in found.suspects if how in ("", one.how)]


@pytest.fixture
def feed(db: None) -> None:
    """A wrong rate is read in one run; another run reads it from a ticket, and a third one has a false friend of it."""
    rate = returned({"rate": 0.01084, "feed": "northbank v2"}, tool="exchange_rate")
    put("agent_run-before", [event(started()), told("old", returned({"feed": "northbank v1"})), event(run.Answered())])
    put(
        "agent_run-a",
        [
            event(started()),
            told("rate", rate),
            told("a3", by="rate"),
            told("a4", run.Answered(response="It is 0.31 USD."), by="a3"),
            told("a5", run.Answered(response="In short: 0.31."), by="a4", certainty="inferred"),
        ],
    )
    put(
        "agent_run-b",
        [
            event(started()),
            told("ticket", returned("Use 0.01084 for USD", tool="read_ticket")),
            told("b3", run.Answered(response="Done."), by="ticket"),
        ],
    )
    put("agent_run-c", [event(started()), told("c2", returned("10.01084 and 0.010841 and northbank v20")),
                        told("c3", run.Answered(response="Fine."), by="c2")])  # fmt: skip


@pytest.mark.usefixtures("feed")
def test_each_event_says_how_it_was_reached() -> None:
    """Recorded links alone, some inferred, or a value that stands again, with what that led to."""
    found = rests_on("agent_run-a", 2)
    assert places(found, "recorded") == [("agent_run-a", 3), ("agent_run-a", 4)]
    assert places(found, "inferred") == [("agent_run-a", 5)]
    assert places(found, "value") == [("agent_run-b", 2), ("agent_run-b", 3)]
    assert [one.words for one in found.suspects] == [
        "1 link away, all recorded", "2 links away, all recorded", "3 links away, some inferred",
        "holds the value", "1 link from 2, which holds the value",
    ]  # fmt: skip
    assert found.by_how() == [("recorded", 2, 1, 1), ("inferred", 1, 1, 1), ("value", 2, 1, 1)]
    assert (found.runs, len(found.answers), found.is_cut) == (2, 3, False)


@pytest.mark.usefixtures("feed")
def test_values_that_stood_before_are_told_but_not_followed() -> None:
    """What is new with an event is its own; what is not is offered with its count."""
    found = rests_on("agent_run-a", 2)
    assert [(one.value.text, one.is_followed, one.words) for one in found.values] == [
        ("0.01084", True, "new with this event · 1 later event"),
        ("northbank v2", True, "new with this event · nowhere later"),
    ]
    (one,) = [one for one in rests_on("agent_run-b", 2).values if one.value.text == "0.01084"]
    assert (one.is_followed, one.words) == (False, "stood in 1 earlier event already · 0 later events")


@pytest.mark.usefixtures("feed")
def test_the_reader_says_which_values_are_followed() -> None:
    """None, one of the event's, or one that the event does not have."""
    assert places(rests_on("agent_run-a", 2, values=[]), "value") == []
    assert places(rests_on("agent_run-a", 2, values=["northbank v2"]), "value") == []
    assert places(rests_on("agent_run-a", 2, values=["northbank v20"]), "value") == [
        ("agent_run-c", 2),
        ("agent_run-c", 3),
    ]
    assert "No value was followed: only what causes tell is here." in rests_on("agent_run-a", 2, values=[]).unsearched


@pytest.mark.usefixtures("feed")
def test_what_a_value_search_does_not_look_at_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that was reached makes the counts a minimum."""
    monkeypatch.setattr(blasts, "MOST", 2)
    found = rests_on("agent_run-a", 2)
    assert found.is_cut
    assert any("2 events at most" in said for said in found.unsearched)


@pytest.mark.usefixtures("feed")
def test_nothing_leads_out_of_a_project() -> None:
    """The same ids and the same values in another project are another thing."""
    add_project("other")
    rate = returned({"rate": 0.01084, "feed": "northbank v2"}, tool="exchange_rate")
    put("agent_run-z", [event(started()), told("rate", rate), told("z3", by="rate")], project="other")
    put("agent_run-y", [event(started()), told("y2", returned("0.01084"), by="rate")], project="other")
    assert {stream for stream, _ in places(rests_on("agent_run-a", 2))} == {"agent_run-a", "agent_run-b"}
    assert places(rests_on("agent_run-z", 2, project="other")) == [("agent_run-z", 3), ("agent_run-y", 2)]
    assert blast("other", "agent_run-a", 2) is None


@pytest.mark.usefixtures("feed")
def test_an_event_that_is_not_there_is_told_apart_from_a_run_that_is_not() -> None:
    """So that a program can say which."""
    assert blast("default", "agent_run-none", 2) is None
    with pytest.raises(VersionNotFound):
        blast("default", "agent_run-a", 99)


_edges = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=18, unique_by=lambda e: e[:2]
)


_Case: Any = TransactionTestCase if SEARCHES.kwargs["transaction"] else TestCase


class TestReach(_Case):  # type: ignore[misc]
    """Against a graph library."""

    @settings(max_examples=15)
    @given(_edges, st.integers(0, 7), st.lists(st.integers(0, 7), max_size=3, unique=True))
    def test_what_is_reached_is_what_a_graph_library_reaches(
        self, edges: list[tuple[int, int, bool]], origin: int, marked: list[int]
    ) -> None:
        """Recorded, inferred and by value: the sets and distances of networkx, over three runs, circles included."""
        project = f"blast-{next(_projects)}"
        store, at = get_store(project), {}
        for node in range(8):
            stream = f"agent_run-{node % 3}"
            causes = tuple(
                Cause(id=identity((project, a)), kind="read", certainty="recorded" if sure else "inferred")
                for a, b, sure in edges
                if b == node
            )
            said = returned(f"case 4711-{'x' if node in marked or node == origin else 'y'}9 {node}")
            done = store.append(
                stream, [event(said, id=identity((project, node)), causes=causes)], expected_version="any"
            )
            at[node] = (stream, done.version)
        catch_up_all()
        found = rests_on(*at[origin], project=project, values=["4711-x9"])
        whole, sure = nx.DiGraph(), nx.DiGraph()
        for graph in (whole, sure):
            graph.add_nodes_from(range(8))
        whole.add_edges_from((a, b) for a, b, _ in edges)
        sure.add_edges_from((a, b) for a, b, is_sure in edges if is_sure)
        caused = nx.single_source_shortest_path_length(whole, origin)
        recorded = nx.descendants(sure, origin) - {origin}
        starts = {node for node in marked if node > origin and node not in caused}
        by_value = {
            node: distance
            for node, distance in nx.multi_source_dijkstra_path_length(whole, starts, weight=None).items()
            if node not in caused
        } if starts else {}  # fmt: skip
        told_by = {
            how: {place: one.links for one in found.suspects if one.how == how and (place := (one.stream, one.version))}
            for how in blasts.HOWS
        }
        assert told_by["recorded"] == {at[node]: caused[node] for node in recorded}
        assert told_by["inferred"] == {at[node]: caused[node] for node in caused.keys() - recorded - {origin}}
        assert told_by["value"] == {at[node]: distance for node, distance in by_value.items()}
        assert {place for one in found.suspects if one.holds for place in [(one.stream, one.version)]} == {
            at[node] for node in marked if node > origin and (node in caused or node in by_value)
        }


_EVERY_PAIR = """
INSERT INTO journal_cause (generation, project, cause, effect, kind, certainty)
SELECT 0, 'default', earlier.event_id, later.event_id, 'read', 'recorded'
FROM journal_event earlier JOIN journal_event later ON earlier.position < later.position
WHERE earlier.project = 'default' AND later.project = 'default' AND earlier.version > 2
"""


@pytest.mark.slow
def test_fifty_thousand_links_cost_a_bounded_number_of_queries(db: None) -> None:
    """A walk stops at its bound, which is said; queries do not grow with what lies beyond it."""
    store = get_store("default")
    store.append("agent_run-wide", [event(started()), told("w2", returned({"code": "wide-0001"}))], expected_version=0)
    chunk = [told(f"w{at}", responded(f"step {at}"), by="w2") for at in range(3, 323)]
    store.append("agent_run-wide", chunk, expected_version=2)
    catch_up_all()
    with connection.cursor() as cursor:
        cursor.execute(_EVERY_PAIR)
    assert CauseRow.objects.count() > 50_000
    with CaptureQueriesContext(connection) as queries:
        found = rests_on("agent_run-wide", 2)
    assert len(found.suspects) == 320
    assert len(queries) <= 20


# --- The page and what leaves it --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("feed")
def test_the_page_opens_with_the_suspect_answers(reader: Client) -> None:
    """A sentence that counts, then the answers; what was searched and what was not stands below."""
    html = page(reader, "/runs/agent_run-a/events/2/reach/")
    said = words(html)
    assert "5 later events in 2 runs rest on event 2: 3 answers to users are suspect." in said
    assert "answers to users 3 all 5 recorded 2 inferred 1 by value 2" in said
    assert "Searched Causes: 3 links below the event were followed" in said
    assert "Not searched A value that was rounded" in said
    rows = words(html.split('class="table reach-list"')[1].split("</table>")[0])
    assert "Answered: “Done.”" in rows
    assert "read_ticket" not in rows
    assert "read_ticket" in words(page(reader, "/runs/agent_run-a/events/2/reach/?show=value"))


@pytest.mark.usefixtures("feed")
def test_a_choice_of_values_stands_in_every_link(reader: Client) -> None:
    """Paging and downloads follow the same values as the page does."""
    html = page(reader, "/runs/agent_run-a/events/2/reach/?chosen=1&value=northbank+v2&value=")
    assert 'value="northbank v2" checked' in html
    assert 'value="0.01084" checked' not in html
    assert "chosen=1&amp;value=northbank+v2&amp;show=all" in html
    none = words(page(reader, "/runs/agent_run-c/events/3/reach/?chosen=1"))
    assert "Nothing that was looked at rests on event 3." in none


@pytest.mark.usefixtures("feed")
def test_a_program_gets_all_of_it_as_json(reader: Client) -> None:
    """The same counts and events, as plain values."""
    answer = reader.get("/runs/agent_run-a/events/2/reach/", headers={"Accept": "application/json"}).json()
    assert answer["counts"]["answers"] == 3
    assert answer["counts"]["by_certainty"]["value"] == {"events": 2, "runs": 1, "answers": 1}
    assert [one["certainty"] for one in answer["events"]] == ["recorded", "recorded", "inferred", "value", "value"]
    assert answer["events"][4]["via"] == {"stream": "agent_run-b", "version": 2}


@pytest.mark.usefixtures("feed", "fresh_timelines")
def test_a_download_holds_the_events_as_the_journal_has_them() -> None:
    """JSON Lines carry the wire form; CSV has no cell that a spreadsheet would reckon with. Viewers get neither."""
    user, _ = add_user("eve", role=Role.ENGINEER, project="default", password="a-long-password")
    client = Client()
    client.force_login(user)
    put("agent_run-d", [event(started()), told("d2", returned("=cmd 0.01084"), by="rate"),
                        told("d3", run.Answered(response="=1+1"), by="d2")])  # fmt: skip
    lines = b"".join(client.get("/runs/agent_run-a/events/2/reach/jsonl/")).decode().splitlines()
    head, *rows = map(json.loads, lines)
    packed = client.get("/runs/agent_run-a/events/2/reach/jsonl/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "identity", "pieces compressed one by one end after the first"
    assert (head["events"], head["answers"], len(rows)) == (7, 4, 7)
    stored = {one.version: one for one in get_store("default").read_stream("agent_run-a")}
    assert rows[0]["event"]["id"] == stored[rows[0]["version"]].id
    table = list(csv.reader(io.StringIO(b"".join(client.get("/runs/agent_run-a/events/2/reach/csv/")).decode())))
    assert len(table) == 8
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in table for cell in row)
    assert client.get("/runs/agent_run-a/events/2/reach/xls/").status_code == 404
    assert signed_in("vic", "default").get("/runs/agent_run-a/events/2/reach/csv/").status_code == 403


@pytest.mark.parametrize("where", ["agent_run-none/events/2", "agent_run-a/events/99", f"agent_run-a/events/{10**30}"])
@pytest.mark.parametrize("what", ["reach/", "lineage/", "walk/", "walk/markdown/"])
@pytest.mark.usefixtures("feed")
def test_what_is_not_there_is_not_found(reader: Client, where: str, what: str) -> None:
    """No run, no event, no number that a version can be."""
    assert reader.get(f"/runs/{where}/{what}").status_code == 404


def printed(*arguments: str) -> str:
    """Return what `nagare reach` prints."""
    out = io.StringIO()
    call_command("reach", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("feed")
def test_the_command_says_what_the_page_says() -> None:
    """Counts by certainty, the answers, what was searched; JSON as the API gives it."""
    said = printed(identity("rate"), "--answers")
    assert "value          2 events      1 runs      1 answers" in said
    assert "agent_run-b 3  Answered: “Done.”" in said
    assert "agent_run-b 2 " not in said
    assert json.loads(printed(identity("rate"), "--causes-only", "--json"))["counts"]["events"] == 3


def test_a_call_with_a_suspect_value_is_no_answer(reader: Client) -> None:
    """It rests on the event, and no user has read it."""
    put("agent_run-t", [event(started()), told("t2", returned({"ticket": "T-4711x"})),
                        told("t3", reasoned("close", ticket="T-4711x"), by="t2")])  # fmt: skip
    found = rests_on("agent_run-t", 2)
    assert [(one.version, one.is_answer, one.holds) for one in found.suspects] == [(3, False, ("T-4711x",))]
    assert "no answer to a user among them" in words(page(reader, "/runs/agent_run-t/events/2/reach/"))


# --- Several events ---------------------------------------------------------------------------------------------------


def of_several(*events: tuple[str, int], values: Sequence[str] | None = None) -> Blast:
    """Return what rests on any of some events."""
    found = blasts.blast_of("default", events, values=values)
    assert found is not None
    return found


@pytest.mark.usefixtures("feed")
def test_what_rests_on_several_events_is_what_rests_on_any() -> None:
    """By causes the union without the events themselves; each is reached by the most certain way there is."""
    put("agent_run-z", [event(started()), told("wrong"), told("z3", run.Answered(response="So."), by="wrong")])
    alone = {one.event_id for origin in (("agent_run-a", 2), ("agent_run-z", 2)) for one in rests_on(*origin).suspects}
    both = of_several(("agent_run-z", 2), ("agent_run-a", 2))
    assert {one.event_id for one in both.suspects} == alone
    assert [line.run.stream for line in both.origins] == ["agent_run-a", "agent_run-z"]
    assert len(both.answers) == 4
    below = of_several(("agent_run-a", 2), ("agent_run-a", 3))
    assert places(below, "recorded") == [("agent_run-a", 4)]


@pytest.mark.usefixtures("feed")
def test_a_value_is_followed_where_it_was_new_with_one_of_the_events() -> None:
    """Though the other one holds it too, which is then no suspect."""
    found = of_several(("agent_run-a", 2), ("agent_run-b", 2))
    followed = {one.value.text for one in found.values if one.is_followed}
    assert "0.01084" in followed
    assert ("agent_run-b", 2) not in places(found)
    assert ("agent_run-b", 3) in places(found, "recorded")
    assert places(of_several(("agent_run-a", 2), values=[]), "value") == []


@pytest.mark.usefixtures("feed")
def test_the_page_of_several_adds_and_leaves_out_events(reader: Client) -> None:
    """One address names them all; what it cannot find is 404, and without any it asks for one."""
    address = "/reach/?of=agent_run-a@2&of=agent_run-b@2"
    html = page(reader, address)
    assert "rest on these 2 events" in words(html)
    assert 'href="/reach/?of=agent_run-b%402"' in html
    assert html.count('type="hidden" name="of"') == 4
    assert json.loads(reader.get(address, headers={"Accept": "application/json"}).content)["origins"] == [
        {"stream": "agent_run-a", "version": 2, "event": identity("rate")},
        {"stream": "agent_run-b", "version": 2, "event": identity("ticket")},
    ]
    assert "An event, as run@version" in words(page(reader, "/reach/?of=nothing"))
    for missing in ("agent_run-a@99", "agent_run-none@1"):
        assert reader.get(f"/reach/?of={missing}").status_code == 404
    many = "&".join(f"of=agent_run-a@{version}" for version in range(1, 40))
    assert reader.get(f"/reach/?{many}").status_code == 404


@pytest.mark.usefixtures("feed")
def test_several_are_exported_and_asked_for_by_command(reader: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """With the events that were asked about in the first line; a file is for those who may export."""
    address = "/reach/jsonl/?of=agent_run-a@2&of=agent_run-b@2"
    assert reader.get(address).status_code == 403
    add_user("ann", role=Role.ENGINEER, project="default", password="a stream finds its way")
    client = Client()
    client.login(username="ann", password="a stream finds its way")
    lines = b"".join(client.get(address)).splitlines()
    assert [one["stream"] for one in json.loads(lines[0])["origins"]] == ["agent_run-a", "agent_run-b"]
    call_command("reach", identity("rate"), identity("ticket"), "--json")
    told_by_command = json.loads(capsys.readouterr().out)
    assert told_by_command["counts"]["events"] == len(lines) - 1
