"""Databases that LangGraph's own SQLite saver wrote become runs."""

from __future__ import annotations

import operator
import sqlite3
import tracemalloc
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    ContextCompacted,
    HandedOff,
    MemoryWritten,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.errors import ImportRefused
from journal.ingest import langgraph_saved
from journal.ingest.draft import Link, Opaque, Outcome, Ref, RunDraft
from journal.ingest.files import find
from journal.ingest.importer import Importer
from journal.ingest.langgraph import companion, detect, read
from journal.ingest.langgraph_saved import Saved, Write
from journal.ingest.langgraph_thread import _filled
from journal.ingest.source import Source
from journal.store.memory import MemoryStore
from tests.graphs import ADDING, agent, asked, call, said, sqlite_saver, team, thread
from tests.journal.ingest.reading import JUNK, a_file, draft_of, is_extended, kinds, of

from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage  # isort: skip - behind the check in graphs
from langgraph.channels.delta import DeltaChannel  # isort: skip
from langgraph.func import entrypoint, task  # isort: skip
from langgraph.graph import START, StateGraph, add_messages  # isort: skip
from langgraph.types import Command, Send  # isort: skip


def reduced(held: list[Any], writes: Any) -> Any:
    """Add the messages of all writes."""
    return add_messages(held, [message for write in writes for message in write])


class Delta(TypedDict):
    """A state whose checkpoints hold what was added."""

    messages: Annotated[list[Any], DeltaChannel(reduced)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "checkpoints.sqlite"


def runs(path: Path) -> list[RunDraft]:
    """Return the runs in a database, as an import reads it."""
    (found,) = find([str(path)])
    source = found.source()
    assert detect(source)
    return list(read(source))


def told(run: RunDraft) -> list[str]:
    """Return the types of a run's events but those of its checkpoints."""
    return [type(draft.event).__name__ for draft in run if not draft.key.startswith("checkpoint.")]


def test_a_thread_is_a_run(path: Path) -> None:
    """Its messages are decisions, calls, results and the answer; what else is in the state is memory."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        (run,) = runs(path)
    assert told(run) == [
        "Started", "MessageReceived", "ModelCalled", "ModelResponded", "Reasoned", "Reasoned", "MemoryWritten",
        "ToolReturned", "ToolFailed", "ModelResponded", "Answered",
    ]  # fmt: skip
    (started,), (first, second) = of(run, Started), of(run, ModelResponded)
    assert (started.prompt, started.context["threadId"]) == ("1 + 2?", "t-1")
    assert [(one.tool_name, one.args_json, one.call_id) for one in of(run, Reasoned)] == [
        ("add", '{"a":1,"b":2}', "c1"), ("divide", '{"a":1,"b":0}', "c2"),
    ]  # fmt: skip
    assert (first.input_tokens, first.output_tokens, first.finish_reason) == (9, 2, "stop")
    assert of(run, ToolReturned)[0].response_json == '"3"'
    assert of(run, ToolFailed)[0].message.startswith("Error: ZeroDivisionError")
    assert of(run, MemoryWritten)[0] == MemoryWritten(key="plan", value="adding")
    assert (second.content, of(run, Answered)[0].response) == ("It is 3.", "It is 3.")
    assert run.outcome == Outcome(status="unknown")
    assert run.source_id == f"t-1#{started.context['checkpointId']}"


def test_a_decision_is_caused_by_the_checkpoint_it_was_made_from(path: Path) -> None:
    """The saver records it; and a checkpoint is caused by what came into the state with it."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        (run,) = runs(path)
    drafts = list(run)
    last = next(draft for draft in reversed(drafts) if isinstance(draft.event, ModelResponded))
    (cause,) = last.causes
    around = draft_of(run, cause.key)
    results = [draft.key for draft in drafts if isinstance(draft.event, (ToolReturned, ToolFailed))]
    assert isinstance(around.event, Opaque)
    assert [link.key for link in around.causes] == results
    assert around.event.data["next"] == ["model"]
    assert all(draft.at is not None for draft in drafts)


def test_a_thread_that_goes_on_is_the_same_run_extended(path: Path) -> None:
    """Another turn adds to it; nothing that was told changes."""
    store = MemoryStore()
    with sqlite_saver(path) as saver:
        talker = agent(saver, *ADDING, said("Bye."))
        talker.invoke(asked("1 + 2?"), thread("t-1"))
        (before,) = runs(path)
        first = Importer(store=store).run(find([str(path)])).files[0]
        talker.invoke(asked("Thanks"), thread("t-1"))
        (after,) = runs(path)
        second = Importer(store=store).run(find([str(path)])).files[0]
        third = Importer(store=store).run(find([str(path)])).files[0]
    assert is_extended(before, after)
    assert [one.response for one in of(after, Answered)] == ["It is 3.", "Bye."]
    assert (first.status, second.status, third.status) == ("imported", "extended", "unchanged")
    assert not [event for event in store.read_all() if event.type == "agent_run.annotated"]


def test_time_travel_is_a_run_of_its_own(path: Path) -> None:
    """It knows the checkpoint it left from, and has the history in its context, where it decided none of it."""
    with sqlite_saver(path) as saver:
        traveller = agent(saver, *ADDING, said("It is 4."))
        traveller.invoke(asked("1 + 2?"), thread("t-1"))
        (before,) = runs(path)
        (then,) = [one for one in traveller.get_state_history(thread("t-1")) if one.metadata["step"] == 3]
        assert then.next == ("model",)
        traveller.invoke(None, then.config)
        first, fork = runs(path)
    assert [(draft.key, draft.event) for draft in first] == [(draft.key, draft.event) for draft in before]
    assert fork.parent == (first.source_id, f"checkpoint.{then.config['configurable']['checkpoint_id']}")
    assert told(fork) == [
        "Started", *["MessageReceived"] * 4, "MemoryWritten", "ModelCalled", "ModelResponded", "Answered",
    ]  # fmt: skip
    heard = [draft for draft in fork if isinstance(draft.event, MessageReceived)]
    assert all(draft.causes == (Link(draft.key, "quoted", "recorded", first.source_id),) for draft in heard)
    assert [one.content for one in of(fork, ModelResponded)] == ["It is 4."]
    assert fork.correlation == first.correlation == first.source_id


def test_an_edit_of_an_older_state_is_a_fork_too(path: Path) -> None:
    """And what a person put in was not decided by the model, whoever it is made to look like."""
    with sqlite_saver(path) as saver:
        edited = agent(saver, *ADDING)
        edited.invoke(asked("1 + 2?"), thread("t-1"))
        then = next(one for one in edited.get_state_history(thread("t-1")) if one.next == ("ask",))
        edited.update_state(then.config, {"messages": [AIMessage("It is 7.")]}, as_node="model")
        _, fork = runs(path)
    assert [(one.role, one.content) for one in of(fork, MessageReceived)] == [
        ("user", "1 + 2?"), ("assistant", "It is 7."),
    ]  # fmt: skip
    assert (of(fork, ModelResponded), of(fork, Answered)) == ([], [])


def test_an_interrupt_hands_over_to_a_person_who_answers(path: Path) -> None:
    """The same events whether the thread is read while it waits or when it is done."""
    with sqlite_saver(path) as saver:
        asking = agent(saver, said("Good."), ask="Go on?")
        asking.invoke(asked("Hi"), thread("t-1"))
        (waiting,) = runs(path)
        asking.invoke(Command(resume="yes"), thread("t-1"))
        (done,) = runs(path)
    assert of(waiting, HandedOff) == [HandedOff(to_agent="human", instruction="Go on?")]
    assert waiting.outcome == Outcome(status="running")
    assert is_extended(waiting, done)
    (answer,) = [draft for draft in done if draft.key.startswith("resume.")]
    assert answer.event == MessageReceived(role="user", content="yes")
    (question,) = [draft for draft in done if isinstance(draft.event, HandedOff)]
    assert answer.causes == (Link(question.key, "answers"),)


def test_a_subgraph_is_a_run_that_was_handed_to(path: Path) -> None:
    """What its model decided is its own; the graph around it hears it, and answers with it."""
    with sqlite_saver(path) as saver:
        team(saver, said("An expert's word.")).invoke(asked("Well?"), thread("t-1"))
        outer, inner = runs(path)
    (handed,) = of(outer, HandedOff)
    assert (handed.to_agent, handed.child_run) == ("expert", inner.source_id)
    assert inner.parent == (outer.source_id, next(d.key for d in outer if isinstance(d.event, HandedOff)))
    assert [one.content for one in of(inner, ModelResponded)] == ["An expert's word."]
    assert of(inner, Started)[0].agent == "expert"
    assert of(outer, ModelResponded) == []
    (heard,) = [d for d in outer if isinstance(d.event, MessageReceived) and d.event.role == "assistant"]
    assert heard.causes == (Link(heard.key, "quoted", "recorded", inner.source_id),)
    assert of(outer, Answered)[0].response == "An expert's word."


def test_a_node_that_raises_ends_the_run_until_it_is_tried_again(path: Path) -> None:
    """The reason is the saver's; what other nodes did beside it is kept whole."""
    fails = [True]

    def broken(_: Any) -> Any:
        if fails:
            raise RuntimeError("no way")
        return {"out": [2]}

    class Two(TypedDict):
        out: Annotated[list[int], operator.add]

    built: Any = StateGraph(Two)
    built.add_node("fine", lambda _: {"out": [1]})
    built.add_node("broken", broken)
    built.add_edge(START, "fine")
    built.add_edge(START, "broken")
    with sqlite_saver(path) as saver:
        graph = built.compile(checkpointer=saver)
        with pytest.raises(RuntimeError):
            graph.invoke({"out": []}, thread("t-1"))
        (before,) = runs(path)
        fails.clear()
        graph.invoke(None, thread("t-1"))
        (after,) = runs(path)
    assert of(before, Aborted) == [Aborted(reason="RuntimeError('no way')")]
    assert before.outcome == Outcome(status="error", raw="RuntimeError('no way')")
    (kept,) = [one for one in of(before, Opaque) if one.name == "langgraph.task_wrote"]
    assert (kept.data["channel"], kept.data["value"]) == ("out", [1])
    assert sorted(of(after, Answered)[0].response["out"]) == [1, 2]
    assert after.outcome == Outcome(status="unknown")


def test_a_call_that_a_person_changed_was_made_with_other_arguments(path: Path) -> None:
    """The decision stays as it was; the result says what the tool was called with, and the context what it shows."""
    with sqlite_saver(path) as saver:
        watched = agent(saver, *ADDING, interrupt_before=["tools"])
        state = watched.invoke(asked("1 + 2?"), thread("t-1"))
        last = state["messages"][-1]
        changed = AIMessage(content=last.content, id=last.id, tool_calls=[call("add", "c1", a=10, b=20)])
        watched.update_state(thread("t-1"), {"messages": [changed]})
        watched.invoke(None, thread("t-1"))
        (run,) = runs(path)
    assert of(run, Reasoned)[0].args_json == '{"a":1,"b":2}'
    (result,) = of(run, ToolReturned)
    assert (result.response_json, result.args_json) == ('"30"', '{"a":10,"b":20}')
    assert of(run, ContextCompacted) == [ContextCompacted(dropped_versions=(Ref(f"message.{last.id}"),))]  # type: ignore[arg-type]


def test_messages_that_are_removed_leave_the_context(path: Path) -> None:
    """As a trimming graph does."""
    with sqlite_saver(path) as saver:
        trimmed = agent(saver, said("Yes."))
        state = trimmed.invoke(asked("Hi"), thread("t-1"))
        trimmed.update_state(thread("t-1"), {"messages": [RemoveMessage(id=state["messages"][0].id)]})
        (run,) = runs(path)
    dropped = (Ref(f"message.{state['messages'][0].id}"),)
    assert of(run, ContextCompacted) == [ContextCompacted(dropped_versions=dropped)]  # type: ignore[arg-type]


def test_graphs_without_messages_have_memory_and_an_answer(path: Path) -> None:
    """Parallel sends, and the functional interface with its tasks."""

    class Items(TypedDict):
        items: list[int]
        out: Annotated[list[int], operator.add]

    built: Any = StateGraph(Items)
    built.add_node("one", lambda held: {"out": [held["x"] * 2]})
    built.add_conditional_edges(START, lambda held: [Send("one", {"x": item}) for item in held["items"]])
    with sqlite_saver(path) as saver:

        @task
        def double(number: int) -> int:
            return number * 2

        @entrypoint(checkpointer=saver)
        def flow(number: int) -> int:
            return double(number).result() + 1

        built.compile(checkpointer=saver).invoke({"items": [1, 2]}, thread("sends"))
        flow.invoke(4, thread("flow"))
        functional, sends = runs(path)
    assert [(one.key, one.value) for one in of(sends, MemoryWritten)] == [("items", [1, 2]), ("out", [2, 4])]
    assert of(sends, Answered)[0].response == {"items": [1, 2], "out": [2, 4]}
    assert of(functional, Answered)[0].response == 9
    assert (of(functional, Started)[0].prompt, of(sends, Started)[0].prompt) == ("4", '{"items":[1,2]}')
    assert [one.data["value"] for one in of(functional, Opaque) if one.name == "langgraph.task_wrote"] == [8]


def test_a_delta_channel_is_put_together_from_its_writes(path: Path) -> None:
    """Its checkpoints leave the value out."""
    built = StateGraph(Delta)
    built.add_node("first", lambda _: {"messages": [said("One.")]})
    built.add_node("second", lambda _: {"messages": [said("Two.")]})
    built.add_edge(START, "first")
    built.add_edge("first", "second")
    with sqlite_saver(path) as saver:
        built.compile(checkpointer=saver).invoke({"messages": [HumanMessage("Count")]}, thread("t-1"))
        (run,) = runs(path)
    assert [one.content for one in of(run, ModelResponded)] == ["One.", "Two."]
    assert [one.content for one in of(run, MessageReceived)] == ["Count"]


class Looked(dict[str, Any]):
    """A message that counts how often it is looked at."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        """Count."""
        Looked.looks += 1
        return super().get(key, default)


def test_putting_a_delta_channel_together_looks_at_each_message_a_few_times() -> None:
    """However many there are; one that comes again takes the place of the one before it, or removes it."""
    count = 300
    held = [Looked(id=str(number), type="ai") for number in range(count)]
    news = [Looked(id=str(number), type="ai", content="new") for number in range(1, 2 * count)]
    news += [Looked(id="2", type="remove"), Looked(type="ai"), Looked(type="ai"), Looked(id=["odd"])]
    write = Write(task="t", path="", channel="m", value=news)
    more = [Write(task="t", path="", channel="m", value=[]), Write(task="t", path="", channel="m", value="text")]
    one = Saved(
        thread="t", namespace="", id="1", parent=None, values={"m": held}, versions={}, updated=(), metadata={},
        at=None, writes=(write, *more),
    )  # fmt: skip
    two = replace(one, id="2", parent="1", values={}, writes=(), metadata={"counters_since_delta_snapshot": {"m": [1]}})
    Looked.looks = 0
    value = _filled([one, two])[1].values["m"]
    assert Looked.looks < 5 * (len(held) + len(news))
    assert value == [held[0], news[0], *news[2 : 2 * count - 1], *news[-3:], "text"]


def test_a_history_that_begins_in_the_middle_is_told_from_there(path: Path) -> None:
    """A pruned thread, or one imported by hand, has no first checkpoint."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        saver.conn.execute("DELETE FROM checkpoints WHERE checkpoint_id < (SELECT max(checkpoint_id) FROM checkpoints)")
        saver.conn.commit()
        (run,) = runs(path)
    assert told(run)[0] == "Started"
    assert told(run)[-1] == "Answered"
    assert len(of(run, ModelResponded)) == 2
    assert of(run, Started)[0].prompt == "1 + 2?"


def test_a_checkpoint_that_cannot_be_read_costs_only_itself(path: Path) -> None:
    """It is named; the others are there."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        saver.conn.execute("UPDATE checkpoints SET checkpoint = x'c1' WHERE parent_checkpoint_id IS NULL")
        saver.conn.execute("UPDATE writes SET value = x'dd' WHERE channel = 'plan'")
        saver.conn.commit()
    (found,) = find([str(path)])
    source = found.source()
    (run,) = read(source)
    assert len(source.problems) == 3
    assert len(of(run, ModelResponded)) == 2


def test_the_tables_of_older_savers_are_read(path: Path) -> None:
    """Writes without a task's path, metadata in the serializer's own writing."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        saver.conn.execute("ALTER TABLE writes DROP COLUMN task_path")
        saver.conn.execute("UPDATE checkpoints SET metadata = ?", (saver.serde.dumps_typed({"source": "loop"})[1],))
        saver.conn.commit()
        (run,) = runs(path)
    assert len(of(run, Reasoned)) == 2


@pytest.mark.parametrize("data", JUNK)
def test_other_files_are_none(data: bytes) -> None:
    """Whatever they hold."""
    assert not detect(a_file(data))
    assert not detect(a_file(b"SQLite format 3\x00" + data))


def test_other_databases_are_none(path: Path) -> None:
    """One alone is refused, one among runs is left out; views that pose as the tables are no tables."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (body TEXT)")
        other.execute("CREATE TABLE writes (thread_id TEXT)")
        other.execute("CREATE VIEW checkpoints AS SELECT 1 AS thread_id")
        other.commit()
    data = path.read_bytes()
    assert not detect(a_file(data))
    assert companion(a_file(data)) is None
    assert companion(a_file(data, name="a.db", beside={"a.db": data})) is not None
    assert Importer(store=MemoryStore()).run(find([str(path)])).files[0].status == "refused"
    assert Importer(store=MemoryStore()).run(find([str(path.parent)])).files[0].status == "unchanged"


CHECKPOINTS = (
    "CREATE TABLE checkpoints (thread_id TEXT, checkpoint_ns TEXT, checkpoint_id TEXT{key}, parent_checkpoint_id TEXT,"
    " type TEXT, checkpoint BLOB, metadata BLOB){rest}"
)
WRITES = (
    "CREATE TABLE writes (thread_id TEXT, checkpoint_ns TEXT, checkpoint_id TEXT, task_id TEXT, task_path TEXT,"
    " idx INT, channel TEXT, type TEXT{more})"
)


def made(path: Path, *, checkpoints: dict[str, str], more: str, rows: int, then: str = "") -> bytes:
    """Return a database that only looks like a saver's, with so many writes of no value at one checkpoint."""
    with closing(sqlite3.connect(path)) as other:
        other.execute(CHECKPOINTS.format(**checkpoints))
        other.execute(WRITES.format(more=more))
        other.execute("INSERT INTO checkpoints VALUES ('t', '', '1', NULL, 'json', '{}', '{}')")
        other.executemany(
            "INSERT INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type)"
            " VALUES ('t', '', '1', 'k', '', ?, 'a', 'bytes')",
            [(number,) for number in range(rows)],
        )
        if then:
            other.execute(then)
        other.commit()
    return path.read_bytes()


PLAIN = {"key": "", "rest": ""}


@pytest.mark.parametrize(
    ("checkpoints", "more"),
    [
        (PLAIN, ", value BLOB AS (zeroblob(200000000)) VIRTUAL"),
        (PLAIN, ""),
        ({"key": " PRIMARY KEY", "rest": " WITHOUT ROWID"}, ", value BLOB"),
    ],
    ids=["a value that is computed", "no value", "no row ids"],
)
def test_tables_as_no_saver_makes_them_are_none(path: Path, checkpoints: dict[str, str], more: str) -> None:
    """A small file could compute values without end."""
    data = made(path, checkpoints=checkpoints, more=more, rows=3)
    assert not detect(a_file(data))
    with pytest.raises(ImportRefused, match="no tables"):
        list(read(a_file(data)))


def test_values_that_come_to_more_than_the_file_are_refused(path: Path) -> None:
    """A default of a column that was added later stands in the file once, and comes out of every row."""
    default = f"ALTER TABLE writes ADD COLUMN value BLOB DEFAULT x'{'00' * 100_000}'"
    data = made(path, checkpoints=PLAIN, more="", rows=500, then=default)
    assert detect(a_file(data))
    tracemalloc.start()
    with pytest.raises(ImportRefused, match="more than the file holds"):
        list(read(a_file(data)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * len(data)


def test_a_query_that_takes_more_than_the_file_calls_for_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged pages may lead to each other in a ring."""
    data = made(path, checkpoints=PLAIN, more=", value BLOB", rows=500)
    assert len(list(read(a_file(data)))) == 1
    for name, value in (("_LEAST_STEPS", 0), ("_STEPS_A_BYTE", 0), ("_STEPS_AT_ONCE", 100)):
        monkeypatch.setattr(langgraph_saved, name, value)
    with pytest.raises(ImportRefused, match="interrupted"):
        list(read(a_file(data)))


def test_a_damaged_page_refuses_the_file_and_no_others(path: Path, tmp_path: Path) -> None:
    """It says what SQLite says."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = saver.conn.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'writes'")
        ((size,),) = saver.conn.execute("PRAGMA page_size")
    data = bytearray(path.read_bytes())
    data[(root - 1) * size : root * size] = b"\xff" * size
    (tmp_path / "broken.sqlite").write_bytes(bytes(data))
    report = Importer(store=MemoryStore()).run(find([str(tmp_path / "broken.sqlite"), str(path)]))
    assert [file.status for file in report.files] == ["refused", "imported"]
    assert "malformed" in (report.files[0].reason or "")


def test_what_a_live_writer_has_only_in_its_log_is_read(path: Path) -> None:
    """The saver's databases keep a write-ahead log, and nothing else holds the newest checkpoints."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        assert path.with_name(f"{path.name}-wal").stat().st_size > 0
        assert not detect(Source(name="copy.sqlite", data=path.read_bytes()))
        assert len(runs(path)) == 1


def test_kinds_of_a_run_by_the_whole_import(path: Path) -> None:
    """The report counts what the events say; cost is nothing the saver records."""
    with sqlite_saver(path) as saver:
        agent(saver, *ADDING).invoke(asked("1 + 2?"), thread("t-1"))
        report = Importer(store=MemoryStore()).run(find([str(path)]))
        (run,) = runs(path)
    (one,) = report.files[0].runs
    assert (one.decisions, one.tool_calls, one.tool_errors, one.input_tokens, one.cost_usd) == (2, 2, 1, 18, None)
    assert one.events == len(kinds(run))
