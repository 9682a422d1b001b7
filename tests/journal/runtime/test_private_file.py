"""Files that are there whole or not at all, and what an installation has one of."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from journal.runtime import private_file
from journal.runtime.in_use import InUse


def test_a_file_is_placed_once_for_its_owner_alone(tmp_path: Path) -> None:
    """Of many that try, one wins, and all read the same; no candidate is left."""
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: private_file.place(path, f"key {at}".encode() * 100), range(8)))
    content = path.read_text()
    assert content in {f"key {at}" * 100 for at in range(8)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    private_file.place(path, b"another")
    assert path.read_text() == content
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """For its owner alone, unless it is for others as well."""
    path = tmp_path / "head"
    private_file.replace(path, b"one")
    private_file.replace(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    report = tmp_path / ("r" * 240 + ".pdf")
    private_file.replace(report, b"%PDF", mode=private_file.AS_USUAL)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(report.stat().st_mode) == 0o666 & ~mask


def test_what_was_there_stays_where_nothing_can_be_written(tmp_path: Path) -> None:
    """And no candidate is left behind."""
    taken = tmp_path / "folder"
    taken.mkdir()
    (taken / "kept").write_text("kept")
    with pytest.raises(OSError, match="folder"):
        private_file.replace(taken, b"content")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(FileNotFoundError):
        private_file.place(tmp_path / "nowhere" / "key", b"content")


def test_what_is_in_use_is_said_before_it_is_asked_for() -> None:
    """The error names the app that should have said it."""
    one = InUse[str]("audits")
    with pytest.raises(RuntimeError, match="the audits app was not loaded"):
        one.in_use()
    one.use("this")
    assert one.in_use() == "this"
    assert InUse("journal", "default").in_use() == "default"
