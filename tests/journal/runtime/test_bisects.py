"""Bisects as jobs: the answer is kept with all it was found with."""

from __future__ import annotations

import pytest

from journal.access import add_project, record_access
from journal.access.acting import Actor
from journal.domain.access_log import AccessKind
from journal.errors import RuleNotFound, StreamNotFound
from journal.runtime import bisects, grading, saved_rules
from journal.runtime.grading_json import range_as_json, run_as_json
from journal.store import get_store
from journal.tasks import wake
from tests.access import recorder, records
from tests.builders import event, failed, reasoned, started

__all__ = ["recorder"]

pytestmark = pytest.mark.django_db
P = "bisected"
RUN = "agent_run-1"


@pytest.fixture(autouse=True)
def journal() -> None:
    """A run whose tool fails twice, and a rule."""
    add_project(P)
    made = [started(), reasoned(call_id="a"), failed(call_id="a"), reasoned(call_id="b"), failed(call_id="b")]
    get_store(P).append(RUN, [event(each) for each in made], expected_version=0)
    saved_rules.save(
        project=P, name="few", description="", expression="state.totals.tool_errors < 2", monotone=True, by=None
    )


def test_the_answer_of_a_run_is_what_the_command_prints() -> None:
    """With the events a search asked about, and the journal it was found in."""
    job = bisects.submit(project=P, rule="few", stream=RUN)
    assert bisects.result(job) is None
    assert bisects.run(job.id) is not None
    job.refresh_from_db()
    found = bisects.result(job)
    assert found is not None
    direct = grading.bisect("few", stream=RUN, project=P)
    assert isinstance(direct, grading.Found)
    expected = run_as_json(direct)
    assert {**found.answer, "first_failing": found.answer["first_failing"]["event_id"]} == {
        **expected, "first_failing": direct.first_failing.event_id if direct.first_failing else None,
    }  # fmt: skip
    assert [probe["version"] for probe in found.probes][:1] == [5]
    asked = bisects.definition(job)
    assert (found.head, len(found.head_sha256), found.rule_version) == (asked.head, 64, 1)
    assert found.state_code == asked.state_code


def test_what_comes_later_changes_no_answer() -> None:
    """The run is read up to the version, the rule in the version, that the job was submitted with."""
    job = bisects.submit(project=P, rule="few", stream=RUN)
    later = [event(reasoned(call_id="c")), event(failed(call_id="c"))]
    get_store(P).append(RUN, later, expected_version=5)
    saved_rules.save(project=P, name="few", description="", expression="false", monotone=True, by=None)
    bisects.run(job.id)
    job.refresh_from_db()
    found = bisects.result(job)
    assert found is not None
    assert (found.answer["events"], found.answer["first_failing"]["version"], found.rule_version) == (5, 5, 1)


def test_a_range_is_bisected_up_to_the_head_it_was_asked_at() -> None:
    """In the journal's order."""
    job = bisects.submit(project=P, rule="no-failure-loop", tool="read_file")
    wake(job.id, kind=bisects.KIND)
    bisects.run(job.id)
    job.refresh_from_db()
    found = bisects.result(job)
    assert found is not None
    over = grading.bisect("no-failure-loop", tool="read_file", project=P)
    assert isinstance(over, grading.OverRange)
    assert found.answer["verdict"] == range_as_json(over)["verdict"] == "fails"
    assert bisects.newest(P) == [job]
    assert bisects.find(job.id, project="default") is None


def test_what_cannot_be_bisected_is_refused_when_it_is_asked() -> None:
    """No such rule or run, or both a run and a range."""
    with pytest.raises(RuleNotFound):
        bisects.submit(project=P, rule="nobody")
    with pytest.raises(StreamNotFound):
        bisects.submit(project=P, rule="few", stream="agent_run-nobody")
    with pytest.raises(bisects.BisectRefused):
        bisects.submit(project=P, rule="few", stream=RUN, tool="grep")


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("recorder")
def test_no_rule_is_asked_of_the_access_log() -> None:
    """Whoever may save rules could read it, one yes or no at a time."""
    record_access(P, AccessKind.EXPORT, "run as a file", of=RUN, who=Actor(by="bob"))
    ((event, _),) = records(P)
    saved_rules.save(project=P, name="spy", description="", expression='event.data.by != "bob"', monotone=True, by=None)
    with pytest.raises(StreamNotFound):
        bisects.submit(project=P, rule="spy", stream=event.stream)
    assert bisects.newest(P) == []
