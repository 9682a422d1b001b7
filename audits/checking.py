"""Checking a report that somebody hands in: by the verifier, in a process of its own that is ended at a deadline.

No reader of PDF looks at it here: the verifier searches bytes and reads one signature, since a file that was added to
after it was signed can keep such a reader busy for minutes. Nothing is kept: the file is gone with the answer.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from threading import BoundedSemaphore
from typing import Final

from journal.errors import Refused

MOST_BYTES: Final = 64 << 20
DEADLINE_S: Final = 60.0
_AT_ONCE: Final = 2
_MOST_LINES: Final = 200
_MOST_ANSWER: Final = 1 << 18
_VERDICTS: Final = {"PASS": True, "FAIL": False}
_CODES: Final = {0: True, 1: False, 2: None}
"""What the verifier's exit code says of all its lines."""


class CheckRefused(Refused):
    """A file that is not looked at, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing was checked: {reason}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One check. `is_good` None: it could not be made."""

    name: str
    is_good: bool | None
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What was found in a file."""

    file: str
    size: int
    sha256: str
    lines: tuple[Line, ...]

    @property
    def is_good(self) -> bool | None:
        """False where a check failed, None where none did and not all could be made."""
        return _of_all(self.lines)


def _of_all(lines: Sequence[Line]) -> bool | None:
    found = [line.is_good for line in lines]
    return False if False in found else None if None in found or not found else True


def program(name: str = "verify.py") -> bytes:
    """Return a program that stands alone, the verifier by default: the very file that is in each bundle."""
    return resources.files("audits.verifier").joinpath(name).read_bytes()


def check(
    name: str, content: bytes, *, keys: Sequence[str], previous: bytes = b"", deadline_s: float = DEADLINE_S
) -> Checked:
    """Check a report or bundle. `previous` is an earlier one, or a checkpoint: the log has to go on from it.

    Raises:
        CheckRefused: it is empty or too large, or as many as may be are being checked already.
    """
    for part in (content, previous):
        if len(part) > MOST_BYTES:
            raise CheckRefused(f"a file has {len(part):,} bytes, the limit is {MOST_BYTES:,}; verify.py has none")
    if not content:
        raise CheckRefused("choose a report (.pdf) or a bundle (.zip)")
    with _one_of_few(), tempfile.TemporaryDirectory(prefix="nagare-verify-") as folder:
        path, earlier = Path(folder, "report"), Path(folder, "earlier")
        path.write_bytes(content)
        arguments = [str(path), *(part for key in keys for part in ("--key", key))]
        if previous:
            earlier.write_bytes(previous)
            arguments += ["--previous", str(earlier)]
        lines = tuple(_lines(arguments, folder, deadline_s))
    return Checked(file=name[:200], size=len(content), sha256=hashlib.sha256(content).hexdigest(), lines=lines)


_slots = BoundedSemaphore(_AT_ONCE)


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _slots.acquire(blocking=False):
        raise CheckRefused("others are being checked; try again in a minute, or run verify.py yourself")
    try:
        yield
    finally:
        _slots.release()


def _lines(arguments: Sequence[str], folder: str, deadline_s: float) -> Iterator[Line]:
    """Run the verifier and read what it says; a run that did not come to its end says so in its last line."""
    child = str(Path(__file__).with_name("verifier") / "child.py")
    try:
        done = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-I", "-B", child, *arguments],
            cwd=folder,
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadline_s,
            check=False,
        )
        said, code = done.stdout, done.returncode
        ended = code in _CODES and bool(said)
        why = "the check ended before it was done: it may have used up its memory or its time"
    except subprocess.TimeoutExpired as late:
        said, code, ended, why = late.stdout or b"", None, False, f"not done after {deadline_s:g} s, and stopped"
    shown = said[:_MOST_ANSWER].decode(errors="replace").split("\n")[:_MOST_LINES]
    lines = [_line(line, folder) for line in shown if line]
    yield from lines
    if not ended:
        yield Line(name="file", is_good=None, words=why)
    elif code and _of_all(lines) is not _CODES[code]:  # what was cut off of its answer is the worst of it
        yield Line(name="file", is_good=_CODES[code], words="not every check passed")


def _line(line: str, folder: str) -> Line:
    verdict, _, rest = line.partition("  ")
    name, _, words = rest.partition(": ")
    return Line(name=name, is_good=_VERDICTS.get(verdict), words=words.replace(folder, "").lstrip("/"))
