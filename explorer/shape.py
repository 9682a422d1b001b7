"""The shape of a run in a few numbers: what the sparkline of the run list is drawn from.

Kept small whatever the run's length: at most `BARS` bars of context size, each over the same number of events, and the
first failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

BARS = 40
_FAILURES = 12


class Mark(Protocol):
    """What the shape needs of an event."""

    version: int
    kind: str
    is_error: bool
    context_bytes: int


def shape_of(before: dict[str, Any], lines: Sequence[Mark]) -> dict[str, Any]:
    """Return the shape after some more events: `{"every", "bars": [bytes], "failures": [version], "aborted"}`.

    Bar n is the context after event ``(n + 1) * every``; when there would be too many, every second one goes.
    """
    every, bars = before.get("every", 1), list(before.get("bars", []))
    failures = list(before.get("failures", []))
    for line in lines:
        if line.version % every == 0:
            bars.append(line.context_bytes)
        if len(bars) > BARS:
            every, bars = every * 2, bars[1::2]
        if line.kind == "tool_failed" and len(failures) < _FAILURES:
            failures.append(line.version)
    aborted = lines[-1].kind == "aborted" if lines else before.get("aborted", False)
    return {"every": every, "bars": bars, "failures": failures, "aborted": aborted}
