"""The given, when, then harness finds what is wrong with an aggregate, and says it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from journal.testing import given, recorded
from tests.doors import Lossy, Opened, doors


@pytest.fixture(autouse=True)
def _doors() -> Iterator[None]:
    with doors():
        yield


def test_events_state_and_rejection() -> None:
    """The three things that can come of a command, and going on from there."""
    opened = given(stream="door-1").when("Ada").then([Opened(by="Ada")]).then_state(opened_by=["Ada"])
    opened.when("").then_nothing()
    opened.when("Eve").then_rejected("not for Eve").when("Bob").then_state(opened_by=["Ada", "Bob"])
    given([Opened(by="Ada")]).then_state(opened_by=["Ada"])


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (lambda: given([Opened(by="Ada")]).when("Bob").then([Opened(by="Eve")]), "expected:\n  1. Opened(by='Eve')"),
        (lambda: given([Opened(by="Ada")]).when("Bob").then_rejected("closed"), "was to be rejected (closed)"),
        (lambda: given([Opened(by="Ada")]).when("Eve").then([]), "'Eve' was rejected: not for Eve"),
        (lambda: given([Opened(by="Ada")]).when("Eve").then_rejected("broken"), "came:                not for Eve"),
        (
            lambda: given([Opened(by="Ada")]).when("Bob").then_state(opened_by=[]),
            "opened_by: expected [], came ['Ada', 'Bob']",
        ),
        (lambda: given([Opened(by="Ada")]).when("Bob").then_state(colour=1), "the state has no colour"),
        (lambda: given([Opened(by="Ada")]).when("spoil"), "changed the state; only events may do that"),
        (lambda: given([Lossy(value=(1, 2))]).when("Bob"), "the event is another one"),
    ],
)
def test_what_does_not_hold_is_said(check: Any, says: str) -> None:
    """With what was expected and what came."""
    with pytest.raises(AssertionError) as caught:
        check()
    assert says in str(caught.value)


def test_nothing_given_needs_a_stream() -> None:
    """There is no event to take the category from."""
    with pytest.raises(ValueError, match=r"given\(stream="):
        given([])


def test_a_category_without_decisions_rejects() -> None:
    """And says which one it is."""
    given([Opened(by="Ada")], stream="gate-1").when("Bob").then_rejected(
        "no installed app decides commands of category 'gate'"
    )


def test_a_plain_aggregate_knows_which_event_set_what() -> None:
    """Set, set again, left alone, removed."""
    state = given([Opened(by="Ada"), Opened(by="Bob"), Opened(by="nobody")]).state()
    assert state.blame() == {"/opened_by/0": 1, "/opened_by/1": 2, "/opened_by/2": 3, "/note": 3}
    assert state.removed_at("/note/last", "Bob") == 3
    assert state.removed_at("/not", None) is None


def test_a_fork_goes_its_own_way() -> None:
    """Neither its values nor its record of versions are shared."""
    state = given([Opened(by="Ada")]).state()
    twin = state.fork()
    before = state.to_json(), state.blame()
    twin.apply(_next("Bob"))
    assert (state.to_json(), state.blame()) == before
    assert twin.version == 2


def _next(by: str) -> Any:
    return recorded([Opened(by=by)], stream="door-1", after=1)[0]
