"""A run told event by event as rules see it: each event with its call and the states around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from journal.domain import aggregate
from journal.domain.aggregate import State
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Call, Context, Invariant, Lookup, no_lookup
from journal.domain.text import parsed

_REASONED = "agent_run.reasoned"
_RESULTS = frozenset(("agent_run.tool_returned", "agent_run.tool_failed"))


class Calls:
    """The open calls of a run. A result answers the call of its id, or the oldest open one of its tool."""

    def __init__(self) -> None:
        self._open: dict[object, Call] = {}

    def of(self, event: RecordedEvent) -> Call | None:
        """Return the call that the run's next event makes or answers."""
        if event.type == _REASONED:
            return self._made(event.version, event.payload)
        return self._answered(event.payload) if event.type in _RESULTS else None

    def _made(self, version: int, data: dict[str, Any]) -> Call:
        text = data.get("argsJson", "{}")
        call = Call(
            version=version,
            tool=str(data.get("toolName") or ""),
            args_json=text if isinstance(text, str) else "",
            arguments=parsed(text) if isinstance(text, str) else text,
            call_id=data.get("callId"),
        )
        self._open[call.call_id if call.call_id is not None else version] = call
        return call

    def _answered(self, data: dict[str, Any]) -> Call | None:
        key: object = data.get("callId")
        if key is None:
            tool = data.get("toolName")
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
        return Context(
            event=event,
            stream=self.stream,
            version=event.version,
            call=self._calls.of(event),
            lookup=self._lookup,
            state_after=self._state,
            state_before=before,
        )


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
