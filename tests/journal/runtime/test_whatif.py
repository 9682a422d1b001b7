"""What-ifs on the journal: the answer as programs have it, limits that are said, and nothing written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.domain import codec
from journal.domain.aggregate import Repository
from journal.domain.invariant import all_invariants, find
from journal.domain.whatif_edits import EditsRefused, read_edits
from journal.errors import RuleNotFound, StreamNotFound, VersionNotFound
from journal.runtime import saved_rules, whatif
from journal.runtime.whatif import answer_what_if, what_if_answer
from journal.store import get_store
from journal.store.snapshots import Kept
from tests.coding_run import EDIT_AT, coding_run

STREAM = "agent_run-7"
READ: dict[str, Any] = {
    "op": "insert",
    "version": EDIT_AT - 1,
    "event": {
        "type": "agent_run.reasoned",
        "data": {"toolName": "read_file", "argsJson": '{"path": "billing/refunds.py"}', "callId": "x1"},
    },
}
RETURNED: dict[str, Any] = {
    "op": "insert",
    "version": EDIT_AT - 1,
    "event": {
        "type": "agent_run.tool_returned",
        "data": {"toolName": "read_file", "callId": "x1", "responseJson": '"def refund(): …"'},
    },
}

pytestmark = pytest.mark.django_db


def put(events: int = 60, project: str = "default") -> None:
    """Put the coding run into a project's journal."""
    get_store(project).append(STREAM, coding_run(events, stream=STREAM), expected_version=0)


def rows() -> dict[str, int]:
    """Return how many rows every table has."""
    return {model._meta.label: model._base_manager.count() for model in apps.get_models()}


def test_the_answer_has_state_diff_and_verdicts_and_is_plain_json() -> None:
    """A reading before the edit: the rule holds, and the state has what was read."""
    put()
    answer = what_if_answer(get_store(), STREAM, {"edits": [READ, RETURNED], "rules": ["edit-after-reading"]})
    (verdict,) = answer["verdicts"]
    assert verdict["changed"]
    assert (verdict["recorded"]["verdict"], verdict["recorded"]["first_failing"]) == ("fails", EDIT_AT)
    assert verdict["other"] == {"verdict": "holds", "first_failing": None, "label": None, "message": None}
    assert (answer["recorded_events"], answer["events"], answer["state"]["version"]) == (60, 62, 62)
    assert answer["first_divergence"] == {
        "label": "22a", "how": "inserted", "version": 23, "recorded_version": 22,
    }  # fmt: skip
    assert [(edited["label"], edited["version"]) for edited in answer["edited"]] == [("22a", 23), ("22b", 24)]
    change = next(change for change in answer["diff"] if "read_file" in change["path"] and "refunds" in change["path"])
    assert (change["after"]["version"], change["version"], change["recorded_version"]) == (24, 24, None)
    assert answer["notes"][0].startswith("State replay only: the model was not run again.")
    assert json.loads(codec.encode(answer))["summary"] == "edit-after-reading holds; as recorded it fails at 23"


def test_the_state_is_that_of_the_edited_run_had_it_been_recorded() -> None:
    """Appended as a run of its own, the edited history has the same state."""
    put()
    answer = what_if_answer(get_store(), STREAM, {"edits": [READ, RETURNED], "rules": ["no-loop"]})
    events = list(coding_run(60, stream=STREAM))
    given = [edit.event for edit in read_edits([READ, RETURNED])]
    made = [*events[: EDIT_AT - 1], *(event for event in given if event is not None), *events[EDIT_AT - 1 :]]
    other = get_store("other")
    other.append(STREAM, [without_id(event) for event in made], expected_version=0)
    state = Repository(other).load(STREAM).to_json()
    assert {**state, "totals": None} == {**answer["state"], "totals": None}
    assert state["totals"]["tool_calls"] == answer["state"]["totals"]["tool_calls"]


def without_id(event: Any) -> Any:
    """Return an event without its id, so that it can be appended to another project."""
    return type(event)(
        type=event.type, data=event.data, metadata=event.metadata, schema=event.schema, occurred_at=event.occurred_at
    )


def test_every_rule_of_the_project_is_asked_where_none_is_named() -> None:
    """But those that compare runs with each other, which the notes name."""
    put()
    answer = what_if_answer(get_store(), STREAM, {"edits": [], "rules": []})
    alone = [rule.name for rule in all_invariants() if rule.remembers == "run"]
    assert sorted(verdict["rule"] for verdict in answer["verdicts"]) == sorted(alone)
    assert not any(verdict["changed"] for verdict in answer["verdicts"])
    assert answer["notes"][-1].startswith("Not asked, since they compare runs with each other: steady-results")


def test_a_saved_rule_is_asked_like_any_other() -> None:
    """Its expression sees the other history's own numbers."""
    put()
    saved_rules.save(
        project="default", name="nothing-read-at-23", description="23 reads nothing.", monotone=False, by="ada",
        expression='version != 23 || event.data.toolName != "read_file"',
    )  # fmt: skip
    answer = what_if_answer(get_store(), STREAM, {"edits": [READ, RETURNED], "rules": ["nothing-read-at-23"]})
    (verdict,) = answer["verdicts"]
    assert (verdict["recorded"]["verdict"], verdict["other"]["verdict"]) == ("holds", "fails")


def test_nothing_is_written() -> None:
    """Every table has the rows that it had, after a what-if of each kind."""
    put()
    before = rows()
    edits = [READ, RETURNED, {"op": "drop", "version": 30}, {**READ, "op": "replace", "version": 31}]
    what_if_answer(get_store(), STREAM, {"edits": edits})
    assert rows() == before


def test_an_answer_costs_few_queries_whatever_is_edited() -> None:
    """The run's length, its events, and the saved rules."""
    put()
    with CaptureQueriesContext(connection) as asked:
        what_if_answer(get_store(), STREAM, {"edits": [READ, RETURNED], "at": 40})
    assert len(asked) <= 4


def test_a_long_run_is_folded_from_the_snapshot_before_the_edit() -> None:
    """With an edit far behind, the events before it are not read when no rule asks for them."""
    put(1_600)
    Kept("default").drop()
    list(get_store().read_stream(STREAM))
    Repository(get_store(), snapshots=Kept("default")).load(STREAM)
    edits = read_edits([{"op": "drop", "version": 1_550}])
    with CaptureQueriesContext(connection) as asked:
        far = answer_what_if(get_store(), STREAM, edits, rules=())
    assert far.found.places[0].event.version == 1_550
    assert any("journal_snapshot" in query["sql"] for query in asked)
    rule = find("no-loop")
    assert rule is not None
    whole = answer_what_if(get_store(), STREAM, edits, rules=[rule])
    assert whole.found.other.to_json() == far.found.other.to_json()
    assert whole.found.changes == far.found.changes


def test_limits_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """How far the other history was followed, and that rules were not asked."""
    put()
    monkeypatch.setattr(whatif, "FOLLOWED", 10)
    monkeypatch.setattr(whatif, "JUDGED", 20)
    rule = find("no-loop")
    assert rule is not None
    answered = answer_what_if(get_store(), STREAM, read_edits([READ]), rules=[rule])
    assert (answered.until, answered.found.at, answered.found.verdicts) == (32, 32, ())
    assert answered.notes[1:] == [
        "Followed up to event 32 of 60: 10 events behind the first edit are the most.",
        "No rule was asked: it would be asked about each of 32 events twice, and 20 are the most.",
    ]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (None, "the request must be an object"),
        ({"edit": []}, "there is nothing called 'edit'"),
        ({"edits": [READ], "rules": "no-loop"}, "rules must be a list of names"),
        ({"edits": [READ], "at": "3"}, "at must be the number of an event"),
        ({"edits": [{**READ, "version": 61}]}, "Edit 1: there is no event 61; the run has the events 1 to 60"),
    ],
)
def test_a_request_that_is_none_is_refused(request_: object, said: str) -> None:
    """With what is wrong in it."""
    put()
    with pytest.raises(EditsRefused) as refused:
        what_if_answer(get_store(), STREAM, request_)
    assert said in str(refused.value)
    assert refused.value.fields()["problems"]


def test_what_is_not_there_is_not_found() -> None:
    """A run, an event, a rule; another project's run is none of this one's."""
    put(project="theirs")
    with pytest.raises(StreamNotFound):
        what_if_answer(get_store(), STREAM, {"edits": []})
    with pytest.raises(VersionNotFound):
        what_if_answer(get_store("theirs"), STREAM, {"edits": [], "at": 61})
    with pytest.raises(RuleNotFound):
        what_if_answer(get_store("theirs"), STREAM, {"edits": [], "rules": ["no-such-rule"]})
