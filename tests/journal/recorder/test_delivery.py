"""From the agent to the server: nothing that was recorded is lost, doubled or out of order, whatever happens."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from journal import recorder
from journal.domain import agent_run as run
from journal.domain.event import RecordedEvent
from journal.recorder import outlets
from journal.recorder.__main__ import main
from journal.recorder.connection import Connection, connect
from journal.recorder.sizes import MOST_BYTES
from tests.builders import event
from tests.journal.recorder.journal_server import TOKEN, JournalServer, journal_server

ROOT = Path(__file__).resolve().parents[3]


def memories(events: list[RecordedEvent]) -> list[str]:
    """Return the keys of what was remembered, in the journal's order."""
    return [found.payload["key"] for found in events if found.type == "agent_run.memory_written"]


def numbers(count: int) -> list[str]:
    """Return the keys that `remember_all` uses."""
    return [f"k{number}" for number in range(count)]


def remember_all(one: recorder.Run, count: int, *, start: int = 0) -> None:
    """Record that many events."""
    for number in range(start, start + count):
        one.remember(f"k{number}", number)


def test_a_run_arrives_whole_and_in_order(server: JournalServer, connected: Connection) -> None:
    """Versions count from 1, and the spool is empty afterwards."""
    with recorder.run(prompt="Go", agent="coder") as one:
        remember_all(one, 250)
        one.answer("done")
    assert connected.flush(10)
    assert memories(server.events()) == numbers(250)
    assert [found.version for found in server.events()] == list(range(1, 253))
    assert {found.meta.correlation_id for found in server.events()} == {one.stream}
    connected.close()
    assert list(connected.folder.iterdir()) == []


def test_an_outage_loses_nothing(server: JournalServer, connected: Connection) -> None:
    """What was recorded while the server was away comes when it is back, once."""
    server.is_down = True
    with recorder.run(prompt="Go") as one:
        remember_all(one, 20)
        assert not connected.flush(0.1)
        server.is_down = False
        assert connected.flush(10)
        remember_all(one, 5, start=20)
    assert connected.flush(10)
    assert memories(server.events()) == numbers(25)


def test_an_answer_that_got_lost_does_not_double_events(server: JournalServer, connected: Connection) -> None:
    """The append had happened; sent again it is the same append."""
    server.failures = ["lose", 502, "lose", 429]
    with recorder.run(prompt="Go") as one:
        remember_all(one, 30)
    assert connected.flush(10)
    assert memories(server.events()) == numbers(30)


def test_another_writer_of_the_stream_moves_the_recorder_on(server: JournalServer, connected: Connection) -> None:
    """A grade in between changes versions; what the run refers to later is told by its real version."""
    with recorder.run(prompt="Go", stream="agent_run-shared") as one:
        one.message("user", "Hello")
        assert connected.flush(10)
        server.store.append("agent_run-shared", [event(run.Graded(rule="polite", verdict="holds"))], expected_version=2)
        one.message("user", "Still there?")
        with one.model_call(
            messages=[{"role": "user", "content": "Hello"}, {"role": "user", "content": "Still there?"}]
        ) as call:
            call.respond("Yes.")
    assert connected.flush(10)
    events = server.events()
    (called,) = [found for found in events if found.type == "agent_run.model_called"]
    said = [events[sent["version"] - 1].payload["content"] for sent in called.payload["messages"]]
    assert said == ["Hello", "Still there?"]


def test_an_event_the_server_refuses_is_set_aside(server: JournalServer, connected: Connection) -> None:
    """It is kept beside the spool, and what comes after it is sent."""
    with recorder.run(prompt="Go") as one:
        one.remember("k0", 0)
        assert connected.flush(10)
        server.failures = [422, 422]
        one.remember("refused", 1)
        assert connected.flush(10)
        one.remember("k1", 2)
    assert connected.flush(10)
    assert memories(server.events()) == ["k0", "k1"]
    (aside,) = connected.folder.glob("*.refused")
    assert b'"refused"' in aside.read_bytes()


def test_a_wrong_token_keeps_everything(
    server: JournalServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning says what to look at; the next process with a good one delivers."""
    wrong = connect(server.url, "wrong", spool=tmp_path)
    with recorder.run(prompt="Go") as one:
        one.remember("k0", 0)
    assert not wrong.close(0.2)
    assert "NAGARE_TOKEN" in caplog.text
    assert "wrong" not in caplog.text.replace("is wrong", "")
    right = connect(server.url, TOKEN, spool=tmp_path)
    assert right.close(10)
    assert memories(server.events()) == ["k0"]


def test_a_run_outlives_its_connection(server: JournalServer, tmp_path: Path) -> None:
    """What it records after the connection was closed is kept, and sent by the next one."""
    first = connect(server.url, TOKEN, spool=tmp_path)
    with recorder.run(prompt="Go") as one:
        one.remember("k0", 0)
        assert first.close(10)
        one.remember("k1", 1)
    assert memories(server.events()) == ["k0"]
    assert connect(server.url, TOKEN, spool=tmp_path).close(10)
    assert memories(server.events()) == ["k0", "k1"]


def test_spools_of_another_server_are_left_alone(server: JournalServer, tmp_path: Path) -> None:
    """What was meant for one server is not told another."""
    with journal_server() as other:
        other.is_down = True
        away = connect(other.url, TOKEN, spool=tmp_path)
        with recorder.run(prompt="Secret") as one:
            one.remember("k0", 0)
        assert not away.close(0.1)
    here = connect(server.url, TOKEN, spool=tmp_path)
    assert here.close(5)
    assert server.events() == []
    assert len(list(tmp_path.glob("*.spool"))) == 1


def test_without_a_server_runs_wait_for_one(
    server: JournalServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first process that has one sends them."""
    nowhere = connect(spool=tmp_path)
    with recorder.run(prompt="Go") as one:
        one.remember("k0", 0)
    assert not nowhere.close(0)
    assert "NAGARE_URL" in caplog.text
    assert connect(server.url, TOKEN, spool=tmp_path).close(10)
    assert memories(server.events()) == ["k0"]


def test_what_is_left_can_be_sent_by_hand(
    server: JournalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`python -m journal.recorder` says whether anything is left, and fails if so."""
    connect(spool=tmp_path)
    with recorder.run(prompt="Go") as one:
        one.remember("k0", 0)
    recorder.connection.default().close(0)
    for name, value in {"NAGARE_URL": server.url, "NAGARE_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["recorder", "--spool", str(tmp_path), "--timeout", "0.1"])
    server.is_down = True
    assert main() == 1
    server.is_down = False
    monkeypatch.setattr(sys, "argv", ["recorder", "--spool", str(tmp_path)])
    assert main() == 0
    assert capsys.readouterr().out.splitlines() == [f"{tmp_path}: 1 run left to be sent", "Everything is sent."]
    assert memories(server.events()) == ["k0"]


AGENT = """
import os, signal, sys
from journal import recorder
recorder.connect(sys.argv[1], "ngr_test", spool=sys.argv[2])
with recorder.run(prompt="Go", stream=sys.argv[3]) as run:
    for number in range(int(sys.argv[4])):
        run.remember(f"k{number}", number)
        print(number, flush=True)
    if sys.argv[5] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def agent(url: str, folder: Path, stream: str, count: int, *, end: str = "kill") -> subprocess.Popen[str]:
    """Start an agent in a process of its own."""
    command = [sys.executable, "-c", AGENT, url, str(folder), stream, str(count), end]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("failing", ["down", "halfway"])
def test_kill_9_loses_nothing_that_was_recorded(failing: str, server: JournalServer, tmp_path: Path) -> None:
    """Every call that had returned is delivered by the next process, after what the dead one had sent itself."""
    server.is_down = failing == "down"
    if failing == "halfway":
        server.failures = [503] * 3 + ["lose"] + [503] * 1_000
    dead = agent(server.url, tmp_path, "agent_run-dead", 300)
    acknowledged, _ = dead.communicate(timeout=60)
    assert dead.returncode == -signal.SIGKILL
    assert acknowledged.split() == [str(number) for number in range(300)]
    server.is_down, server.failures = False, []
    with connect(server.url, TOKEN, spool=tmp_path) as later:
        assert later.flush(20)
    assert memories(server.events()) == numbers(300)
    assert [found.version for found in server.events()] == list(range(1, 302))


def test_kill_9_in_the_middle_of_a_line(server: JournalServer, tmp_path: Path) -> None:
    """A torn last line is the one whose call had not returned."""
    server.is_down = True
    dead = agent(server.url, tmp_path, "agent_run-torn", 5)
    dead.communicate(timeout=60)
    (file,) = tmp_path.glob("*.spool")
    with file.open("rb+") as spooled:
        spooled.truncate(file.stat().st_size - 20)
    server.is_down = False
    assert connect(server.url, TOKEN, spool=tmp_path).close(20)
    assert memories(server.events()) == numbers(4)


def test_two_processes_share_a_spool_folder(server: JournalServer, tmp_path: Path) -> None:
    """Neither takes the other's file while it lives, and both are delivered."""
    ours = connect(server.url, TOKEN, spool=tmp_path)
    server.is_down = True
    with recorder.run(prompt="Go", stream="agent_run-ours") as one:
        one.remember("k0", 0)
        theirs = agent(server.url, tmp_path, "agent_run-theirs", 40, end="normally")
        one.remember("k1", 1)
        server.is_down = False
        theirs.communicate(timeout=60)
    assert ours.close(10)
    assert memories(list(server.store.read_stream("agent_run-ours"))) == numbers(2)
    assert memories(list(server.store.read_stream("agent_run-theirs"))) == numbers(40)


FORK = """
        child = os.fork()
        run.remember("parent" if child else "child", 1)
        if not child:
            recorder.flush(10)
            os._exit(0)
        os.waitpid(child, 0)
"""


def test_a_forked_child_records_to_a_file_of_its_own(server: JournalServer, tmp_path: Path) -> None:
    """Parent and child append to the same run; nothing of either is lost or doubled."""
    code = AGENT.replace("        print(number, flush=True)\n", FORK)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, server.url, str(tmp_path), "agent_run-fork", "1", "normally"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(memories(server.events())) == ["child", "k0", "parent"]


# --- The disk


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that takes a few bytes of a line and no more."""
    write = os.write

    def half(descriptor: int, data: Any) -> int:
        if len(data) > 10:
            return write(descriptor, bytes(data[:10]))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        yield


def test_a_full_disk_is_warned_of_and_breaks_nothing(
    server: JournalServer, connected: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Events are held in memory, sent from there, and written to the file again when there is room."""
    server.is_down = True
    with recorder.run(prompt="Go") as one:
        remember_all(one, 3)
        with full_disk(monkeypatch):
            remember_all(one, 3, start=3)
        assert "No space left on device" in caplog.text
        assert "NAGARE_SPOOL_DIR" in caplog.text
        remember_all(one, 3, start=6)
        server.is_down = False
    assert connected.flush(10)
    assert memories(server.events()) == numbers(9)


def test_what_is_lost_is_counted_where_it_was_lost(
    server: JournalServer, connected: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room anywhere the agent goes on, and the run has a gap that says how many."""
    server.is_down = True
    monkeypatch.setattr(outlets, "OVERFLOW_BYTES", 2_500)
    with recorder.run(prompt="Go") as one:
        one.remember("k0", 0)
        with full_disk(monkeypatch):
            for number in range(10):
                one.remember(f"big{number}", "x" * 500)
            server.is_down = False
            assert connected.flush(10)
            one.remember("after", 1)
    assert connected.flush(10)
    events = server.events()
    kept = [key for key in memories(events) if key.startswith("big")]
    (gap,) = [found for found in events if found.type == outlets.GAP]
    assert 0 < len(kept) < 10
    assert gap.payload["lost"] == 10 - len(kept)
    assert memories(events)[-1] == "after"


def test_a_folder_that_cannot_be_made_breaks_nothing(
    server: JournalServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The events go to the server from memory."""
    (tmp_path / "file").write_text("in the way")
    there = connect(server.url, TOKEN, spool=tmp_path / "file" / "spool")
    with recorder.run(prompt="Go") as one:
        remember_all(one, 3)
    assert there.close(10)
    assert memories(server.events()) == numbers(3)
    assert "spool" in caplog.text


# --- What goes wrong in recording


class Broken:
    """A sink that takes nothing."""

    def append(self, *_: Any, **__: Any) -> Any:
        """Fail."""
        raise RuntimeError("out of order")


def test_a_broken_sink_does_not_break_the_agent(caplog: pytest.LogCaptureFixture) -> None:
    """It is warned of, once for each kind of trouble."""
    caplog.set_level(logging.WARNING)
    with recorder.run(prompt="Go", to=Broken()) as one:
        one.remember("k0", 0)
        one.answer("fine")
    assert "out of order" in caplog.text


def test_strict_raises_where_something_is_not_recorded(tmp_path: Path, server: JournalServer) -> None:
    """For those who would rather stop than go on unrecorded."""
    connect(server.url, TOKEN, spool=tmp_path, strict=True).close()
    with pytest.raises(recorder.RecordingFailed, match="out of order"), recorder.run(prompt="Go", to=Broken()):
        pass


def test_a_value_too_large_is_cut_in_the_middle(store: Any, open_run: Any) -> None:
    """An event stays within what the server takes, and says what was left out."""
    with open_run(prompt="Go") as one:
        one.remember("novel", "a" * 3_000_000 + "z")
        one.answer("read")
    (written,) = [found for found in store.read_all() if found.type == "agent_run.memory_written"]
    assert len(written.data) < MOST_BYTES
    assert "characters left out" in written.payload["value"]
    assert written.payload["value"].endswith("z")


def test_text_no_database_keeps_is_shown_as_replaced(store: Any, open_run: Any) -> None:
    """NUL and lone surrogates, which tools do return."""
    with open_run(prompt="a\x00b\ud800c") as one:
        one.remember("k", {"deep": ["\udfff"], 3: "\x00"})
        one.answer("ok")
    events = list(store.read_all())
    assert events[0].payload["prompt"] == "a�b?c"
    assert events[1].payload["value"] == {"deep": ["?"], "3": "�"}
    assert msgspec.json.decode(events[1].data)
