"""The verdicts of re-grades on some runs, for those who may look no further than a position."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from journal.domain import codec
from journal.domain.agent_run import Graded, GradedRun
from journal.domain.catalog import catalog
from journal.domain.event import EventData
from journal.domain.grade import stream_of
from journal.domain.stream import ANY_VERSION
from journal.runtime import projection, verdicts
from journal.runtime.verdicts import Regraded
from journal.store import get_store

pytestmark = pytest.mark.django_db


def told(rule: str, run: str, says: str, *, version: int = 1, until: int = 5, **part: Any) -> int:
    """Tell a verdict as a re-grade does; returns the position of its event."""
    of = GradedRun(stream=run, version=until, rule_version=version, **part)
    data = Graded(rule=rule, by="regrade", verdict=says, at_version=3 if says == "fails" else None, run=of)
    event = EventData(type=catalog.name_of(Graded), data=codec.encode(data))
    get_store().append(stream_of("j", 1), [event], expected_version=ANY_VERSION)
    projection.catch_up(projection.named("grades"))
    return get_store().head()


def found(*runs: str, up_to: int) -> list[tuple[str, str, int, str]]:
    """Return what is known of some runs."""
    return [(one.run, one.rule, one.rule_version, one.says) for one in read(*runs, up_to=up_to)]


def read(*runs: str, up_to: int) -> list[Regraded]:
    """Return the verdicts on some runs."""
    return verdicts.recorded("default", runs, up_to=up_to)


def test_the_newest_of_each_rule_counts_and_none_that_was_told_later() -> None:
    """A later version goes before an earlier one that was told again; other runs are left out."""
    first = told("few", "agent_run-1", "fails")
    second = told("few", "agent_run-1", "holds", version=2)
    third = told("few", "agent_run-1", "fails", until=6)
    told("other", "agent_run-1", "fails")
    last = told("few", "agent_run-2", "fails")
    assert found("agent_run-1", up_to=first - 1) == []
    assert found("agent_run-1", up_to=first) == [("agent_run-1", "few", 1, "fails")]
    assert found("agent_run-1", up_to=second) == [("agent_run-1", "few", 2, "holds")]
    assert found("agent_run-1", up_to=third) == [("agent_run-1", "few", 2, "holds")]
    assert found("agent_run-2", "agent_run-1", up_to=last) == [
        ("agent_run-1", "few", 2, "holds"), ("agent_run-1", "other", 1, "fails"), ("agent_run-2", "few", 1, "fails"),
    ]  # fmt: skip


def test_more_of_a_run_goes_before_less_of_it() -> None:
    """And the whole of it before a part; of two alike it is the one told last."""
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    whole = told("few", "agent_run-1", "holds", until=9)
    part = told("few", "agent_run-1", "fails", until=9, since=noon)
    assert [(one.is_whole, one.position) for one in read("agent_run-1", up_to=part)] == [(True, whole)]
    assert found("agent_run-1", up_to=told("few", "agent_run-1", "fails", until=9))[0][3] == "fails"
    (one,) = read("agent_run-1", up_to=told("few", "agent_run-1", "fails", until=12, since=noon))
    assert (one.is_whole, one.run_version, one.at_version) == (False, 12, 3)
