"""Zip archives for tests, zstd ones included, which `zipfile` cannot write before Python 3.14."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO

import zstandard

from journal.ingest.archive import ZIP_ZSTD


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of the files."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def zstd_zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip of the files, packed with method 93."""
    body, directory = b"", b""
    for name, content in files.items():
        packed, raw = zstandard.compress(content), name.encode()
        common = struct.pack(
            "<5H3L2H", 63, 0, ZIP_ZSTD, 0, 33, zlib.crc32(content), len(packed), len(content), len(raw), 0
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 63) + common + struct.pack("<3H2L", 0, 0, 0, 0, len(body)) + raw
        body += b"PK\x03\x04" + common + raw + packed
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return body + directory + end
