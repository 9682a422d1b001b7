"""Files of every kind, good and bad, through the whole import."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from journal.ingest import Format, load_formats
from journal.ingest.files import find
from journal.ingest.importer import Importer, Report
from journal.ingest.source import Source
from journal.store.memory import MemoryStore


def session(*texts: str, name: str = "s-1") -> bytes:
    """Return a small mini-SWE-agent trajectory, a format without ids or times."""
    messages = [{"role": "system", "content": "You can run bash."}, {"role": "user", "content": f"Task {name}"}]
    for text in texts:
        messages.append({"role": "assistant", "content": f"THOUGHT: {text}\n```mswea_bash_command\nls\n```"})
        messages.append({"role": "user", "content": "<returncode>0</returncode>\n<output>\nfile\n</output>"})
    return json.dumps(messages).encode()


def imported(path: Path | str, store: MemoryStore | None = None, **options: Any) -> Report:
    """Import what a path means into a journal."""
    return Importer(store=store or MemoryStore(), **options).run(find([str(path)]))


def zipped(**files: bytes) -> bytes:
    """Return a zip of these files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return packed.getvalue()


def test_plain_gzipped_zipped_and_in_a_folder_are_the_same_run(tmp_path: Path) -> None:
    """However a file comes, its runs are found again."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.traj.json").write_bytes(session("look"))
    (tmp_path / "run.traj.json.gz").write_bytes(gzip.compress(session("look"), mtime=0))
    (tmp_path / "runs.zip").write_bytes(zipped(**{"inner__run.traj.json": session("look")}))
    store = MemoryStore()
    statuses = [
        imported(tmp_path / name, store).files[0].status for name in ("a", "run.traj.json.gz", "runs.zip", "a/*.json")
    ]
    assert statuses[0] == "imported"
    assert len({event.stream for event in store.read_all()}) in (1, 4)  # a format without ids may go by the file's name


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    """Each file is answered for; the exit code says that one was refused."""
    (tmp_path / "1.json").write_bytes(b'{"cut": "of')
    (tmp_path / "2.json").write_bytes(session("look"))
    (tmp_path / "3.json").write_bytes(b'["a", "b"]')
    report = imported(tmp_path)
    assert [file.status for file in report.files] == ["refused", "imported", "refused"]
    assert report.totals["refused"] == 2
    assert "line 1, column" in (report.files[0].reason or "")
    assert "a list of strings" in (report.files[2].reason or "")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("empty.json", b"", "empty"),
        ("text.jsonl", b"hello\nworld\n", "line 1"),
        ("deep.json", b"[" * 100_000 + b"]" * 100_000, "nested deeper"),
        ("deep.jsonl", b'{"a":' * 100_000, "nested deeper"),
        ("number.json", b"[" + b"9" * 5000 + b"]", "out of range"),
        ("latin1.json", b'{"a": "\xe9"}', "not UTF-8|invalid"),
        ("half.gz", gzip.compress(b'{"a": 1}' * 1000, mtime=0)[:60], "."),
        ("bomb.gz", gzip.compress(b"0" * 60_000_000, 9, mtime=0), "inflate|limit|bytes"),
        ("notzip.zip", b"PK\x03\x04 not really", "."),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    """No file crashes the import, and nothing of such a file is written."""
    (tmp_path / name).write_bytes(data)
    store = MemoryStore()
    (file,) = imported(tmp_path / name, store).files
    assert file.status == "refused"
    assert re.search(reason, file.reason or "", re.IGNORECASE), file.reason
    assert store.head() == 0


def history(**second: Any) -> bytes:
    """Return a Temporal history of two events, of which the second has these fields."""
    first = {"eventId": "1", "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "eventTime": "2026-01-01T00:00:00Z"}
    started = {"workflowExecutionStartedEventAttributes": {"originalExecutionRunId": "r"}}
    timer = {"eventId": "2", "eventType": "EVENT_TYPE_TIMER_STARTED", **second}
    return json.dumps({"events": [{**first, **started}, timer]}).encode()


@pytest.mark.parametrize(
    ("odd", "error"),
    [
        (history(eventId="9" * 5000), "ValueError"),
        (history(eventTime="0001-01-01T00:00:00+10:00"), "OverflowError"),
        (history(timerStartedEventAttributes={"payloads": []}), "Error"),
    ],
)
def test_a_file_that_no_code_foresaw_costs_only_itself(tmp_path: Path, odd: bytes, error: str) -> None:
    """It is refused with what was raised; nothing of it is written, and the others come in."""
    (tmp_path / "1.json").write_bytes(odd)
    (tmp_path / "2.json").write_bytes(session("look"))
    store = MemoryStore()
    report = imported(tmp_path, store)
    assert [file.status for file in report.files] == ["refused", "imported"]
    assert "not as Temporal" in (report.files[0].reason or "")
    assert error in (report.files[0].reason or "")
    assert len({event.stream for event in store.read_all()}) == 1


def test_a_format_that_stumbles_while_it_is_asked_is_passed_over(tmp_path: Path) -> None:
    """Another one may know the file."""

    def stumble(_source: Source) -> Any:
        raise KeyError("odd")

    first = Format(name="odd", title="Odd files", detect=stumble, read=stumble, companion=stumble)
    (tmp_path / "1.json").write_bytes(session("look"))
    report = imported(tmp_path, formats=(first, *load_formats()))
    assert [file.status for file in report.files] == ["imported"]


def test_a_line_of_fifty_megabytes_is_left_out_and_named(tmp_path: Path) -> None:
    """Memory stays within a small multiple of the file, and the other lines are read."""
    big = b'{"type": "user", "junk": "' + b"x" * 50_000_000 + b'"}\n'
    (tmp_path / "big.jsonl").write_bytes(big + b"{}\n")
    tracemalloc.start()
    (file,) = imported(tmp_path / "big.jsonl").files
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.status == "refused"
    assert peak < 4 * len(big)


def test_a_zip_that_inflates_without_end_is_refused_early(tmp_path: Path) -> None:
    """The limit is on what comes out, and is looked at while it does."""
    (tmp_path / "bomb.zip").write_bytes(zipped(**{"a.json": b"0" * 200_000_000}))
    began = time.process_time()
    tracemalloc.start()
    (file,) = imported(tmp_path / "bomb.zip").files
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert file.status == "refused"
    assert peak < 150_000_000
    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", ["../../outside.json", "/etc/outside.json", "a/../../outside.json"])
def test_an_archive_cannot_name_a_file_outside(tmp_path: Path, name: str) -> None:
    """Such an archive is refused as a whole; nothing is ever written to a path it names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, session("look"))
    (tmp_path / "evil.zip").write_bytes(packed.getvalue())
    assert [file.status for file in imported(tmp_path / "evil.zip").files] == ["refused"]
    assert not (tmp_path.parent / "outside.json").exists()


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A folder means what lies in it."""
    outside = tmp_path / "outside.json"
    outside.write_bytes(session("look"))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.json").symlink_to(outside)
    assert imported(folder).files == []


def test_a_path_that_is_not_there_is_refused_by_name() -> None:
    """The message says what to check."""
    (file,) = imported("no/such/*.json").files
    assert (file.status, file.path) == ("refused", "no/such/*.json")


def test_a_named_format_is_taken_at_its_word(tmp_path: Path) -> None:
    """`--format` asks that format alone."""
    (tmp_path / "x.json").write_bytes(session("look"))
    (file,) = imported(tmp_path / "x.json", format_name="mini-swe-agent").files
    assert (file.format, file.status) == ("mini-swe-agent", "imported")
    assert [run.decisions for run in file.runs] == [1]
