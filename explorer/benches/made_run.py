"""A made-up coding run of any length: the same turns again and again, and a few words that stand in it once each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Final

import msgspec
from uuid_utils.compat import uuid7

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata

WORDS: Final = {"narwhal": 31, "ocelot": 52, "quokka": 74, "wombat": 87, "axolotl": 90}
"""What is looked for, by the share of the run, in hundredths, that lies before it."""

_STEP: Final = timedelta(milliseconds=700)
_BEGAN: Final = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
_FILE: Final = "\n".join(f"def line_{at}(amount): return amount.quantize(CENT, ROUND_HALF_UP)" for at in range(40))
_CALLS: Final = (
    ("read_file", {"path": "billing/refunds.py"}),
    ("grep", {"pattern": "quantize", "path": "billing/"}),
    ("edit_file", {"path": "billing/refunds.py", "old_string": "round(y)", "new_string": "quantize(y)"}),
    ("run_tests", {"path": "tests/"}),
)


def coding_run(size: int) -> Iterator[EventData]:
    """Give the `size` events of a made-up coding run: a prompt, the same turns again and again, an answer.

    Each of `WORDS` is in one result, at its share of the run; each event knows what it was caused by.
    """
    hidden = {at * size // 100: word for word, at in WORDS.items()}
    before: str | None = None
    for version, data in enumerate(islice(_story(), size - 1), 1):
        is_due = isinstance(data, run.ToolReturned) and min(hidden, default=size) <= version
        recorded = _recorded(version, _with_word(data, hidden.pop(min(hidden))) if is_due else data, before)
        before = recorded.id
        yield recorded
    yield _recorded(size, run.Answered(response="Refunds are rounded half up, and all tests pass."), before)


def _with_word(data: msgspec.Struct, word: str) -> msgspec.Struct:
    return msgspec.structs.replace(data, response_json=codec.text(f"{_FILE}\n# {word}"))


def _story() -> Iterator[msgspec.Struct]:
    prompt = "Fix the failing test test_refund_rounding in billing/. Do not change any migration."
    yield run.Started(prompt=prompt, model="orion-3", agent="coder", source="made", tools=tuple(t for t, _ in _CALLS))
    yield run.MessageReceived(role="user", content=prompt)
    for turn in count():
        tool, arguments = _CALLS[turn % len(_CALLS)]
        thought, call = f"Turn {turn}: {tool} should show whether the rounding is right by now.", f"c_{turn}"
        yield run.ModelCalled(model="orion-3", params={"temperature": 0})
        yield run.ModelResponded(content=thought, input_tokens=8_000, output_tokens=60, cost_usd=0.025)
        yield run.Reasoned(thought=thought, tool_name=tool, args_json=codec.text(arguments), call_id=call)
        if tool == "run_tests" and turn % 8 == len(_CALLS) - 1:
            yield run.ToolFailed(tool_name=tool, call_id=call, message="3 failed, 41 passed", error_code="exit 1")
        else:
            yield run.ToolReturned(tool_name=tool, call_id=call, response_json=codec.text(_FILE))


def _recorded(version: int, data: msgspec.Struct, before: str | None) -> EventData:
    return EventData(
        id=str(uuid7()),
        type=catalog.name_of(type(data)),
        data=codec.encode(data),
        metadata=codec.encode(Metadata(causation_id=before)),
        occurred_at=_BEGAN + version * _STEP,
    )
