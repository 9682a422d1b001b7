"""The delivery proof: whatever writers do, a reader that follows the journal is given every event once and in order.

Eight writer processes append (`writers.py` says what befalls them), and where the server knows triggers it pauses by
itself too: between the row of the stream and the first event, and between two events of one statement, which is after
one position is drawn and before the next. One reader follows by position the whole time. In the end what it was given
is compared with what the tables hold.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from tests.journal.store.writers import Befallen

_PATIENCE: Final = 300
_SLOWEST: Final = 25
"""Events a second that the proof still waits for, on a machine that has much else to do."""

_ROOT: Final = Path(__file__).resolve().parents[3]
_PAUSE: Final = (
    "CREATE FUNCTION proof_pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF random() < 0.02 THEN PERFORM pg_sleep(random() * 0.01); END IF; RETURN NEW; END $$"
)
_ON_ROWS: Final = "FOR EACH ROW WHEN (NEW.project = 'proof') EXECUTE FUNCTION proof_pause()"
_ROW_PAUSE: Final = "IF NEW.project = 'proof' AND RAND() < 0.02 THEN DO SLEEP(RAND() * 0.01); END IF"
_PAUSES: Final = {
    "postgresql": (
        (
            _PAUSE,
            f"CREATE TRIGGER proof_pause BEFORE INSERT ON journal_event {_ON_ROWS}",
            f"CREATE TRIGGER proof_pause BEFORE INSERT OR UPDATE ON journal_stream {_ON_ROWS}",
        ),
        ("DROP FUNCTION proof_pause() CASCADE",),
    ),
    "mysql": (
        (f"CREATE TRIGGER proof_pause BEFORE INSERT ON journal_event FOR EACH ROW {_ROW_PAUSE}",),
        ("DROP TRIGGER proof_pause",),
    ),
}


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was committed, what the reader was given of it, and what befell the writers."""

    committed: int
    missed: int
    repeated: int
    out_of_order: int
    foreign: int
    """Given to the reader, but not in the journal: an event that was rolled back."""
    writers: Befallen
    seconds: float

    @property
    def holds(self) -> bool:
        """Every committed event was delivered exactly once and in order."""
        return (self.missed, self.repeated, self.out_of_order, self.foreign) == (0, 0, 0, 0)


def prove(alias: str, url: str, *, events: int, reader: Any = None, seed: int = 0) -> Proof:
    """Run the writers, follow them, and compare. `reader` is the store to follow with, the shipped one if None."""
    from journal.store import get_store  # noqa: PLC0415 - Django is not set up when this module is read

    store = reader or get_store("proof", using=alias)
    began, start = time.monotonic(), store.head()
    writers = _Writers(alias, url, events, seed)
    with _pauses(alias), writers:
        given = _followed(store, start, writers, deadline=began + _PATIENCE + events / _SLOWEST)
    return _compared(given, _committed(alias, start), writers.befallen, time.monotonic() - began)


def _followed(store: Any, position: int, writers: _Writers, deadline: float) -> list[Any]:
    """Return what a reader is given until the writers are through, with one more look at what they committed last."""
    given: list[Any] = []
    quiet = False
    while True:
        page = list(store.read_all(after=position, limit=500))
        given += [(event.position, event.stream, event.version, event.id) for event in page]
        position = page[-1].position if page else position
        if not page and quiet:
            return given
        quiet = not page and not writers.running()
        if not page:
            time.sleep(0.001)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the writers are not through; the reader has {len(given)} events, up to {position}")


class _Writers:
    """The process that has the writers."""

    befallen: Befallen

    def __init__(self, alias: str, url: str, events: int, seed: int) -> None:
        self._command = [sys.executable, "-m", "tests.journal.store.writers", alias, url, str(events), str(seed)]

    def __enter__(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if key != "NAGARE_TEST_DATABASE"}
        self._process = subprocess.Popen(
            self._command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, start_new_session=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def running(self) -> bool:
        """Return whether a writer is still at work."""
        if self._process.poll() is None:
            return True
        if self._process.returncode:
            raise RuntimeError(f"the writers failed with {self._process.returncode}, see above")
        if self._process.stdout and (said := self._process.stdout.read()):
            self.befallen = msgspec.json.decode(said, type=Befallen)
        return False


@contextlib.contextmanager
def _pauses(alias: str) -> Iterator[None]:
    """Let the server pause within its statements, for this proof's project alone."""
    from django.db import connections  # noqa: PLC0415

    make, drop = _PAUSES.get(connections[alias].vendor, ((), ()))
    with connections[alias].cursor() as cursor:
        for statement in make:
            cursor.execute(statement)
        try:
            yield
        finally:
            for statement in drop:
                cursor.execute(statement)


def _committed(alias: str, start: int) -> list[Any]:
    from django.db import connections  # noqa: PLC0415

    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT e.position, s.name, e.version, e.event_id FROM journal_event e JOIN journal_stream s"
            " ON s.id = e.stream_id WHERE e.project = 'proof' AND e.position > %s ORDER BY e.position",
            [start],
        )
        return list(cursor.fetchall())


def _compared(given: list[Any], committed: list[Any], befallen: Befallen, seconds: float) -> Proof:
    times, there = Counter(given), set(committed)
    versions: dict[str, int] = defaultdict(int)
    disorder = sum(1 for earlier, later in itertools.pairwise(given) if later[0] <= earlier[0])
    for _, stream, version, _ in given:
        # Streams go on from an earlier proof on the same database.
        disorder += versions[stream] not in (0, version - 1)
        versions[stream] = version
    return Proof(
        committed=len(committed),
        missed=sum(1 for event in committed if event not in times),
        repeated=sum(count - 1 for count in times.values()),
        out_of_order=disorder,
        foreign=sum(1 for event in times if event not in there),
        writers=befallen,
        seconds=round(seconds, 1),
    )
