"""What the debugger costs: the same for 200, 2,000 and 100,000 events, in queries, bytes and elements."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from explorer import drawings
from explorer.models import EventLine, RunMap, RunSummary
from explorer.run_map import grown
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.coding_run import coding_run
from tests.databases import around_tests
from tests.run_pages import HTMX, address, fresh_timelines, reader

if TYPE_CHECKING:
    from django.test import Client

__all__ = ["fresh_timelines", "reader"]

LENGTHS = (200, 2_000, 100_000)
TABS = ("explain", "state", "diff", "payload", "context", "causes")
PAGE_QUERIES = 7
"""Who asks, what the journal holds, what stands around; related runs, rows and notes; the first time, the minimap."""

MOVE_QUERIES = 3

GZIPPED_HTML = 30_000
GZIPPED_CSS = 20_000
GZIPPED_JS = 60_000
ELEMENTS = 1_500
AT = 151
ROOT = Path(__file__).resolve().parents[2]


# Rows 1,001 to 2,000 again and again: a run's lines as they are, at later versions.
_REPEAT = """
INSERT INTO explorer_eventline (run_id, version, event_id, position, kind, title, summary, tool, call_id, is_error,
    pair, folded_into, took_ms, occurred_us, time_known, context_bytes, size_bytes, trace_id, span_id)
WITH RECURSIVE again(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM again WHERE n < %s)
SELECT run_id, version + n * 1000, {event_id}, position, kind, title, summary, tool, call_id, is_error,
    pair + n * 1000, folded_into + n * 1000, took_ms, occurred_us, time_known, context_bytes, size_bytes, '', ''
FROM explorer_eventline CROSS JOIN again WHERE run_id = %s AND version > 1000
"""
_EVENT_IDS = {"mysql": "CONCAT(SUBSTR(event_id, 3), n)"}
_EVENT_ID = "SUBSTR(event_id, 3) || n"


pytestmark = pytest.mark.xdist_group("run-budget")  # the runs are made once


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[int, str]]:
    """Put the runs in place around the transactions of the tests, and take them away in the end."""
    with around_tests(django_db_blocker):
        yield _made()


@pytest.fixture
def runs(made: dict[int, str], db: None) -> dict[int, str]:
    """Runs of the three lengths: the longest is in the journal in part, its lines are all there."""
    return made


def _made() -> dict[int, str]:
    streams = {events: f"agent_run-{events:06}" for events in LENGTHS}
    for events, stream in streams.items():
        get_store("default").append(stream, coding_run(min(events, 2_000), stream=stream), expected_version=0)
    catch_up_all()
    longest = RunSummary.objects.get(stream=streams[100_000])
    with connection.cursor() as cursor:
        event_id = _EVENT_IDS.get(connection.vendor, _EVENT_ID)
        cursor.execute(_REPEAT.format(event_id=event_id), (98, longest.pk))
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE")  # as the server does by itself within a minute, but in no test's transaction
    RunSummary.objects.filter(pk=longest.pk).update(events=EventLine.objects.filter(run=longest).count())
    lines = list(EventLine.objects.filter(run=longest).order_by("version"))
    RunMap.objects.filter(run=longest).update(data=grown({}, lines))
    return streams


def _cost(client: Client, url: str, *, is_move: bool = False) -> tuple[int, bytes]:
    drawings.clear()
    with CaptureQueriesContext(connection) as queries:
        response = client.get(url, headers=HTMX if is_move else {})
    assert response.status_code == 200
    return len(queries), response.content


@pytest.mark.slow
def test_a_page_costs_the_same_whatever_the_length(reader: Client, runs: dict[int, str]) -> None:
    """Queries are equal and bytes within a tenth, with the cursor at the same place of runs of three lengths."""
    for tab in TABS:
        costs = [_cost(reader, address(stream, AT, tab=tab)) for stream in runs.values()]
        assert {queries for queries, _ in costs} == {PAGE_QUERIES}
        sizes = [len(content) for _, content in costs]
        assert max(sizes) <= 1.1 * min(sizes), (tab, sizes)
    for tab in TABS:
        moves = [_cost(reader, address(stream, AT, tab=tab), is_move=True) for stream in runs.values()]
        assert {queries for queries, _ in moves} == {MOVE_QUERIES}
        sizes = [len(content) for _, content in moves]
        assert max(sizes) <= 1.1 * min(sizes), (tab, sizes)


WORK = {"sqlite": 200_000, "postgresql": 60_000, "mysql": 60_000}
"""Instructions of SQLite's machine, rows that the others read; the most of it counts decisions, by an index alone."""


@contextmanager
def _work() -> Iterator[list[int]]:
    """Give a list that holds, after the block, how much the database did in it."""
    done: list[int] = []
    if connection.vendor == "sqlite":
        ticks: list[None] = []
        connection.connection.set_progress_handler(lambda: ticks.append(None), 100)
        yield done
        connection.connection.set_progress_handler(None, 0)
        done.append(100 * len(ticks))
        return
    before = _rows_read()
    yield done
    done.append(_rows_read() - before)


def _rows_read() -> int:
    statement = {
        "postgresql": "SELECT SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)) FROM pg_stat_xact_user_tables",
        "mysql": "SELECT SUM(variable_value) FROM information_schema.session_status"
        " WHERE variable_name LIKE 'Handler_read%%'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])


@pytest.mark.slow
def test_a_move_reads_no_more_of_a_longer_run(reader: Client, runs: dict[int, str]) -> None:
    """What stands around an event is found by index, not by reading the run or the project's links: on every tab."""
    for tab in TABS:
        for events, stream in runs.items():
            with _work() as work:
                _cost(reader, address(stream, AT, tab=tab), is_move=True)
            assert work[0] <= WORK[connection.vendor], (tab, events)


@pytest.mark.slow
def test_a_minimap_is_read_and_drawn_once(reader: Client, runs: dict[int, str]) -> None:
    """A run of as many events has the same drawing; the flag of a verdict that came later is on it all the same."""
    _, first = _cost(reader, address(runs[2_000], AT))
    with CaptureQueriesContext(connection) as queries:
        again = reader.get(address(runs[2_000], AT)).content
    assert len(queries) == PAGE_QUERIES - 1
    assert _map(again) == _map(first)
    RunSummary.objects.filter(stream=runs[2_000]).update(verdicts=[["no-loop", "fails", 40, 41]])
    flagged = _map(reader.get(address(runs[2_000], AT)).content)
    assert b">first failure<" in flagged
    assert b">first failure<" not in _map(first)


def _map(page: bytes) -> bytes:
    return page.split(b'<section class="map"')[1].split(b"</section>")[0]


@pytest.mark.slow
def test_a_page_fits_its_budget(reader: Client, runs: dict[int, str]) -> None:
    """Each tab, early and late in a run, is at most 30 kB compressed and 1,500 elements."""
    for events, version in ((200, 23), (200, 199), (2_000, 1_501), (100_000, 151)):
        for tab in TABS:
            _, content = _cost(reader, address(runs[events], version, tab=tab))
            assert len(gzip.compress(content, 6)) <= GZIPPED_HTML, (events, version, tab)
            elements = len(re.findall(rb"<[a-z]", content))
            assert elements <= ELEMENTS, (events, version, tab, elements)


@pytest.mark.slow
def test_a_window_costs_one_query_anywhere(reader: Client, runs: dict[int, str]) -> None:
    """A window of the list costs as much at the end of 100,000 events as at the beginning of 200."""
    near = _cost(reader, address(runs[200], 81, part="window", edge="after"), is_move=True)
    far = _cost(reader, address(runs[100_000], 99_001, part="window", edge="after"), is_move=True)
    assert near[0] == far[0] == 3
    assert len(far[1]) <= 1.25 * len(near[1])


@pytest.mark.slow
def test_the_minimap_is_bounded(reader: Client, runs: dict[int, str]) -> None:
    """The drawing of 100,000 events takes no more than twice the bytes of that of 200, and no more elements."""
    maps = []
    for stream in runs.values():
        _, content = _cost(reader, address(stream, AT))
        maps.append(_map(content))
    assert len(maps[2]) <= 2 * len(maps[0])
    assert len(re.findall(rb"<[a-z]", maps[2])) <= len(re.findall(rb"<[a-z]", maps[0])) + 4


def test_the_style_sheets_fit_their_budget() -> None:
    """All the CSS of the page is at most 20 kB compressed, and no rule of it is inline."""
    from django.contrib.staticfiles import finders  # noqa: PLC0415 - needs the settings that pytest-django puts in place

    page = (ROOT / "templates" / "explorer" / "run" / "page.html").read_text()
    base = (ROOT / "templates" / "explorer" / "base.html").read_text()
    names = re.findall(r"static '(explorer/[\w/-]+\.css)'", base + page)
    assert "explorer/debugger.css" in names
    sheets = [Path(str(finders.find(name))).read_bytes() for name in names]
    assert sum(len(gzip.compress(sheet, 6)) for sheet in sheets) <= GZIPPED_CSS


def test_the_scripts_fit_their_budget() -> None:
    """All the JavaScript of the page, htmx included, is at most 60 kB compressed."""
    from django.contrib.staticfiles import finders  # noqa: PLC0415 - as above

    page = (ROOT / "templates" / "explorer" / "run" / "page.html").read_text()
    base = (ROOT / "templates" / "explorer" / "base.html").read_text()
    names = re.findall(r"static '([\w/.-]+\.js)'", base + page)
    assert "explorer/keys.js" in names
    scripts = [Path(str(finders.find(name))).read_bytes() for name in names]
    assert sum(len(gzip.compress(script, 6)) for script in scripts) <= GZIPPED_JS
