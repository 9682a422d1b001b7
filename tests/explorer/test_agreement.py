"""A rule beside what people say: counts and shares against a plain recount, and what counts as neither."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import notes
from explorer.queries.agreement import Label, agreement, as_json, compared, newest_of, says_at
from journal.access import add_project
from journal.domain import agent_run as run
from journal.models import GradeRow
from journal.runtime.verdicts import Verdict
from tests.builders import event, responded, started
from tests.run_pages import put

_serial = count(1)

_labels = st.lists(
    st.builds(
        Label,
        run=st.sampled_from(("a", "b", "c")),
        by=st.sampled_from(("ada", "bob")),
        at_version=st.integers(0, 4),
        verdict=st.sampled_from(("holds", "fails")),
    ),
    max_size=12,
)


def said(says: str, run_version: int = 4, at_version: int | None = None) -> Verdict:
    """Return what a rule said of a run."""
    return Verdict(rule_version=1, run_version=run_version, says=says, at_version=at_version)


_verdicts = st.dictionaries(
    st.sampled_from(("a", "b", "c")),
    st.one_of(
        st.builds(said, st.just("fails"), at_version=st.integers(1, 4)),
        st.builds(said, st.just("holds"), run_version=st.integers(1, 4)),
        st.builds(said, st.just("error")),
    ),
)


@given(_labels, _verdicts)
def test_every_label_is_counted_once_and_shares_follow_from_the_counts(
    labels: list[Label], known: dict[str, Verdict]
) -> None:
    """A recount by hand gives the same table; precision and recall are of that table or of nothing."""
    found = compared("r", newest_of(labels), known)
    cells = [(label.verdict, says_at(known.get(label.run), label.at_version)) for label in newest_of(labels)]
    assert found.hits == cells.count(("fails", "fails"))
    assert found.missed == cells.count(("fails", "holds"))
    assert found.false_alarms == cells.count(("holds", "fails"))
    assert found.both_hold == cells.count(("holds", "holds"))
    assert found.compared + found.ungraded + found.errors == found.labels == len(cells)
    assert len(found.disagreements) == found.missed + found.false_alarms
    assert (found.precision is None) == (found.hits + found.false_alarms == 0)
    assert (found.recall is None) == (found.hits + found.missed == 0)
    for share in (found.precision, found.recall, found.agreement):
        assert share is None or 0 <= share <= 1
    assert as_json(found)["n"] == found.compared


@pytest.mark.parametrize(
    ("verdict", "version", "says"),
    [
        (None, 3, ""),
        (said("fails", 9, 4), 3, "holds"),
        (said("fails", 9, 4), 4, "fails"),
        (said("fails", 9, 4), 0, "fails"),
        (said("holds", 5), 5, "holds"),
        (said("holds", 5), 6, ""),
        (said("error", 5), 2, "error"),
    ],
)
def test_a_verdict_speaks_of_the_run_up_to_the_event_of_the_label(
    verdict: Verdict | None, version: int, says: str
) -> None:
    """A failure behind it is none yet; who looked less far says nothing."""
    assert says_at(verdict, version) == says


def test_who_thinks_again_counts_once() -> None:
    """The newest grade of a person on an event of a run, and each person by themselves."""
    said_by = (("ada", 3, "holds"), ("ada", 3, "fails"), ("bob", 3, "fails"), ("ada", 4, "fails"))
    labels = [Label(run="a", by=by, at_version=at, verdict=verdict) for by, at, verdict in said_by]
    kept = newest_of(labels)
    assert [(label.by, label.at_version, label.verdict) for label in kept] == [
        ("ada", 3, "holds"), ("bob", 3, "fails"), ("ada", 4, "fails"),
    ]  # fmt: skip
    assert compared("r", kept, {}).contested == 1


def graded(stream: str, verdict: str, *, at: int | None = None, version: int = 1, project: str = "default") -> None:
    """Store what a re-grade said of a run."""
    GradeRow.objects.create(
        project=project, grade=f"grade-{next(_serial)}", job="j", rule="r", rule_version=version, run=stream,
        run_version=3, verdict=verdict, previous="", at_version=at, event_id="", event_type="", message="", tool="",
        model="", agent="", position=next(_serial),
    )  # fmt: skip


def test_no_labels_are_no_figures(db: None) -> None:
    """And no division by nothing."""
    found = agreement("default", "r")
    assert (found.labels, found.precision, found.recall, found.agreement) == (0, None, None, None)
    assert found.words == "No labels: nobody has graded a run by this rule yet."


def test_labels_are_read_beside_the_newest_verdicts(db: None) -> None:
    """Of this rule, project and version, and of people alone; what was taken back counts no more."""
    add_project("other")
    for name in ("a", "b", "c"):
        events = [started(), responded(), run.Graded(rule="r", by="benchmark", verdict="fails", at_version=2)]
        put(f"agent_run-{name}", [event(data) for data in events])
    put("agent_run-a", [event(started())], project="other")
    for name, verdict in (("a", "fails"), ("b", "fails"), ("c", "holds")):
        notes.grade("default", f"agent_run-{name}", by="ada", rule="r", verdict=verdict)
    gone = notes.grade("default", "agent_run-c", by="bob", rule="r", verdict="fails")
    notes.retract("default", "agent_run-c", gone, by="bob")
    notes.grade("default", "agent_run-a", by="ada", rule="another", verdict="holds")
    notes.grade("other", "agent_run-a", by="zoe", rule="r", verdict="holds")
    graded("agent_run-a", "holds")
    graded("agent_run-a", "fails", at=2, version=2)
    graded("agent_run-b", "holds", version=2)
    graded("agent_run-c", "holds", project="other")
    found = agreement("default", "r")
    assert (found.labels, found.hits, found.missed, found.false_alarms, found.both_hold) == (3, 1, 1, 0, 0)
    assert (found.ungraded, found.precision, found.recall, found.people) == (1, 1.0, 0.5, 1)
    assert (
        found.words
        == "The rule finds 1 of the 2 failures that people see; 0 of its 1 failures are none to them (n = 2)."
    )
    first = agreement("default", "r", rule_version=1)
    assert (first.hits, first.missed, first.ungraded) == (0, 1, 2)
