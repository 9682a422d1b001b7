"""What has been said and called in a run so far: what is new in a request, and which call a result belongs to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from journal.domain.agent_run import MessageReceived, ToolFailed, ToolReturned
from journal.domain.codec import text
from journal.domain.event import CauseKind
from journal.domain.text import plain
from journal.recorder.references import reference
from journal.recorder.wire import Said, canonical

Link = tuple[str, CauseKind]
"""A cause: an event's id, and how it caused."""

Emit = Callable[..., str]


class OpenCall(msgspec.Struct, kw_only=True):
    """A tool call that was decided. `decision` and `result` are the ids of the events that say so."""

    id: str
    tool: str
    args: str
    decision: str
    result: str | None = None
    has_begun: bool = False


class Conversation:
    """One run's memory. Grows with what is new in it, not with what is repeated."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._heard: dict[bytes, list[str]] = defaultdict(list)
        self._calls: dict[str, OpenCall] = {}
        self._read: set[str] = set()

    def hear(self, said: Said, event_id: str) -> None:
        """Remember which event told a part, to refer to it when it is sent again."""
        self._heard[said.mark()].append(event_id)

    def decided(self, call: OpenCall) -> None:
        """Remember a call; an id that comes again is another call."""
        self._calls[call.id] = call

    def begin(self, tool: str, args_json: str) -> OpenCall | None:
        """Return the decided call whose tool now runs, or None where nobody decided it: code calls tools, too.

        The oldest with the same arguments; else the oldest of the tool, since code may add or convert arguments.
        """
        waiting = [
            call for call in self._calls.values() if call.tool == tool and not call.has_begun and not call.result
        ]
        args = canonical(args_json)
        found = next((call for call in waiting if call.args == args), waiting[0] if waiting else None)
        if found is not None:
            found.has_begun = True
        return found

    def call(self, call_id: str | None) -> OpenCall | None:
        """Return a call by its id."""
        return self._calls.get(call_id) if call_id else None

    def latest(self, tool: str, args_json: str) -> OpenCall | None:
        """Return the oldest open call of a tool with these arguments, else the newest one that has a result."""
        args = canonical(args_json)
        same = [call for call in self._calls.values() if (call.tool, call.args) == (tool, args)]
        return next((call for call in same if not call.result), same[-1] if same else None)

    def open_calls(self, decisions: Iterable[str] = ()) -> list[OpenCall]:
        """Return the calls that have no result, of some decisions or of all."""
        wanted = set(decisions)
        return [call for call in self._calls.values() if not call.result and (not wanted or call.decision in wanted)]

    def take(self, parts: Iterable[Said]) -> tuple[list[Any], list[Link]]:
        """Tell what is new in a request. Returns all it says, by reference where it can, and the new, newest first.

        The model's own words are no cause of its next request: they are in it because of what came after them.
        """
        counted: Counter[bytes] = Counter()
        sent: list[Any] = []
        new: list[Link] = []
        for part in parts:
            told = self._result(part) if part.kind == "result" else self._words(part, counted)
            if told is None:
                sent.append(part.recorded if part.recorded is not None else _inline(part))
                continue
            sent.append(reference(told))
            if told not in self._read and part.kind != "assistant":
                new.append((told, "read" if part.kind == "result" else "triggered"))
                self._read.add(told)
        return sent, new[::-1]

    def _words(self, part: Said, counted: Counter[bytes]) -> str | None:
        mark = part.mark()
        counted[mark] += 1
        known = self._heard.get(mark, ())
        if len(known) >= counted[mark]:
            return known[counted[mark] - 1]
        if part.kind == "assistant":
            return known[-1] if known else None
        event = MessageReceived(role=part.role, content=part.content, name=part.name)
        told = self._emit(event, actor=part.name or part.role)
        self.hear(part, told)
        return told

    def _result(self, part: Said) -> str | None:
        call = self.call(part.call_id) or self._oldest_open(part)
        if call is None:
            return None
        if call.result is None:
            call.result = self._emit(
                _returned(part, call), causes=[(call.decision, "triggered")], actor=f"tool:{call.tool}"
            )
        return call.result

    def _oldest_open(self, part: Said) -> OpenCall | None:
        """A result without an id belongs to the oldest call of its tool."""
        if part.call_id is not None:
            return None
        return next((call for call in self.open_calls() if part.name in (None, call.tool)), None)


def _returned(part: Said, call: OpenCall) -> ToolReturned | ToolFailed:
    """Return a result as the next request tells it: the tool's code was not watched."""
    if part.failed:
        return ToolFailed(tool_name=call.tool, call_id=call.id, message=plain(part.content))
    content = part.content
    blocks = content if isinstance(content, list) else None
    said = plain(blocks) if blocks and all(_is_text(block) for block in blocks) else content
    return ToolReturned(tool_name=call.tool, call_id=call.id, response_json=text(said))


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in ("text", "input_text", "output_text")


def _inline(part: Said) -> dict[str, Any]:
    return {"role": part.role, "content": part.content}
