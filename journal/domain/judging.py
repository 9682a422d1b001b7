"""A run told event by event as rules see it: each event with its call and the states around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from journal.domain import aggregate
from journal.domain.agent_run import Reasoned, ToolFailed, ToolReturned
from journal.domain.aggregate import State
from journal.domain.catalog import Unknown, catalog
from journal.domain.event import RecordedEvent
from journal.domain.invariant import Call, Context, Invariant, Lookup, canonical, no_lookup
from journal.domain.sieve import OF_CALLS, RESULTS


class Calls:
    """The open calls of a run. A result answers the call of its id, or the oldest open one of its tool."""

    def __init__(self) -> None:
        self._open: dict[object, Call] = {}

    def of(self, version: int, kind: str, data: Any) -> Call | None:
        """Return the call that the run's next event makes or answers; `data` is the event's, as the catalog reads it.

        Where the catalog cannot, what is stored may still say which call it is.
        """
        if isinstance(data, Reasoned):
            return self._made(Call(version, data.tool_name, data.args_json, data.call_id))
        if isinstance(data, ToolReturned | ToolFailed):
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
