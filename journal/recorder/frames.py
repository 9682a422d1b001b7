"""The spool's lines: a checksum, a space, one JSON document.

A crash tears at most the last line, and a disk that fills up at most one; a line is either whole or not there. JSON has
no line breaks of its own, so that reading goes on at the line behind a torn one.
"""

from __future__ import annotations

from collections.abc import Iterator
from zlib import crc32

import msgspec

_CHECKSUM_CHARACTERS = 8


class Header(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="is"):
    """The first line: whose events these are, and where they go; `to` is None where no server was known yet."""

    stream: str
    to: str | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag="event", tag_field="is"):
    """An event as it will be sent. `refs` says that its data names earlier events by id where versions belong."""

    id: str
    type: str
    schema: int
    at: str
    data: msgspec.Raw
    metadata: msgspec.Raw
    refs: bool = False


class Sent(msgspec.Struct, frozen=True, kw_only=True, tag="sent", tag_field="is"):
    """The next `count` events are the server's; the last of them is at `version` of its stream."""

    count: int
    version: int


class SetAside(msgspec.Struct, frozen=True, kw_only=True, tag="aside", tag_field="is"):
    """The next event was refused for what it is, and is kept beside the spool."""

    reason: str


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended", tag_field="is"):
    """The run is over: nothing more will be written here."""


Line = Header | Kept | Sent | SetAside | Ended

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def framed(line: Line) -> bytes:
    """Return a line as it is written."""
    payload = _encode(line)
    return b"%08x %b\n" % (crc32(payload), payload)


def unframed(raw: bytes) -> Line | None:
    """Return what a line says, without its line break, or None where it is torn."""
    checksum, _, payload = raw.partition(b" ")
    if len(checksum) != _CHECKSUM_CHARACTERS or checksum != b"%08x" % crc32(payload):
        return None
    try:
        line: Line = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return line


def read(data: bytes) -> Iterator[tuple[int, Line]]:
    """Yield every whole line with the offset behind it; what is torn is passed over."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        line = unframed(data[start:end])
        start = end + 1
        if line is not None:
            yield start, line
