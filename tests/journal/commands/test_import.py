"""`nagare import` where it is hard: stopped, started twice, watched, and fed with what strangers write."""

from __future__ import annotations

import gzip
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.commands import Nagare, command, environment, session
from tests.zips import zipped

_MEGABYTE: Final = 2**20
_MEASURED: Final = """
import json, resource, subprocess, sys
code, used = subprocess.call(sys.argv[1:]), resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_maxrss, used.ru_utime + used.ru_stime]), file=sys.stderr)
"""
"""Measures a command from a small process: a child's peak begins at its parent's, and the tests' own is large."""

_EVENTS: Final = (
    "SELECT s.name, e.version, e.event_id, e.type, e.data, e.metadata, e.occurred_us"
    " FROM journal_event e JOIN journal_stream s ON s.id = e.stream_id ORDER BY 1, 2"
)
_RUNS: Final = (
    "SELECT stream, title, status, events, decisions, tool_calls, tool_errors FROM explorer_runsummary ORDER BY 1"
)
_STRANGE: Final = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', '<div hx-post="/evil" hx-trigger="load">',
    "javascript:alert(1)", "{{ 7*7 }}{% debug %}", '=HYPERLINK("http://evil.example")', "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe", "zero\u200bwidth", "'; DROP TABLE journal_event; --", "../../../etc/passwd", "%s%n{0}${jndi:x}",
    "line\r\n     99  Answered: “all good”", "\ufeffbom", "𝕏 Ω ﷽", "\u2028separated\u2029",
)  # fmt: skip
_KEYS: Final = ("__proto__", "constructor.prototype.polluted", "a.b", "a", "__class__", "$ne", "toString", "x" * 5_000)


def events(data_dir: Path) -> list[tuple[Any, ...]]:
    """Return everything the journal holds but when it was written."""
    with sqlite3.connect(data_dir / "nagare.sqlite3") as journal:
        return journal.execute(_EVENTS).fetchall()


def runs(data_dir: Path) -> list[tuple[Any, ...]]:
    """Return what the run list says."""
    with sqlite3.connect(data_dir / "nagare.sqlite3") as journal:
        return journal.execute(_RUNS).fetchall()


def started(data_dir: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a command and do not wait for it."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options}
    return subprocess.Popen(command(*arguments), env=environment(data_dir), stdin=subprocess.DEVNULL, **quiet)


def folder_of(path: Path, *, files: int, turns: int) -> Path:
    """Return a folder of sessions."""
    path.mkdir()
    for at in range(files):
        (path / f"{at:03}.jsonl").write_text(session(f"s-{at}", turns))
    return path


def test_a_person_at_a_terminal_sees_it_move_on(data_dir: Path, tmp_path: Path) -> None:
    """The files go by on one line of standard error; standard output has the sums alone."""
    folder = folder_of(tmp_path / "in", files=3, turns=2)
    ours, theirs = pty.openpty()
    process = started(data_dir, "import", str(folder), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    out, _ = process.communicate(timeout=120)
    seen = os.read(ours, 65_536).decode()
    os.close(ours)
    assert all(f"\r\033[K{at} files" in seen for at in (1, 2, 3))
    assert out.decode().startswith("3 files, 3 runs, ")
    assert "\033" not in out.decode()


def test_a_killed_import_goes_on_where_it_was(data_dir: Path, migrated: Path, nagare: Nagare, tmp_path: Path) -> None:
    """Killed in the middle of a folder at any moment and started again, it ends as one that nobody disturbed."""
    folder = folder_of(tmp_path / "in", files=60, turns=15)
    for least in (1, 400, 900):
        process = started(data_dir, "import", str(folder))
        deadline = time.monotonic() + 120
        while process.poll() is None and len(events(data_dir)) < least and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        held = events(data_dir)
        by_stream: dict[str, list[int]] = {}
        for stream, version, *_ in held:
            by_stream.setdefault(stream, []).append(version)
        assert all(versions == list(range(1, len(versions) + 1)) for versions in by_stream.values())
    assert nagare("import", str(folder)).returncode == 0
    undisturbed = tmp_path / "other"
    undisturbed.mkdir()
    for file in migrated.iterdir():
        (undisturbed / file.name).write_bytes(file.read_bytes())
    started(undisturbed, "import", str(folder)).wait(timeout=300)
    assert events(data_dir) == events(undisturbed)
    assert runs(data_dir) == runs(undisturbed)


def test_two_imports_of_a_growing_file_lose_and_double_nothing(data_dir: Path, nagare: Nagare, tmp_path: Path) -> None:
    """Two processes read the same transcript again and again while an agent writes it."""
    file = tmp_path / "live.jsonl"
    whole = session("live", 40).splitlines(keepends=True)
    file.write_text("".join(whole[:5]))
    for begin, end in pairwise((5, 25, 55, len(whole))):
        both = [started(data_dir, "import", str(file)) for _ in range(2)]
        with file.open("a") as writing:
            writing.writelines(whole[begin:end])
        assert [process.wait(timeout=120) for process in both] == [0, 0]
    report = json.loads(nagare("import", str(file), "--json").stdout)
    (run,) = report["files"][0]["runs"]
    held = events(data_dir)
    assert [version for _, version, *_ in held] == list(range(1, run["events"] + 1))
    assert len({event_id for _, _, event_id, *_ in held}) == len(held)
    assert (run["decisions"], run["tool_calls"]) == (40, 40)
    assert runs(data_dir)[0][3:5] == (len(held), 40)


def test_what_strangers_write_comes_out_as_plain_text(data_dir: Path, nagare: Nagare, tmp_path: Path) -> None:
    """Payloads in every field of a session: all of it is kept, and nothing of it steers a terminal or fakes a line."""
    (tmp_path / "in.jsonl").write_text("".join(_strange_session(at, text) for at, text in enumerate(_STRANGE)))
    report = json.loads(nagare("import", str(tmp_path / "in.jsonl"), "--json").stdout)
    streams = [run["stream"] for file in report["files"] for run in file["runs"]]
    assert report["totals"]["refused"] == 0
    kept = b"".join(row[4] for row in events(data_dir)).decode()
    assert all(
        json.dumps(text, ensure_ascii=False)[1:-1] in kept or text in json.loads(f'"{text}"') for text in ("a.b",)
    )
    for stream in streams:
        for said in (
            nagare("explain", stream),
            nagare("state", stream),
            nagare("diff", stream, "--from", "0", "--to", "2"),
        ):
            assert said.returncode == 0, said.stderr
            assert not set(said.stdout) & set("\x1b\x07\r\u202e\u200b\u2028\u2029\ufeff")
        assert nagare("explain", stream).stdout.count("\n     99  ") == 0
        json.loads(nagare("state", stream, "--json").stdout)


def _strange_session(at: int, text: str) -> str:
    """Return a session whose every text is the payload."""
    base = {
        "sessionId": f"x-{at}",
        "timestamp": "2026-11-22T12:00:00Z",
        "version": text,
        "cwd": text,
        "gitBranch": text,
    }
    call = {"type": "tool_use", "id": f"c{at}", "name": text, "input": {text: text, "nested": {text: [text]}}}
    said = {"role": "assistant", "id": f"m{at}", "model": text, "content": [{"type": "text", "text": text}, call]}
    result = {"type": "tool_result", "tool_use_id": f"c{at}", "content": text, "is_error": True}
    records = [
        {**base, "type": "user", "uuid": f"{at}-1", "message": {"role": "user", "content": text}},
        {**base, "type": "assistant", "uuid": f"{at}-2", "parentUuid": f"{at}-1", "message": said},
        {
            **base,
            "type": "user",
            "uuid": f"{at}-3",
            "parentUuid": f"{at}-2",
            "message": {"role": "user", "content": [result]},
        },
        {**base, "type": text, "uuid": f"{at}-4", "parentUuid": f"{at}-3", text: text},
    ]
    return "".join(json.dumps(record) + "\n" for record in records)


def test_dotted_and_dunder_keys_stay_as_flat_as_they_came(data_dir: Path, nagare: Nagare, tmp_path: Path) -> None:
    """No key makes an object, reaches a prototype or pushes another key out."""
    keys = {**dict.fromkeys(_KEYS, "kept"), ".".join("abc" * 10_000): "deep"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in keys.items()]
    span = {
        "traceId": "0" * 31 + "1", "spanId": "0" * 15 + "1", "name": "chat",
        "startTimeUnixNano": "1", "endTimeUnixNano": "2",
        "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}, *attributes],
    }  # fmt: skip
    request = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": [span]}]}]}
    (tmp_path / "trace.json").write_text(json.dumps(request))
    done = nagare("import", str(tmp_path / "trace.json"), "--json")
    assert done.returncode == 0, done.stdout
    raw = next(found for row in events(data_dir) if (found := json.loads(row[4]).get("raw")))
    assert {key: raw.get(key) for key in keys} == keys


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["entries", "nested", "deep", "digits", "line", "gzip", "brackets"])
def test_hostile_files_are_refused_in_little_time_and_memory(data_dir: Path, tmp_path: Path, kind: str) -> None:
    """The process stays small, the other file of the folder is imported, and the reason is told."""
    folder = folder_of(tmp_path / "in", files=1, turns=1)
    _hostile(folder, kind)
    size = sum(file.stat().st_size for file in folder.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *command("import", str(folder), "--json")],
        env=environment(data_dir), capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    report, (code, peak, seconds) = json.loads(done.stdout), json.loads(done.stderr.splitlines()[-1])
    assert (code, report["totals"]["refused"], report["totals"]["runs"]) == (1, 1, 1)
    assert next(file["reason"] for file in report["files"] if file["status"] == "refused")
    assert seconds < 20
    assert peak * (1024 if sys.platform == "linux" else 1) < 200 * _MEGABYTE + 4 * size


def _hostile(folder: Path, kind: str) -> None:
    """Write one file that is meant to hurt."""
    match kind:
        case "entries":
            _million_entries(folder / "z.zip")
        case "nested":
            inner = zipped({"a.json": b"0" * 10_000_000})
            for _ in range(5):
                inner = zipped({f"{at}.zip": inner for at in range(3)})
            (folder / "z.zip").write_bytes(inner)
        case "deep":
            (folder / "z.json").write_bytes(b'{"steps":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
        case "digits":
            (folder / "z.json").write_bytes(b'{"steps": [' + b"9" * 5_000 + b"]}")
        case "line":
            (folder / "z.jsonl").write_bytes(b'{"type": "user", "junk": "' + b"x" * 50_000_000 + b'"}\n')
        case "gzip":
            (folder / "z.json.gz").write_bytes(gzip.compress(b" " * 400_000_000, 9))
        case _:
            (folder / "z.json").write_bytes(b"[" * 2_000_000 + b'"' + b"]" * 2_000_000)


def _million_entries(path: Path) -> None:
    """Write a zip of a million empty files, its directory made of one entry over and over."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.json", b"")
    packed = path.read_bytes()
    at = packed.index(b"PK\x01\x02")
    end = packed.index(b"PK\x05\x06")
    path.write_bytes(packed[:at] + packed[at:end] * 1_000_000 + packed[end:])
