"""A journal of its own for commands that run as processes, as people run them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Nagare, command, environment


@pytest.fixture
def data_dir(migrated: Path, tmp_path: Path) -> Path:
    """A copy of the empty journal for one test."""
    return shutil.copytree(migrated, tmp_path / "data")


@pytest.fixture
def nagare(data_dir: Path) -> Nagare:
    """Run a command on the test's journal; nobody is at its terminal."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), env=environment(data_dir), capture_output=True, text=True, timeout=300, check=False,
            **{"stdin": subprocess.DEVNULL, **options},
        )  # fmt: skip

    return run
