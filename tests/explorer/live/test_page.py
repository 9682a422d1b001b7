"""The live page: the newest events as rows, the runs under way, a query, and what the socket adds to it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from explorer.live.narrowing import Facts, narrowed
from explorer.live.speaking import BURST_ROWS, KEPT_ROWS
from explorer.queries.live import SHOWN, open_runs
from journal.access import add_project
from journal.domain import agent_run as run
from journal.domain.event import EventData
from journal.domain.stream import ANY_VERSION
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.builders import event, failed, raw, reasoned, responded, returned, started
from tests.explorer.live.conftest import aside, opened, session
from tests.run_pages import fresh_timelines, links, page, reader, signed_in, words

__all__ = ["fresh_timelines", "reader", "session"]

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe"


def put(*events: EventData, stream: str = "agent_run-7", project: str = "default") -> None:
    """Append events of a run."""
    get_store(project).append(stream, events, expected_version=ANY_VERSION)


def rows(html: str) -> list[str]:
    """Return what each row says."""
    return [words(part.partition(">")[2].split("</li>")[0]) for part in html.split('<li class="live-row')[1:]]


def test_the_newest_events_are_rows_that_lead_to_their_event(reader: Client) -> None:
    """In the journal's order, told in words, before any read model knows of them."""
    put(event(started()), event(reasoned(path="a.py")), event(failed()))
    html = page(reader, "/live/")
    assert [row.split(" ", 2)[-1] for row in rows(html)] != []
    assert [row[row.index("coder 7") :] for row in rows(html)] == [
        "coder 7 1 Run started, coder on orion-3",
        "coder 7 2 Call read_file a.py",
        "coder 7 3 read_file failed: no such file",
    ]
    assert "/runs/agent_run-7/?v=3" in links(html)


def test_it_shows_so_many_and_leads_on_from_a_position(reader: Client) -> None:
    """Without scripts too: each page ends where the next begins, and the last one is live."""
    put(*(event(responded(f"Step {at}")) for at in range(SHOWN + 30)))
    html = page(reader, "/live/")
    assert len(rows(html)) == SHOWN
    assert f"Step {SHOWN + 29}" in rows(html)[-1]
    assert "data-follows" in html
    first = page(reader, "/live/?after=0")
    assert len(rows(first)) == SHOWN
    assert "data-follows" not in first
    onward = next(link for link in links(first) if "after=" in link)
    last = page(reader, onward)
    assert [row[-7:-1].strip() for row in rows(last)] == [f"ep {at}" for at in range(SHOWN, SHOWN + 30)]
    assert "data-follows" in last


def test_hostile_text_is_text(reader: Client) -> None:
    """In rows and in the names of open runs."""
    put(event(started(prompt=HOSTILE)), event(responded(HOSTILE)), event(failed(HOSTILE, tool=HOSTILE)))
    catch_up_all()
    html = page(reader, "/live/")
    assert "<img" not in html
    assert "\u202e" not in html
    assert "&lt;img" in html


def test_only_runs_of_the_project_are_shown(reader: Client) -> None:
    """Not what the runtime keeps in streams of its own, nor anybody else's."""
    add_project("theirs")
    put(event(responded("theirs")), project="theirs")
    put(raw("job.queued"), stream="job-1")
    put(event(responded("ours")))
    assert len(rows(page(reader, "/live/"))) == 1
    assert reader.get("/live/?project=theirs").status_code == 404
    assert rows(page(signed_in("eve", "others"), "/live/?project=others")) == []


@pytest.mark.parametrize("after", ["-1", "x", "9" * 40, "\x00", "٣"])
def test_an_odd_position_is_none(reader: Client, after: str) -> None:
    """The newest events are shown."""
    put(event(responded("here")))
    assert len(rows(page(reader, f"/live/?after={after}"))) == 1


def test_a_query_narrows_the_rows(reader: Client) -> None:
    """By tool, by agent and to failures; also for runs that the list does not have yet."""
    put(event(started(agent="coder")), event(reasoned("sql", query="x")), event(failed(tool="sql")))
    put(event(started(agent="writer")), event(reasoned("mail", to="y")), stream="agent_run-8")
    assert len(rows(page(reader, "/live/?q=tool:sql"))) == 2
    assert len(rows(page(reader, "/live/?q=failed"))) == 1
    assert [row.split()[3] for row in rows(page(reader, "/live/?q=agent:WRIT*"))] == ["1", "2"]
    assert len(rows(page(reader, "/live/?q=-agent:writer+tool:sql,mail"))) == 2
    catch_up_all()
    assert len(rows(page(reader, "/live/?q=agent:writer"))) == 2


def test_a_query_that_events_cannot_answer_says_so(reader: Client) -> None:
    """It shows nothing and follows nothing rather than everything."""
    put(event(started()))
    html = page(reader, "/live/?q=cost:>1")
    assert "Not understood" in html
    assert rows(html) == []
    assert "data-follows" not in html


@pytest.mark.parametrize(
    ("query", "shown"),
    [("tool:read*", True), ("tool:*file", True), ("tool:*d_f*", True), ("tool:'x'", False), ("-failed", True),
     ("failed", False), ('tool:"read*"', False), ("agent:coder tool:read_file", True), ("agent:x,coder", True)],
)  # fmt: skip
def test_terms_of_a_query(query: str, shown: bool) -> None:  # noqa: FBT001 - a parameter
    """As the run list reads them."""
    facts = Facts(agent="Coder", tool="read_file", is_failure=False)
    assert narrowed(query).lets(facts) is shown


def test_open_runs_say_since_when_they_are_open(db: None) -> None:
    """Running or quiet, with what they wait for; not those that ended, nor those of long ago."""
    now = datetime.now(UTC)

    def at(seconds: int, data: Any) -> EventData:
        return event(data, at=now - timedelta(seconds=seconds))

    put(at(12, started(prompt="Busy")), at(2, reasoned("sql", query="x")), stream="agent_run-1")
    put(at(90, started(prompt="Quiet")), at(48, responded("Hm.")), stream="agent_run-2")
    put(at(9_000, started(prompt="Old")), stream="agent_run-3")
    put(at(5, started(prompt="Over")), at(4, run.Answered(response="Yes")), stream="agent_run-4")
    put(at(5, started(prompt="Theirs")), stream="agent_run-5", project=add_project("theirs").slug)
    catch_up_all()
    found = open_runs("default", now)
    assert [(one.title, one.running, one.quiet, one.waits_for) for one in found] == [
        ("Busy", "12 s", "", "waiting for sql"),
        ("Quiet", "1m 30s", "48 s", ""),
    ]


def test_the_open_runs_are_asked_for_by_themselves(reader: Client) -> None:
    """The part that the page replaces."""
    put(event(started(prompt="Busy"), at=datetime.now(UTC)), event(returned(), at=datetime.now(UTC)))
    catch_up_all()
    html = page(reader, "/live/runs/")
    assert "Busy" in words(html)
    assert "<html" not in html


# --- Rows over the socket ---------------------------------------------------------------------------------------------


def _rows_of(**query: Any) -> dict[str, Any]:
    return {"as": "rows", "after": 0, **query}


def _frames(cookie: str, number: int, more: int = 0, **query: Any) -> list[dict[str, Any]]:
    """Append events, connect, append more, and return the frames with rows."""

    async def story() -> list[dict[str, Any]]:
        await aside(put, *(event(responded(f"Step {at}")) for at in range(number)))
        async with opened(cookie=cookie, **_rows_of(**query)) as socket:
            found = [await socket.until("rows")]
            if more:
                await aside(put, *(event(responded(f"More {at}")) for at in range(more)))
                found.append(await socket.until("rows"))
            return found

    return asyncio.run(story())


def test_whoever_comes_back_is_sent_all_they_missed(session: str) -> None:
    """As many as the page holds in one frame; then each batch as it comes."""
    first, second = _frames(session, 200, more=3)
    assert (first["count"], first["left_out"], len(rows(first["html"]))) == (200, 0, 200)
    assert (second["count"], len(rows(second["html"]))) == (3, 3)
    assert second["position"] > first["position"]


def test_whoever_was_away_for_long_is_told_how_much_is_left_out(session: str) -> None:
    """The newest rows, and the way to the others."""
    (frame,) = _frames(session, KEPT_ROWS + 40)
    assert (frame["count"], frame["left_out"], len(rows(frame["html"]))) == (KEPT_ROWS + 40, 40, KEPT_ROWS)
    assert "/live/?after=0" in links(frame["html"])
    assert "Step 40" in rows(frame["html"])[0]


def test_a_burst_is_counted_rather_than_drawn(session: str) -> None:
    """Over two hundred events a second."""
    _, frame = _frames(session, 1, more=BURST_ROWS * 3)
    assert (frame["count"], frame["left_out"]) == (BURST_ROWS * 3, BURST_ROWS * 2)
    assert rows(frame["html"])[-1].endswith(f"“More {BURST_ROWS * 3 - 1}”")


def test_rows_follow_the_query(session: str) -> None:
    """What it does not let through is neither sent nor counted, and the position goes past it."""

    async def story() -> None:
        await aside(put, event(responded()), event(failed()), event(responded()))
        head = await aside(lambda: get_store().head())
        async with opened(cookie=session, **_rows_of(q="failed")) as socket:
            frame = await socket.until("rows")
            assert (frame["count"], frame["position"]) == (1, head)
            assert (await socket.until("horizon"))["position"] == head

    asyncio.run(story())
