"""The mark in a run's header: whether the run is as it was sealed, and whatever was done to it is found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from explorer.models import RunSummary
from journal.models import EventRow, Log, LogHead, LogTile
from journal.runtime import log_keys, run_check, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import raw
from tests.run_pages import HTMX, fresh_timelines, page, put_coding_run, reader, signed_in, words
from tests.tampering import TAMPERINGS, alter, drop, edit, rows_can_be_altered

__all__ = ["fresh_timelines", "reader", "rows_can_be_altered"]
RUN = "agent_run-7"
MARK = f"/runs/{RUN}/intact/"
QUERIES = 14
"""Who asks, the run, its events, the log with its head and batches, the tiles of both trees, how many events."""

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_can_be_altered")]


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


def sealed_run(events: int = 40) -> None:
    """Put a run into the journal among others, and seal all of it."""
    put_coding_run(25, stream="agent_run-before")
    put_coding_run(events)
    assert sealer.catch_up()
    get_store().append("agent_run-after", [raw()], expected_version=0)
    assert sealer.catch_up()


def mark(client: Client) -> str:
    """Return the words of the mark and of the foot."""
    return words(page(client, MARK, is_move=True))


def test_a_run_that_is_as_it_was_sealed_is_intact(reader: Client) -> None:
    """The header asks for the mark, which says what was checked and when; the page says the same without a script."""
    sealed_run()
    header = page(reader, f"/runs/{RUN}/")
    assert f'hx-get="{MARK}"' in header
    told = page(reader, MARK, is_move=True)
    assert 'title="This run is as it was sealed. All 40 events as they were sealed. Checked' in told
    assert re.search(r"intact Sealed to position [\d,]+ · this run checked \d\d:\d\d:\d\d UTC", words(told))
    assert "every 30s" not in told
    assert "This run is as it was sealed." in page(reader, MARK)


@pytest.mark.parametrize("at", [17, 40])
@pytest.mark.parametrize("how", TAMPERINGS)
def test_whatever_was_done_to_an_event_is_said_with_its_number(reader: Client, how: str, at: int) -> None:
    """In the middle and at the end; the mark is a failure and the page leads to the event."""
    sealed_run()
    TAMPERINGS[how](RUN, at)
    told = page(reader, MARK, is_move=True)
    said = words(told)
    first = at - 1 if how == "swapped" else at
    assert "chip-fails" in told
    assert re.match(rf"altered: event {first}(,| )", said), said
    assert "this run failed its check" in said
    assert f'href="/runs/{RUN}/?v={first}"' in page(reader, MARK)


def test_a_last_event_that_everything_else_forgot_is_missed_in_the_count(reader: Client) -> None:
    """Also where the read model was made again from what is left."""
    sealed_run()
    drop(RUN, 40)
    RunSummary.objects.filter(stream=RUN).update(events=39)
    assert "altered: the journal holds 65 events where 66 were sealed" in mark(reader)


def test_what_was_done_to_another_run_is_not_this_ones(reader: Client) -> None:
    """Unless something is missing or was slipped in, which could have been anybody's."""
    sealed_run()
    edit("agent_run-before", 3)
    assert mark(reader).startswith("intact")


def test_an_event_slipped_in_is_found(reader: Client) -> None:
    """At the end of the run, at a position among sealed ones."""
    sealed_run()
    slipped = EventRow.objects.get(stream__name=RUN, version=40)
    late = EventRow.objects.get(stream__name="agent_run-after")
    EventRow.objects.filter(pk=late.pk).delete()
    slipped.pk, slipped.version, slipped.event_id = late.pk, 41, late.event_id
    slipped.save(force_insert=True)
    assert "altered: event 41 does not match the log" in mark(reader)


@pytest.mark.parametrize("model", [LogTile, LogHead])
def test_a_log_that_was_mended_after_the_event_does_not_lead_to_the_signed_root(
    reader: Client, model: type[LogTile | LogHead]
) -> None:
    """Whoever alters hashes too needs the key for the root."""
    sealed_run()
    if model is LogTile:
        for tile in LogTile.objects.filter(level=0):
            LogTile.objects.filter(pk=tile.pk).update(hashes=bytes(tile.hashes)[::-1])
        assert "altered: the log's own hashes do not lead to the root" in mark(reader)
    else:
        LogHead.objects.update(note="nothing\n")
        assert "altered: the newest checkpoint is not this installation's" in mark(reader)


def test_what_is_not_sealed_yet_is_said_with_how_long_it_waits(reader: Client) -> None:
    """And asked for again until it is."""
    put_coding_run(25)
    told = page(reader, MARK, is_move=True)
    assert re.match(r"25 of 25 events not sealed yet, the oldest for \d+ s", words(told))
    assert 'hx-trigger="every 30s"' in told
    sealer.catch_up()
    assert mark(reader).startswith("intact")
    alter(RUN, 4, recorded_us=1)
    assert mark(reader).startswith("altered: event 4")


def test_a_log_that_stopped_is_no_proof(reader: Client) -> None:
    """It says so."""
    sealed_run()
    Log.objects.update(broken="somebody looked")
    assert "altered: the log stopped: somebody looked" in mark(reader)


def test_a_check_costs_the_same_for_any_run_in_as_many_tiles(reader: Client) -> None:
    """Queries do not grow with the events of a batch, and an overlong run is not read for a page."""
    for events in (25, 200):
        put_coding_run(events, stream=f"agent_run-{events}")
    sealer.catch_up()
    costs = []
    for events in (25, 200):
        with CaptureQueriesContext(connection) as queries:
            reader.get(f"/runs/agent_run-{events}/intact/", headers=HTMX)
        costs.append(len(queries))
    assert costs[0] == costs[1] <= QUERIES
    found = run_check.check_run("default", "agent_run-25", told=run_check.MOST_EVENTS + 1)
    assert found is not None
    assert found.state == "unchecked"


def test_the_mark_is_for_the_members_of_the_project(reader: Client) -> None:
    """A stranger and a run that is not there are 404 alike."""
    sealed_run()
    assert signed_in("eve", "elsewhere").get(MARK).status_code == 404
    assert reader.get("/runs/agent_run-none/intact/").status_code == 404
