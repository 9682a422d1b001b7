"""Processes as their inspector shows them: state, commands that are not answered yet, timeout, what was handled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from journal.domain.aggregate import State
from journal.domain.explain import explain
from journal.domain.process import CATEGORY_PREFIX, ProcessState
from journal.domain.stream import category
from journal.runtime import loading, process_manager
from journal.runtime.status_work import dispatches_of
from journal.store import EventStore, get_store

REACTIONS_SHOWN: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandLine:
    """A command without an answer: what it asks for, since which version, and how its dispatch fares."""

    dispatch: str
    effect: str
    target: str
    version: int
    state: str
    attempts: int
    last_error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReactionLine:
    """An event of the process's stream, in words."""

    version: int
    recorded_at: datetime
    summary: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process. `handled` are the figures of the ring that knows events again."""

    stream: str
    manager: str
    ident: str
    version: int
    is_ended: bool
    own: dict[str, Any]
    issued: int
    timeout_at: datetime | None
    handled: dict[str, Any]
    commands: tuple[CommandLine, ...] = ()
    reactions: tuple[ReactionLine, ...] = ()

    @property
    def words(self) -> str:
        """What it does now, in a sentence."""
        if self.is_ended:
            return f"Ended after {self.version:,} reactions."
        waits = [f"{one.effect} to be answered" for one in self.commands]
        waits += (
            [f"its timeout at {self.timeout_at:%H:%M:%S} UTC on {self.timeout_at:%d %b}"] if self.timeout_at else []
        )
        return f"Waits for {', or for '.join(waits)}." if waits else "Waits for the next event."


def newest(project: str, manager: str = "") -> list[Process]:
    """Return a project's newest processes, of one manager or of each."""
    known = [one for one in process_manager.registered() if manager in ("", one.name)]
    return [_shown(state) for one in known for state in process_manager.newest(one, project=project)]


def inspect(project: str, stream: str) -> Process | None:
    """Return a process with its commands and newest reactions. None where the project has none of this stream."""
    store = get_store(project)
    state = _loaded(store, stream)
    if state is None:
        return None
    return _shown(state, commands=_commands(project, state), reactions=_reactions(store, state))


def _loaded(store: EventStore, stream: str) -> ProcessState | None:
    if not category(stream).startswith(CATEGORY_PREFIX):
        return None
    state: State = loading.newest(store, stream)
    return state if isinstance(state, ProcessState) and state.version else None


def _shown(
    state: ProcessState, *, commands: tuple[CommandLine, ...] = (), reactions: tuple[ReactionLine, ...] = ()
) -> Process:
    due = state.timeout["at"] if state.timeout else None
    return Process(
        stream=state.stream,
        manager=category(state.stream).removeprefix(CATEGORY_PREFIX),
        ident=state.stream.partition("-")[2],
        version=state.version,
        is_ended=state.has_ended,
        own=state.own,
        issued=state.issued,
        timeout_at=datetime.fromisoformat(due) if due else None,
        handled=state.handled.figures(),
        commands=commands,
        reactions=reactions,
    )


def _commands(project: str, state: ProcessState) -> tuple[CommandLine, ...]:
    rows = dispatches_of(project, state.open)
    return tuple(
        CommandLine(
            dispatch=dispatch,
            effect=asked["effect"],
            target=asked["target"],
            version=asked["version"],
            state=rows[dispatch].state if dispatch in rows else "no longer listed",
            attempts=rows[dispatch].attempts if dispatch in rows else 0,
            last_error=rows[dispatch].last_error if dispatch in rows else "",
        )
        for dispatch, asked in state.open.items()
    )


def _reactions(store: EventStore, state: ProcessState) -> tuple[ReactionLine, ...]:
    events = list(store.read_stream(state.stream, after=max(0, state.version - REACTIONS_SHOWN)))
    return tuple(
        ReactionLine(version=event.version, recorded_at=event.recorded_at, summary=explain(event).summary)
        for event in reversed(events)
    )
