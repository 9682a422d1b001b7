"""Bisects of the journal in the browser: the moment something changed, and the runs around it."""

from __future__ import annotations

import pytest

from journal.access import Role
from journal.domain import agent_run as run
from journal.models import Job
from journal.runtime import bisects
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests import builders
from tests.explorer.judged import HOSTILE, NAME, QUICK, page, person, projects, put_run, save_rule
from tests.run_pages import links, words

__all__ = ["projects"]

pytestmark = pytest.mark.usefixtures("projects")


@pytest.fixture
def runs(projects: None) -> None:
    """Put runs into the journal whose tool is slow from the third day on; a run of another tool comes between."""
    for day, latency in enumerate((20, 30, 5_000, 6_000)):
        put_run(f"day-{day}", latency, days=day, prompt=f"On day {day}")
    get_store("mine").append(
        "agent_run-other",
        [
            builders.event(run.Started(prompt="Another tool")),
            builders.event(run.ToolReturned(tool_name="walk", response_json="1", latency_ms=90_000)),
        ],
        expected_version=0,
    )
    put_run("theirs", 9_000, project="theirs")
    catch_up_all()
    save_rule(QUICK)


def bisected(**scope: object) -> str:
    """Bisect to the end; return the address."""
    form = {"rule": NAME, "tool": "look_up", **scope}
    answer = person().post("/bisects/", form)
    assert answer.status_code == 302, answer.content
    bisects.run(answer["Location"].strip("/").split("/")[-1])
    return str(answer["Location"])


@pytest.mark.usefixtures("runs")
def test_the_moment_is_told_in_words_with_the_runs_around_it() -> None:
    """In the order in which they happened; each leads to its event."""
    html = page(person(Role.VIEWER), bisected())
    said = words(html)
    assert "what look_up returns changed between the event before it and this one" in said
    assert "2 of 4 runs fail." in said
    around = said[said.index("The runs around that moment") :]
    assert "holds On day 0" in around
    assert around.index("holds On day 1") < around.index("fails On day 2") < around.index("fails On day 3")
    assert "Another tool" not in around
    assert "/runs/agent_run-day-2/?v=3" in links(html)
    assert "tool result" in html or "look_up returned" in said


@pytest.mark.usefixtures("runs")
def test_the_answer_can_be_checked_again() -> None:
    """It names the rule's version and text, the code of states, the journal's head with its digest; and is a link."""
    address = bisected()
    save_rule("true")
    html = page(person(), address)
    job = Job.objects.get()
    found = bisects.result(job)
    assert found is not None
    said = words(html)
    assert f"{NAME}@1" in said
    assert QUICK in said
    assert found.state_code in said
    assert found.head_sha256 in html
    assert f"/bisects/?rule={NAME}&tool=look_up" in links(html)


@pytest.mark.usefixtures("runs")
def test_a_range_without_a_failure_holds() -> None:
    """Said as such, with how much was looked at."""
    said = words(page(person(), bisected(until="2020-01-01")))
    assert "Holds everywhere" in said
    assert "0 events of 0 runs were looked at" in said


@pytest.mark.usefixtures("runs")
def test_waiting_is_told_and_asks_again() -> None:
    """The fragment is the part of the page; who may not grade cannot cancel."""
    answer = person().post("/bisects/", {"rule": NAME})
    viewer = person(Role.VIEWER)
    html, part = page(viewer, answer["Location"]), page(viewer, answer["Location"], is_part=True)
    assert "Waiting for a worker" in words(html)
    shown, _, said = part.partition("<span hx-swap-oob")
    assert shown.strip() in html
    assert "Waiting for a worker" in said
    assert 'hx-trigger="load delay:2s, nagare:job"' in html
    viewer.post(answer["Location"])
    assert Job.objects.get().status == "queued"
    person().post(answer["Location"])
    assert "Cancelled" in words(page(viewer, answer["Location"]))


@pytest.mark.usefixtures("runs")
def test_the_list_tells_what_each_found() -> None:
    """With the form for those who may start one."""
    address = bisected()
    html = page(person(Role.VIEWER), "/bisects/")
    assert "calls and results of look_up First fails at position" in words(html)
    assert address in links(html)
    assert '<form class="ask"' not in html
    assert '<option value="look_up">' in page(person(), f"/bisects/?rule={NAME}")


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"rule": "nothing"}, "there is no rule"),
        ({"rule": NAME, "since": "soon"}, "is no time"),
        ({"rule": NAME, "since": "2026-11-08", "until": "2026-11-01"}, "ends before it begins"),
        ({"rule": NAME, "version": "8"}, "there is no rule"),
    ],
)
def test_what_cannot_be_asked_is_told(form: dict[str, str], said: str) -> None:
    """And starts nothing."""
    answer = person().post("/bisects/", form)
    assert answer.status_code == 400
    assert said in words(answer.content.decode())
    assert not Job.objects.exists()


@pytest.mark.usefixtures("runs")
def test_others_find_and_start_nothing() -> None:
    """A viewer is told why; a stranger finds no such bisect."""
    address = bisected()
    answer = person(Role.AUDITOR).post("/bisects/", {"rule": NAME})
    assert answer.status_code == 403
    assert "engineers and admins" in words(answer.content.decode())
    other = person(Role.ADMIN, "theirs")
    page(other, address, status=404)
    assert NAME not in page(other, "/bisects/")


def test_other_peoples_text_stays_text() -> None:
    """Titles and tools of runs."""
    put_run("hostile", 5_000, prompt=HOSTILE, agent=HOSTILE)
    save_rule(QUICK)
    for html in (page(person(), bisected(tool="")), page(person(), "/bisects/")):
        assert "<script>alert" not in html
        assert "\u202e" not in html
