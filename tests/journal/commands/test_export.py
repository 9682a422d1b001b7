"""What `nagare export` writes comes back: without loss as JSON Lines, with the same counts in other tools' formats."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal.domain import agent_run as run
from journal.domain.aggregate import fold
from journal.domain.catalog import catalog
from journal.domain.event import EventData, RecordedEvent
from journal.domain.stream import ANY_VERSION
from journal.errors import ExportRefused
from journal.exports import EXPORTS
from journal.ingest.files import from_memory
from journal.ingest.importer import Importer, Report
from journal.models import Project
from journal.store import get_store
from journal.store.memory import MemoryStore
from tests.builders import NOON, STREAM, event, failed, identity, raw, reasoned, responded, returned, started

REPOSITORY: Final = Path(__file__).resolve().parents[3]
TRAJECTORIES: Final = (REPOSITORY / "../shared/data/trajectories").resolve()
_SEVERAL: Final = [
    "claude-code", "codex-cli", "gemini-cli", "mini-swe-agent", "pi-agent", "swe-agent-demos", "invariant-explorer",
    "tau2-bench", "litellm-completion-logs", "atif",
]  # fmt: skip


def exported(store: Any, name: str, stream: str = STREAM) -> bytes:
    """Return a stream in a format."""
    return b"".join(EXPORTS[name](store.read_stream(stream)))


def imported(data: bytes, store: Any, name: str = "run.json") -> Report:
    """Import one file."""
    return Importer(store=store).run(from_memory({name: data}))


def kept(store: Any) -> list[tuple[Any, ...]]:
    """Return what must not change on the way: everything but positions, project and the time of recording."""
    return [
        (one.stream, one.version, one.id, one.type, one.schema, one.data, one.metadata, one.occurred_at)
        for one in store.read_all()
    ]


@pytest.mark.parametrize(
    "data",
    [
        b'{"n": 12345678901234567890123, "m": -9007199254740993, "f": 1.0, "e": 1E5, "z": -0}',
        b'{ "odd" : [ 1,\t2 ] ,\n "more":{ } }',
        b'{"line":"a\\nb", "quote":"\\"", "slash":"\\/", "u":"\\u00e9\\ud83d\\ude00", "raw":"\xc3\xa9"}',
        b'{"__proto__": {"x": 1}, "a.b": 1, "": "empty", "data": {"data": 1}}',
        b"{}",
    ],
)
def test_json_lines_come_back_byte_for_byte(data: bytes) -> None:
    """Ids, types, the bytes of data and metadata and the times are those of the other journal."""
    first, second = MemoryStore(), MemoryStore(project="other")
    made = EventData(
        id=identity("odd"), type="test.odd", schema=3, occurred_at=NOON + timedelta(microseconds=1),
        data=data, metadata=b'{ "actor": "x", "n": 12345678901234567890 }',
    )  # fmt: skip
    first.append("order-7", [made, raw("order.paid", data)], expected_version=ANY_VERSION)
    first.append(STREAM, [event(started(), at=NOON)], expected_version=ANY_VERSION)
    both = exported(first, "jsonl", "order-7") + exported(first, "jsonl")
    assert imported(both, second, "run.jsonl").files[0].status == "imported"
    assert sorted(kept(second)) == sorted(kept(first))
    assert imported(both, second, "run.jsonl").files[0].status == "unchanged"


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    texts=st.lists(_texts, min_size=1, max_size=4),
    numbers=st.lists(st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False), max_size=4),
    at=st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9999, 1, 1)),  # noqa: DTZ001 -- made aware below
)
def test_any_event_comes_back(texts: list[str], numbers: list[float], at: datetime) -> None:
    """Whatever was written, by whatever encoder."""
    data = json.dumps({text: [text, *numbers] for text in texts}, ensure_ascii=len(texts) % 2 == 0).encode()
    first, second = MemoryStore(), MemoryStore()
    made = EventData(type="test.any", data=data, metadata=data, occurred_at=at.replace(tzinfo=NOON.tzinfo))
    first.append("any-1", [made], expected_version=ANY_VERSION)
    imported(exported(first, "jsonl", "any-1"), second, "run.jsonl")
    assert kept(second) == kept(first)


def story() -> list[run.AgentRunEvent]:
    """Return a run with what other formats find hard: parallel calls, results without ids, a call nobody answered."""
    return [
        started(prompt="Fix it", agent="coder", model="orion-3"),
        run.MessageReceived(role="system", content="You fix things."),
        run.MessageReceived(role="user", content="Fix it"),
        run.ModelCalled(model="orion-3"),
        responded("I will look.", input_tokens=0, output_tokens=12, cost_usd=0.5),
        reasoned(call_id="c1", path="a.py"),
        reasoned(call_id="c2", path="b.py"),
        returned({"lines": 3}, call_id="c2"),
        failed("no such file", call_id="c1"),
        responded("", input_tokens=200, output_tokens=7, cost_usd=0.25),
        run.Reasoned(tool_name="bash", args_json='{"command": "ls"}'),
        run.ToolReturned(tool_name="bash", response_json='"a.py"'),
        responded("", input_tokens=9, output_tokens=9),
        reasoned("edit", call_id="c4", path="b.py"),
        responded("Done.", input_tokens=300, output_tokens=3, cost_usd=None),
        run.Answered(response="Done."),
    ]


def facts(events: list[RecordedEvent]) -> dict[str, Any]:
    """Return what a run came to: its totals but for the time it took, its calls and its errors."""
    totals = fold(events[0].stream, events).to_json()["totals"]
    decoded = [catalog.decode(one) for one in events]
    return {
        **{name: value for name, value in totals.items() if name != "duration_ms"},
        "calls": [(one.tool_name, one.args_json) for one in decoded if isinstance(one, run.Reasoned)],
        "errors": [(one.tool_name, one.message) for one in decoded if isinstance(one, run.ToolFailed)],
    }


@pytest.mark.parametrize("seconds", [0, 1])
@pytest.mark.parametrize("name", ["otlp", "atif"])
def test_other_formats_bring_the_same_decisions_calls_errors_and_tokens(name: str, seconds: int) -> None:
    """Also where the source had one time for everything."""
    first, second = MemoryStore(), MemoryStore()
    events = [
        event(data, at=NOON + timedelta(seconds=at * seconds), time="recorded" if seconds else "unknown")
        for at, data in enumerate(story())
    ]
    first.append(STREAM, events, expected_version=ANY_VERSION)
    report = imported(exported(first, name), second)
    assert [(file.format, file.status, len(file.runs)) for file in report.files] == [(name, "imported", 1)]
    assert report.totals["tool_errors"] == 1
    before, after = facts(list(first.read_all())), facts(list(second.read_all()))
    if name == "atif":  # which keeps arguments as an object, and their order with it
        before["calls"] = [(tool, args.replace(": ", ":")) for tool, args in before["calls"]]
    assert after == before


@pytest.mark.parametrize("name", ["atif", "otlp"])
def test_a_stream_that_is_no_run_is_refused_at_once(name: str) -> None:
    """Rather than made into a document with nothing in it; the journal's own lines hold every stream."""
    store = MemoryStore()
    store.append("order-1", [raw(type="order.placed")], expected_version=ANY_VERSION)
    with pytest.raises(ExportRefused, match=f"'order-1' is no agent run, and {name} holds nothing else.*jsonl"):
        EXPORTS[name](store.read_stream("order-1"))
    assert exported(store, "jsonl", "order-1").count(b"\n") == 1


def test_exporting_twice_gives_the_same_bytes() -> None:
    """Span ids are derived, not drawn."""
    store = MemoryStore()
    store.append(STREAM, [event(data, at=NOON) for data in story()], expected_version=ANY_VERSION)
    for name in EXPORTS:
        assert exported(store, name) == exported(store, name)


def test_a_message_that_comes_while_calls_run_belongs_to_the_next_request() -> None:
    """The model had not seen it when it decided on them."""
    store = MemoryStore()
    said = [started(), responded(), reasoned(), run.MessageReceived(content="Hurry"), returned(), responded("Yes.")]
    store.append(STREAM, [event(data, at=NOON) for data in said], expected_version=ANY_VERSION)
    again = MemoryStore()
    imported(exported(store, "otlp"), again)
    order = [one.type.partition(".")[2] for one in again.read_all() if one.type.startswith("agent_run.")]
    assert order.index("message_received") > order.index("reasoned")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["otlp", "atif"])
@pytest.mark.parametrize("source", _SEVERAL)
def test_real_runs_bring_the_same_counts(source: str, name: str) -> None:
    """The smallest files of each source, there and back; a result whose call nobody recorded is left aside."""
    if not TRAJECTORIES.is_dir():
        pytest.skip("the trajectories are not here")
    found = [file for file in (TRAJECTORIES / source).rglob("*") if file.suffix in (".json", ".jsonl", ".traj")]
    files = sorted(found, key=lambda file: file.stat().st_size)[:12]
    first = MemoryStore()
    for file in files:
        imported(file.read_bytes(), first, file.name)
    streams = {one.stream for one in first.read_all()}
    assert streams
    for stream in streams:
        events = list(first.read_stream(stream))
        if not _is_told_whole(events):
            continue
        second = MemoryStore()
        imported(exported(first, name, stream), second)
        before, after = facts(events), facts(list(second.read_all()))
        assert [tool for tool, _ in after["calls"]] == [tool for tool, _ in before["calls"]]
        assert len(after["errors"]) == len(before["errors"])
        assert (after["decisions"], after["tool_calls"]) == (before["decisions"], before["tool_calls"])
        assert (after["input_tokens"] or 0, after["output_tokens"] or 0) == (
            before["input_tokens"] or 0, before["output_tokens"] or 0,
        )  # fmt: skip


def _is_told_whole(events: list[RecordedEvent]) -> bool:
    state = fold(events[0].stream, ())
    for one in events:
        state.apply(one)
        if one.type in ("agent_run.tool_returned", "agent_run.tool_failed") and state.answered_call is None:  # type: ignore[attr-defined]
            return False
    return True


@pytest.mark.django_db
def test_the_command_writes_the_file_and_nothing_else() -> None:
    """A stream that is not there is refused, a format that is not there is wrong usage."""
    Project.objects.create(slug="default", name="Default")
    get_store("default").append(STREAM, [event(started(), at=NOON)], expected_version=ANY_VERSION)
    out = io.StringIO()
    call_command("export", STREAM, stdout=out)
    assert out.getvalue().encode() == exported(get_store("default"), "jsonl")
    with pytest.raises(CommandError, match="no stream 'agent_run-none'"):
        call_command("export", "agent_run-none")
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("export", STREAM, "--format", "xml")
