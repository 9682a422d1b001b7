"""The pages on recording say what works: their code runs as it stands, and the run it makes is the one they tell of."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from journal import recorder
from journal.domain.codec import line
from journal.domain.event import RecordedEvent
from journal.recorder import connection
from journal.recorder.pytest_plugin import nagare_replay
from journal.store import get_store
from tests.journal.recorder import model_server as provider
from tests.journal.recorder.journal_server import TOKEN, JournalServer, journal_server
from tests.journal.recorder.looking import kinds
from tests.journal.recorder.model_server import ModelServer, model_server

__all__ = ["nagare_replay"]

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"


@pytest.fixture
def models() -> Iterator[ModelServer]:
    """A model that says where, and adds."""
    with model_server() as server:
        yield server


@pytest.fixture
def journal(models: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JournalServer]:
    """What the pages take for granted: a server and a model, by their variables; a folder with a note in it."""
    with journal_server() as server:
        for name, value in {
            "NAGARE_URL": server.url,
            "NAGARE_TOKEN": TOKEN,
            "NAGARE_SPOOL_DIR": str(tmp_path / "spool"),
            "OPENAI_BASE_URL": f"{models.url}/v1",
            "OPENAI_API_KEY": "sk-test-0123456789",
            "ANTHROPIC_API_KEY": "sk-ant-0123456789",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(connection, "_default", None)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "notes.txt").write_text("Buy tea.")
        yield server
        for known in tuple(connection._connections):
            known.close(5)


def blocks(page: str) -> list[str]:
    """Return a page's Python."""
    return re.findall(r"^```python\n(.*?)^```", (HOW_TO / page).read_text(), re.DOTALL | re.MULTILINE)


def run_blocks(page: str, *, count: int | None = None) -> dict[str, Any]:
    """Run a page's Python, one block behind the other, and return what it defined."""
    module = type(sys)("page")
    for code in blocks(page)[:count]:
        exec(compile(code, page, "exec"), vars(module))
    return vars(module)


def recorded(journal: JournalServer) -> list[RecordedEvent]:
    """Return what has been recorded, once all of it is there."""
    assert recorder.flush(10)
    return journal.events()


def test_record_your_agent(journal: JournalServer) -> None:
    """The run has its decision, its tool and its answer."""
    run_blocks("record-your-agent.md")
    events = recorded(journal)
    assert kinds(events) == [
        "started", "message_received", "model_called", "model_responded", "reasoned", "tool_returned", "answered",
    ]  # fmt: skip
    assert events[-1].payload["response"] == "It says: Buy tea."


@pytest.mark.django_db
def test_record_in_process() -> None:
    """The configured store has it."""
    run_blocks("record-in-process.md")
    events = list(get_store("default").read_all())
    assert kinds(events) == ["started", "reasoned", "tool_returned", "answered"]


def test_record_model_traffic(journal: JournalServer, models: ModelServer) -> None:
    """The client is recorded."""
    models.replies = [provider.whole(provider.chat("Paris."))]
    try:
        run_blocks("record-model-traffic.md")
    finally:
        recorder.uninstrument()
    assert kinds(recorded(journal)) == ["started", "message_received", "model_called", "model_responded", "answered"]


def test_record_langgraph(journal: JournalServer) -> None:
    """The graph is recorded."""
    run_blocks("record-langgraph.md")
    events = recorded(journal)
    assert (events[0].payload["agent"], events[-1].payload["response"]) == ("adder", "It is 3.")
    assert "tool_returned" in kinds(events)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK's own client is closed by nobody
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_record_openai_agents(journal: JournalServer, models: ModelServer) -> None:
    """The trace is recorded."""
    from agents import set_trace_processors  # noqa: PLC0415 - takes a while

    call = provider.response(provider.function_call("c1", "add", '{"a":1,"b":2}'))
    models.replies = [provider.whole(call), provider.whole(provider.response(provider.output_text("3")))]
    try:
        run_blocks("record-openai-agents.md")
    finally:
        set_trace_processors([])
    events = recorded(journal)
    assert (events[0].payload["agent"], events[-1].payload["response"]) == ("adder", "3")
    assert "tool_returned" in kinds(events)


def test_replay_as_a_test(journal: JournalServer, models: ModelServer, nagare_replay: Any, tmp_path: Path) -> None:
    """Green for the same code; for a changed word the message is the one shown."""
    page = run_blocks("replay-as-a-test.md")
    models.replies = [provider.whole(provider.chat("Paris."))]
    page["guide"]("What is the capital?")
    events = recorded(journal)
    (tmp_path / "capital.jsonl").write_bytes(b"".join(line(event) + b"\n" for event in events))
    page["test_the_guide_still_does_what_it_did"](lambda _: nagare_replay(tmp_path / "capital.jsonl"))
    exec(blocks("replay-as-a-test.md")[0].replace(" people.", " inhabitants."), page)
    with pytest.raises(recorder.Diverged) as caught, nagare_replay(tmp_path / "capital.jsonl"):
        page["guide"]("What is the capital?")
    shown = str(caught.value).replace(events[0].stream, "agent_run-0192f0c1")
    assert f"```text\n{shown}\n```" in (HOW_TO / "replay-as-a-test.md").read_text()
    assert len(models.requests) == 1


def test_the_variables_are_those_that_are_read() -> None:
    """Each one that the recorder's code names has its place."""
    page = (HOW_TO.parent / "reference" / "recorder.md").read_text()
    code = Path(connection.__file__).read_text()
    assert set(re.findall(r'"(NAGARE_[A-Z_]+)"', code)) == set(re.findall(r"`(NAGARE_[A-Z_]+)`", page))
