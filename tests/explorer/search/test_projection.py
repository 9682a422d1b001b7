"""The search index is a function of the journal."""

from __future__ import annotations

from explorer.models import SEARCH, SearchText
from explorer.search import get_index, needle
from journal.runtime import beside
from journal.runtime import projection as projections
from journal.store import get_store
from tests.builders import event, raw, returned, started
from tests.databases import SEARCHES

pytestmark = SEARCHES


def append(stream: str = "agent_run-1") -> None:
    """Put a run of two events that say something and one that does not into the journal, and index it."""
    said = [event(started(prompt="begin")), event(returned("a needle")), raw(data=b'{"isDone": true}')]
    get_store("default").append(stream, said, expected_version=0)
    projections.catch_up(projections.named(SEARCH))


def found(stream: str = "agent_run-1") -> tuple[int, ...]:
    """Return where the needle is found."""
    return get_index().in_run("default", stream, needle("needle")).versions


def test_an_event_that_says_nothing_has_no_row() -> None:
    """Nothing of it could be found."""
    append()
    assert found() == (2,)
    assert sorted(SearchText.objects.values_list("version", flat=True)) == [1, 2]


def test_a_rebuild_is_the_same_and_leaves_nothing_behind() -> None:
    """The old generation goes, its words too; what was forgotten comes back from a journal that still has it."""
    append()
    (event_id,) = SearchText.objects.filter(version=2).values_list("event_id", flat=True)
    assert beside.verify(projections.named(SEARCH)).agrees
    get_index().forget("default", [event_id])
    assert found() == ()
    assert not beside.verify(projections.named(SEARCH)).agrees
    projections.rebuild(projections.named(SEARCH))
    assert found() == (2,)
    assert SearchText.every.count() == 2


def test_the_runtimes_own_streams_are_not_found_across_runs() -> None:
    """They are searched where they are opened."""
    append("job-1")
    append("agent_run-1")
    assert found("job-1") == (2,)
    assert [hit.stream for hit in get_index().runs("default", [needle("needle")])[0].runs] == ["agent_run-1"]
