"""The tool calls of a run that wait for their results, and how a result finds its call.

By the call's id, which the source recorded; else by tool and arguments, else by tool, in the order of the calls, which
is worked out. Many a producer gives a call no id in the response, or another one than on the tool's span.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from journal.ingest.span_messages import arguments, canonical

if TYPE_CHECKING:
    from journal.domain.event import Certainty
    from journal.ingest.span_messages import Call, Result
    from journal.ingest.span_reading import Reading


class OpenCall(msgspec.Struct, kw_only=True, eq=False):
    """A call of a tool, from the event that tells it to that of its result.

    `call_id` is unique in the run, `source_id` what the source calls it; `args` is canonical.
    """

    key: str
    call_id: str
    source_id: str | None
    name: str
    args: str
    trace: str
    result: str | None = None


class OpenCalls:
    """All calls told so far; looking one up costs no more when there are many."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], list[OpenCall]] = defaultdict(list)
        self._by_id: dict[str, list[OpenCall]] = defaultdict(list)
        self._used: set[str] = set()

    def unique(self, call_id: str) -> str:
        """Return an id no call of the run has yet: the given one, or it with a number."""
        found, number = call_id, 1
        while found in self._used:
            number += 1
            found = f"{call_id}#{number}"
        self._used.add(found)
        return found

    def add(self, call: OpenCall) -> None:
        """Let a call wait for its result."""
        self._waiting[call.trace, call.name].append(call)
        if call.source_id is not None:
            self._by_id[call.source_id].append(call)

    def answer(self, call: OpenCall, result: str) -> None:
        """Give a call its result's key; it waits no longer."""
        if call.result is None:
            self._waiting[call.trace, call.name].remove(call)
        call.result = result

    def told_before(self, wanted: Call, trace: str) -> OpenCall | None:
        """Return the call that a response asks for where a span around this one has told it already."""
        for known in self._by_id.get(wanted.call_id or "", ()):
            same = (known.name, known.args, known.trace) == (wanted.name, canonical(wanted.args_json), trace)
            if same and known.result is None:
                return known
        return None

    def of_result(self, result: Result, asked: list[OpenCall]) -> tuple[OpenCall | None, Certainty]:
        """Return the call that a result in a request answers; `asked` are those of the response before it."""
        for known in reversed(self._by_id.get(result.call_id or "", ())):
            if known.result is None or known in asked or not asked:
                return known, "recorded"
        same = [known for known in asked if result.name in (None, known.name)] or asked
        return (same[0] if same else None), "inferred"

    def of_tool(self, reading: Reading, name: str) -> tuple[OpenCall | None, Certainty]:
        """Return the call that a tool's span carries out."""
        trace = reading.span.trace_id
        for known in self._by_id.get(reading.text("call_id") or "", ()):
            if known.result is None and known.trace == trace:
                return known, "recorded"
        same = self._waiting[trace, name]
        args = canonical(arguments(reading.get("arguments")))
        return next((known for known in same if known.args == args), next(iter(same), None)), "inferred"
