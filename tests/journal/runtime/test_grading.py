"""Rules on the journal: the stories of the demo data, each found where it is."""

from __future__ import annotations

import pytest

from journal.domain.invariant import HOLDS, Context, Fails, Invariant, Verdict, all_invariants
from journal.errors import RuleNotFound, StreamNotFound
from journal.runtime.grading import bisect_journal, bisect_stream, grade_stream, rule_named
from journal.store.memory import MemoryStore
from nagare_web.demo import STORIES
from tests.builders import event, reasoned, returned, started
from tests.nagare_web.demo.filled import journal


def first_of(rule: str, story: str, at: int = 0) -> int | None:
    """Return the first failing version of a story's run."""
    return bisect_stream(rule_named(rule), journal(), STORIES[story].streams[at]).outcome.first_failing


def test_the_edit_of_a_file_nobody_read_is_found() -> None:
    """At 23, with the search at 20 as evidence; the run that reads the file first is not blamed."""
    found = bisect_stream(rule_named("edit-after-reading"), journal(), STORIES["edit-unread"].streams[0])
    assert found.first_failing is not None
    assert (found.first_failing.version, found.first_failing.versions) == (23, (20, 23))
    assert found.outcome.words() == "First fails at event 23; held at 22."
    assert (found.outcome.method, found.outcome.evaluations) == ("scan", 200)
    assert first_of("edit-after-reading", "edit-after-reading") is None


@pytest.mark.parametrize("at", range(4))
def test_a_failure_loop_is_found_at_the_second_unchanged_failure(at: int) -> None:
    """Whatever the tool."""
    stream = STORIES["failure-loops"].streams[at]
    failures = [each.version for each in journal().read_stream(stream) if each.type == "agent_run.tool_failed"]
    assert first_of("no-failure-loop", "failure-loops", at) == failures[1]


def test_the_moment_a_tool_went_bad_is_found_in_the_journal_s_order() -> None:
    """The first poisoned rate is the first failing event of all, and every run with one fails; no healthy one does."""
    found = bisect_journal(rule_named("steady-results"), journal(), tool="exchange_rate")
    assert found.first_failing is not None
    assert found.first_failing.stream == STORIES["poisoned-rates"].streams[0]
    failing = {flip.stream for flip in found.flips}
    assert failing == set(STORIES["poisoned-rates"].streams)
    assert (found.verdict, found.failing_runs, found.errors) == ("fails", len(failing), ())


def test_a_range_looks_at_when_events_occurred() -> None:
    """What came before it is remembered and not blamed: the first failure from then on is another."""
    first = bisect_journal(rule_named("steady-results"), journal()).first_failing
    assert first is not None
    bad = next(each for each in journal().read_stream(first.stream) if each.version == first.version)
    before = bisect_journal(rule_named("steady-results"), journal(), until=bad.occurred_at)
    assert (before.first_failing, before.failing_runs) == (first, 1)
    later = bisect_journal(rule_named("steady-results"), journal(), since=bad.recorded_at.replace(year=2030))
    assert (later.verdict, later.events, later.runs) == ("holds", 0, 0)


def test_a_budget_is_searched_for_and_confirmed() -> None:
    """Few evaluations find it, and reading the run confirms them."""
    outcome = bisect_stream(rule_named("step-budget"), journal(), STORIES["backup-check"].streams[0]).outcome
    assert (outcome.verdict, outcome.method, outcome.is_claim_broken) == ("fails", "bisect", False)
    assert outcome.evaluations <= 14
    assert outcome.checked == outcome.events > 2_000


def test_all_rules_read_a_run_once() -> None:
    """Each comes to what it comes to alone."""
    store = _Counting(journal())
    stream = STORIES["edit-unread"].streams[0]
    together = grade_stream(store, stream, all_invariants())  # type: ignore[arg-type]
    assert store.reads == 1
    for rule in all_invariants():
        alone = bisect_stream(rule, journal(), stream)
        assert (alone.first_failing, alone.outcome.flips) == (
            together[rule.name].first_failing,
            together[rule.name].outcome.flips,
        )


class _Counting:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.reads = 0

    def read_stream(self, stream: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        self.reads += 1
        return self._store.read_stream(stream)

    def stream_version(self, stream: str) -> int:
        return self._store.stream_version(stream)


class Fragile(Invariant):
    """Goes wrong on results."""

    name = "fragile"
    title = "Fragile"
    uses_state = uses_previous = False

    def evaluate(self, ctx: Context) -> Verdict:
        """Fail on what was said badly, and break on a result that is a number."""
        return Fails("bad") if ctx.result is not None and len(ctx.result) > 3 else HOLDS


def test_a_rule_that_goes_wrong_on_one_run_still_judges_the_others() -> None:
    """The error is listed with its run and is no failure."""
    store = MemoryStore()
    for stream, result in (("agent_run-1", 7), ("agent_run-2", "bad news")):
        store.append(stream, [event(each) for each in (started(), reasoned(), returned(result))], expected_version=0)
    found = bisect_journal(Fragile(), store)
    assert [(error.stream, error.version) for error in found.errors] == [("agent_run-1", 3)]
    assert found.first_failing is not None
    assert (found.first_failing.stream, found.failing_runs) == ("agent_run-2", 1)
    assert bisect_stream(Fragile(), store, "agent_run-1").outcome.verdict == "raised"


def test_what_is_not_there_is_said() -> None:
    """A rule by its name, a run by its stream."""
    with pytest.raises(RuleNotFound, match="no rule 'no-such'"):
        rule_named("no-such")
    with pytest.raises(StreamNotFound):
        bisect_stream(rule_named("no-loop"), MemoryStore(), "agent_run-1")
    with pytest.raises(StreamNotFound):
        grade_stream(MemoryStore(), "agent_run-1", all_invariants())
