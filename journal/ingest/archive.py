"""Read .zip and .gz within limits: what an archive claims is checked first, what it really inflates to as it inflates.

An archive is somebody else's: a few hundred bytes can claim or hold gigabytes, a name can point out of the folder, an
entry can be another archive. Nothing here writes to disk, and memory stays at the entry being read.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final, cast

import zstandard

from journal.errors import ImportRefused
from journal.ingest.source import MAX_DOCUMENT_BYTES

ZIP_ZSTD: Final = 93
_CHUNK_BYTES: Final = 2**18
_SLICE_BYTES: Final = 2**16
_ZSTD_WINDOW_BYTES: Final = 2**27
_LOCAL_HEADER_BYTES: Final = 30
_CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_DRIVE = re.compile(r"[A-Za-z]:")
_PADDING = re.compile(rb"\0*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one archive may hold, archives inside it included.

    `ratio` (inflated to packed) is only looked at past `ratio_after_bytes`, since small files may pack very well.
    `depth` is how many archives may lie inside each other below the outermost.
    """

    entries: int = 10_000
    inflated_bytes: int = MAX_DOCUMENT_BYTES
    ratio: int = 250
    ratio_after_bytes: int = 32 * 2**20
    depth: int = 1


LIMITS: Final = Limits()


@dataclass(slots=True)
class _Budget:
    """What is left of the limits while archives inside archives are read."""

    limits: Limits
    entries: int = 0
    inflated_bytes: int = 0


def entries(data: bytes, *, limits: Limits = LIMITS) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of each file in a zip, in the order of its directory; folders are skipped.

    A zip inside the zip is read too, its files named `inner.zip/name`; but a `.eval` is one file of its format and
    comes out whole. Stored, deflated and zstd (method 93) entries are read.

    Raises:
        ImportRefused: it is no zip, is damaged or encrypted, a name leaves the archive or is a symlink, or a limit is
            passed. Entries before the one refused have been yielded.
    """
    yield from _entries(data, _Budget(limits), depth=0, inside="")


def gunzip(data: bytes, limits: Limits = LIMITS) -> bytes:
    """Return what a .gz holds, all its members joined.

    Raises:
        ImportRefused: it is no gzip, is cut short or damaged, or inflates past a limit.
    """
    guard = _Guard("the .gz", len(data), limits, limits.inflated_bytes)
    try:
        return _joined(guard.watch(_gzip_chunks(data, limits)))
    except zlib.error as error:
        raise ImportRefused(f"the .gz is damaged ({error}); compress the file again") from error


def _entries(data: bytes, budget: _Budget, *, depth: int, inside: str) -> Iterator[tuple[str, bytes]]:
    for info in _directory(data, budget):
        name = inside + _safe_name(info)
        if info.is_dir():
            continue
        content = _inflated(data, info, name, budget)
        if content[:4] == _LOCAL_SIGNATURE and not name.endswith(".eval"):
            if depth >= budget.limits.depth:
                raise ImportRefused(
                    f"{name!r} is a zip inside {depth + 1} others, the limit is {budget.limits.depth}; unpack it first"
                )
            yield from _entries(content, budget, depth=depth + 1, inside=f"{name}/")
        else:
            yield name, content


def _directory(data: bytes, budget: _Budget) -> list[zipfile.ZipInfo]:
    """Return the central directory, once its claims are within the limits.

    The entries are counted by their signature before `zipfile` makes an object of each: a million of them cost seconds
    and hundreds of megabytes otherwise.
    """
    limits = budget.limits
    budget.entries += data.count(_CENTRAL_SIGNATURE)
    if budget.entries > limits.entries:
        raise ImportRefused(f"the archive has {budget.entries:,} entries, the limit is {limits.entries:,}; split it")
    try:
        found = zipfile.ZipFile(BytesIO(data)).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise ImportRefused(f"the zip cannot be read ({error}); it is cut short or damaged, export it again") from error
    _check_claims(found, len(data), budget)
    return found


def _check_claims(found: list[zipfile.ZipInfo], packed_bytes: int, budget: _Budget) -> None:
    limits = budget.limits
    if sum(info.compress_size for info in found) > packed_bytes:
        raise ImportRefused("the zip's entries overlap: their packed sizes add up to more than the file; zip it again")
    claimed = sum(info.file_size for info in found)
    if budget.inflated_bytes + claimed > limits.inflated_bytes:
        raise ImportRefused(
            f"the archive inflates to {budget.inflated_bytes + claimed:,} bytes, the limit is "
            f"{limits.inflated_bytes:,}; split it"
        )
    if claimed > max(limits.ratio_after_bytes, limits.ratio * packed_bytes):
        raise _too_dense("the zip", claimed, packed_bytes, limits)


def _safe_name(info: zipfile.ZipInfo) -> str:
    """Return the entry's name, if it stays inside the archive wherever it is unpacked."""
    name = info.orig_filename
    parts = name.replace("\\", "/").split("/")
    if "\0" in name:
        raise ImportRefused(f"the entry name {name!r} holds a NUL; rename it")
    if not parts[0] or _DRIVE.match(name) or ".." in parts:
        raise ImportRefused(f"the entry name {name!r} points outside the archive; use relative names without '..'")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ImportRefused(f"the entry {name!r} is a symbolic link; put the file itself in the archive")
    return name


def _inflated(data: bytes, info: zipfile.ZipInfo, name: str, budget: _Budget) -> bytes:
    if info.flag_bits & 1:
        raise ImportRefused(f"the entry {name!r} is encrypted; zip it without a password")
    packed = _packed(data, info, name)
    guard = _Guard(f"the entry {name!r}", len(packed), budget.limits, info.file_size)
    try:
        content = _joined(guard.watch(_method(info, name)(packed)))
    except (zlib.error, zstandard.ZstdError) as error:
        raise ImportRefused(f"the entry {name!r} is damaged ({error}); zip it again") from error
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise ImportRefused(f"the entry {name!r} is damaged (size or checksum differ from the directory); zip it again")
    budget.inflated_bytes += len(content)
    return content


def _packed(data: bytes, info: zipfile.ZipInfo, name: str) -> memoryview:
    """Return the entry's packed bytes, found behind its local header without a copy."""
    at = info.header_offset
    header = data[at : at + _LOCAL_HEADER_BYTES]
    if len(header) < _LOCAL_HEADER_BYTES or header[:4] != _LOCAL_SIGNATURE:
        raise ImportRefused(f"the entry {name!r} is not where the zip's directory says; the file is damaged")
    begin = at + _LOCAL_HEADER_BYTES + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    packed = memoryview(data)[begin : begin + info.compress_size]
    if len(packed) != info.compress_size:
        raise ImportRefused(f"the entry {name!r} is cut short; the file is damaged")
    return packed


_Inflate = Callable[[memoryview], Iterator[bytes]]


def _method(info: zipfile.ZipInfo, name: str) -> _Inflate:
    methods: dict[int, _Inflate] = {
        zipfile.ZIP_STORED: _stored_chunks,
        zipfile.ZIP_DEFLATED: _deflate_chunks,
        ZIP_ZSTD: _zstd_chunks,
    }
    if info.compress_type not in methods:
        raise ImportRefused(
            f"the entry {name!r} uses zip method {info.compress_type}; stored, deflate and zstd can be read"
        )
    return methods[info.compress_type]


def _stored_chunks(packed: memoryview) -> Iterator[bytes]:
    for begin in range(0, len(packed), _CHUNK_BYTES):
        yield bytes(packed[begin : begin + _CHUNK_BYTES])


def _deflate_chunks(packed: memoryview) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    yield from _zlib_chunks(stream, packed)


def _zstd_chunks(packed: memoryview) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    with reader.stream_reader(cast("bytes", packed), read_across_frames=True) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _gzip_chunks(data: bytes, limits: Limits) -> Iterator[bytes]:
    """Yield the members' chunks; zero bytes after a member are padding, as `gzip` has it."""
    view, begin, members = memoryview(data), 0, 0
    while begin < len(data):
        members += 1
        if members > limits.entries:
            raise ImportRefused(f"the .gz has more than {limits.entries:,} members; compress the file again as one")
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        begin += yield from _zlib_chunks(stream, view[begin:])
        if not stream.eof:
            raise ImportRefused("the .gz is cut short; copy the file again")
        begin = _match_end(_PADDING, data, begin)


def _match_end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at


def _zlib_chunks(stream: zlib._Decompress, packed: memoryview) -> Generator[bytes, None, int]:
    """Yield the stream's chunks, and return how many packed bytes it had.

    The input goes in slices: what zlib has not taken yet is copied on each call, quadratic work in a whole file.
    """
    for begin in range(0, len(packed), _SLICE_BYTES):
        piece: bytes | memoryview = packed[begin : begin + _SLICE_BYTES]
        end = begin + len(piece)
        while True:
            chunk = stream.decompress(piece, _CHUNK_BYTES)
            if chunk:
                yield chunk
            if stream.eof:
                return end - len(stream.unused_data)
            piece = stream.unconsumed_tail
            if not piece and len(chunk) < _CHUNK_BYTES:
                break
    return len(packed)


def _joined(chunks: Iterator[bytes]) -> bytes:
    """Return the chunks as one. `b"".join` would hold all of them and the whole at once; a `BytesIO` gives its own."""
    whole = BytesIO()
    for chunk in chunks:
        whole.write(chunk)
    return whole.getvalue()


@dataclass(frozen=True, slots=True)
class _Guard:
    """Counts what comes out, and stops the inflating at the first byte too many."""

    what: str
    packed_bytes: int
    limits: Limits
    at_most: int

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > self.at_most:
                raise ImportRefused(f"{self.what} inflates past {self.at_most:,} bytes; it is damaged or too large")
            if size > max(self.limits.ratio_after_bytes, self.limits.ratio * self.packed_bytes):
                raise _too_dense(self.what, size, self.packed_bytes, self.limits)
            yield chunk


def _too_dense(what: str, size: int, packed_bytes: int, limits: Limits) -> ImportRefused:
    return ImportRefused(
        f"{what} inflates {packed_bytes:,} bytes to {size:,} or more, over {limits.ratio} to 1; "
        "unpack it and import the files"
    )
