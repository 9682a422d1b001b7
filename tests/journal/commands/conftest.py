"""A journal of its own for commands that run as processes, as people run them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Nagare, command, environment


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose journal has its tables and nothing in them."""
    folder = tmp_path_factory.mktemp("journal")
    subprocess.run(command("migrate", "-v0"), env=environment(folder), check=True, timeout=300, capture_output=True)
    return folder


@pytest.fixture
def data_dir(empty: Path, tmp_path: Path) -> Path:
    """A copy of the empty journal for one test."""
    folder = tmp_path / "data"
    folder.mkdir()
    for file in empty.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture
def nagare(data_dir: Path) -> Nagare:
    """Run a command on the test's journal; nobody is at its terminal."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), env=environment(data_dir), capture_output=True, text=True, timeout=300, check=False,
            **{"stdin": subprocess.DEVNULL, **options},
        )  # fmt: skip

    return run
