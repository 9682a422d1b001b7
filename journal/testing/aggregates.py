"""Given events, when a command, then events or a rejection or a state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec

from journal.domain import aggregate
from journal.domain.aggregate import State
from journal.domain.catalog import catalog
from journal.domain.decider import decided
from journal.errors import CommandRejected
from journal.testing.events import recorded
from journal.testing.telling import differences, listed


def given(events: Sequence[msgspec.Struct] = (), *, stream: str | None = None) -> Given:
    """Begin with a stream that has these events; with none it is new.

    The stream's category is taken from the first event's type (`order.placed` belongs to `order`). Name the `stream`
    where there is no event, or where types are named otherwise.
    """
    if stream is None:
        if not events:
            raise ValueError("given no events, the stream has to be named: given(stream='order-1')")
        stream = f"{catalog.name_of(type(events[0])).partition('.')[0]}-1"
    return Given(stream, events)


class Given:
    """A stream with a past."""

    def __init__(self, stream: str, events: Iterable[msgspec.Struct]) -> None:
        self.stream = stream
        self.past = list(events)

    def when(self, command: object) -> Outcome:
        """Let the aggregate decide a command."""
        state = self.state()
        before = state.to_json()
        rejection: CommandRejected | None = None
        events: list[msgspec.Struct] = []
        try:
            events = decided(state, self.stream, command)
        except CommandRejected as rejected:
            rejection = rejected
        if state.to_json() != before:
            raise AssertionError(
                f"deciding {command!r} changed the state; only events may do that:\n"
                + differences(before, state.to_json())
            )
        return Outcome(self, command, events, rejection)

    def state(self) -> State:
        """Return the state the past leads to."""
        return aggregate.fold(self.stream, recorded(self.past, stream=self.stream))

    def then_state(self, **expected: Any) -> Self:
        """Expect these keys of the state's JSON; the others may be anything."""
        _check_state(self.state(), expected)
        return self


class Outcome:
    """What a command led to. Each `then` returns the outcome, so that several can be asked for."""

    def __init__(
        self, given: Given, command: object, events: list[msgspec.Struct], rejection: CommandRejected | None
    ) -> None:
        self.given = given
        self.command = command
        self.events = events
        self.rejection = rejection

    def then(self, expected: Sequence[msgspec.Struct]) -> Self:
        """Expect exactly these events, in this order."""
        self._check_accepted()
        if self.events != list(expected):
            raise AssertionError(
                f"{self.command!r} led to other events.\nexpected:\n{listed(expected)}\ncame:\n{listed(self.events)}"
            )
        recorded(self.events, stream=self.given.stream, after=len(self.given.past))
        return self

    def then_nothing(self) -> Self:
        """Expect that the command was taken and changed nothing."""
        return self.then([])

    def then_rejected(self, message: str = "") -> Self:
        """Expect a rejection whose reason contains `message`."""
        if self.rejection is None:
            raise AssertionError(
                f"{self.command!r} was to be rejected ({message or 'for any reason'}); it led to:\n"
                + listed(self.events)
            )
        if message not in self.rejection.reason:
            raise AssertionError(
                f"{self.command!r} was rejected for another reason.\n"
                f"expected, as a part: {message}\ncame:                {self.rejection.reason}"
            )
        return self

    def then_state(self, **expected: Any) -> Self:
        """Expect these keys of the state's JSON behind the new events; the others may be anything."""
        self._check_accepted()
        _check_state(self._after().state(), expected)
        return self

    def when(self, command: object) -> Outcome:
        """Go on: let the aggregate decide the next command on what this one led to. A rejection led to nothing."""
        return self._after().when(command)

    def _after(self) -> Given:
        return Given(self.given.stream, [*self.given.past, *self.events])

    def _check_accepted(self) -> None:
        if self.rejection is not None:
            raise AssertionError(f"{self.command!r} was rejected: {self.rejection.reason}") from self.rejection


def _check_state(state: State, expected: dict[str, Any]) -> None:
    shown = state.to_json()
    found = {name: shown.get(name) for name in expected}
    missing = sorted(expected.keys() - shown.keys())
    if missing:
        raise AssertionError(f"the state has no {', '.join(missing)}; it has {', '.join(shown)}")
    if found != expected:
        raise AssertionError("the state is another one:\n" + differences(expected, found))
