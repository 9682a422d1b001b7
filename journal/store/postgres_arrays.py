"""Columns of a batch as PostgreSQL's binary arrays, made in a few calls.

psycopg looks at every element of a list to find its dumper, which costs more than the rest of an append. Here the type
is known: the format is that of `array_send`: dimensions, a flag for NULL, the elements' type, length and lower bound,
and each element behind its length.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_BYTEA, _INT8, _TEXT = 17, 20, 25
_header = struct.Struct("!5i").pack
_length = struct.Struct("!i").pack


class Packed(bytes):
    """An array that is ready to send; the statement casts the parameter to its type."""

    __slots__ = ()


class PackedDumper(Dumper):
    """Sends a `Packed` as it is, and leaves its type to the statement."""

    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer:
        """Return the bytes themselves."""
        return obj


def integers(values: Sequence[int]) -> Packed:
    """Return a `bigint[]`."""
    elements = struct.pack("!" + "iq" * len(values), *(part for value in values for part in (8, value)))
    return Packed(_head(_INT8, len(values)) + elements)


def texts(values: Sequence[str]) -> Packed:
    """Return a `text[]`."""
    return _joined(_TEXT, [value.encode() for value in values])


def blobs(values: Sequence[bytes]) -> Packed:
    """Return a `bytea[]`."""
    return _joined(_BYTEA, values)


def _joined(kind: int, values: Sequence[bytes]) -> Packed:
    parts = [part for value in values for part in (_length(len(value)), value)]
    return Packed(b"".join((_head(kind, len(values)), *parts)))


def _head(kind: int, count: int) -> bytes:
    return _header(1, 0, kind, count, 1)
