"""tau-bench results: a run per entry, told apart by what happened in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import Graded, Started, ToolFailed
from journal.ingest import tau_bench
from journal.ingest.draft import RunDraft
from journal.ingest.source import Source


def an_entry(*, trial: int = 0, reward: float = 1.0, says: str = "Error: no table 9") -> dict[str, Any]:
    """Return one entry, of a made-up domain."""
    call = {"id": "c1", "type": "function", "function": {"name": "book_table", "arguments": '{"table": 9}'}}
    return {
        "task_id": 4,
        "trial": trial,
        "reward": reward,
        "info": {
            "task": {"user_id": "u7", "instruction": "You want table 9.", "actions": []},
            "source": "user",
            "user_cost": 0.01,
            "reward_info": {"reward": reward},
        },
        "traj": [
            {"role": "system", "content": "You book tables."},
            {"role": "user", "content": "Table 9, please."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "name": "book_table", "tool_call_id": "c1", "content": says},
            {"role": "assistant", "content": "There is none."},
        ],
    }


def source(entries: object) -> Source:
    """Return a result file."""
    return Source(name="results.json", data=json.dumps(entries).encode())


def read(entries: object) -> list[RunDraft]:
    """Return the drafts of a result file."""
    return list(tau_bench.read(source(entries)))


def test_a_result_that_begins_with_error_is_a_failed_call() -> None:
    """The benchmark has no other sign of failure."""
    failed = [event.event for run in read([an_entry(), an_entry(says="No error at all")]) for event in run]
    assert [event.message for event in failed if isinstance(event, ToolFailed)] == ["Error: no table 9"]


def test_the_reward_is_the_outcome_and_what_it_rests_on_is_kept() -> None:
    """1 is success, anything less is failure; the expected actions stand in the verdict."""
    runs = read([an_entry(reward=1.0), an_entry(trial=1, reward=0.0)])
    assert [run.outcome.status for run in runs] == ["success", "failure"]
    grade = [event.event for event in runs[1] if isinstance(event.event, Graded)][0]  # noqa: RUF015 - exactly one
    assert (grade.verdict, grade.score, grade.raw["user_cost"]) == ("fails", 0.0, 0.01)


def test_the_start_tells_task_trial_and_the_simulated_users_orders() -> None:
    """What the source says about the setting stands in the context; it names no model, so none is made up."""
    started = next(iter(read([an_entry()])[0])).event
    assert isinstance(started, Started)
    assert (started.prompt, started.model) == ("Table 9, please.", None)
    assert started.context == {"task_id": 4, "trial": 0, "user_id": "u7", "instruction": "You want table 9."}


def test_the_same_entry_has_the_same_id_wherever_it_stands() -> None:
    """Ids come from the content: neither file name nor place matter, another trajectory is another run."""
    first, second = read([an_entry(), an_entry(says="ok")])
    (again,) = read([an_entry(says="ok")])
    assert first.source_id != second.source_id == again.source_id
    twice = read([an_entry(), an_entry()])
    assert twice[1].source_id == f"{twice[0].source_id}#2"


def test_more_entries_leave_the_first_ones_as_they_are() -> None:
    """A result file that grew begins with the same runs."""
    assert [list(run) for run in read([an_entry(), an_entry(trial=1)])][:1] == [list(read([an_entry()])[0])]


def test_an_entry_that_is_none_is_noted() -> None:
    """One bad entry does not cost the others."""
    file = source([3, an_entry()])
    assert len(list(tau_bench.read(file))) == 1
    assert [str(problem) for problem in file.problems] == ["entry 0 of the array has no trajectory (`traj`)"]


@pytest.mark.parametrize("data", [b"", b"junk", b"[]", b'[{"task_id": "traj"}]', b'{"traj": [], "task_id": 1}'])
def test_other_files_are_not_claimed(data: bytes) -> None:
    """Detection looks at what the document has, and never raises."""
    assert not tau_bench.detect(Source(name="a.json", data=data))


def test_a_result_file_is_claimed() -> None:
    """An array of entries with trajectories is one."""
    assert tau_bench.detect(source([an_entry()]))
