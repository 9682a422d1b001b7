"""The last thing that happens to events before they are hashed and kept: what a project's rules name is replaced.

It stands in the store, since every way in ends there: files, OTLP, the API, recorders, commands, process managers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from journal.domain.event import EventData

Replace = Callable[[str, str, Sequence[EventData]], Sequence[EventData]]
"""Project, stream and events to the events that are kept."""


def _as_they_are(project: str, stream: str, events: Sequence[EventData]) -> Sequence[EventData]:
    del project, stream
    return events


_replace: Replace = _as_they_are


def use(replace: Replace) -> None:
    """Say what replaces secrets; said once, as the app is loaded."""
    global _replace  # noqa: PLW0603 - set once
    _replace = replace


def replaced(project: str, stream: str, events: Sequence[EventData]) -> Sequence[EventData]:
    """Return the events as they are to be kept."""
    return _replace(project, stream, events)
