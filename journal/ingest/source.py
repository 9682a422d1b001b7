"""One file as a format module sees it: bounded, decoded, with places for what could not be read.

Everything a format reads goes through here, so the limits hold for all of them: a line, a document, the depth of its
nesting, and the time it takes are bounded, and a record that cannot be read is noted with its line and reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import msgspec

from journal.domain.codec import MAX_DEPTH, is_shallow
from journal.errors import ImportRefused

MAX_LINE_BYTES = 32 * 2**20
MAX_DOCUMENT_BYTES = 512 * 2**20
_HEAD_BYTES = 64 * 2**10
_HEAD_VALUES = 20
_FAR_FUTURE_S = 1e11


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that was left out, and why. `line` counts from 1; None where the file has no lines."""

    reason: str
    line: int | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line is not None else self.reason


@dataclass(kw_only=True)
class Source:
    """The bytes of one file (already out of its .gz or .zip), and where they stood.

    `name` is a relative POSIX path such as `agent-1/session.jsonl`; `sibling` gives the bytes of a file beside it that
    came in the same import, or None. `problems` collects what was left out. `model_steps` are the names of steps that
    whoever imports knows to be calls of a model, for formats that do not record which are.
    """

    name: str
    data: bytes
    sibling: Callable[[str], bytes | None] = lambda _name: None
    siblings: Callable[[], list[str]] = list
    problems: list[Problem] = field(default_factory=list)
    model_steps: frozenset[str] = frozenset()

    @property
    def path(self) -> PurePosixPath:
        """The name as a path, for its parts, stem and suffix."""
        return PurePosixPath(self.name)

    @cached_property
    def is_zip(self) -> bool:
        """Whether the bytes are a zip archive (an Inspect `.eval` is one)."""
        return self.data[:4] == b"PK\x03\x04"

    @cached_property
    def head(self) -> list[Any]:
        """The first decoded lines, for detection: up to 20 JSON values from the first 64 KiB; bad lines are skipped."""
        found: list[Any] = []
        chunk = self.data[:_HEAD_BYTES] if not self.is_zip else b""
        lines = chunk.split(b"\n")
        if len(self.data) > _HEAD_BYTES:
            lines = lines[:-1] or [self.data.split(b"\n", 1)[0][:MAX_LINE_BYTES]]
        for line in lines[:60]:
            try:
                found.append(msgspec.json.decode(line))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                continue
            if len(found) == _HEAD_VALUES:
                break
        return found

    @cached_property
    def first(self) -> dict[str, Any]:
        """The first line as an object, or an empty one: enough to tell most JSON Lines formats."""
        return next((value for value in self.head if isinstance(value, dict)), {})

    @cached_property
    def document(self) -> Any:
        """The whole file as one JSON value, or None where it is not one. Decoded once; see `json` for the errors."""
        try:
            return self.json()
        except ImportRefused:
            return None

    def json(self) -> Any:
        """Return the whole file as one JSON value.

        Raises:
            ImportRefused: it is not one, or is past a limit; with line and column.
        """
        if (known := self.__dict__.get("document")) is not None:
            return known
        if len(self.data) > MAX_DOCUMENT_BYTES:
            raise ImportRefused(
                f"the document has {len(self.data):,} bytes, the limit is {MAX_DOCUMENT_BYTES:,}; split it by runs"
            )
        return decode(self.data)

    def raw_lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (line number from 1, bytes) of a file of lines; blank ones are passed over, too long ones noted."""
        for number, line in enumerate(self.data.split(b"\n"), 1):
            if len(line) > MAX_LINE_BYTES:
                self.note(f"{len(line):,} bytes in one line, the limit is {MAX_LINE_BYTES:,}", line=number)
            elif line.strip():
                yield number, line

    def lines(self) -> Iterator[tuple[int, Any]]:
        """Yield (line number from 1, decoded value) of a JSON Lines file; a bad line is noted in `problems`."""
        for number, line in self.raw_lines():
            try:
                yield number, decode(line)
            except ImportRefused as refusal:
                place = f"column {refusal.column}: " if refusal.column else ""
                self.note(place + refusal.reason, line=number)

    def note(self, reason: str, *, line: int | None = None) -> None:
        """Note a record that is left out."""
        self.problems.append(Problem(reason, line))


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]')
_AT_BYTE = re.compile(r"\(byte (\d+)\)")


def decode(raw: bytes) -> Any:
    """Return one JSON value.

    Raises:
        ImportRefused: it is not JSON, or nests deeper than `MAX_DEPTH`; line and column count from 1.
    """
    try:
        if not is_shallow(raw):
            _check_depth(raw)
        return msgspec.json.decode(raw)
    except RecursionError as error:
        raise ImportRefused(f"JSON nested deeper than {MAX_DEPTH} levels") from error
    except UnicodeDecodeError as error:
        raise _refused(raw, "the text is not UTF-8", error.start) from error
    except msgspec.DecodeError as error:
        found = _AT_BYTE.search(str(error))
        at = int(found[1]) if found else len(raw)
        reason = "the text ends inside a value" if "truncated" in str(error) else str(error).partition(" (byte")[0]
        raise _refused(raw, reason, at) from error


def _refused(raw: bytes, reason: str, at: int) -> ImportRefused:
    line = raw.count(b"\n", 0, at) + 1
    return ImportRefused(reason, line=line, column=at - (raw.rfind(b"\n", 0, at) + 1) + 1)


def _check_depth(raw: bytes) -> None:
    """Find the place where it gets too deep, a token at a time."""
    depth = 0
    for token in _TOKENS.finditer(raw):
        first = raw[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(raw, f"JSON nested deeper than {MAX_DEPTH} levels", token.start())
        elif first in b"]}":
            depth -= 1


def moment(value: object) -> datetime | None:
    """Return a time as aware UTC, or None where the value is none.

    Takes ISO 8601 text (no zone means UTC), and seconds, milliseconds, micro- or nanoseconds since 1970, told apart by
    their size.
    """
    if isinstance(value, str):
        if value.isdigit():
            return moment(int(value))
        try:
            parsed = datetime.fromisoformat(value.replace(" UTC", "Z"))
        except ValueError:
            return None
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        for scale in (1, 1e3, 1e6, 1e9):
            if value / scale < _FAR_FUTURE_S:
                return datetime.fromtimestamp(value / scale, UTC)
    return None
