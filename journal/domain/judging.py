"""A run told event by event as rules see it: each event with its call and the states around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from journal.domain import aggregate
from journal.domain.agent_run import Reasoned, ToolFailed, ToolReturned
from journal.domain.aggregate import State
from journal.domain.catalog import Unknown, catalog
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Call, Context, Invariant, Lookup, canonical, no_lookup
from journal.domain.sieve import OF_CALLS, REASONED, RESULTS
from journal.domain.text import parsed

Row = tuple[Any, int, str, int, bytes, int]
"""An event as a store tells it: its version, type, schema and data; what else there is, a fold does not need."""

_MOST_PASSED: Final = 1_000
"""Calls and results that are not followed before somebody asks."""


class Calls:
    """The open calls of a run. A result answers the call of its id, or the oldest open one of its tool."""

    def __init__(self) -> None:
        self._open: dict[object, Call] = {}

    def of(self, version: int, kind: str, data: Any) -> Call | None:
        """Return the call that the run's next event makes or answers; `data` is the event's, as the catalog reads it.

        Where the catalog cannot, what is stored may still say which call it is.
        """
        if isinstance(data, _DECISION):
            return self._made(Call(version, data.tool_name, data.args_json, data.call_id))
        if isinstance(data, _RESULT):
            return self._answered(data.call_id, data.tool_name)
        if not isinstance(data, Unknown) or kind not in OF_CALLS:
            return None
        raw, call_id = data.data, _hashable(data.data.get("callId"))
        if kind in RESULTS:
            return self._answered(call_id, raw.get("toolName"))
        text, tool = raw.get("argsJson", "{}"), str(raw.get("toolName") or "")
        if isinstance(text, str):
            return self._made(Call(version, tool, text, call_id))
        return self._made(Call(version, tool, "", call_id, value=text))

    def _made(self, call: Call) -> Call:
        self._open[call.call_id if call.call_id is not None else call.version] = call
        return call

    def _answered(self, key: object, tool: Any) -> Call | None:
        if key is None:
            key = next((key for key, call in self._open.items() if call.tool == tool), None)
        return self._open.pop(key, None)


class _Decided(msgspec.Struct, rename="camel"):
    """What tells a call from others; a thought takes longer to decode."""

    tool_name: str = ""
    args_json: str = "{}"
    call_id: str | None = None


class _Answering(msgspec.Struct, rename="camel"):
    """What tells which call a result answers; what it says takes longer to decode."""

    call_id: str
    tool_name: str = ""


_DECISION: Final = (Reasoned, _Decided)
_RESULT: Final = (ToolReturned, ToolFailed, _Answering)
_BRIEFLY: Final = {
    REASONED: msgspec.json.Decoder(_Decided).decode,
    **dict.fromkeys(RESULTS, msgspec.json.Decoder(_Answering).decode),
}


def _brief(row: Row) -> Any:
    """Return of a call or result what `Calls` looks at; where that is not all there as it should be, all that is there.

    Of a result with an id nothing else matters, so that what does not fit elsewhere in it makes no difference.
    """
    _, _, kind, schema, raw, _ = row
    if schema == catalog.schema_of(kind):
        try:
            return _BRIEFLY[kind](raw)
        except msgspec.MsgspecError:
            pass
    return catalog.read(kind, schema, raw)


def _hashable(value: Any) -> Any:
    """Return an id that is no text, as somebody may have written it, so that it can be looked up."""
    return canonical(value) if isinstance(value, dict | list) else value


class Fold:
    """The contexts of one run, in order. Keeps of the state no more than what `rules` say they use."""

    def __init__(self, stream: str, rules: Sequence[Invariant], *, lookup: Lookup = no_lookup) -> None:
        self.stream = stream
        self._lookup = lookup
        self._calls = Calls()
        self._keeps_previous = any(rule.uses_previous for rule in rules)
        keeps_state = self._keeps_previous or any(rule.uses_state for rule in rules)
        self._state: State | None = aggregate.initial(stream) if keeps_state else None

    def take(self, event: RecordedEvent) -> Context:
        """Return the context of the run's next event. The one before it is no longer to be used."""
        before = self._state.fork() if self._state is not None and self._keeps_previous else None
        if self._state is not None:
            self._state.apply(event)
        data = catalog.decode(event) if event.type in OF_CALLS else None
        ctx = Context(
            event=event,
            stream=self.stream,
            version=event.version,
            call=None if data is None else self._calls.of(event.version, event.type, data),
            lookup=self._lookup,
            state_after=self._state,
            state_before=before,
        )
        if data is not None:
            ctx.__dict__["data"] = data  # so that a rule that looks need not decode it again
        return ctx


class Glimpse:
    """What `Context` is for a rule that says what it looks at: the newest event of a run, of which only some are told.

    There is one for a run, moved on from event to event, and nothing is decoded before it is asked for: neither the
    data, nor the calls on the way here. The event itself and the state before it are not there.
    """

    __slots__ = ("_calls", "_data", "_newest", "_row", "kind", "lookup", "passed", "state_after", "stream", "version")
    state_before = None

    def __init__(self, stream: str, *, lookup: Lookup = no_lookup, state: State | None = None) -> None:
        self.stream = stream
        self.lookup = lookup
        self.state_after = state
        self.version = 0
        self.kind = ""
        self.passed: list[Row] = []
        """Calls and results that came since somebody last asked for a call; the newest event, where it is one."""
        self._row: Row = (None, 0, "", 0, b"", 0)
        self._data: Any = msgspec.UNSET
        self._calls = Calls()
        self._newest: Call | None = None

    def take(self, row: Row) -> None:
        """Move on to an event, which stands in `passed` already where it is a call or a result."""
        self._row = row
        self.version = row[1]
        self.kind = row[2]
        self._data = msgspec.UNSET

    @property
    def event(self) -> RecordedEvent:
        """Nothing: it was not read.

        Raises:
            LookupError: always.
        """
        raise LookupError("this event was not read whole: the rule declares what it looks at")

    @property
    def data(self) -> Any:
        """The event's data as its Struct, `Unknown` where this code has none."""
        if self._data is msgspec.UNSET:
            self._data = catalog.read(*self._row[2:5])
        return self._data

    @property
    def result(self) -> Any:
        """The value that a result carries; see `Context.result`."""
        text = getattr(self.data, "response_json", None)
        return None if text is None else parsed(text)

    @property
    def call(self) -> Call | None:
        """The call that the event makes or answers."""
        return self._follow() if self.kind in OF_CALLS else None

    def _follow(self) -> Call | None:
        """Take in the calls and results on the way here; return the newest one's call."""
        for row in self.passed:
            self._newest = self._calls.of(row[1], row[2], self.data if row is self._row else _brief(row))
        self.passed.clear()
        return self._newest

    def forget(self) -> None:
        """Follow the calls so far, where there are so many that keeping them costs more than reading them."""
        if len(self.passed) > _MOST_PASSED:
            self._follow()

    @property
    def state(self) -> State:
        """The state after the event, as far as it is folded."""
        if self.state_after is None:
            raise LookupError("no state was kept: the rule declares that it looks at events alone")
        return self.state_after

    @property
    def previous(self) -> State:
        """Nothing: it is not kept.

        Raises:
            LookupError: always.
        """
        raise LookupError("the state before was not kept: the rule declares what it looks at")


class Recorded:
    """A whole run held in memory: told in order, or at any version with its two states."""

    def __init__(
        self, stream: str, events: Iterable[RecordedEvent], rule: Invariant, *, lookup: Lookup = no_lookup
    ) -> None:
        self._stream = stream
        self._events = list(events)
        self._rule = rule
        self._lookup = lookup
        self._states = aggregate.Timeline(stream)

    @property
    def newest(self) -> int:
        """The number of events."""
        return len(self._events)

    def contexts(self) -> Iterator[Context]:
        """Yield the context of every event, in order."""
        fold = Fold(self._stream, [self._rule], lookup=self._lookup)
        return map(fold.take, self._events)

    def at(self, version: int) -> Context:
        """Return the context of one event; its call is not told."""
        after = self._state(version) if self._rule.uses_state else None
        before = self._state(version - 1) if self._rule.uses_previous else None
        return Context(
            event=self._events[version - 1],
            stream=self._stream,
            version=version,
            lookup=self._lookup,
            state_after=after,
            state_before=before,
        )

    def event(self, version: int) -> RecordedEvent:
        """Return one event."""
        return self._events[version - 1]

    def _state(self, version: int) -> State:
        return self._states.at(version, lambda after, until: self._events[after:until])
