"""Receiving spans against its floor: the same requests parsed, and a row for each span in a bare SQLite table.

Measured in a process of its own, in a scratch journal on SQLite that is removed at the end. Floor and requests take
turns; every request is answered once what it brought is committed, and so does the floor commit for each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

_CHILD: Final = Path(__file__).with_name("receiving_child.py")
CLIENTS: Final = (1, 8, 64)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """So many clients that send at once. `ratio` is the floor's time divided by theirs, of one client each."""

    clients: int
    requests: int
    spans: int
    spans_per_s: float
    p50_ms: float
    p95_ms: float
    ratio: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What receiving comes to, and telling runs of it afterwards."""

    name: str
    bytes_per_span: float
    floor_spans_per_s: float
    floor_p95_ms: float
    received: tuple[Received, ...]
    told_spans_per_s: float
    cpu_ms: float
    """Processor time of a request, and of its floor: what a busy machine changes less than the clock."""

    floor_cpu_ms: float
    rss_growth_mb: float | None
    """What the process that answers grew by, over all of it; None where the system does not tell."""


def run(*, say: Callable[[str], None] = lambda _: None) -> Measured:
    """Measure it in a scratch folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")}
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory(prefix="nagare-bench-") as folder:
        say("spans over HTTP")
        Path(folder, "static").mkdir()  # else the server that is made warns that it has no static files
        own = {"NAGARE_DATA_DIR": folder, "NAGARE_LOG_LEVEL": "ERROR", "NAGARE_API_RATE": "0", "PYTHONPATH": root}
        told = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-P", str(_CHILD), *map(str, CLIENTS)],
            env={**kept, **own, "DJANGO_SETTINGS_MODULE": "nagare_web.settings"},
            stdout=subprocess.PIPE,
            check=True,
        )
    return msgspec.json.decode(told.stdout, type=Measured)
