"""Given a process and what it took in, when an event, then commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from journal.domain.event import RecordedEvent
from journal.runtime.process_manager import Command, ProcessManager, Reaction
from journal.testing.telling import differences, listed


def given_process(manager: ProcessManager, events: Sequence[RecordedEvent] = ()) -> GivenProcess:
    """Begin with a process that has taken these events in, which may come from several streams.

    `journal.testing.recorded` makes them of Structs.
    """
    return GivenProcess(manager, events)


class GivenProcess:
    """A process with a past."""

    def __init__(self, manager: ProcessManager, events: Sequence[RecordedEvent]) -> None:
        self.manager = manager
        self.past = list(events)

    def when(self, event: RecordedEvent) -> ProcessOutcome:
        """Let the manager take the next event in."""
        state, seen = self._replayed()
        reaction = None if event.id in seen else self._reaction(state, event)
        return ProcessOutcome(self, event, state, reaction)

    def _replayed(self) -> tuple[dict[str, Any], set[str]]:
        state: dict[str, Any] = {}
        seen: set[str] = set()
        for event in self.past:
            reaction = None if event.id in seen else self._reaction(state, event)
            seen.add(event.id)
            state = reaction.state if reaction is not None else state
        return state, seen

    def _reaction(self, state: dict[str, Any], event: RecordedEvent) -> Reaction | None:
        """Ask twice: a manager that gives two answers has read a clock or kept something outside its state."""
        if event.type not in self.manager.reacts_to or self.manager.process_of(event) is None:
            return None
        first = self.manager.decide(dict(state), event)
        second = self.manager.decide(dict(state), event)
        if first != second:
            raise AssertionError(
                f"{self.manager.name} decides the same event twice, and otherwise:\n{listed([first, second])}"
            )
        return first


class ProcessOutcome:
    """What an event led to. Each `then` returns the outcome, so that several can be asked for."""

    def __init__(
        self, given: GivenProcess, event: RecordedEvent, before: dict[str, Any], reaction: Reaction | None
    ) -> None:
        self.given = given
        self.event = event
        self.before = before
        self.reaction = reaction

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands that were issued."""
        return self.reaction.commands if self.reaction else ()

    def then(self, expected: Sequence[Command]) -> Self:
        """Expect exactly these commands, in this order."""
        if list(self.commands) != list(expected):
            raise AssertionError(
                f"{self.event.type} led to other commands.\n"
                f"expected:\n{listed(expected)}\ncame:\n{listed(self.commands)}"
            )
        return self

    def then_nothing(self) -> Self:
        """Expect that the event was left out: not for this manager, or taken in before."""
        if self.reaction is not None:
            raise AssertionError(f"{self.event.type} was to be left out; it led to {self.reaction!r}")
        return self

    def then_state(self, **expected: Any) -> Self:
        """Expect these keys of the process's own state; the others may be anything."""
        state = self.reaction.state if self.reaction else self.before
        found = {name: state.get(name) for name in expected}
        if found != expected:
            raise AssertionError("the process has another state:\n" + differences(expected, found))
        return self

    def then_waits(self, timeout: timedelta) -> Self:
        """Expect that the process waits this long for what comes next."""
        waits = self.reaction.timeout if self.reaction else None
        if waits != timeout:
            raise AssertionError(f"the process was to wait {timeout}, it waits {waits}")
        return self

    def then_ended(self) -> Self:
        """Expect that the process is over."""
        if self.reaction is None or not self.reaction.has_ended:
            raise AssertionError(f"{self.event.type} was to end the process; it led to {self.reaction!r}")
        return self

    def when(self, event: RecordedEvent) -> ProcessOutcome:
        """Go on with the next event. The same one again is a redelivery."""
        return GivenProcess(self.given.manager, [*self.given.past, self.event]).when(event)
