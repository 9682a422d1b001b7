"""Re-grades: what is frozen, what comes out, and that doing it again tells nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now

from journal.access import add_project
from journal.domain import codec
from journal.domain.agent_run import Graded
from journal.domain.catalog import catalog
from journal.domain.event import EventData
from journal.domain.invariant import HOLDS, Context, Fails, Invariant, Verdict, all_invariants, register
from journal.errors import RuleNotFound
from journal.models import GradeRow, Job, JobPart, StreamRow
from journal.runtime import beside, erasing, job_process, projection, regrade, regrade_plan, regrade_work, saved_rules
from journal.runtime import job as jobs
from journal.runtime.grading import bisect
from journal.store import get_store
from journal.tasks import reap
from tests.builders import event, failed, reasoned, returned, started

pytestmark = pytest.mark.django_db
P = "graded"
BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)


def at(made: Any, minutes: float) -> EventData:
    """Return an event that occurred so long after the first."""
    return EventData(
        type=catalog.name_of(type(made)), data=codec.encode(made), occurred_at=BEGAN + timedelta(minutes=minutes)
    )


def write(stream: str, *made: Any, minutes: float = 0) -> None:
    """Append a run whose events are a minute apart."""
    events = [at(each, minutes + number) for number, each in enumerate(made)]
    get_store(P).append(stream, events, expected_version=get_store(P).stream_version(stream))


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs: one without a failure, one whose search fails once, one whose search fails twice in a row."""
    add_project(P)
    monkeypatch.setattr(regrade, "_POLL_S", 0.01)
    write("agent_run-fine", started(agent="planner", model="m-1"), reasoned(), returned({"n": 1}))
    write("agent_run-once", started(agent="coder", model="m-2"), reasoned(), failed(), minutes=24 * 60)
    write(
        "agent_run-twice", started(agent="coder", model="m-1"), reasoned(call_id="a"), failed(call_id="a"),
        reasoned(call_id="b"), failed(call_id="b"), minutes=48 * 60,
    )  # fmt: skip


def saved(expression: str = "state.totals.tool_errors < 1", name: str = "few-errors") -> str:
    """Save a rule."""
    saved_rules.save(project=P, name=name, description="", expression=expression, monotone=True, by="ada")
    return name


def graded() -> list[Graded]:
    """Return the verdicts in the journal, in its order."""
    found = [
        catalog.decode(each)
        for stream in StreamRow.objects.filter(project=P, category="grades").order_by("id")
        for each in get_store(P).read_stream(stream.name)
    ]
    return [each for each in found if isinstance(each, Graded)]


def test_every_run_gets_a_verdict_and_no_run_is_written_to() -> None:
    """First failing events with tool, agent and model; the runs' streams are as they were."""
    before = {run: get_store(P).stream_version(f"agent_run-{run}") for run in ("fine", "once", "twice")}
    found = regrade.regrade(saved(), project=P)
    assert (found.runs, found.holds, found.fails, found.errors) == (3, 1, 2, 0)
    assert found.first_failing is not None
    assert (found.first_failing.stream, found.first_failing.version) == ("agent_run-once", 3)
    assert [(group.name, group.fails) for group in found.by_tool] == [("read_file", 2)]
    assert {(group.name, group.runs, group.fails) for group in found.by_agent} == {("coder", 2, 2), ("planner", 1, 0)}
    assert [(group.name, group.runs, group.fails) for group in found.by_day] == [
        ("2026-11-01", 1, 0), ("2026-11-02", 1, 1), ("2026-11-03", 1, 1),
    ]  # fmt: skip
    assert {run: get_store(P).stream_version(f"agent_run-{run}") for run in before} == before


def test_a_repeat_evaluates_nothing_and_tells_nothing() -> None:
    """Runs with this very verdict are left out, and still belong to the outcome; a run that grew is judged again."""
    rule = saved()
    first = regrade.regrade(rule, project=P)
    again = regrade.regrade(rule, project=P)
    assert (again.skipped, again.fails, again.first_failing) == (3, 2, first.first_failing)
    assert len(graded()) == 3
    write("agent_run-fine", reasoned(call_id="z"), failed(call_id="z"), minutes=10)
    grown = regrade.regrade(rule, project=P)
    assert (grown.skipped, grown.holds, grown.fails, len(graded())) == (2, 0, 3, 4)


def test_force_judges_again() -> None:
    """And tells it as verdicts of its own."""
    rule = saved()
    regrade.regrade(rule, project=P)
    assert regrade.regrade(rule, project=P, force=True).skipped == 0
    assert len(graded()) == 6


@pytest.mark.parametrize("rule", ["few-errors", "answer-has-text", "no-repeated-response"])
def test_a_run_of_which_something_was_erased_is_an_error_and_judged_anew(
    rule: str, tmp_path: Path, settings: Any
) -> None:
    """Nothing can be said of it, whatever the rule looks at; the verdict before went with what it was about."""
    settings.MEDIA_ROOT = tmp_path
    saved()
    events = [
        event(started(), subjects=("ada",)),
        *(event(each, subjects=("bob",)) for each in (reasoned(), returned(1))),
    ]
    get_store(P).append("agent_run-part", events, expected_version=0)
    first = regrade.regrade(rule, project=P)
    erasing.erase(P, subject="ada", ground="Art. 17", by="user:ann")
    again = regrade.regrade(rule, project=P)
    assert (first.runs, first.errors, again.runs, again.errors, again.skipped) == (4, 0, 4, 1, 3)
    assert (again.holds, again.fails) == (first.holds - 1, first.fails)
    assert regrade.regrade(rule, project=P).skipped == 4
    assert regrade.report(regrade.finish(regrade.submit(project=P, rule=rule))).errors == 1


def test_another_version_says_which_runs_turned() -> None:
    """Newly failing and newly holding against the version before, which is evaluated where it has no verdict."""
    saved("state.totals.tool_errors < 1")
    rule = saved("state.totals.tool_errors < 2 && state.agent != 'planner'")
    found = regrade.regrade(rule, project=P)
    assert (found.rule_version, found.previous_version) == (2, 1)
    assert (found.newly_failing, found.newly_holding) == (1, 1)
    assert {(flips.before, flips.now, flips.runs) for flips in found.matrix} == {
        ("holds", "fails", 1), ("fails", "holds", 1), ("fails", "fails", 1),
    }  # fmt: skip


def test_the_version_before_is_not_evaluated_where_its_verdicts_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read instead; the outcome is the same."""
    regrade.regrade(saved("state.totals.tool_errors < 1"), project=P)
    rule = saved("state.totals.tool_errors < 2")
    monkeypatch.setattr(regrade_plan, "previous_of", lambda *_arguments: None)
    found = regrade.regrade(rule, project=P)
    assert (found.newly_failing, found.newly_holding) == (0, 1)


class Counted(Invariant):
    """A built-in rule whose version rises."""

    name = "test-counted"
    title = "Counted"
    version = 1
    most = 3

    def evaluate(self, ctx: Context) -> Verdict:
        """Break past so many events."""
        return Fails("too many") if ctx.version > self.most else HOLDS


def test_a_built_in_rule_is_compared_with_the_verdicts_of_its_last_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of that version is gone; what it said is in the journal."""
    monkeypatch.setattr("journal.domain.invariant._registered", {rule.name: rule for rule in all_invariants()})
    rule = Counted()
    register(rule)
    assert regrade.regrade(rule.name, project=P).fails == 1
    monkeypatch.setattr(Counted, "version", 2)
    monkeypatch.setattr(Counted, "most", 2)
    found = regrade.regrade(rule.name, project=P)
    assert (found.previous_version, found.fails, found.newly_failing) == (1, 3, 2)


def test_a_range_is_inclusive_and_judges_by_what_occurred_in_it() -> None:
    """A run with an event in it counts; a failure outside is remembered and not blamed. The bisect says the same."""
    rule = saved("event.type != 'agent_run.tool_failed'")
    second = BEGAN + timedelta(minutes=24 * 60 + 2)
    found = regrade.regrade(rule, project=P, since=second, until=second)
    assert (found.runs, found.fails) == (1, 1)
    assert regrade.regrade(rule, project=P, since=second + timedelta(seconds=1), until=second).runs == 0
    late = regrade.regrade(rule, project=P, since=BEGAN + timedelta(minutes=48 * 60 + 3))
    assert late.first_failing is not None
    over = bisect(rule, project=P, since=BEGAN + timedelta(minutes=48 * 60 + 3))
    assert over.first_failing is not None
    assert (late.first_failing.stream, late.first_failing.version) == ("agent_run-twice", 5)
    assert over.first_failing.version == 5  # the failure at 3 came before the range
    assert regrade.regrade(rule, project=P).fails == 2  # the same runs judged as a whole are other verdicts


def test_a_query_chooses_runs_and_a_wrong_one_is_refused() -> None:
    """By the language of the list of runs."""
    projection.catch_up_all()
    rule = saved()
    assert regrade.regrade(rule, project=P, query="agent:coder").runs == 2
    with pytest.raises(regrade.QueryRefused, match="no key agnt"):
        regrade.submit(project=P, rule=rule, query="agnt:coder")


def test_the_estimate_counts_before_anything_is_evaluated() -> None:
    """Runs, events, what is there already, and a time from a measured rate."""
    projection.catch_up_all()
    rule = saved()
    before = regrade.estimate(project=P, rule=rule)
    assert (before.runs, before.events, before.graded) == (3, 11, 0)
    assert before.seconds == pytest.approx(11 / before.events_per_s)
    regrade.regrade(rule, project=P)
    after = regrade.estimate(project=P, rule=rule)
    assert (after.runs, after.events, after.graded, after.seconds) == (3, 0, 3, 0)


@pytest.mark.parametrize(
    ("scope", "clause", "without"),
    [
        ({"query": "agent:coder status:aborted"}, "status:aborted", 2),
        ({"since": datetime(2030, 1, 1, tzinfo=UTC)}, "since 2030-01-01T00:00:00+00:00", 3),
        ({"until": datetime(2020, 1, 1, tzinfo=UTC), "query": "agent:coder"}, "until 2020-01-01T00:00:00+00:00", 2),
        ({"since": datetime(2030, 1, 1, tzinfo=UTC), "query": "agent:nobody"}, "all clauses together", 3),
    ],
)
def test_an_empty_scope_says_which_clause_excluded_everything(scope: dict[str, Any], clause: str, without: int) -> None:
    """And how many there are without it."""
    projection.catch_up_all()
    found = regrade.estimate(project=P, rule=saved(), **scope)
    assert (found.runs, found.excluded_by, found.matched_without_it) == (0, clause, without)


def test_a_sample_stores_nothing() -> None:
    """It says what the job would, on some of the runs."""
    saved("state.totals.tool_errors < 2")
    rule = saved()
    head = get_store(P).head()
    found = regrade.sample(project=P, rule=rule, most=2)
    assert [(grade.stream, grade.verdict, grade.previous) for grade in found.grades] == [
        ("agent_run-fine", "holds", "holds"), ("agent_run-once", "fails", "holds"),
    ]  # fmt: skip
    assert (get_store(P).head(), Job.objects.filter(kind=regrade.KIND).count()) == (head, 0)


def test_what_is_frozen_stays() -> None:
    """A later version of the rule, and later events, change nothing of a job that was submitted before."""
    rule = saved()
    job = regrade.submit(project=P, rule=rule)
    saved("false")
    write("agent_run-fine", reasoned(call_id="z"), failed(call_id="z"), minutes=10)
    write("agent_run-new", started(), reasoned(), failed())
    found = regrade.report(regrade.finish(job))
    assert (found.rule_version, found.runs, found.holds, found.fails) == (1, 3, 1, 2)
    assert regrade.definition(job).head < get_store(P).head()


def test_an_error_of_the_rule_is_no_failure_of_the_run() -> None:
    """It is counted and told as such."""
    found = regrade.regrade(saved("event.version / 0 == 1"), project=P)
    assert (found.holds, found.fails, found.errors) == (0, 0, 3)
    assert all(grade.verdict == "error" and grade.message for grade in graded())


def test_a_rule_that_compares_runs_is_judged_in_the_journals_order() -> None:
    """All runs together, so that it remembers what came before in any of them."""
    for number, rate in enumerate((1.1, 1.2, 1.15, 99.5)):
        write(f"agent_run-rate{number}", started(), reasoned("rate"), returned({"rate": rate}, tool="rate"))
    found = regrade.regrade("steady-results", project=P)
    assert (found.runs, found.fails) == (7, 1)
    assert found.first_failing is not None
    assert found.first_failing.stream == "agent_run-rate3"
    assert regrade.regrade("steady-results", project=P).skipped == 7


def test_verdicts_are_read_in_pages_by_the_time_of_the_failure() -> None:
    """A page names where the next begins; those without a failing event come last."""
    job = regrade.finish(regrade.submit(project=P, rule=saved()))
    first = regrade.grades(job, only="all", limit=2)
    rest = regrade.grades(job, only="all", after=first.next)
    assert [grade.stream for grade in (*first.grades, *rest.grades)] == [
        "agent_run-once", "agent_run-twice", "agent_run-fine",
    ]  # fmt: skip
    assert rest.next == ""
    assert [grade.stream for grade in regrade.grades(job, model="m-1").grades] == ["agent_run-twice"]
    assert [grade.rule for grade in regrade.verdicts_of(P, ["agent_run-once"])["agent_run-once"]] == ["few-errors"]


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run be a part."""
    monkeypatch.setattr(regrade_plan, "RUNS_A_PART", 1)


def test_a_cancelled_job_keeps_what_is_graded_and_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """No part is done twice."""
    small_parts(monkeypatch)
    job = regrade.submit(project=P, rule=saved())
    done: list[int] = []
    real = regrade_work.tell

    def stop_after_one(*arguments: Any) -> None:
        real(*arguments)
        done.append(arguments[2])
        if len(done) == 1:
            regrade.cancel(job)

    monkeypatch.setattr(regrade_work, "tell", stop_after_one)
    with pytest.raises(regrade.RegradeFailed, match="cancelled"):
        regrade.finish(job)
    job.refresh_from_db()
    assert (regrade.progress(job).status, regrade.progress(job).runs, len(graded())) == ("cancelled", 1, 1)
    assert regrade.resume(job)
    found = regrade.report(regrade.finish(job))
    assert (found.runs, found.fails, len(graded()), sorted(done)) == (3, 2, 3, [0, 1, 2])


class Died(BaseException):
    """The worker's process ends here."""


@pytest.mark.parametrize("where", ["before", "behind"])
def test_a_worker_that_dies_around_telling_leaves_one_telling(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Before the append nothing is told, behind it the next worker's append is known; the outcome is one."""
    small_parts(monkeypatch)
    rule = saved()
    job = regrade.submit(project=P, rule=rule)
    real, deaths = regrade_work.tell, iter([True, False, True])

    def dying(*arguments: Any) -> None:
        dies = next(deaths, False)
        if dies and where == "before":
            raise Died
        real(*arguments)
        if dies:
            raise Died

    monkeypatch.setattr(regrade_work, "tell", dying)
    for _ in range(4):
        try:
            regrade.run(job.id)
        except Died:
            Job.objects.filter(id=job.id, status="running").update(heartbeat_at=Now() - timedelta(minutes=5))
            JobPart.objects.filter(job=job, state="running").update(heartbeat_at=Now() - timedelta(minutes=5))
    job.refresh_from_db()
    found = regrade.report(job)
    assert (job.status, found.runs, found.fails, len(graded())) == ("done", 3, 2, 3)


def test_another_worker_takes_parts_of_a_job_that_is_driven(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one who drives does the rest; each part is done once."""
    small_parts(monkeypatch)
    job = regrade.submit(project=P, rule=saved())
    real = regrade_work.tell
    told: list[int] = []
    helping: list[bool] = []

    def helped(*arguments: Any) -> None:
        told.append(arguments[2])
        real(*arguments)
        if not helping:
            helping.append(True)
            helping.append(regrade_work.help_with(job.id) == 2)

    monkeypatch.setattr(regrade_work, "tell", helped)
    regrade.finish(job)
    assert (sorted(told), helping) == ([0, 1, 2], [True, True])


def test_two_jobs_at_once_tell_a_verdict_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both froze their runs before either had graded; the second finds the ids in the journal."""
    rule = saved()
    jobs_of = [regrade.submit(project=P, rule=rule) for _ in range(2)]
    for job in jobs_of:
        regrade_plan.freeze(job, P, regrade.definition(job))
    found = [regrade.report(regrade.finish(job)) for job in jobs_of]
    assert [(each.runs, each.fails) for each in found] == [(3, 2), (3, 2)]
    assert len(graded()) == 3


def test_the_read_model_of_verdicts_is_what_the_journal_says() -> None:
    """A rebuild comes to the same rows, and the report to the same outcome."""
    job = regrade.finish(regrade.submit(project=P, rule=saved()))
    before = regrade.report(job)
    GradeRow.objects.all().delete()
    projection.rebuild(projection.named("grades"))
    assert regrade.report(job) == before
    assert beside.verify(projection.named("grades")).agrees


def test_the_reaper_wakes_workers_for_jobs_that_wait() -> None:
    """A word that got lost costs time only."""
    job = regrade.submit(project=P, rule=saved())
    reap()
    job.refresh_from_db()
    assert job.result is not None
    assert (job.status, job.result["fails"]) == ("done", 2)
    assert jobs.newest(regrade.KIND, project=P, limit=5) == [job]
    assert job_process.stream_of(job).startswith("job-")


def test_a_rule_that_is_not_there_is_refused() -> None:
    """By name or by version."""
    with pytest.raises(RuleNotFound):
        regrade.submit(project=P, rule="nobody")
    with pytest.raises(RuleNotFound):
        regrade.submit(project=P, rule=saved(), version=2)
