"""A process of the benchmark `seal`, in a scratch journal that the environment names.

measure             do it all and print one JSON line
seal                seal until the standard input ends
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import django
import msgspec

_ROUNDS: Final = 3
_SECONDS: Final = 4.0
_APPENDS_PER_S: Final = 50
_BATCH: Final = 10
_CHECKED: Final = 10_000
_RUN: Final = 100
_PERCENT: Final = 20
_LOOK_S: Final = 0.01
_POLL_S: Final = 0.5
_LATE_S: Final = 0.02
_PATIENCE_S: Final = 60.0
_PROJECT: Final = "bench"
_SUBJECT: Final = "user-42"
_TEXT: Final = "The order was paid twice, so the second payment goes back to the card that it came from. " * 4


def _events(count: int, first: int = 1) -> list[Any]:
    from journal.domain import agent_run as run  # noqa: PLC0415 - after set-up, as all below
    from journal.domain import codec  # noqa: PLC0415
    from journal.domain.catalog import catalog  # noqa: PLC0415
    from journal.domain.event import EventData, Metadata  # noqa: PLC0415

    metadata = codec.encode(Metadata(correlation_id="bench", actor="agent:support", subjects=(_SUBJECT,)))
    made: list[msgspec.Struct] = [
        run.ModelResponded(content=f"{at} {_TEXT}", input_tokens=800, output_tokens=60)
        for at in range(first, first + count)
    ]
    return [EventData(type=catalog.name_of(type(each)), data=codec.encode(each), metadata=metadata) for each in made]


# --- Appending, and how long an event waits ---------------------------------------------------------------------------


def append(stream: str) -> tuple[list[float], list[tuple[int, float]], float]:
    """Append at the rate. Returns the seconds of each, what was the last position when, and the share that was late.

    An append counts from when it was due: one that has to wait for the one before it is slow.
    """
    from journal.store import get_store  # noqa: PLC0415

    store = get_store(_PROJECT)
    took, marks, late = [], [], 0
    count = int(_SECONDS * _APPENDS_PER_S)
    batches = [_events(_BATCH, 1 + at * _BATCH) for at in range(count)]
    began = time.monotonic()
    for at, batch in enumerate(batches):
        due = began + at / _APPENDS_PER_S
        wait = due - time.monotonic()
        time.sleep(max(0.0, wait))
        late += wait < -_LATE_S
        store.append(stream, batch, expected_version=at * _BATCH)
        ended = time.monotonic()
        took.append(ended - due)
        marks.append((store.head(), ended))
    return took, marks, late / count


class Watch:
    """Notes when the log of the project got how far."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        from django.db import connection  # noqa: PLC0415

        from journal.runtime import log_rows  # noqa: PLC0415

        try:
            while not self._stop.wait(_LOOK_S):
                log = log_rows.newest(_PROJECT)
                if log is not None and (not self.seen or self.seen[-1][0] < log.position):
                    self.seen.append((log.position, time.monotonic()))
        finally:
            connection.close()

    def reached(self, position: int) -> None:
        """Wait until the log is that far."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self.seen or self.seen[-1][0] < position:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the sealer did not get to position {position} in {_PATIENCE_S:.0f} s")
            time.sleep(_LOOK_S)

    def lags(self, marks: list[tuple[int, float]]) -> list[float]:
        """Return how long after its append each batch was under a checkpoint."""
        positions = [position for position, _ in self.seen]
        return [max(0.0, self.seen[bisect_left(positions, position)][1] - at) for position, at in marks]


@contextmanager
def sealing() -> Iterator[None]:
    """Run a sealer in a process of its own."""
    child = subprocess.Popen([sys.executable, "-P", __file__, "seal"], stdin=subprocess.PIPE)  # noqa: S603 - our own file
    try:
        yield
    finally:
        child.communicate(timeout=_PATIENCE_S)


def seal() -> None:
    """Seal until nobody holds the other end of the standard input."""
    from journal.runtime import sealer, wakeup  # noqa: PLC0415

    stop = threading.Event()
    worker = threading.Thread(
        target=partial(sealer.run, stop=stop, wakeups=partial(wakeup.wakeups, poll_s=_POLL_S, stop=stop))
    )
    worker.start()
    sys.stdin.read()
    stop.set()
    worker.join()


# --- The offline check ------------------------------------------------------------------------------------------------


def check(folder: Path) -> dict[str, float]:
    """Have the bundle's own program check many events in a fresh process; return its processor time and the floor's."""
    from audits import making  # noqa: PLC0415
    from audits.selection import Query  # noqa: PLC0415
    from journal.access import add_project  # noqa: PLC0415
    from journal.runtime import log_keys  # noqa: PLC0415
    from journal.store import get_store  # noqa: PLC0415

    add_project("checked")
    for number in range(_CHECKED // _RUN):
        get_store("checked").append(f"agent_run-{number:04}", _events(_RUN), expected_version=0)
    evidence = making.gathered(Query(project="checked", subject=_SUBJECT))
    place, program = folder / "evidence.zip", folder / "verify.py"
    place.write_bytes(making.bundle(evidence))
    program.write_bytes(evidence.files["verify.py"])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    key = log_keys.in_use().keyring().current.verifier.vkey
    subprocess.run(  # noqa: S603 - the program that goes with the bundle
        [sys.executable, "-I", str(program), str(place), "--key", key], stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    began = time.process_time()
    for line in evidence.files["events.jsonl"].splitlines():
        event = json.loads(line)
        for raw in ("data_raw", "metadata_raw"):
            hashlib.sha256(event[raw].encode()).hexdigest()
    floor = time.process_time() - began
    return {
        "verified_events": len(evidence.selection.events),
        "verify_cpu_s": cpu,
        "verify_floor_cpu_s": floor,
        "verify_ratio": cpu / floor,
    }


def measure() -> None:
    """Measure, and print."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from journal.access import add_project  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    add_project(_PROJECT)
    bare, sealed, lags, late = [], [], [], []
    for number in range(_ROUNDS):
        with Watch():  # it asks the database too, so it does in both
            took, marks, was_late = append(f"agent_run-bare-{number}")
        bare.append(_p95_ms(took))
        with sealing(), Watch() as watch:
            watch.reached(marks[-1][0])
            took, marks, was_late_too = append(f"agent_run-sealed-{number}")
            watch.reached(marks[-1][0])
            lags += watch.lags(marks)
        sealed.append(_p95_ms(took))
        late += [was_late, was_late_too]
    found = {
        "name": "seal",
        "events_per_s": float(_APPENDS_PER_S * _BATCH),
        "seconds": _SECONDS,
        "rounds": _ROUNDS,
        "append_p95_ms": statistics.median(bare),
        "sealed_append_p95_ms": statistics.median(sealed),
        "ratio": statistics.median(own / other for own, other in zip(sealed, bare, strict=True)),
        "late": statistics.fmean(late),
        "lag_p50_ms": 1_000 * statistics.median(lags),
        "lag_p95_ms": _p95_ms(lags),
    }
    sys.stdout.write(msgspec.json.encode(found | check(settings.CONFIG.data_dir)).decode() + "\n")


def _p95_ms(seconds: list[float]) -> float:
    return 1_000 * statistics.quantiles(seconds, n=_PERCENT)[-1]


if __name__ == "__main__":
    django.setup()
    {"measure": measure, "seal": seal}[sys.argv[1]]()
