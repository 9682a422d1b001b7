"""Projections follow the journal, one transaction with their checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from journal.domain.event import RecordedEvent
from journal.domain.stream import ANY_VERSION
from journal.models import Checkpoint, Project
from journal.runtime import projection as projections
from journal.store import get_store
from tests.builders import raw

pytestmark = pytest.mark.django_db


class Names:
    """A projection whose read model is a table of projects, one for each stream."""

    name = "test-names"
    code_version = 1

    def __init__(self) -> None:
        self.fails_at: int | None = None

    def handle(self, events: Sequence[RecordedEvent]) -> None:
        """Add a row for each event's stream."""
        for event in events:
            if event.position == self.fails_at:
                raise RuntimeError("stopped between two steps")
            Project.objects.update_or_create(slug=event.stream, defaults={"name": str(event.version)})

    def reset(self) -> None:
        """Remove the rows."""
        Project.objects.filter(slug__startswith="run-").delete()


@pytest.fixture
def names() -> Names:
    """The projection."""
    return Names()


def rows() -> dict[str, str]:
    """Return the read model."""
    return dict(Project.objects.filter(slug__startswith="run-").values_list("slug", "name"))


def append(*streams: str) -> None:
    """Append an event to each."""
    for stream in streams:
        get_store().append(stream, [raw()], expected_version=ANY_VERSION)


def test_it_goes_on_from_its_checkpoint(names: Names) -> None:
    """Each event is handled once."""
    append("run-1", "run-2")
    assert projections.catch_up(names).handled == 2
    append("run-1")
    after = projections.catch_up(names)
    assert (after.handled, after.position) == (1, after.head)
    assert rows() == {"run-1": "2", "run-2": "1"}


def test_a_batch_that_stops_halfway_leaves_neither_rows_nor_checkpoint(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read model and checkpoint are one transaction; the next try does the batch again."""
    monkeypatch.setattr(projections, "BATCH", 3)
    append("run-1", "run-2", "run-3", "run-4", "run-5")
    names.fails_at = list(get_store().read_all())[4].position
    with pytest.raises(RuntimeError):
        projections.catch_up(names)
    assert rows() == {"run-1": "1", "run-2": "1", "run-3": "1"}
    names.fails_at = None
    assert projections.catch_up(names).handled == 2
    assert len(rows()) == 5


def test_a_reader_that_was_overtaken_gives_its_batch_up(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another process moved the checkpoint meanwhile, this one's work on the batch is rolled back."""
    append("run-1")
    handle = names.handle

    def overtaken(events: Sequence[RecordedEvent]) -> None:
        handle(events)
        Project.objects.create(slug="run-of-the-loser", name="0")
        Checkpoint.objects.filter(name=names.name).update(position=events[-1].position)
        monkeypatch.setattr(names, "handle", handle)

    monkeypatch.setattr(names, "handle", overtaken)
    projections.catch_up(names)
    assert "run-of-the-loser" not in rows()


def test_a_rebuild_gives_the_same_read_model(names: Names) -> None:
    """The read model is a function of the journal."""
    append("run-1", "run-2", "run-1")
    projections.catch_up(names)
    before = rows()
    Project.objects.filter(slug="run-2").update(name="spoilt")
    assert projections.rebuild(names).handled == 3
    assert rows() == before


def test_other_code_fills_its_read_model_anew(names: Names) -> None:
    """A read model made by another version of the code is not mixed with this one's."""
    append("run-1")
    projections.catch_up(names)
    Project.objects.create(slug="run-of-old-code", name="0")
    names.code_version = 2
    assert projections.catch_up(names).handled == 1
    assert rows() == {"run-1": "1"}
