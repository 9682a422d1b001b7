"""For tests of format modules: files made in the test, and short ways to say what was read from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from journal.ingest.draft import EventDraft, RunDraft
from journal.ingest.source import Source

Read = Callable[[Source], Iterable[RunDraft]]

JUNK = (
    b"",
    b"[",
    b"{}",
    b"[]",
    b"null",
    b"7",
    b"[[1]]",
    b'{"history": 5}',
    b'{"steps": [1]}',
    b"\xff\xfe",
    b"PK\x03\x04",
)
"""Files of no format."""


def a_file(content: Any, *, name: str = "run.json", beside: dict[str, Any] | None = None) -> Source:
    """Return a file that holds `content` as JSON, or these very bytes, among others of the same import."""
    others = {
        other: data if isinstance(data, bytes) else json.dumps(data).encode() for other, data in (beside or {}).items()
    }
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Source(name=name, data=data, sibling=others.get, siblings=lambda: list(others))


def a_run(read: Read, content: Any, *, name: str = "run.json", beside: dict[str, Any] | None = None) -> RunDraft:
    """Return the one run in a file, its events as a list."""
    (run,) = read(a_file(content, name=name, beside=beside))
    run.events = list(run.events)
    return run


def kinds(run: RunDraft) -> list[str]:
    """Return the events' types, in order."""
    return [type(draft.event).__name__ for draft in run]


def of(run: RunDraft, kind: type) -> list[Any]:
    """Return the events of one type, in order."""
    return [draft.event for draft in run if isinstance(draft.event, kind)]


def draft_of(run: RunDraft, key: str) -> EventDraft:
    """Return the draft with a key."""
    return next(draft for draft in run if draft.key == key)


def event_of(run: RunDraft, key: str) -> Any:
    """Return the event with a key."""
    return draft_of(run, key).event


def time_of(run: RunDraft, key: str) -> str | None:
    """Return when the event with a key was, as ISO 8601."""
    at = draft_of(run, key).at
    return at.isoformat() if at else None


def is_extended(shorter: RunDraft, longer: RunDraft) -> bool:
    """Whether a file that grew tells the same run: the same events under the same keys, then more."""
    before, after = list(shorter), list(longer)
    same = [(draft.key, draft.event) for draft in before] == [
        (draft.key, draft.event) for draft in after[: len(before)]
    ]
    return same and shorter.source_id == longer.source_id and len(after) > len(before)
