"""Nagare's commands as processes, on a journal of their own, and small sessions for them to import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
Nagare = Callable[..., subprocess.CompletedProcess[str]]


def environment(data_dir: Path) -> dict[str, str]:
    """Return the environment of a process on a journal of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NAGARE_", "DJANGO_"))}
    return {**kept, "NAGARE_DATA_DIR": str(data_dir)}


def command(*arguments: str) -> list[str]:
    """Return the command line of a command."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def session(name: str = "s-1", turns: int = 2, *, fails: bool = False) -> str:
    """Return a small Claude Code session, which may grow by turns: its records have ids, times and causes."""
    records: list[dict[str, Any]] = [_record(name, 0, "user", {"role": "user", "content": f"Fix {name}"})]
    for turn in range(1, turns + 1):
        call = {"type": "tool_use", "id": f"{name}-c{turn}", "name": "Read", "input": {"file_path": f"src/{turn}.py"}}
        usage = {"input_tokens": 100, "output_tokens": 10}
        said = {"role": "assistant", "id": f"{name}-m{turn}", "model": "orion-3", "content": [call], "usage": usage}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": f"text {turn}", "is_error": fails}
        records += [
            _record(name, 2 * turn - 1, "assistant", said),
            _record(name, 2 * turn, "user", {"role": "user", "content": [result]}),
        ]
    return "".join(json.dumps(record) + "\n" for record in records)


def _record(name: str, at: int, kind: str, message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind, "uuid": f"{name}-u{at}", "parentUuid": f"{name}-u{at - 1}" if at else None, "sessionId": name,
        "timestamp": f"2026-11-22T12:{at // 60:02}:{at % 60:02}.000Z", "version": "2.0.1", "cwd": "/srv/app",
        "isSidechain": False, "userType": "external", "message": message,
    }  # fmt: skip
