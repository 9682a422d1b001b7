"""Projections follow the journal, one transaction with their checkpoint."""

from __future__ import annotations

import pytest

from journal.models import Lease, ParkedEvent, Project
from journal.runtime import checkpoint, lease
from journal.runtime import projection as projections
from journal.store import get_store
from tests.journal.runtime.names import Names, append

pytestmark = pytest.mark.django_db


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The projection, in small batches."""
    monkeypatch.setattr(projections, "BATCH", 3)
    return Names()


def test_it_goes_on_from_its_checkpoint(names: Names) -> None:
    """Each event is handled once."""
    append("a", "b")
    assert projections.catch_up(names).handled == 2
    append("a")
    after = projections.catch_up(names)
    assert (after.handled, after.position) == (1, after.head)
    assert names.rows() == {"a": "2", "b": "1"}


def test_a_batch_that_stops_halfway_leaves_neither_rows_nor_checkpoint(names: Names) -> None:
    """Read model and checkpoint are one transaction; the next try does the batch again."""
    append("a", "b", "c", "d", "e")
    handle = names.handle

    def crash(events: object, *, generation: int) -> None:
        handle(events, generation=generation)  # type: ignore[arg-type]
        if "d" in names.rows():
            raise Crash

    names.handle = crash  # type: ignore[method-assign]
    with pytest.raises(Crash):
        projections.catch_up(names)
    assert set(names.rows()) == {"a", "b", "c"}
    names.handle = handle  # type: ignore[method-assign]
    assert projections.catch_up(names).handled == 2
    assert len(names.rows()) == 5


def test_an_event_it_cannot_take_is_set_aside_and_the_others_go_on(names: Names) -> None:
    """So one bad event holds up no page."""
    ids = append("a", "b", "c", "d")
    names.poison = {ids[1]}
    projections.catch_up(names)
    assert set(names.rows()) == {"a", "c", "d"}
    assert ParkedEvent.objects.get().subscription == names.name


def test_whoever_comes_second_waits_for_the_first(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does none of the work, and goes on when the owner has got to where the journal ended."""
    append("a")
    at = get_store().head()
    with lease.guard(projections.lease_name(names)) as term:
        assert term is not None
        checkpoint.read(names.name)
        monkeypatch.setattr("journal.runtime.projection.time.sleep", lambda _: _arrive(names, at))
        done = projections.catch_up(names)
    assert (done.handled, done.position) == (0, at)


def _arrive(names: Names, at: int) -> None:
    mark = checkpoint.read(names.name)
    checkpoint.advance(mark, to=at, token=mark.token)


def test_a_caller_without_patience_leaves_it_to_the_owner(names: Names) -> None:
    """A scheduled task need not wait."""
    append("a")
    with lease.guard(projections.lease_name(names)):
        assert projections.catch_up(names, patience_s=0).position == 0


def test_a_dead_owner_is_taken_over(names: Names) -> None:
    """When its lease has expired."""
    append("a")
    assert lease.acquire(projections.lease_name(names), holder="dead") is not None
    Lease.objects.update(expires_at="2000-01-01T00:00:00Z")
    assert projections.catch_up(names).handled == 1


def test_other_code_goes_on_with_the_rows_until_they_are_rebuilt(names: Names) -> None:
    """Pages lose nothing meanwhile; that a rebuild is due is plain to see."""
    append("a")
    projections.catch_up(names)
    names.code_version = 2
    append("b")
    projections.catch_up(names)
    assert projections.is_outdated(names)
    assert names.rows() == {"a": "1", "b": "1"}
    projections.rebuild(names)
    assert not projections.is_outdated(names)


def test_one_may_wait_for_what_one_wrote(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the read model has it, or the time is over."""
    monkeypatch.setitem(projections._projections, names.name, names)
    append("a")
    head = get_store().head()
    with pytest.raises(projections.NotCaughtUp, match=rf"test-names is at position 0, not at {head}"):
        projections.wait(head, name=names.name, timeout_s=0.01)
    projections.catch_up(names)
    projections.wait(head, name=names.name, timeout_s=0.01)


def test_projects_are_left_alone(names: Names) -> None:
    """The helper of these tests keeps its rows in a table of other things."""
    Project.objects.create(slug="default", name="Default")
    append("a")
    projections.catch_up(names)
    projections.rebuild(names)
    assert Project.objects.filter(slug="default").exists()
