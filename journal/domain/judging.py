"""A run told event by event as rules see it: each event with its call and the states around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from journal.domain import aggregate
from journal.domain.agent_run import Reasoned, ToolFailed, ToolReturned
from journal.domain.aggregate import State
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Call, Context, Invariant, Lookup, no_lookup
from journal.domain.text import parsed

_REASONED = "agent_run.reasoned"
_RESULTS = frozenset(("agent_run.tool_returned", "agent_run.tool_failed"))
_OF_CALLS = _RESULTS | {_REASONED}


class Calls:
    """The open calls of a run. A result answers the call of its id, or the oldest open one of its tool."""

    def __init__(self) -> None:
        self._open: dict[object, Call] = {}

    def of(self, event: RecordedEvent, data: Any) -> Call | None:
        """Return the call that the run's next event makes or answers; `data` is the event's, as the catalog reads it.

        Where the catalog cannot, the bytes may still say which call it is.
        """
        match data:
            case Reasoned(args_json=text, tool_name=tool, call_id=call_id):
                return self._made(event.version, text, tool, call_id)
            case ToolReturned(call_id=call_id, tool_name=tool) | ToolFailed(call_id=call_id, tool_name=tool):
                return self._answered(call_id, tool)
        raw = event.payload
        if event.type == _REASONED:
            return self._made(
                event.version, raw.get("argsJson", "{}"), str(raw.get("toolName") or ""), raw.get("callId")
            )
        return self._answered(raw.get("callId"), raw.get("toolName")) if event.type in _RESULTS else None

    def _made(self, version: int, text: Any, tool: str, call_id: Any) -> Call:
        call = Call(
            version=version,
            tool=tool,
            args_json=text if isinstance(text, str) else "",
            arguments=parsed(text) if isinstance(text, str) else text,
            call_id=call_id,
        )
        self._open[call_id if call_id is not None else version] = call
        return call

    def _answered(self, key: object, tool: Any) -> Call | None:
        if key is None:
            key = next((key for key, call in self._open.items() if call.tool == tool), None)
        return self._open.pop(key, None)


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
        data = catalog.decode(event) if event.type in _OF_CALLS else None
        ctx = Context(
            event=event,
            stream=self.stream,
            version=event.version,
            call=None if data is None else self._calls.of(event, data),
            lookup=self._lookup,
            state_after=self._state,
            state_before=before,
        )
        if data is not None:
            ctx.__dict__["data"] = data  # so that a rule that looks need not decode it again
        return ctx


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
