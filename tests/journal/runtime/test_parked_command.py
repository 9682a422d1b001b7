"""`nagare parked`: what was set aside, and what a person does about it at the command line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from journal.models import ParkedEvent
from journal.runtime import parked

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def row() -> ParkedEvent:
    """An event that failed as often as it may."""
    return ParkedEvent.objects.create(
        subscription="runs",
        project="mine",
        event_id="e-7",
        position=1_204,
        reason="ValueError: no \x1b[31mcolour",
        attempts=parked.MOST_ATTEMPTS,
        next_try_at=NOW + timedelta(hours=1),
        state="dead",
        parked_at=NOW,
    )


def told(*arguments: Any) -> str:
    """Return what the command prints."""
    printed = StringIO()
    call_command("parked", *map(str, arguments), stdout=printed)
    return printed.getvalue()


def test_the_list_says_what_failed_where_and_why(row: ParkedEvent) -> None:
    """A line each; what an error quotes from an event does not steer the terminal."""
    (line,) = told().splitlines()
    for part in (str(row.id), "dead", "runs", "position 1,204", "8 attempts", "ValueError: no"):
        assert part in line
    assert "\x1b" not in line


def test_the_list_can_be_narrowed(row: ParkedEvent) -> None:
    """By state and by subscription."""
    (one,) = json.loads(told("--state", "dead", "--json"))["parked"]
    assert (one["id"], one["subscription"], one["next_try_at"]) == (row.id, "runs", None)
    assert json.loads(told("--state", "waiting", "--json"))["parked"] == []
    assert json.loads(told("--subscription", "others", "--json"))["parked"] == []


def test_a_requeued_event_is_due_at_once_with_all_its_attempts(row: ParkedEvent) -> None:
    """And the command says who tries it."""
    assert told("requeue", row.id) == "runs tries it again: event e-7 at position 1,204\n"
    (due,) = parked.due("runs", now=datetime.now(UTC))
    assert (due.state, due.attempts) == ("waiting", 0)


def test_a_skipped_event_is_never_due(row: ParkedEvent) -> None:
    """The row stays, for rebuilds to see."""
    assert told("skip", row.id) == "runs does without it: event e-7 at position 1,204\n"
    row.refresh_from_db()
    assert row.state == "skipped"


@pytest.mark.parametrize("what", ["requeue", "skip"])
def test_a_number_that_is_none_is_refused(what: str, row: ParkedEvent) -> None:
    """With exit code 1 and the way out; without a number it is wrong usage."""
    with pytest.raises(CommandError, match="no event is set aside as 0") as refused:
        told(what, 0)
    assert refused.value.returncode == 1
    with pytest.raises(CommandError, match="which one") as wrong:
        told(what)
    assert wrong.value.returncode == 2
