"""The last thing that happens to events before they are hashed and kept: what a project's rules name is replaced.

It stands in the store, since every way in ends there: files, OTLP, the API, recorders, commands, process managers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from journal.domain.event import EventData

Replace = Callable[[str, str, Sequence[EventData], str], Sequence[EventData]]
"""Project, stream, events and the database's alias to the events that are kept."""

Alike = Callable[[str, bytes, bytes], bool]
"""Project, what is stored and what came again: whether they differ by nothing but what was replaced."""


def _as_they_are(project: str, stream: str, events: Sequence[EventData], using: str) -> Sequence[EventData]:
    del project, stream, using
    return events


_replace: Replace = _as_they_are


def _are_equal(project: str, stored: bytes, again: bytes) -> bool:
    del project
    return stored == again


_alike: Alike = _are_equal


def use(replace: Replace, alike: Alike) -> None:
    """Say what replaces secrets, and what compares; said once, as the app is loaded."""
    global _replace, _alike
    _replace, _alike = replace, alike


def is_alike(project: str, stored: bytes, again: bytes) -> bool:
    """Return whether data that came again is what is stored, though by other rules of redaction."""
    return stored == again or _alike(project, stored, again)


def replaced(project: str, stream: str, events: Sequence[EventData], *, using: str) -> Sequence[EventData]:
    """Return the events as they are to be kept in a database."""
    return _replace(project, stream, events, using)
