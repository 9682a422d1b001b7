"""Causes that a format does not spell out, worked out the same way for all of them.

A call that stands in a response, and a result that names its call, are the source's own links: `recorded`. What a
response read, told by the order of things, and where a value in a call came from, told by the value, are `inferred`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from journal.domain import agent_run as run
from journal.domain.event import Certainty
from journal.domain.text import parsed, plain
from journal.ingest.draft import EventDraft, Link

_QUOTABLE = 6
"""A shorter value appears by chance too often to tell where it came from."""

_LONGEST_VALUE = 400
_REMEMBERED = 60
_REMEMBERED_CHARACTERS = 32_000
_MOST_QUOTES = 5


def link(events: Sequence[EventDraft]) -> None:
    """Add the causes each event lacks, in place. What the source recorded comes first and stays."""
    linker = _Linker()
    for draft in events:
        given = {cause.key for cause in draft.causes}
        has_direct = any(cause.kind == "triggered" for cause in draft.causes)
        more = tuple(
            cause
            for cause in linker.causes(draft)
            if cause.key not in given and not (has_direct and cause.kind == "triggered")
        )
        draft.causes = draft.causes + _once(more)
        linker.remember(draft)


def _once(links: tuple[Link, ...]) -> tuple[Link, ...]:
    """Keep the first link to each cause: a direct one says more than a quotation."""
    return tuple({link.key: link for link in reversed(links)}.values())[::-1]


class _Linker:
    """What has happened so far in a run, as far as a later event can be caused by it."""

    def __init__(self) -> None:
        self._started: str | None = None
        self._called: str | None = None
        self._responded: str | None = None
        self._decided: str | None = None
        self._unread: list[tuple[str, bool]] = []
        self._calls: dict[str, str] = {}
        self._open: list[tuple[str, str]] = []
        self._said: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)

    def causes(self, draft: EventDraft) -> tuple[Link, ...]:  # noqa: PLR0911 - one case for each kind of event
        """Return the causes that the events so far suggest for the next one."""
        match draft.event:
            case run.MessageReceived():
                return self._to(self._started, "inferred") if self._responded is None else ()
            case run.ModelCalled():
                return self._read()
            case run.ModelResponded():
                return self._to(self._called, "recorded") or self._read()
            case run.Reasoned() as call:
                return self._to(self._responded, "recorded") + self._quotes(_values(parsed(call.args_json)))
            case run.ToolReturned() | run.ToolFailed() as result:
                return self._answered_call(result)
            case run.Answered():
                return self._to(self._responded, "recorded")
            case run.HandedOff() | run.MemoryWritten():
                return self._to(self._decided or self._responded, "inferred")
            case _:
                return ()

    def remember(self, draft: EventDraft) -> None:
        """Take the event in as a possible cause of later ones."""
        match draft.event:
            case run.Started():
                self._started = draft.key
            case run.MessageReceived() as message:
                self._unread.append((draft.key, False))
                self._hear(draft.key, plain(message.content))
            case run.ModelCalled():
                self._called, self._unread = draft.key, []
            case run.ModelResponded():
                self._responded, self._called, self._decided, self._unread = draft.key, None, None, []
            case run.Reasoned() as call:
                self._decided = draft.key
                self._calls[call.call_id or draft.key] = draft.key
                self._open.append((call.tool_name, draft.key))
            case run.ToolReturned() as result:
                self._finish(draft.key, result.call_id, result.tool_name, plain(parsed(result.response_json)))
            case run.ToolFailed() as failure:
                self._finish(draft.key, failure.call_id, failure.tool_name, failure.message or "")
            case _:
                pass

    def _finish(self, key: str, call_id: str | None, tool: str, said: str) -> None:
        self._unread.append((key, True))
        self._hear(key, said)
        call = self._calls.get(call_id) if call_id else self._oldest_open(tool)
        self._open = [entry for entry in self._open if entry[1] != call]

    def _hear(self, key: str, said: str) -> None:
        self._said.append((key, said[:_REMEMBERED_CHARACTERS]))

    def _to(self, key: str | None, certainty: Certainty) -> tuple[Link, ...]:
        return (Link(key, "triggered", certainty),) if key is not None else ()

    def _read(self) -> tuple[Link, ...]:
        """What came in since the model last spoke: it read the results, and the messages made it answer."""
        return tuple(
            Link(key, "read" if is_result else "triggered", "inferred") for key, is_result in self._unread[-20:]
        )

    def _answered_call(self, result: run.ToolReturned | run.ToolFailed) -> tuple[Link, ...]:
        if result.call_id is not None and result.call_id in self._calls:
            return self._to(self._calls[result.call_id], "recorded")
        return self._to(self._oldest_open(result.tool_name), "inferred")

    def _oldest_open(self, tool: str) -> str | None:
        same = next((key for name, key in self._open if name == tool), None)
        return same or (self._open[0][1] if self._open else None)

    def _quotes(self, values: list[str]) -> tuple[Link, ...]:
        """Where the values of a call's arguments were first said."""
        found = []
        for value in values:
            source = next((key for key, said in self._said if value in said), None)
            if source is not None:
                found.append(Link(source, "quoted", "inferred"))
        return tuple(found[:_MOST_QUOTES])


def _values(arguments: Any) -> list[str]:
    """Return the distinct leaves of the arguments that are long enough to tell where they came from."""
    found: list[str] = []
    waiting = [arguments]
    while waiting and len(found) < 4 * _MOST_QUOTES:
        value = waiting.pop(0)
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            said = str(value).strip()
            if _QUOTABLE <= len(said) <= _LONGEST_VALUE and said not in found:
                found.append(said)
    return found
