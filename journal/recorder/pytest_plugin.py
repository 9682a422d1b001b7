"""Recorded runs as regression tests: `pytest_plugins = ["journal.recorder.pytest_plugin"]` in a conftest.

Gives the fixture `nagare_replay`, which takes a file that `nagare export` wrote, its path counted from the test's own
folder, and fails the test where the agent's code leaves the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from journal.recorder.replaying import Replay, replay

Replaying = Callable[..., Replay]


@pytest.fixture
def nagare_replay(request: pytest.FixtureRequest) -> Replaying:
    """Return what opens a recording as a replay."""
    folder = request.path.parent

    def open_recording(
        path: str | Path, *, strict: bool = True, substitute: Mapping[str, Callable[..., Any]] | None = None
    ) -> Replay:
        return replay(folder / path, strict=strict, substitute=substitute)

    return open_recording
