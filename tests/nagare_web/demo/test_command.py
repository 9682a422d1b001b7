"""`nagare demo`, on a database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.test import Client

from explorer.models import RunSummary
from journal.access import Role, add_project, role_in
from journal.models import Job
from journal.store import get_store
from nagare_web.demo import STORIES
from nagare_web.management.commands.demo import GRADED, ask_for_verdicts
from tests.databases import around_tests

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.xdist_group("demo")]

RUNS_OF_STORIES = 50


def demo(*arguments: str) -> tuple[str, str]:
    """Run the command with few runs; returns what it printed and what it said beside."""
    out, beside = StringIO(), StringIO()
    call_command("demo", "--runs", "3", "--until", "2026-11-22T14:00:00+00:00", *arguments, stdout=out, stderr=beside)
    return out.getvalue(), beside.getvalue()


@pytest.fixture(scope="module")
def filled(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """Run the command on an empty journal, once for all tests; gives what it said beside."""
    with around_tests(django_db_blocker):
        yield demo()[1]


def test_it_fills_the_journal_and_the_list_of_runs(filled: str) -> None:
    """The stories are in the journal and in the explorer's list, marked as synthetic."""
    assert re.match(r"Added [\d,]+ events of \d+ demo runs to project default\.", filled)
    for story in STORIES.values():
        for stream in story.streams:
            assert get_store("default").stream_version(stream)
    assert RunSummary.objects.count() > RUNS_OF_STORIES
    assert set(RunSummary.objects.values_list("synthetic", flat=True)) == {True}
    assert RunSummary.objects.get(stream=STORIES["edit-unread"].streams[0]).events == 200


def test_the_first_dashboard_is_asked_what_rules_say() -> None:
    """A job for each of the rules, over every run there is."""
    add_project("graded")
    ask_for_verdicts("graded")
    jobs = Job.objects.filter(project="graded", kind="regrade")
    assert sorted(job.arguments["rule"] for job in jobs) == sorted(GRADED)
    assert {job.arguments["query"] for job in jobs} == {""}


def test_it_prints_how_to_get_in(filled: str) -> None:
    """Three lines: address, user, and a password that lets an admin in."""
    printed, _ = demo("--port", "8123")
    address, user, password = printed.splitlines()
    assert address == "Dashboard  http://127.0.0.1:8123/"
    assert user == "User       demo"
    found = re.fullmatch(r"Password   (\S+)  \(made for this start; the next start makes another\)", password)
    assert found is not None
    person = authenticate(username="demo", password=found[1])
    assert person is not None
    assert role_in(person, "default") is Role.ADMIN


def test_again_it_adds_nothing_and_changes_the_password(filled: str) -> None:
    """A later start says that all is there; the first password no longer works, and who used it is signed out."""
    first = json.loads(demo("--json")[0])
    browser = Client()
    assert browser.login(username="demo", password=first["password"])
    printed, said = demo("--json")
    second = json.loads(printed)
    assert said.strip() == "The demo runs are in project default already; nothing was added."
    assert (second["added_events"], second["user"]) == (0, "demo")
    assert authenticate(username="demo", password=first["password"]) is None
    assert authenticate(username="demo", password=second["password"]) is not None


def test_a_project_that_is_not_there_is_refused() -> None:
    """The message names it and says how to make it."""
    with pytest.raises(CommandError, match="nagare project add elsewhere"):
        demo("--project", "elsewhere")


def test_serving_prints_no_json() -> None:
    """One document at the end of something that never ends is wrong usage."""
    with pytest.raises(CommandError) as caught:
        demo("--serve", "--json")
    assert caught.value.returncode == 2
