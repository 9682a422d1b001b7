"""Real trajectories, counted by a script of their publisher's: our importers reach the same numbers.

Each source is a test, and prints a row of a table (`pytest -rP` shows them). A number that is not recorded has to be
null on both sides. A difference that is right stands in `EXPLAINED`, with the sentence of the docs that explains it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from journal.domain.agent_run import Annotated, Graded
from journal.ingest import Format, load_formats, who_and_when
from journal.ingest.counts import reported
from journal.ingest.draft import RunDraft
from journal.ingest.files import find
from journal.ingest.openai_chat import version_of
from journal.ingest.source import Source

REPOSITORY: Final = Path(__file__).resolve().parents[3]
TRAJECTORIES: Final = (REPOSITORY / "../shared/data/trajectories").resolve()
DOCS: Final = REPOSITORY / "docs/reference/formats"

SOURCES: Final = (
    "agent-as-a-judge",
    "agentdojo",
    "atif",
    "claude-code",
    "codex-cli",
    "gemini-cli",
    "inspect",
    "invariant-explorer",
    "jaeger-json",
    "langfuse",
    "litellm-completion-logs",
    "mini-swe-agent",
    "openhands",
    "otlp-genai",
    "pi-agent",
    "swe-agent-demos",
    "swe-agent-swebench",
    "tau-bench",
    "tau2-bench",
    "who-and-when",
)
COUNTS: Final = ("decisions", "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd")
INPUT_NAMES: Final = ("input_tokens", "input", "prompt", "agent_prompt", "sent")
OUTPUT_NAMES: Final = ("output_tokens", "output", "completion", "agent_completion", "received")


@dataclass(frozen=True)
class Explained:
    """A number of ours that is right though another was expected: in which docs page, in which words it is told why."""

    actual: float
    page: str
    sentence: str


JUDGE: Final = "agent-as-a-judge/OpenHands/39_Drug_Response_Prediction_SVM_GDSC_ML.json"
STEP_USAGE: Final = ("checked-numbers.md", "the file has them for each step, in `step_usage`")
EXPLAINED: Final[dict[tuple[str, str], Explained]] = {
    (JUDGE, "input_tokens"): Explained(508_344, *STEP_USAGE),
    (JUDGE, "output_tokens"): Explained(4_373, *STEP_USAGE),
    (JUDGE, "cost_usd"): Explained(2.607315, *STEP_USAGE),
}
"""(file, what differs) → what it is, and why."""

pytestmark = pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="the folder of real trajectories is not there")


@dataclass
class Row:
    """What one source came to, and where it differs from what was expected."""

    source: str
    files: int = 0
    runs: int = 0
    totals: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def differs(self, path: str, what: str, expected: object, actual: object) -> None:
        """Note a difference."""
        self.differences.append(f"{path}: {what} should be {expected!r}, is {actual!r}")

    def __str__(self) -> str:
        counts = " | ".join(f"{self.totals[name]:,}" for name in COUNTS[:-1])
        found = len(self.differences)
        return f"| {self.source} | {self.files} | {self.runs} | {counts} | {self.totals['cost_usd']:.4f} | {found} |"


@cache
def expected_files() -> dict[str, dict[str, Any]]:
    """Return what the publisher's script counted, by file."""
    known: dict[str, dict[str, Any]] = json.loads((TRAJECTORIES / "expected.json").read_bytes())["files"]
    return known


@cache
def formats() -> tuple[Format, ...]:
    """Return the formats in the order they are asked."""
    return load_formats()


@pytest.mark.parametrize("source", SOURCES)
def test_every_file_of_a_source_comes_to_the_publishers_numbers(source: str) -> None:
    """Runs, decisions, calls, errors, tokens, cost and outcome are those of expected.json."""
    row = Row(source)
    for found in find([str(TRAJECTORIES / source)]):
        path = str(Path(found.name).relative_to(TRAJECTORIES))
        expected = expected_files().get(path)
        if expected is not None and "aux" not in expected:
            compare(row, path, expected, found.source())
    print(row)  # noqa: T201 - the table is what the test shows
    assert row.files == sum(known["source"] == source and "aux" not in known for known in expected_files().values())
    assert not row.differences, "\n" + "\n".join(row.differences)


@pytest.mark.parametrize(("key", "explained"), EXPLAINED.items())
def test_an_explained_difference_is_explained_in_the_docs(key: tuple[str, str], explained: Explained) -> None:
    """The page of the format says why our number is another."""
    page = (DOCS / explained.page).read_text()
    assert explained.sentence in " ".join(page.split()), key


def test_the_step_that_people_blamed_is_marked() -> None:
    """In every Who&When run the note on the mistake stands at the annotated step, with the reason given there."""
    for found in find([str(TRAJECTORIES / "who-and-when")]):
        failure = expected_files()[str(Path(found.name).relative_to(TRAJECTORIES))]["failure"]
        (run,) = who_and_when.read(found.source())
        (note,) = [draft.event for draft in run if isinstance(draft.event, Annotated)]
        assert note.at_version == version_of(f"step{failure['step_index0']}"), found.name
        assert (note.label, note.text) == ("mistake", failure["reason"])
        (verdict,) = [draft.event for draft in run if isinstance(draft.event, Graded)]
        told = (verdict.raw["mistake_agent"], verdict.raw["speaker"])
        assert told == (failure["agent"], failure["speaker_at_step"])


def test_no_source_is_forgotten() -> None:
    """Every source of expected.json is among the tests."""
    assert {known["source"] for known in expected_files().values()} == set(SOURCES)


def compare(row: Row, path: str, expected: dict[str, Any], source: Source) -> None:
    """Read a file as an import would, and note where it differs."""
    row.files += 1
    known = [candidate for candidate in formats() if candidate.detect(source)]
    if len(known) != 1:
        row.differs(path, "format", "recognised by one", [candidate.name for candidate in known])
    if not known:
        return
    runs = [run for run in known[0].read(source) if isinstance(run, RunDraft)]
    row.runs += len(runs)
    if len(runs) != expected["runs"]:
        row.differs(path, "runs", expected["runs"], len(runs))
    actual = summed(runs)
    for what, counted in wanted_counts(expected).items():
        wanted = EXPLAINED[path, what].actual if (path, what) in EXPLAINED else counted
        row.totals[what] += actual[what] or 0
        if not same(wanted, actual[what], rounded=what == "cost_usd"):
            row.differs(path, what, wanted, actual[what])
    if expected["outcome"] is not None and (labels := OUTCOMES[row.source](runs)) != expected["outcome"]:
        row.differs(path, "outcome", expected["outcome"], labels)


def summed(runs: Iterable[RunDraft]) -> dict[str, Any]:
    """Return the sums of what an import reports; None where no run records the count."""
    reports = [reported(run, run.events if run.counted is None else run.counted) for run in runs]
    return {
        what: sum(numbers) if (numbers := [report[what] for report in reports if report[what] is not None]) else None
        for what in COUNTS
    }


def wanted_counts(expected: dict[str, Any]) -> dict[str, Any]:
    """Return the expected counts under our names.

    The source's own numbers (`truth_…`) win over the script's, and of a codex session the sum over the responses wins
    over the running total, which a resumed session starts anew.
    """
    tokens = expected.get("truth_tokens") or expected.get("tokens_sum_of_last") or expected["tokens"] or {}
    cost = expected["cost"]
    return {
        "decisions": expected["decisions"],
        "tool_calls": expected.get("truth_tool_calls", expected["tool_calls"]),
        "tool_errors": expected["tool_errors"],
        "input_tokens": next((tokens[name] for name in INPUT_NAMES if name in tokens), None),
        "output_tokens": next((tokens[name] for name in OUTPUT_NAMES if name in tokens), None),
        "cost_usd": cost["agent"] if isinstance(cost, dict) else cost,
    }


def same(wanted: float | None, actual: float | None, *, rounded: bool) -> bool:
    """Whether two numbers are the same; the publisher's costs are rounded to a millionth of a dollar."""
    if wanted is None or actual is None:
        return wanted is actual
    return math.isclose(wanted, actual, rel_tol=0, abs_tol=0.51e-6 if rounded else 0)


def raw(run: RunDraft) -> dict[str, Any]:
    """Return the run's labels as the file has them."""
    return run.outcome.raw if isinstance(run.outcome.raw, dict) else {}


def rewards(runs: list[RunDraft], *, whole: bool) -> dict[str, int]:
    """Return how many runs had which reward."""
    return dict(Counter(f"reward_{int(raw(run)['reward']) if whole else raw(run)['reward']}" for run in runs))


def inspect_outcome(runs: list[RunDraft]) -> dict[str, Any]:
    """Return the log's status, and how often each scorer gave which value."""
    given = Counter(f"{name}={json.dumps(value)}" for run in runs for name, value in raw(run)["scores"].items())
    return {"scores": dict(given), "status": raw(runs[0])["status"]}


def openhands_outcome(runs: list[RunDraft]) -> Any:
    """Return each run's error; of the older files, how many were correct."""
    results = [raw(run)["result"] for run in runs if "result" in raw(run)]
    if not results:
        return [{"error": raw(run).get("error")} for run in runs]
    correct = sum(raw(run).get("correct") is True for run in runs)
    return {"runs": len(runs), "correct_true": correct, "result_true": sum(result is True for result in results)}


def picked(*names: str) -> Callable[[list[RunDraft]], dict[str, Any]]:
    """Return a reader of the named labels of the one run in a file."""
    return lambda runs: {name: raw(runs[0]).get(name) for name in names}


def who_and_when_outcome(runs: list[RunDraft]) -> dict[str, Any]:
    """Return whether the answer was right, which the two shapes name differently."""
    labels = raw(runs[0])
    return {"correct": labels.get("is_correct", labels.get("is_corrected"))}


OUTCOMES: Final[dict[str, Callable[[list[RunDraft]], Any]]] = {
    "agentdojo": picked("utility", "security"),
    "inspect": inspect_outcome,
    "openhands": openhands_outcome,
    "swe-agent-demos": picked("exit_status", "resolved"),
    "swe-agent-swebench": picked("exit_status", "resolved"),
    "tau-bench": lambda runs: rewards(runs, whole=True),
    "tau2-bench": lambda runs: rewards(runs, whole=False),
    "who-and-when": who_and_when_outcome,
}
