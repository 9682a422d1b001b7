"""Aggregates loaded, and told what to do: a command is a whole load, decide, append, again where another was first."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import stamina
from django.db import InterfaceError, OperationalError

from journal.domain import aggregate
from journal.domain.aggregate import Snapshots, State
from journal.domain.decider import decided, to_append
from journal.domain.dispatch import answer_id
from journal.domain.event import Metadata
from journal.domain.stream import category
from journal.errors import EventNotFound, StreamNotFound, WrongExpectedVersion
from journal.store import Appended, EventStore, get_store
from journal.store.snapshots import Kept
from journal.store.tracing import span

LOAD: Final = "nagare.aggregate.load"
ASK: Final = "nagare.aggregate.ask"

ATTEMPTS: Final = 8
_FIRST_WAIT: Final = timedelta(milliseconds=10)
_LONGEST_WAIT: Final = timedelta(milliseconds=500)


class Repository(aggregate.Repository):
    """Loads the aggregates of one project and executes commands on them."""

    def __init__(self, store: EventStore, *, snapshots: Snapshots | None = None) -> None:
        super().__init__(store, snapshots=snapshots)
        self._journal = store

    def load(self, stream: str) -> State:
        """Return the newest state. See `journal.domain.aggregate.Repository`."""
        with span(LOAD, aggregate__id=stream, aggregate__type=category(stream)) as own:
            state = super().load(stream)
            own.set_attribute("nagare.version", state.version)
        return state

    def load_at_version(self, stream: str, version: int) -> State:
        """Return the state after `version`. See `journal.domain.aggregate.Repository`."""
        with span(LOAD, aggregate__id=stream, aggregate__type=category(stream), version=version):
            return super().load_at_version(stream, version)

    def execute(
        self, stream: str, command: object, *, metadata: Metadata | None = None, command_id: str | None = None
    ) -> Appended:
        """Decide a command on the newest state and append the events it leads to.

        A stream need not exist yet. With a `command_id`, a UUID such as a dispatch id, the events' ids are derived from
        it: the same command again finds them stored and decides nothing. A command that changes nothing gives no ids.

        Raises:
            CommandRejected: the aggregate says no.
            WrongExpectedVersion: other writers were first eight times running.
        """
        kind = type(command).__name__
        with span(ASK, aggregate__id=stream, aggregate__type=category(stream), command__type=kind):
            for attempt in stamina.retry_context(
                on=(WrongExpectedVersion, OperationalError, InterfaceError),
                attempts=ATTEMPTS,
                wait_initial=_FIRST_WAIT,
                wait_max=_LONGEST_WAIT,
            ):
                with attempt:
                    return self._execute(stream, command, metadata or Metadata(), command_id)
        raise AssertionError("the last attempt either returned or raised")

    def _execute(self, stream: str, command: object, metadata: Metadata, command_id: str | None) -> Appended:
        if command_id is not None and (done := self._done_before(stream, command_id)) is not None:
            return done
        state = self._newest(stream)
        events = [
            to_append(event, metadata, event_id=answer_id(command_id, str(at)) if command_id else None)
            for at, event in enumerate(decided(state, stream, command))
        ]
        if not events:
            return Appended(stream=stream, version=state.version, ids=(), is_new=False)
        return self._journal.append(stream, events, expected_version=state.version)

    def _newest(self, stream: str) -> State:
        try:
            return self.load(stream)
        except StreamNotFound:
            return aggregate.initial(stream)

    def _done_before(self, stream: str, command_id: str) -> Appended | None:
        """Return what a command with this id led to the last time; its events follow each other in the stream."""
        try:
            first = self._journal.event(answer_id(command_id, "0"))
        except EventNotFound:
            return None
        ids = [first.id]
        for event in self._journal.read_stream(stream, after=first.version):
            if event.id != answer_id(command_id, str(len(ids))):
                break
            ids.append(event.id)
        return Appended(stream=stream, version=first.version + len(ids) - 1, ids=tuple(ids), is_new=False)


def repository(project: str = "default") -> Repository:
    """Return what loads and executes in a project's configured journal, with its snapshots."""
    return Repository(get_store(project), snapshots=Kept(project))
