"""Runs of which only some events are read: every verdict is what reading all of them comes to."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData
from journal.domain.invariant import HOLDS, Context, Fails, Invariant, Verdict, all_invariants
from journal.domain.rule import Evaluate, SavedRule
from journal.invariants.calls import NoFailureLoop
from journal.runtime.lookups import of as lookup_of
from journal.runtime.regrade_plan import UNKNOWN
from journal.runtime.regrade_sifted import judged
from journal.runtime.regrade_types import Definition, FrozenRun
from journal.runtime.regrade_verdict import CALLED, verdict_on
from journal.runtime.regrade_work import Rules, _Run
from journal.runtime.rule_process import rule_process
from journal.store import get_store, told
from journal.store.memory import MemoryStore
from tests.nagare_web.demo.filled import journal

EXAMPLES = 12
EXPRESSIONS = (
    'event.type != "agent_run.tool_returned" || event.data.latencyMs < 5',
    '!(event.type == "agent_run.tool_failed" && event.data.toolName == "send_mail")',
    'event.data.toolName != "bash"',
    'event.type == "agent_run.reasoned" ? event.data.toolName == "bash" : version < 9',
    '!has(event.data.callId) || event.data.callId != "a"',
    "state.totals.cost_usd < 1.0",
    "state.totals.tool_errors < 2 && state.agent != 'planner'",
    "state.status != 'aborted'",
    "size(state.open_calls) < 2",
    "state.failures[event.data.toolName].in_a_row < 2",
    'event.type != "agent_run.answered" || state.totals.decisions > 1',
    "state.totals.duration_ms < 60000 && size(state.context) < 9",
    "state.totals.cost_usd - previous.totals.cost_usd < 0.5",
    "event.data.outputTokens < 9007199254740993",
    "true",
    "version < 4",
)
DEFINITION = Definition(
    rule="r", rule_version=2, kind="saved", expression="", digest="d", monotone=False, state_code="c", head=9,
    previous_version=1,
)  # fmt: skip
TEXTS = st.sampled_from(
    ("", "Done.", "It costs 12,345 or 1.25 or 999 or 1050 in 2019.", "```python\nprint(1)\n```", "x" * 700,
     "a placeholder", "error: no such file a.py", "Traceback (most recent call last)", "mail eve@example.org now"),
)  # fmt: skip
TOOLS = st.sampled_from(("read_file", "edit_file", "bash", "send_mail", ""))
IDS = st.sampled_from((None, "a", "b"))
ARGUMENTS = st.sampled_from(
    ('{"path": "a.py"}', '{"path": "b/a.py"}', "{}", '{"to": "eve@example.org"}', '{"cut', "[1]")
)
NUMBERS = st.sampled_from((None, 0.5, 4.0, 70_000.0))
VERSIONS = st.lists(st.integers(1, 12), max_size=3).map(tuple)
MADE = st.one_of(
    st.builds(
        run.Started, prompt=TEXTS, agent=st.sampled_from((None, "planner")), model=st.sampled_from((None, "m-1")),
        tools=st.sampled_from(((), ("bash", {"name": "read_file", "parameters": {"required": ["q"]}}))),
    ),
    st.builds(run.MessageReceived, role=st.sampled_from(("user", "environment")), content=TEXTS),
    st.builds(run.ModelCalled, model=st.sampled_from((None, "m-2")), messages=st.just(({"version": 3},))),
    st.builds(
        run.ModelResponded, content=TEXTS, finish_reason=st.sampled_from((None, "length")), cost_usd=NUMBERS,
        latency_ms=st.sampled_from((None, 200_000.0)), output_tokens=st.sampled_from((None, 5, 2**53 + 1)),
    ),
    st.builds(run.Reasoned, tool_name=TOOLS, args_json=ARGUMENTS, call_id=IDS),
    st.builds(run.ToolReturned, tool_name=TOOLS, call_id=IDS, response_json=TEXTS.map(codec.text), latency_ms=NUMBERS),
    st.builds(run.ToolFailed, tool_name=TOOLS, call_id=IDS, message=TEXTS, latency_ms=NUMBERS),
    st.builds(run.HandedOff, to_agent=st.just("other"), instruction=st.just("look at all of the files")),
    st.builds(run.ContextCompacted, summary=TEXTS, dropped_versions=VERSIONS, kept_versions=VERSIONS),
    st.builds(run.MemoryWritten, key=st.just("k")),
    st.builds(run.Answered, response=TEXTS),
    st.builds(run.Aborted, reason=TEXTS),
    st.builds(run.Graded, rule=st.just("outcome"), verdict=st.sampled_from(("failure", "running"))),
    st.builds(run.Annotated, text=TEXTS),
).map(lambda made: EventData(type=catalog.name_of(type(made)), data=codec.encode(made)))  # fmt: skip
ODD = st.sampled_from(
    (
        EventData(type="agent_run.tool_returned", data=b'{"toolName": 5, "callId": "a"}'),
        EventData(type="agent_run.tool_failed", data=b'{"callId": ["a"], "toolName": "bash"}'),
        EventData(
            type="agent_run.reasoned", data=b'{"argsJson": {"path": "a.py"}, "toolName": "edit_file", "callId": 7}'
        ),
        EventData(type="agent_run.reasoned", data=b'{"toolName": "bash"}', schema=9),
        EventData(type="agent_run.reasoned", data=b'{"toolName": "edit_file", "callId": "b", "thought": 5}'),
        EventData(type="agent_run.tool_returned", data=b'{"callId": "b", "responseJson": 5}'),
        EventData(type="agent_run.model_responded", data=b'{"costUsd": "much"}'),
        EventData(type="agent_run.tool_returned", data=b'{"toolName": "bash", "latencyMs": 12345678901234567890}'),
        EventData(type="elsewhere.happened", data=b'{"toolName": "bash", "callId": "a"}'),
    )
)
RUNS = st.lists(st.lists(MADE | MADE | MADE | ODD, min_size=1, max_size=24), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def evaluate() -> Iterator[Evaluate]:
    """One process for all expressions."""
    with rule_process() as process:
        yield process


def saved(expression: str, evaluate: Evaluate) -> SavedRule:
    """Return a rule of its own, that knows no answers yet."""
    return SavedRule(name="r", expression=expression, evaluate_with=evaluate)


def frozen(store: MemoryStore, streams: Sequence[str], *, asks: bool = False) -> list[FrozenRun]:
    """Return the runs as a job would."""
    return [FrozenRun(each, store.stream_version(each), previous=UNKNOWN if asks else "") for each in streams]


def whole(store: MemoryStore, runs: Sequence[FrozenRun], rules: Rules) -> list[Any]:
    """Return the verdicts from every event with its states."""
    found = []
    for each in runs:
        judging = _Run(each, rules, store.project)
        for event in store.read_stream(each.run, until=each.run_version):
            judging.take(event)
        found.append(judging.verdict(DEFINITION, "job"))
    return found


def sifted(store: MemoryStore, runs: Sequence[FrozenRun], rules: Rules) -> list[Any]:
    """Return the verdicts from what the rules look at."""
    return [
        verdict_on(
            each.run, DEFINITION, job="job", outcome=each.outcome, before=each.before, facts=each.facts,
            blamed=each.blamed,
        )
        for each in judged(
            store, runs, rules.rule, before=rules.previous, asks_before=lambda run: run.previous == UNKNOWN,
            lookup=lookup_of(store.project), look=lambda: None,
        )
    ]  # fmt: skip


def differ(store: MemoryStore, streams: Sequence[str], rule: Invariant, previous: Invariant | None = None) -> None:
    """Fail where the two ways of judging differ."""
    rules, runs = Rules(rule=rule, previous=previous), frozen(store, streams, asks=previous is not None)
    assert sifted(store, runs, rules) == whole(store, runs, rules), rule.name


@settings(max_examples=EXAMPLES)
@given(made=RUNS)
def test_reading_less_changes_no_verdict(made: list[list[EventData]], evaluate: Evaluate) -> None:
    """Of any rule on any runs: side, message, event, tool, flips, and who did it with which model."""
    store = MemoryStore()
    streams = [f"agent_run-{at}" for at in range(len(made))]
    for stream, events in zip(streams, made, strict=True):
        store.append(stream, events, expected_version=0)
    for rule in all_invariants():
        if rule.sieve() is not None:
            differ(store, streams, rule)
    for expression in EXPRESSIONS:
        if (rule := saved(expression, evaluate)).sieve() is not None:
            differ(store, streams, rule, saved("state.totals.tool_calls < 2", evaluate))


def test_nor_does_it_on_the_demo_journal(evaluate: Evaluate) -> None:
    """Each rule, on every run of the stories."""
    store = journal()
    streams = sorted({event.stream for event in store.read_category(run.CATEGORY)})[::25]
    for rule in (*all_invariants(), *(saved(each, evaluate) for each in EXPRESSIONS)):
        if rule.sieve() is not None:
            differ(store, streams, rule)


def test_nearly_every_rule_says_what_it_looks_at(evaluate: Evaluate) -> None:
    """The others need every event: the duration, the context, the state before, other runs."""
    unsifted = {rule.name for rule in all_invariants() if rule.sieve() is None}
    assert unsifted == {"steady-results", "time-budget"}
    assert {each for each in EXPRESSIONS if saved(each, evaluate).sieve() is None} == {
        "state.totals.duration_ms < 60000 && size(state.context) < 9",
        "state.totals.cost_usd - previous.totals.cost_usd < 0.5",
    }


def test_an_expression_is_asked_about_the_types_that_matter(evaluate: Evaluate) -> None:
    """A type on which it is true whatever else is in the event is not read; `has` may turn on what is missing."""
    sieve = saved('event.type != "agent_run.answered" || event.data.response != ""', evaluate).sieve()
    assert sieve is not None
    assert "agent_run.answered" in sieve.judged
    assert "elsewhere.happened" in sieve.judged
    assert "agent_run.reasoned" not in sieve.judged
    asks = saved('event.type != "agent_run.answered" || has(event.data.response)', evaluate).sieve()
    assert asks is not None
    assert "agent_run.reasoned" in asks.judged


class _Stricter(NoFailureLoop):
    """Judges otherwise than the class that said what it looks at."""

    class memory:  # noqa: N801 - as the base names it
        """Breaks at any answer."""

        def step(self, ctx: Context) -> Verdict:
            """Look at the type."""
            return Fails("no answers") if ctx.kind == "agent_run.answered" else HOLDS


def test_a_subclass_that_judges_otherwise_inherits_no_declaration() -> None:
    """What its base looks at says nothing of what it looks at."""
    assert NoFailureLoop().sieve() is not None
    assert _Stricter().sieve() is None


class _Peeking(Invariant):
    """Declares what it looks at, and asks for more."""

    name, title = "peeking", "Peeking"
    looks_at = (run.Answered,)

    def evaluate(self, ctx: Context) -> Verdict:
        """Look at a time that was not read."""
        return Fails("late") if ctx.event.occurred_at.year > 2_000 else HOLDS


def test_a_rule_that_asks_for_what_was_not_read_is_told_so() -> None:
    """As an error of the rule, not a verdict."""
    store = MemoryStore()
    store.append("agent_run-1", [EventData(type="agent_run.answered", data=b"{}")], expected_version=0)
    (found,) = sifted(store, frozen(store, ["agent_run-1"]), Rules(rule=_Peeking(), previous=None))
    assert found.side == "error"
    assert "was not read whole" in found.data.message


def test_a_model_that_is_named_before_the_run_says_that_it_began(evaluate: Evaluate) -> None:
    """The first that names one is believed, wherever it stands."""
    events = [
        run.MessageReceived(role="user", content="x"),
        run.ModelCalled(model="m-2"),
        run.Started(prompt="", agent="planner", model="m-1"),
    ]
    store = MemoryStore()
    made = [EventData(type=catalog.name_of(type(one)), data=codec.encode(one)) for one in events]
    store.append("agent_run-1", made, expected_version=0)
    (found,) = sifted(store, frozen(store, ["agent_run-1"]), Rules(rule=saved("version < 4", evaluate), previous=None))
    assert (found.data.run.model, found.data.run.agent) == ("m-2", "planner")
    differ(store, ["agent_run-1"], saved("version < 4", evaluate))


@pytest.mark.django_db
@pytest.mark.parametrize("reads_requests", [True, False])
def test_requests_to_models_are_not_held(*, reads_requests: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a whole context: of many runs they come to more than there is memory."""
    runs, requests, size = 20, 20, 20_000
    store = get_store("default")
    started = EventData(type=catalog.name_of(run.Started), data=codec.encode(run.Started(prompt="")))
    context = codec.encode(run.ModelCalled(model="m-1", messages=({"role": "user", "content": "x" * size},)))
    called = EventData(type=catalog.name_of(run.ModelCalled), data=context)
    streams = [f"agent_run-{at}" for at in range(runs)]
    for stream in streams:
        store.append(stream, [started, *[msgspec.structs.replace(called) for _ in range(requests)]], expected_version=0)
    rule = next(
        rule for rule in all_invariants() if (sieve := rule.sieve()) and (CALLED in sieve.read) is reads_requests
    )
    monkeypatch.setattr(told, "WINDOW", requests + 1)
    frozen_runs = [FrozenRun(stream, requests + 1, previous="") for stream in streams]
    tracemalloc.start()
    found = list(
        judged(
            store, frozen_runs, rule, before=None, asks_before=lambda _run: False, lookup=lookup_of("default"),
            look=lambda: None,
        )
    )  # fmt: skip
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [each.facts.model for each in found] == ["m-1"] * runs
    assert peak < 5 * requests * size
