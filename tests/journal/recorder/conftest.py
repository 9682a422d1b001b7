"""What the recorder's tests share: a journal in memory, a server, a spool, and no memory of what was warned of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from journal.recorder import Connection, Run, belonging, connection, sender, warn
from journal.recorder.connection import connect, run
from journal.recorder.pytest_plugin import nagare_replay
from journal.store.memory import MemoryStore
from tests.journal.recorder.journal_server import TOKEN, JournalServer, journal_server

__all__ = ["nagare_replay"]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test warns anew, retries at once, records to nothing of the machine, and leaves no run behind."""
    for name in ("NAGARE_URL", "NAGARE_TOKEN", "NAGARE_SPOOL_DIR", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(warn, "_told", {})
    monkeypatch.setattr(warn, "_is_strict", False)
    monkeypatch.setattr(connection, "_default", None)
    monkeypatch.setattr(sender, "FIRST_DELAY_S", 0.01)
    monkeypatch.setattr(sender, "LONGEST_DELAY_S", 0.02)
    monkeypatch.setattr(sender, "REFUSED_DELAY_S", 0.02)
    yield
    assert belonging.runs._open == []
    assert belonging.replays._open == []


@pytest.fixture
def store() -> MemoryStore:
    """A journal in memory."""
    return MemoryStore()


@pytest.fixture
def open_run(store: MemoryStore) -> Callable[..., Run]:
    """What opens a run that goes to the journal in memory."""
    return lambda **fields: run(to=store, **fields)


@pytest.fixture
def server() -> Iterator[JournalServer]:
    """A server that takes events."""
    with journal_server() as found:
        yield found


@pytest.fixture
def connected(server: JournalServer, tmp_path: Path) -> Iterator[Connection]:
    """A connection to it, with a spool of its own."""
    found = connect(server.url, TOKEN, spool=tmp_path / "spool")
    yield found
    found.close(1)
