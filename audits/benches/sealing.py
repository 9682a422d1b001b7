"""What sealing costs those who append, how long an event waits for its checkpoint, and what checking costs offline.

Measured in processes of their own, in a scratch journal on SQLite that is removed at the end. Appends come at a fixed
rate whatever the machine does, so that a slow one shows in their times; without and with a sealer they take turns, and
the ratio is the median over the rounds of "p95 with it divided by p95 without it".
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

_CHILD: Final = Path(__file__).with_name("sealing_child.py")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `late` is the share of appends that could not begin when they were due."""

    name: str
    events_per_s: float
    seconds: float
    rounds: int
    append_p95_ms: float
    sealed_append_p95_ms: float
    ratio: float
    late: float
    lag_p50_ms: float
    lag_p95_ms: float
    verified_events: int
    verify_cpu_s: float
    verify_floor_cpu_s: float
    verify_ratio: float


def run(*, say: Callable[[str], None] = lambda _: None) -> Measured:
    """Measure it in a scratch folder."""
    say("appends beside the sealer, and the offline check")
    with tempfile.TemporaryDirectory(prefix="nagare-bench-") as folder:
        told = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-P", str(_CHILD), "measure"], env=_environment(folder), stdout=subprocess.PIPE, check=True
        )
    return msgspec.json.decode(told.stdout, type=Measured)


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NAGARE_")}
    root = str(Path(__file__).resolve().parents[2])
    own = {"NAGARE_DATA_DIR": folder, "NAGARE_LOG_LEVEL": "ERROR", "PYTHONPATH": root}
    return {**kept, **own, "DJANGO_SETTINGS_MODULE": "nagare_web.settings"}


def lines(found: Measured) -> Iterator[str]:
    """Yield what was found, for people."""
    yield (
        f"an append of ten events, {found.events_per_s:,.0f} events/s offered: p95 {found.append_p95_ms:.1f} ms, with a"
        f" sealer beside it {found.sealed_append_p95_ms:.1f} ms, {found.ratio:.2f} times that"
    )
    if found.late:
        yield f"of the appends {found.late:.0%} began late: the machine was too busy for this rate"
    yield (
        f"from append to signed checkpoint: half within {found.lag_p50_ms:,.0f} ms,"
        f" 95% within {found.lag_p95_ms:,.0f} ms"
    )
    yield (
        f"offline check of {found.verified_events:,} events: {found.verify_cpu_s:.2f} s of processor time,"
        f" {found.verify_ratio:.1f} times parsing and hashing the same lines"
    )
