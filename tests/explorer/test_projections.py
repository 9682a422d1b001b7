"""The read models are a function of the journal: whatever the batches, the order of runs and the process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.models import EventLine, RunSummary
from explorer.projections import Explorer
from journal.domain import agent_run as run
from journal.domain.aggregate import fold
from journal.domain.catalog import catalog
from journal.domain.event import EventData, RecordedEvent
from journal.domain.stream import ANY_VERSION
from journal.runtime import projection as projections
from journal.store import every_project, get_store
from tests.builders import NOON, event, failed, identity, raw, reasoned, responded, returned, started

pytestmark = pytest.mark.django_db
_projects = count(1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_on_one_database = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def append(project: str, *events: EventData, stream: str = "agent_run-1") -> None:
    """Append to a stream, wherever it is."""
    get_store(project).append(stream, events, expected_version=ANY_VERSION)


def catch_up(explorer: Explorer | None = None, *, batch: int = 500) -> None:
    """Catch the read models up, in a process that has seen nothing yet unless one is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "BATCH", batch)
        projections.catch_up(explorer or Explorer())


def lines(project: str, stream: str = "agent_run-1") -> list[EventLine]:
    """Return a run's lines in order."""
    return list(EventLine.objects.filter(run__project=project, run__stream=stream).order_by("version"))


def summary(project: str, stream: str = "agent_run-1") -> RunSummary:
    """Return a run's summary."""
    found: RunSummary = RunSummary.objects.get(project=project, stream=stream)
    return found


def tables() -> list[list[tuple[Any, ...]]]:
    """Return everything in the three tables but the database's own keys."""
    told = [field.attname for field in RunSummary._meta.concrete_fields if field.attname not in ("id", "generation")]
    shown = [field.attname for field in EventLine._meta.concrete_fields if field.attname not in ("id", "run_id")]
    return [
        list(RunSummary.objects.order_by("project", "stream").values_list(*told)),
        list(
            EventLine.objects.order_by("run__project", "run__stream", "version").values_list(
                "run__project", "run__stream", *shown
            )
        ),
    ]


# --- An oracle: the rows of one run, told from its events in the plainest way


def expected_lines(events: Sequence[RecordedEvent]) -> list[tuple[Any, ...]]:
    """Return (version, kind, pair, folded_into, took_ms) of each event."""
    pairs, folded, took = _pairs(events), {}, {}
    for before, after in pairwise(events):
        if (before.type, after.type) == ("agent_run.model_called", "agent_run.model_responded"):
            folded[before.version] = after.version
            took[after.version] = _between(before, after)
    for result, call in pairs.items():
        took[result] = _between(events[call - 1], events[result - 1])
    both_ways = {**pairs, **{call: result for result, call in pairs.items()}}
    return [
        (
            one.version,
            one.type.rpartition(".")[2] if one.type.startswith("agent_run.") else "unknown",
            both_ways.get(one.version),
            folded.get(one.version),
            one.payload.get("latencyMs", took.get(one.version)),
        )
        for one in events
    ]


def _pairs(events: Iterable[RecordedEvent]) -> dict[int, int]:
    """Return result to call: by id the newest that is open, without one the oldest of the same tool."""
    pairs: dict[int, int] = {}
    waiting: list[tuple[int, str | None, str]] = []
    for one in events:
        said = one.payload
        if one.type == "agent_run.reasoned":
            waiting = [known for known in waiting if known[1] is None or known[1] != said.get("callId")]
            waiting.append((one.version, said.get("callId"), said["toolName"]))
        elif one.type in ("agent_run.tool_returned", "agent_run.tool_failed"):
            call_id = said.get("callId")
            fits = [known for known in waiting if (known[1] == call_id if call_id else known[2] == said["toolName"])]
            if fits:
                pairs[one.version] = fits[0][0]
                waiting.remove(fits[0])
    return pairs


def _between(first: RecordedEvent, second: RecordedEvent) -> float | None:
    if "unknown" in (first.meta.time, second.meta.time) or second.occurred_at < first.occurred_at:
        return None
    return (second.occurred_at - first.occurred_at) / timedelta(milliseconds=1)


def expected_summary(events: Sequence[RecordedEvent]) -> dict[str, Any]:
    """Return what the run list says of a run of agent events."""
    of = {name: [one for one in events if one.type == f"agent_run.{name}"] for name in _NAMES}
    asked = [
        one.payload.get("prompt") if one in of["started"] else one.payload.get("content")
        for one in events
        if one in of["started"] or (one in of["message_received"] and one.payload.get("role", "user") == "user")
    ]
    return {
        "title": next(filter(None, asked), events[0].stream),
        "events": len(events),
        "decisions": len(of["model_responded"]),
        "tool_calls": len(of["reasoned"]),
        "tool_errors": len(of["tool_failed"]),
        "first_error": of["tool_failed"][0].version if of["tool_failed"] else None,
        "input_tokens": _tokens(of["model_responded"], of["answered"]),
        "tools": sorted({one.payload["toolName"] for one in of["reasoned"]}),
        "status": fold(events[0].stream, events).to_json()["status"] or "running",
        "started_us": _microseconds(events[0]),
        "newest_us": max(map(_microseconds, events)),
        "position": events[-1].position,
    }


def _tokens(responses: list[RecordedEvent], answers: list[RecordedEvent]) -> int | None:
    """What the responses add up to, else what the newest answer says of the whole."""
    counted = [one.payload["inputTokens"] for one in responses if "inputTokens" in one.payload]
    told = [one.payload["inputTokens"] for one in answers if "inputTokens" in one.payload]
    return sum(counted) if counted else told[-1] if told else None


def _microseconds(one: RecordedEvent) -> int:
    return (one.occurred_at - _EPOCH) // timedelta(microseconds=1)


_NAMES: Final = [name.partition(".")[2] for name in catalog.names()]
_calls = st.sampled_from(["c1", "c2", None])
_tools = st.sampled_from(["read_file", "edit"])
_tokens_told = st.none() | st.integers(0, 9)
_latency = st.none() | st.just(7.5)
_said = (
    st.builds(
        run.Started, prompt=st.none() | st.just("Fix it"), source=st.just("test"), agent=st.none() | st.just("coder")
    )
    | st.builds(run.MessageReceived, role=st.sampled_from(["user", "system"]), content=st.sampled_from(["", "Please"]))
    | st.builds(run.ModelCalled, model=st.none() | st.just("orion-3"))
    | st.builds(run.ModelResponded, content=st.just("Yes."), input_tokens=_tokens_told, latency_ms=_latency)
    | st.builds(run.Reasoned, tool_name=_tools, call_id=_calls)
    | st.builds(run.ToolReturned, tool_name=_tools, call_id=_calls, latency_ms=_latency)
    | st.builds(run.ToolFailed, tool_name=_tools, call_id=_calls, message=st.just("no"))
    | st.builds(run.Answered, response=st.just("Done."), input_tokens=_tokens_told)
    | st.builds(run.Aborted, reason=st.just("stopped"))
    | st.builds(run.Graded, rule=st.just("outcome"), verdict=st.sampled_from(["success", "failure"]))
)


@st.composite
def appended(draw: st.DrawFn) -> tuple[str, EventData]:
    """One event and the stream it goes to; times may be unknown, and need not rise."""
    at = NOON + timedelta(milliseconds=draw(st.integers(-50, 5_000)))
    if draw(st.integers(0, 9)) == 0:
        return "agent_run-1", raw("source.odd", b'{"k": 1}')
    made = event(draw(_said), at=at, time=draw(st.sampled_from(["recorded", "recorded", "unknown"])))
    return draw(st.sampled_from(["agent_run-1", "agent_run-2"])), made


_stories = st.lists(st.tuples(st.sampled_from(["a", "b"]), appended()), min_size=1, max_size=40)


@_on_one_database
@given(story=_stories, batches=st.lists(st.integers(1, 7), min_size=1, max_size=4), catching_up=st.integers(1, 9))
def test_the_rows_are_what_the_events_say(
    story: list[tuple[str, tuple[str, EventData]]], batches: list[int], catching_up: int
) -> None:
    """Runs of two projects are appended by turns and caught up in batches of any size, by a process or by several."""
    at = next(_projects)
    warm = Explorer()
    for place, (project, (stream, made)) in enumerate(story):
        append(f"{project}{at}", made, stream=stream)
        if place % catching_up == 0:
            catch_up(warm if place % 2 else None, batch=batches[place % len(batches)])
    catch_up(batch=batches[0])
    for project in (f"a{at}", f"b{at}"):
        store = get_store(project)
        for stream in {one.stream for one in store.read_all()}:
            events = list(store.read_stream(stream))
            shown = [(one.version, one.kind, one.pair, one.folded_into, one.took_ms) for one in lines(project, stream)]
            assert shown == expected_lines(events)
            told = expected_summary(events)
            assert {name: getattr(summary(project, stream), name) for name in told} == told


@_on_one_database
@given(story=_stories, batch=st.integers(1, 50))
def test_a_rebuild_gives_the_same_tables(story: list[tuple[str, tuple[str, EventData]]], batch: int) -> None:
    """Filled event by event or all at once, nothing differs but the database's own keys."""
    at = next(_projects)
    for project, (stream, made) in story:
        append(f"{project}{at}", made, stream=stream)
        catch_up(batch=1)
    before = tables()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projections, "BATCH", batch)
        projections.rebuild(Explorer())
    assert tables() == before


def test_a_pair_is_found_in_an_earlier_batch() -> None:
    """A result whose call was caught up long before still joins it, and its duration comes from both."""
    append("p", event(started(), at=NOON), event(reasoned(), at=NOON))
    catch_up()
    append("p", event(returned(), at=NOON + timedelta(seconds=2)))
    catch_up()
    assert [(line.pair, line.took_ms) for line in lines("p")] == [(None, None), (3, None), (2, 2000.0)]


def test_a_model_call_folds_into_the_response_of_a_later_batch() -> None:
    """And the response says how long it took."""
    append("p", event(started(), at=NOON), event(run.ModelCalled(model="orion-3"), at=NOON))
    catch_up()
    append("p", event(responded(), at=NOON + timedelta(milliseconds=1250)))
    catch_up()
    assert [(line.folded_into, line.took_ms) for line in lines("p")] == [(None, None), (3, None), (None, 1250.0)]


def test_a_call_id_that_comes_twice_pairs_each_result_with_the_call_before_it() -> None:
    """Though all four are in one batch."""
    append("p", event(started()), event(reasoned()), event(returned()), event(reasoned()), event(failed()))
    catch_up()
    assert [line.pair for line in lines("p")] == [None, 3, 2, 5, 4]


def test_a_title_that_comes_late_still_becomes_the_title() -> None:
    """Until the user speaks a run goes by its stream."""
    append("p", event(run.Started(agent="coder")))
    catch_up()
    assert summary("p").title == "agent_run-1"
    append("p", event(run.MessageReceived(content="Fix the\n rounding")))
    catch_up()
    assert summary("p").title == "Fix the rounding"


def test_a_time_before_1970_is_kept_to_the_microsecond() -> None:
    """Clocks that were never set are recorded as they were."""
    append("p", event(started(), at=_EPOCH - timedelta(microseconds=1)))
    catch_up()
    assert [line.occurred_us for line in lines("p")] == [-1]


def test_other_categories_are_listed_too() -> None:
    """A stream that is no agent run has lines, a title and a status of its own."""
    append("p", raw("order.placed", b'{"n": 1}'), raw("order.paid"), stream="order-7")
    catch_up()
    told = summary("p", "order-7")
    assert (told.title, told.status, told.category, told.events) == ("order-7", "recorded", "order", 2)
    assert [line.kind for line in lines("p", "order-7")] == ["unknown", "unknown"]


def test_projects_share_nothing() -> None:
    """The same stream and the same event id in two projects are two runs."""
    cause, effect = identity("cause"), identity("effect")
    for project, tokens in (("p", 1), ("q", 2)):
        append(
            project, event(started(), id=cause), event(responded(input_tokens=tokens), id=effect, causation_id=cause)
        )
    catch_up()
    assert [(summary(project).input_tokens, len(lines(project))) for project in ("p", "q")] == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    "data",
    [
        b'{"inputTokens": 1000000000000000000000000000000, "costUsd": 1e308}',
        b'{"inputTokens": -5, "outputTokens": -1, "costUsd": -2.5, "latencyMs": -1e308}',
        b'{"inputTokens": "many"}',
        b'{"content": [[[[1]], {"text": null}, {"content": [{"type": 7}]}, 12345678901234567890123]]}',
    ],
)
def test_numbers_no_column_holds_do_not_stop_the_projection(data: bytes) -> None:
    """An event that was let in is shown, whatever it says; those behind it are too."""
    append("p", raw("agent_run.model_responded", data), raw("agent_run.answered", data), event(reasoned()))
    catch_up()
    assert [line.kind for line in lines("p")][2] == "reasoned"
    told = summary("p")
    assert (told.events, told.input_tokens) == (3, None)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "content", "name"]), inner),
    max_leaves=6,
)
_fields: Final = [
    "prompt",
    "model",
    "context",
    "tools",
    "role",
    "content",
    "messages",
    "inputTokens",
    "costUsd",
    "latencyMs",
    "toolName",
    "argsJson",
    "callId",
    "responseJson",
    "message",
    "keptVersions",
    "key",
    "value",
    "rule",
    "verdict",
    "raw",
    "score",
    "atVersion",
    "parentRun",
    "sourceId",
]


@_on_one_database
@given(
    st.lists(st.tuples(st.sampled_from(catalog.names()), st.dictionaries(st.sampled_from(_fields), _json)), max_size=9)
)
def test_whatever_an_event_holds_it_is_shown(story: list[tuple[str, dict[str, Any]]]) -> None:
    """Data of any shape under any type the catalog knows has a line, and its run a state."""
    project = f"any{next(_projects)}"
    append(project, event(started()), *(raw(kind, _encoded(data)) for kind, data in story))
    catch_up(batch=3)
    assert len(lines(project)) == len(story) + 1
    assert fold("agent_run-1", get_store(project).read_stream("agent_run-1")).to_json()["version"] == len(story) + 1


def _encoded(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()


def test_the_read_models_are_at_the_journals_head() -> None:
    """Catching up ends where the journal does."""
    append("p", event(started()))
    catch_up()
    assert projections.progress(Explorer()).position == every_project().head()
