"""Parts of a run's state folded from the events that change them, and nothing else: what a rule over few fields costs.

A part is named as in `to_json`, a total as `totals/cost_usd`. Each is worked out by `RunState`'s own code.
"""

from __future__ import annotations

from typing import Any, Final

from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.run_state import RunState


def _names(*structs: type) -> frozenset[str]:
    return frozenset(map(catalog.name_of, structs))


_RESPONDED: Final = _names(run.ModelResponded)
_CALLS: Final = _names(run.Reasoned, run.ToolReturned, run.ToolFailed)
_CHANGED_BY: Final[dict[str, frozenset[str]]] = {
    "stream": frozenset(),
    "status": _names(
        run.Started, run.MessageReceived, run.ModelCalled, run.ModelResponded, run.Reasoned, run.Answered, run.Aborted,
        run.Graded,
    ),
    "agent": _names(run.Started),
    "model": _names(run.Started, run.ModelCalled),
    "prompt": _names(run.Started),
    "source": _names(run.Started),
    "parent_run": _names(run.Started),
    "tools": _names(run.Started),
    "reason": _names(run.Aborted),
    "last_decision": _names(run.Reasoned),
    "answer": _names(run.Answered),
    "children": _names(run.HandedOff),
    "open_calls": _CALLS,
    "failures": _CALLS,
    "totals/decisions": _RESPONDED,
    "totals/input_tokens": _RESPONDED,
    "totals/output_tokens": _RESPONDED,
    "totals/cost_usd": _RESPONDED,
    "totals/tool_calls": _names(run.Reasoned),
    "totals/tool_errors": _names(run.ToolFailed),
}  # fmt: skip


def changed_by(parts: frozenset[str]) -> frozenset[str] | None:
    """Return the types of the events that change some of these parts; None where it may be any event.

    The context, what is known, the version and the duration change with nearly every event: there is nothing to win.
    """
    if not parts <= _CHANGED_BY.keys():
        return None
    return frozenset(name for part in parts for name in _CHANGED_BY[part])


class Parts(RunState):
    """The state of one run as far as it is folded: only the parts that were asked for are right."""

    def __init__(self, stream: str, parts: frozenset[str]) -> None:
        super().__init__(stream)
        self._counted = frozenset(part.partition("/")[2] for part in parts)
        self._has_status = "status" in parts

    def take(self, version: int, data: Any) -> None:
        """Take in an event, as the catalog reads it."""
        self.version = version
        self._evolve(data)

    def _count(self, name: str, by: float | None) -> None:
        if name in self._counted:
            super()._count(name, by)

    def _resume(self) -> None:
        if self._has_status:
            super()._resume()

    def _see(self, role: str, kind: str, content: Any) -> None:
        """The context is none of the parts."""

    def _know(self, call: dict[str, Any], tool: str, result: Any, *, failed: bool) -> None:
        """What is known is none of the parts."""

    def _result(self, event: run.ToolReturned) -> None:
        """Nor is what the result says."""
