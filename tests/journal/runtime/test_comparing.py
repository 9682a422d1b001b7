"""Two runs of the journal compared: the answer as programs have it, and how much of long runs is looked at."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.domain import codec
from journal.errors import StreamNotFound, VersionNotFound
from journal.runtime import comparing
from journal.runtime.comparing import comparison_answer, named
from journal.store import get_store
from tests.builders import event, reasoned, responded, returned
from tests.coding_run import coding_run

A, B = "agent_run-a", "agent_run-b"

pytestmark = pytest.mark.django_db


def put(stream: str, events: int, *, until: int | None = None, project: str = "default") -> None:
    """Put a coding run into the journal; with `until`, one that goes on otherwise behind that event."""
    made = coding_run(events, stream=stream)
    if until is not None:
        made = [*made[:until], event(responded("I will read it.")), event(reasoned("read_file", path="billing.py"))]
        made.append(event(returned("text")))
    get_store(project).append(stream, made, expected_version=0)


def test_the_answer_says_where_they_part_and_what_it_cost() -> None:
    """As plain JSON: both sides, the steps, the states there, the totals behind it."""
    put(A, 60)
    put(B, 60, until=20)
    answer = json.loads(codec.encode(comparison_answer(get_store(), A, B)))
    assert answer["summary"] == "Same until 20, then the model answered differently at 22 and 21"
    assert answer["same_until"] == {"a": 20, "b": 20}
    assert answer["first_divergence"]["kind"] == "model_responded"
    assert (answer["a"]["events"], answer["b"]["events"]) == (60, 23)
    assert answer["since_divergence"]["a"]["events"] == 40
    assert answer["since_divergence"]["a_less_b"]["events"] == 37
    marks = [step["mark"] for step in answer["steps"]]
    assert marks[:4] == ["equal", "equal", "equal", "differs"]
    assert answer["steps"][3]["b"]["summary"] == "“I will read it.”"
    assert answer["state_diff"]["changes"]
    assert answer["notes"] == []


def test_versions_are_chosen_by_name() -> None:
    """`stream@23`; a stream may have an at sign in its own name."""
    assert named("agent_run-1@23") == ("agent_run-1", 23)
    assert named("agent_run-1") == ("agent_run-1", None)
    assert named("agent_run-a@b") == ("agent_run-a@b", None)
    assert named("@23") == ("@23", None)
    put(A, 60)
    answer = comparison_answer(get_store(), f"{A}@19", f"{A}@23")
    assert answer["summary"] == "One run at 19 and at 23"
    assert (answer["state_diff"]["a"], answer["state_diff"]["b"]) == (19, 23)


def test_long_runs_are_compared_in_part_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their totals are those of the whole run all the same."""
    put(A, 60)
    put(B, 60)
    monkeypatch.setattr(comparing, "COMPARED", 30)
    answer = comparison_answer(get_store(), A, B)
    assert answer["summary"] == "The same in all 23 steps that were looked at"
    assert answer["notes"][0] == "Of A the first 30 events of 60 are compared; totals are of the whole run."
    assert answer["totals"]["a"]["events"] == 60
    assert answer["totals"]["a"]["tool_calls"] == get_total()


def get_total() -> int:
    """Return how many calls the whole run has, counted by hand."""
    return sum(made.type == "agent_run.reasoned" for made in coding_run(60))


def test_comparing_writes_nothing_and_asks_little() -> None:
    """Two queries for each run, and those for its steps' sentences."""
    put(A, 60)
    put(B, 60, until=20)
    before = {model._meta.label: model._base_manager.count() for model in apps.get_models()}
    with CaptureQueriesContext(connection) as asked:
        comparison_answer(get_store(), A, B)
    assert len(asked) <= 6
    assert {model._meta.label: model._base_manager.count() for model in apps.get_models()} == before


def test_what_is_not_there_is_not_found() -> None:
    """Nor is a run of another project."""
    put(A, 60)
    put(B, 60, project="theirs")
    with pytest.raises(StreamNotFound):
        comparison_answer(get_store(), A, B)
    with pytest.raises(VersionNotFound):
        comparison_answer(get_store(), f"{A}@61", A)
