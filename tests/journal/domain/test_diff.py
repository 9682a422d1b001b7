"""What changed between two states, and which event changed it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from journal.domain import agent_run as run
from journal.domain.aggregate import fold
from journal.domain.diff import Change, diff
from tests.builders import STREAM, reasoned, recorded, responded, returned, started


def changes(events: Sequence[msgspec.Struct], before: int, after: int) -> dict[str, Change]:
    """Return the changes between two versions of a story, by path."""
    log = recorded(events)
    return {change.path: change for change in diff(fold(STREAM, log[:before]), fold(STREAM, log[:after]))}


def test_a_changed_value_names_both_sides_and_its_event() -> None:
    """A total that rose says from what, to what, and at which event."""
    change = changes([started(), responded(), responded()], 2, 3)["/totals/decisions"]
    assert (change.before, change.after, change.version) == (1, 2, 3)


def test_a_value_that_came_has_no_before() -> None:
    """What was not there is left out of the document, not written as null."""
    change = changes([started(), reasoned(path="a")], 1, 2)["/open_calls/0"]
    assert change.version == 2
    assert "before" not in msgspec.to_builtins(change)


def test_a_closed_call_is_blamed_on_its_result_however_far_apart() -> None:
    """What removed a value is known across any distance, not only between neighbours."""
    change = changes([started(), reasoned(path="a"), returned(), responded(), responded()], 2, 5)["/open_calls/0"]
    assert (change.version, "after" in msgspec.to_builtins(change)) == (3, False)


def test_dropping_the_first_item_is_one_removal() -> None:
    """Items that moved up in a list did not change."""
    story = [
        started(),
        responded("one"),
        responded("two"),
        run.ContextCompacted(summary="s", dropped_versions=(2,)),
        responded("x"),
    ]
    found = changes(story, 3, 5)
    removed = [path for path, change in found.items() if change.after is msgspec.UNSET]
    assert removed == ["/context/0"]
    assert found["/context/0"].version == 4


def test_equal_states_have_no_changes() -> None:
    """A state does not differ from itself."""
    assert changes([started(), responded()], 2, 2) == {}
