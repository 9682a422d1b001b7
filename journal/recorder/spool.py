"""What is recorded and not yet sent, in one append-only file a run.

A call that records returns when its event is in the file: handed to the operating system, so that the end of the
process, `kill -9` included, loses nothing. Against the end of the machine, `fsync` says when the file is forced to the
disk: `batch` (at most a second behind, and when the run ends), `always` (before the call returns) or `never`.

The file is locked for as long as its process lives. Whoever gets the lock of a file is alone with it: that is how a
later process takes over what a dead one left behind, and how two never take the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, Self

from uuid_utils import uuid7

from journal.recorder.frames import Ended, Header, Kept, Line, Sent, SetAside, framed, read, unframed

Fsync = Literal["batch", "always", "never"]

SUFFIX: Final = ".spool"
_FRESH: Final = ".new"
_READ_BYTES: Final = 1 << 20


class SpoolFile:
    """One run's file, locked by this process. Not safe to use from several threads at once."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._is_torn = False

    @classmethod
    def create(cls, folder: Path, header: Header) -> Self:
        """Return a new file with its first line in it.

        It is locked before it has the name that others look for: nobody takes it for one left behind.

        Raises:
            OSError: the folder cannot be written to.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{header.stream}.{uuid7()}"
        fresh = folder / f"{name}{_FRESH}"
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        file = cls(fresh, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.append(header)
            file.path = folder / f"{name}{SUFFIX}"
            fresh.rename(file.path)
        except OSError:
            file.close()
            fresh.unlink(missing_ok=True)
            raise
        return file

    @classmethod
    def take_over(cls, path: Path) -> Self | None:
        """Return a file that a dead process left behind, or None where somebody has it or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return cls(path, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return None

    def append(self, line: Line) -> None:
        """Write a line, whole or not at all.

        Raises:
            OSError: there is no room; what got in of the line is taken back, or passed over when the file is read.
        """
        raw = framed(line)
        raw = b"\n" + raw if self._is_torn else raw
        written = 0
        try:
            while written < len(raw):
                written += os.write(self._descriptor, raw[written:])
        except OSError:
            self._take_back(written)
            raise
        self._is_torn = False
        self.size += len(raw)

    def _take_back(self, written: int) -> None:
        if not written:
            return
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self._is_torn = True
            self.size += written

    def force(self) -> None:
        """Return when everything written is on the disk."""
        os.fsync(self._descriptor)

    def lines(self, offset: int) -> Iterator[tuple[int, Line]]:
        """Yield the whole lines past an offset, each with the offset behind it."""
        rest = b""
        base = offset
        while chunk := os.pread(self._descriptor, _READ_BYTES, offset):
            offset += len(chunk)
            rest += chunk
            last = rest.rfind(b"\n") + 1
            for end, line in read(rest[:last]):
                yield base + end, line
            base, rest = base + last, rest[last:]

    def close(self) -> None:
        """Let go of the file and its lock; it stays where it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def remove(self) -> None:
        """Take the file away: all that was in it has been sent."""
        self.path.unlink(missing_ok=True)
        self.close()

    def set_aside(self, event: Kept, reason: str) -> Path:
        """Keep a refused event beside the spool, for a person to look at. Returns where."""
        path = self.path.with_suffix(".refused")
        with contextlib.suppress(OSError), path.open("ab") as file:
            file.write(framed(SetAside(reason=reason)) + framed(event))
        return path


class Left:
    """What a dead process left of a run: what was sent of it, and what was not."""

    def __init__(self, file: SpoolFile) -> None:
        self.file = file
        self.header: Header | None = None
        self.versions: dict[str, int] = {}
        self.version = 0
        self.offset = 0
        self.has_ended = False
        self._read()

    def _read(self) -> None:
        """Go through the file once; of the events only ids and offsets are kept in memory."""
        waiting: list[tuple[str, int]] = []
        for offset, line in self.file.lines(0):
            match line:
                case Header():
                    self.header, self.offset = line, offset
                case Kept():
                    waiting.append((line.id, offset))
                case Sent():
                    self.version = line.version
                    first = line.version - line.count + 1
                    self.versions |= {known: first + at for at, (known, _) in enumerate(waiting[: line.count])}
                    self._pass(waiting, line.count)
                case SetAside():
                    self._pass(waiting, 1)
                case Ended():
                    self.has_ended = True

    def _pass(self, waiting: list[tuple[str, int]], count: int) -> None:
        if waiting[:count]:
            self.offset = waiting[:count][-1][1]
        del waiting[:count]


def left_behind(folder: Path) -> Iterator[Left]:
    """Yield the runs whose process is gone, oldest first; each is the caller's own until it closes the file."""
    for path in sorted(folder.glob(f"*{SUFFIX}"), key=_age):
        file = SpoolFile.take_over(path)
        if file is None:
            continue
        left = Left(file)
        if left.header is None:
            file.close()
            continue
        yield left


def _age(path: Path) -> str:
    return path.stem.rpartition(".")[2]


__all__ = ["SUFFIX", "Fsync", "Left", "SpoolFile", "left_behind", "unframed"]
