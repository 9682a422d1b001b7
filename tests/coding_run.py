"""A coding run of any length for tests of pages: a story at the start, then the same loop until it answers.

The agent is asked to fix a rounding error, reads two files, and edits a third that it only saw in a grep. Causes are
recorded, so that the graph of the edit is the one a reader expects.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.event import Cause, EventData
from tests import builders
from tests.builders import NOON

PROMPT = "Fix the failing test test_refund_rounding in billing/. Do not change any migration."
EDIT_AT = 23
"""The version of the edit of a file that was seen in part only."""

TEST_FILE = "\n".join(f"def test_refund_{line}(): assert refund(19.995) == 20.00" for line in range(148))
MONEY = "\n".join(f"CENT_{line} = Decimal('0.01')" for line in range(96))
GREP = "billing/refunds.py:88: return round(x, 2)\n" + "\n".join(
    f"billing/money.py:{line}: round(" for line in range(7)
)
THOUGHT = (
    "The grep at the previous step already showed line 88 uses round(x, 2); I believe I have seen the file, so I will "
    "edit directly instead of reading."
)
_LOOP = (
    ("run_tests", {"path": "tests/"}, "3 failed, 41 passed"),
    ("read_file", {"path": "billing/refunds.py"}, MONEY),
    (
        "edit_file",
        {"path": "billing/refunds.py", "old_string": "round(y)", "new_string": "quantize(y)"},
        {"replacements": 1},
    ),
    ("grep", {"pattern": "quantize", "path": "billing/"}, GREP),
)


class _Story:
    """Writes events one after the other, with ids by place, times that pass, and the causes a recorder would know."""

    def __init__(self, stream: str, began: datetime) -> None:
        self._stream = stream
        self._at = began
        self._calls = count(1)
        self.events: list[EventData] = []

    def id(self, version: int) -> str:
        return builders.identity((self._stream, version))

    def add(self, data: msgspec.Struct, *, after_ms: int = 0, by: int | None = None, **causes: int) -> int:
        self._at += timedelta(milliseconds=after_ms)
        version = len(self.events) + 1
        others = tuple(Cause(id=self.id(to), kind=kind.partition("_")[0]) for kind, to in causes.items())  # type: ignore[arg-type]
        self.events.append(
            builders.event(
                data,
                id=self.id(version),
                at=self._at,
                causation_id=self.id(by) if by else None,
                causes=others,
                actor="agent:coder" if isinstance(data, run.Reasoned) else None,
            )
        )
        return version

    def turn(self, said: str, calls: list[tuple[str, dict[str, Any], Any]], *, by: int, **causes: int) -> int:
        """One turn of the loop: asked, answered, its calls decided and done. Returns the last result's version."""
        asked = self.add(run.ModelCalled(model="orion-3", params={"temperature": 0}), by=by)
        answer = self.add(
            run.ModelResponded(content=said, input_tokens=8_000, output_tokens=60, cost_usd=0.025),
            after_ms=1_100,
            by=asked,
            **causes,
        )
        decided = []
        for tool, arguments, result in calls:
            call = f"c_{next(self._calls):02}"
            reasoned = run.Reasoned(thought=said, tool_name=tool, args_json=codec.text(arguments), call_id=call)
            decided.append((self.add(reasoned, by=answer), call, tool, result))
        last = answer
        for version, call, tool, result in decided:
            last = self.add(_result(tool, call, result), after_ms=52, by=version)
        return last


def _result(tool: str, call: str, result: Any) -> run.ToolReturned | run.ToolFailed:
    if isinstance(result, str) and "failed" in result:
        return run.ToolFailed(tool_name=tool, call_id=call, message=result, error_code="exit 1")
    return run.ToolReturned(tool_name=tool, call_id=call, response_json=codec.text(result))


def coding_run(
    events: int = 200, *, stream: str = "agent_run-7", began: datetime = NOON, **started: Any
) -> list[EventData]:
    """Return exactly `events` events (30 at least); the edit without a reading is version `EDIT_AT`."""
    story = _Story(stream, began)
    tools = ("list_dir", "read_file", "grep", "edit_file", "run_tests", "shell")
    fields = {"prompt": PROMPT, "model": "orion-3", "agent": "coder", "source": "made", "tools": tools, **started}
    first = story.add(run.Started(**fields))
    asked = story.add(run.MessageReceived(role="user", content=PROMPT), by=first)
    seen = story.turn(
        "I will look at the folder first.", [("list_dir", {"path": "billing/"}, ["money.py"] * 9)], by=asked
    )
    reads = [
        ("read_file", {"path": "tests/test_refunds.py"}, TEST_FILE),
        ("read_file", {"path": "billing/money.py"}, MONEY),
    ]
    seen = story.turn("The test names money.py, so I will read both files.", reads, by=seen)
    tests = [("run_tests", {"path": "tests/test_refunds.py"}, "1 failed, 11 passed")]
    ran = story.turn("Run the test to see the actual difference.", tests, by=seen)
    found = story.turn(
        "19.995 became 19.99, so I need every use of round().",
        [("grep", {"pattern": "round(", "path": "billing/"}, GREP)],
        by=ran,
        read=ran,
    )
    edit = {
        "path": "billing/refunds.py",
        "old_string": "    return round(x, 2)",
        "new_string": "    return Decimal(x).quantize(CENT, ROUND_HALF_UP)",
    }
    last = story.turn(
        THOUGHT,
        [("edit_file", edit, {"path": "billing/refunds.py", "replacements": 1})],
        by=found,
        read=ran,
        quoted=found,
    )
    for at, (tool, arguments, result) in _rounds(events):
        if len(story.events) + 5 > events:
            break
        failing = "failed" if at % 5 else "passed"
        said = f"Check the edit against the suite, round {at}."
        last = story.turn(
            said, [(tool, arguments, f"{at} {failing}, 41 passed" if tool == "run_tests" else result)], by=last
        )
        if at % 24 == 0 and len(story.events) + 6 <= events:
            kept = tuple(range(len(story.events) - 8, len(story.events)))
            last = story.add(run.ContextCompacted(summary="Refunds round twice.", kept_versions=kept), by=last)
    while len(story.events) < events - 1:
        last = story.add(run.MemoryWritten(key=f"note {len(story.events)}", value="rounding is half up"), by=last)
    story.add(run.Answered(response="The refund now rounds half up. 44 tests pass."), after_ms=900, by=last)
    return story.events


def _rounds(events: int) -> Iterator[tuple[int, tuple[str, dict[str, Any], Any]]]:
    for at in range(1, events):
        yield at, _LOOP[at % len(_LOOP)]
