"""What tests of the access log share: a recorder that writes when it is told to, and what was recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from journal.access import recording
from journal.domain.access_log import CATEGORY, Access
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.store import get_store


@pytest.fixture
def recorder() -> Iterator[recording.Recorder]:
    """Record access during a test: what matters at once, what happens often when it is flushed."""
    before = recording.in_use()
    recording.use(recording.Recorder(is_on=True))
    yield recording.in_use()
    recording.use(before)


def records(project: str = "default") -> list[tuple[RecordedEvent, Access]]:
    """Return a project's records in the order of the journal, once all that waits is written."""
    recording.in_use().flush()
    found = []
    for event in get_store(project).read_category(CATEGORY):
        said = catalog.decode(event)
        assert isinstance(said, Access)
        found.append((event, said))
    return found


def told(project: str = "default") -> list[tuple[str, str, str]]:
    """Return who did what to which object, in order."""
    return [(said.by, said.what, said.object) for _, said in records(project)]
