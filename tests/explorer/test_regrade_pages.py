"""Re-grades in the browser: what it would cost before it starts, how far it is, what came of it."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.access import Role
from journal.models import Job
from journal.runtime import regrade
from tests.explorer.judged import (
    HOSTILE,
    HTMX,
    NAME,
    QUICK,
    QUICKER,
    page,
    person,
    projects,
    put_run,
    regraded,
    save_rule,
)
from tests.run_pages import links, words

__all__ = ["projects"]

pytestmark = pytest.mark.usefixtures("projects")


@pytest.fixture
def runs(projects: None) -> None:
    """Put three runs into the journal, a day apart: quick, slow and slower; another project has one as well."""
    for days, (name, latency) in enumerate((("fast", 20), ("slow", 500), ("slower", 5_000))):
        put_run(name, latency, days=days, prompt=f"{name} run")
    put_run("theirs", 9_000, project="theirs")


@pytest.fixture
def changed(runs: None) -> str:
    """Grade them by a rule, change the rule, grade them again; return the second job."""
    save_rule(QUICK)
    regraded()
    save_rule(QUICKER)
    return regraded()


@pytest.mark.usefixtures("runs")
def test_the_form_says_what_would_be_looked_at_before_anything_starts() -> None:
    """How many runs and events, how long, what changed in the rule; by htmx the preview alone."""
    save_rule(QUICK)
    save_rule(QUICKER)
    client = person()
    html = page(client, f"/regrades/?rule={NAME}")
    assert "3 runs , 12 events, under a second on one worker." in words(html)
    assert "What changed since version 1" in words(html)
    part = page(client, f"/regrades/?rule={NAME}", is_part=True)
    assert part.strip() in html
    assert Job.objects.count() == 0


@pytest.mark.usefixtures("runs")
def test_a_sample_is_tried_and_stores_nothing() -> None:
    """For those who may start one; failing runs first."""
    save_rule(QUICK)
    said = words(page(person(), f"/regrades/?rule={NAME}&sample=20"))
    assert "Tried on 3 runs" in said
    assert "2 hold 1 fails" in said
    assert "tool result of look_up" in said
    assert "Tried on" not in words(page(person(Role.VIEWER), f"/regrades/?rule={NAME}&sample=20"))
    assert Job.objects.count() == 0


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("scope", "clause"),
    [
        ("query=agent:nobody", "agent:nobody"),
        ("query=agent:clerk+model:none", "model:none"),
        ("query=agent:x+model:y", "all clauses together"),
        ("until=2001-01-01", "the end of the range"),
    ],
)
def test_zero_matched_names_the_clause_that_excludes_everything(scope: str, clause: str) -> None:
    """With how many there are without it, and the way there; on the finished job too."""
    client = person()
    html = page(client, f"/regrades/?rule=no-loop&{scope}")
    assert f"It is {clause} that leaves none over: without it there are 3 runs." in words(html)
    (without,) = (link for link in links(html) if link.startswith("/regrades/?rule=no-loop"))
    assert "3 runs , 12 events" in words(page(client, without))
    answer = client.post(
        "/regrades/", dict(part.split("=") for part in f"rule=no-loop&{scope}".replace("+", " ").split("&"))
    )
    job = answer["Location"].strip("/").split("/")[-1]
    regrade.run(job)
    assert f"It is {clause} that leaves none over" in words(page(client, answer["Location"]))


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("since=yesterday", "is no time"),
        ("since=2026-11-08&until=2026-11-07", "It ends before it begins."),
        ("query=steps:>many", "cannot be asked"),
        ("version=7", "There is no rule"),
    ],
)
def test_what_cannot_be_asked_is_told_and_starts_nothing(scope: str, said: str) -> None:
    """Before and on starting."""
    client = person()
    assert said in words(page(client, f"/regrades/?rule=no-loop&{scope}"))
    form = dict(part.split("=") for part in f"rule=no-loop&{scope}".split("&"))
    answer = client.post("/regrades/", form)
    assert (answer.status_code, Job.objects.count()) == (400, 0)


def test_the_outcome_is_a_sentence_a_matrix_and_the_runs_that_newly_fail(changed: str) -> None:
    """Each row opens its run at the event."""
    client = person(Role.VIEWER)
    html = page(client, f"/regrades/{changed}/")
    said = words(html)
    assert "1 run newly fails under version 2" in said
    assert "Version 1 held 1 unchanged 1 newly failing Version 1 failed 0 newly holding 1 unchanged" in said
    assert "slow run" in said
    assert "slower run" not in said
    assert "/runs/agent_run-slow/?v=3" in links(html)
    assert "slower run" in words(page(client, f"/regrades/{changed}/?flip=fails"))
    assert "fast run" in words(page(client, f"/regrades/{changed}/?flip=holds"))
    assert "None." in words(page(client, f"/regrades/{changed}/?flip=error"))


def test_the_trend_has_both_versions_and_its_table(changed: str) -> None:
    """A chart's numbers stand in the page, without JavaScript too; the script is on this page alone."""
    html = page(person(), f"/regrades/{changed}/")
    (given,) = re.findall(r'<script id="trend-data" type="application/json">(.*?)</script>', html)
    lines = json.loads(given)["data"]
    assert [line["y"] for line in lines] == [[0.0, 100.0, 100.0], [0.0, 0.0, 100.0]]
    assert "Day Runs Fail Share Version 1" in words(html)
    assert "plotly/plotly.min" in html
    assert 'id="plotly.js-style-global"' in html
    assert "plotly" not in page(person(Role.VIEWER), "/regrades/")


def test_failures_are_told_by_what_runs_have_in_common(changed: str) -> None:
    """By tool, model and agent; choosing one keeps the list to it."""
    client = person()
    html = page(client, f"/regrades/{changed}/")
    said = words(html)
    assert "Failures by tool" in said
    assert "look_up 2 2" in said
    assert "clerk 2 3" in said
    assert "agent nobody" in words(page(client, f"/regrades/{changed}/?flip=fails&agent=nobody"))


@pytest.mark.usefixtures("runs")
def test_a_running_job_tells_how_far_it_is_and_asks_again() -> None:
    """The fragment is the part of the page, and says so to a screen reader; ended, it asks no more."""
    save_rule(QUICK)
    client = person()
    address = client.post("/regrades/", {"rule": NAME})["Location"]
    viewer = person(Role.VIEWER)  # whose page has no form, and so no token that is another each time
    html, part = page(viewer, address), page(viewer, address, is_part=True)
    assert "Waiting for a worker" in words(html)
    assert 'hx-trigger="load delay:2s, nagare:job"' in html
    assert part.split("<span hx-swap-oob", maxsplit=1)[0].strip() in html
    assert 'hx-swap-oob="innerHTML:#regrade-said">Waiting for a worker<' in part
    regrade.run(address.strip("/").split("/")[-1])
    done = page(client, address)
    assert "1 of 3 runs fails" in words(done)
    assert "hx-trigger" not in done


@pytest.mark.usefixtures("runs")
def test_a_job_is_cancelled_and_goes_on() -> None:
    """By who may grade, in their own project."""
    save_rule(QUICK)
    client = person()
    address = client.post("/regrades/", {"rule": NAME})["Location"]
    job = Job.objects.get()
    person(Role.VIEWER).post(address, {"do": "cancel"})
    assert person(Role.ADMIN, "theirs").post(address, {"do": "cancel"}).status_code == 404
    job.refresh_from_db()
    assert job.status == "queued"
    client.post(address, {"do": "cancel"})
    assert "Cancelled after 0 of 0 runs" in words(page(client, address))
    client.post(address, {"do": "resume"})
    regrade.run(job.id)
    assert "1 of 3 runs fails" in words(page(client, address))


def test_who_may_not_grade_is_told_why(changed: str) -> None:
    """A viewer reads everything and starts nothing; a stranger finds nothing."""
    client = person(Role.VIEWER)
    answer = client.post("/regrades/", {"rule": NAME})
    assert answer.status_code == 403
    assert "engineers and admins start re-grades" in words(answer.content.decode())
    assert "Start" not in words(page(client, "/regrades/")).partition("Earlier")[0]
    assert Job.objects.count() == 2
    other = person(Role.ADMIN, "theirs")
    page(other, f"/regrades/{changed}/", status=404)
    page(other, "/regrades/nothing%00/", status=404)
    assert NAME not in page(other, "/regrades/")


@pytest.mark.usefixtures("projects")
def test_other_peoples_text_stays_text() -> None:
    """Titles, agents, models and tools are a run's own words."""
    put_run("hostile", 5_000, prompt=HOSTILE, agent=HOSTILE, model=HOSTILE)
    put_run("hostile-too", 5_000, prompt=HOSTILE, agent=HOSTILE, days=1)
    save_rule(QUICK)
    html = page(person(), f"/regrades/{regraded()}/?agent={HOSTILE}")
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "<b onclick" not in html


@pytest.mark.usefixtures("projects")
def test_the_number_of_queries_does_not_hang_on_the_number_of_runs() -> None:
    """Two runs or eight."""
    client = person()
    save_rule(QUICK)
    counted = []
    for number in (2, 8):
        for at in range(number):
            put_run(f"run-{number}-{at}", 5_000, days=at)
        job = regraded(force=True)
        with CaptureQueriesContext(connection) as queries:
            page(client, f"/regrades/{job}/")
        counted.append(len(queries))
    assert counted[0] == counted[1]
    assert counted[0] <= 30


def test_the_preview_by_htmx_needs_no_script_of_ours(changed: str) -> None:
    """The form asks by GET, so that it works as links do; it never starts anything."""
    client = person()
    assert client.get(f"/regrades/?rule={NAME}&sample=20", headers=HTMX).status_code == 200
    assert "All 3 runs that are matched have a verdict of this very version already" in words(
        page(client, f"/regrades/?rule={NAME}")
    )
    assert Job.objects.count() == 2
