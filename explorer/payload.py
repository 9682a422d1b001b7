"""Stored JSON for reading: indented without touching a value, in pages, with what is no text taken out of it.

Nothing is decoded on the way, so big integers, the order of keys and a key that stands twice are as they were stored.
Base64 is no reading matter: a page has its size and kind in its place, and a link to the bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

PAGE: Final = 64_000
"""Bytes of laid-out text on a page."""

_MOST_PIECES: Final = 100
_SHORTEST: Final = 800
_BASE64: Final = re.compile(
    r'"(?P<head>data:(?P<type>[\w.+-]{1,60}/[\w.+-]{1,80})(?:;[\w=.+-]{1,80})*;base64,)?'
    rf'(?P<body>(?:[A-Za-z0-9+/_=-]|\\+[nr/]){{{_SHORTEST},}}+)(?=\\*")'
)
"""A long string of base64, also one in JSON that stands in a string itself."""

_DECLARED: Final = re.compile(
    r'(?:media_?type|mime_?type|content_?type)\\*"\s*:\s*\\*"([\w.+-]{1,60}/[\w.+-]{1,80})', re.IGNORECASE
)
_AROUND: Final = 300
_KNOWN: Final = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
)
_CLASSES: Final = ("[A-Z]", "[a-z]", "[0-9]")
_RIGHT_TO_LEFT: Final = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_STRING: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """Bytes that stand in a text as base64. `media_type` is empty where nothing tells it."""

    number: int
    media_type: str
    size_bytes: int
    at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a page: text, or else a blob. Text that runs from right to left is a piece of its own."""

    text: str = ""
    blob: Blob | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """A page of a laid-out text: bytes ``[start, end)`` of `total`. Blobs take no bytes of it."""

    pieces: tuple[Piece, ...]
    start: int
    end: int
    total: int
    blobs: int
    blob_bytes: int

    @property
    def is_all(self) -> bool:
        """Tell whether there is nothing beside this page."""
        return self.start == 0 and self.end == self.total


def sheet(raw: bytes, start: int = 0, *, most: int = PAGE) -> Sheet:
    """Return the page of a stored payload that begins at or just behind byte `start` of its laid-out text."""
    text, blobs = _without_blobs(raw)
    first = _boundary(text, start if start < len(text) else 0)
    last = _end(text, first, most)
    here = [blob for blob in blobs if first <= blob.at < last]
    if len(here) > _MOST_PIECES:
        last, here = here[_MOST_PIECES].at, here[:_MOST_PIECES]
    return Sheet(
        pieces=tuple(_pieces(text, here, first, last)),
        start=first,
        end=last,
        total=len(text),
        blobs=len(blobs),
        blob_bytes=sum(blob.size_bytes for blob in blobs),
    )


def laid_out(raw: bytes) -> str:
    """Return JSON indented, as it is but for white space; what is no JSON as it is."""
    try:
        return msgspec.json.format(raw, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw.decode(errors="replace")


def blob_of(raw: bytes, number: int) -> tuple[Blob, bytes] | None:
    """Return a blob of a payload with its bytes; None where there is no such blob, or it is no base64 after all."""
    text = laid_out(raw)
    for count, (blob, found) in enumerate(_found(text)):
        if count == number:
            try:
                return blob, base64.b64decode(_padded(_body(found)), altchars=b"-_" if _is_url_safe(found) else None)
            except binascii.Error:
                return None
    return None


def _without_blobs(raw: bytes) -> tuple[bytes, tuple[Blob, ...]]:
    """Return the laid-out text without its blobs, and where in it they stood."""
    text = laid_out(raw)
    parts, blobs, end, size = [], [], 0, 0
    for blob, found in _found(text):
        kept = text[end : found.start("head") if found["head"] else found.start("body")].encode(errors="replace")
        parts.append(kept)
        size += len(kept)
        blobs.append(Blob(number=blob.number, media_type=blob.media_type, size_bytes=blob.size_bytes, at=size))
        end = found.end()
    parts.append(text[end:].encode(errors="replace"))
    return b"".join(parts), tuple(blobs)


def _found(text: str) -> Iterator[tuple[Blob, re.Match[str]]]:
    number = 0
    for found in _BASE64.finditer(text):
        media_type = found["type"] or _declared(text, found) or _sniffed(found)
        if media_type or _looks_encoded(found):
            size = len(_body(found).rstrip("=")) * 3 // 4
            yield Blob(number=number, media_type=media_type.lower(), size_bytes=size, at=0), found
            number += 1


def _body(found: re.Match[str]) -> str:
    return re.sub(r"\\+[nr]|\\+(?=/)", "", found["body"]) if "\\" in found["body"] else found["body"]


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _is_url_safe(found: re.Match[str]) -> bool:
    return "-" in found["body"] or "_" in found["body"]


def _declared(text: str, found: re.Match[str]) -> str:
    """Return the type that stands beside it in the same object, as far as a few lines tell."""
    before = text[max(0, found.start() - _AROUND) : found.start()]
    behind = text[found.end() : found.end() + _AROUND]
    near = [*_DECLARED.findall(before.rpartition("{")[2]), *_DECLARED.findall(behind.partition("}")[0])]
    return near[0] if near else ""


def _sniffed(found: re.Match[str]) -> str:
    try:
        head = base64.b64decode(_body(found)[:64])
    except binascii.Error:
        return ""
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(head[8:12], "")
    return next((name for mark, name in _KNOWN if head.startswith(mark)), "")


def _looks_encoded(found: re.Match[str]) -> bool:
    """Tell base64 of an unknown kind from a long word, a row of digits or a digest in hexadecimal."""
    body = _body(found)
    return len(body) % 4 == 0 and all(re.search(which, body[:_SHORTEST]) for which in _CLASSES)


def _boundary(text: bytes, place: int) -> int:
    """Return the first place from `place` on at which a character begins."""
    while place < len(text) and text[place] & 0xC0 == 0x80:  # noqa: PLR2004 - a byte within a character
        place += 1
    return place


def _end(text: bytes, start: int, most: int) -> int:
    """Return where a page ends: at a line's end if there is one in its second half, else between characters."""
    if start + most >= len(text):
        return len(text)
    line = text.rfind(b"\n", start + most // 2, start + most)
    return line + 1 if line > 0 else _boundary(text, start + most)


def _pieces(text: bytes, blobs: list[Blob], start: int, end: int) -> Iterator[Piece]:
    for blob in blobs:
        yield from _directed(text[start : blob.at].decode())
        yield Piece(blob=blob)
        start = blob.at
    yield from _directed(text[start:end].decode())


def _directed(text: str) -> Iterator[Piece]:
    """Yield the strings that run from right to left apart, so that they do not turn what stands around them."""
    turned = [found for found in _STRING.finditer(text) if _RIGHT_TO_LEFT.search(found[0])] if _turns(text) else []
    end = 0
    for found in turned[:_MOST_PIECES]:
        yield from (Piece(text=text[end : found.start()]), Piece(text=found[0]))
        end = found.end()
    yield Piece(text=text[end:])


def _turns(text: str) -> bool:
    return not text.isascii() and bool(_RIGHT_TO_LEFT.search(text))
