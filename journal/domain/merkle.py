"""The tree over a project's events: roots, tiles, and the proofs that `proof` checks.

The tree is that of RFC 9162 §2.1 with SHA-256. It is kept as tiles (C2SP tlog-tiles): 256 hashes of one level each, of
which only every eighth level is stored. What a proof needs of the levels between is hashed from the tiles again, so a
proof costs a few tiles however large the tree is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

import msgspec

EMPTY_ROOT: Final = sha256(b"").digest()
HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 2**TILE_HEIGHT

ReadTile = Callable[[int, int, int], bytes]
"""Gives the hashes of tile `(level, index)` at least `width` wide, 32 bytes each, as they are stored."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf (RFC 9162 §2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two neighbours into the node above them (RFC 9162 §2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees a tree of some size consists of, largest first: all that growing it needs.

    Adding a leaf costs two hashes on average, the root at most 64.
    """

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        """Go on from a tree of `size` leaves; as many roots as that has bits set.

        Raises:
            ValueError: the number of roots is another.
        """
        if len(roots) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} complete subtrees, not {len(roots)}")
        self.size = size
        self._roots = list(roots)

    def add(self, leaf: bytes) -> None:
        """Take the hash of the next leaf."""
        self._roots.append(leaf)
        self.size += 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self._roots.pop()
            self._roots[-1] = node_hash(self._roots[-1], right)

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The subtrees' roots, largest subtree first."""
        return tuple(self._roots)

    @property
    def root(self) -> bytes:
        """The root of the tree at its size now."""
        return _joined(self._roots)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.add(leaf)
    return frontier.root


def tile_width(level: int, index: int, *, size: int) -> int:
    """Return how many hashes tile `index` of a level has in a tree of `size` leaves: 0 where there is none."""
    hashes = size >> (TILE_HEIGHT * level)
    return max(0, min(TILE_WIDTH, hashes - index * TILE_WIDTH))


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return a tile's address below `tile/`, as tlog-tiles writes it: `0/x001/x234/067.p/8`."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"{level}/{'/'.join(groups)}{partial}"


_TILE_PATH: Final = re.compile(r"(0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)
_DEEPEST: Final = 63


def parse_tile_path(path: str) -> tuple[int, int, int] | None:
    """Return level, index and width of a tile's address, None where it is not one as `tile_path` writes it."""
    if (found := _TILE_PATH.fullmatch(path)) is None:
        return None
    level, index = int(found[1]), int(found[2].replace("x", "").replace("/", ""))
    width = int(found[3]) if found[3] else TILE_WIDTH
    is_one = level <= _DEEPEST and width <= TILE_WIDTH and tile_path(level, index, width) == path
    return (level, index, width) if is_one else None


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What appending leaves changed: the frontier after it, and every tile that is new or wider, in whole."""

    frontier: Frontier
    tiles: dict[tuple[int, int], bytes]


def grow(frontier: Frontier, leaves: Sequence[bytes], read_tile: ReadTile) -> Growth:
    """Append leaf hashes to a tree. `read_tile` gives the partial tiles at its edge; nothing else is read."""
    after = Frontier(frontier.size, frontier.roots)
    for leaf in leaves:
        after.add(leaf)
    tiles: dict[tuple[int, int], bytes] = {}
    level, hashes = 0, list(leaves)
    while hashes:
        start = frontier.size >> (TILE_HEIGHT * level)
        hashes = list(_widen(level, start, hashes, read_tile, tiles))
        level += 1
    return Growth(frontier=after, tiles=tiles)


def _widen(
    level: int, start: int, hashes: Sequence[bytes], read_tile: ReadTile, tiles: dict[tuple[int, int], bytes]
) -> Iterator[bytes]:
    """Put hashes into tiles of a level from place `start` on; yield the root of each tile that they make full."""
    at = 0
    while at < len(hashes):
        index, filled = divmod(start + at, TILE_WIDTH)
        before = read_tile(level, index, filled)[: filled * HASH_BYTES] if filled else b""
        taken = hashes[at : at + TILE_WIDTH - filled]
        tiles[level, index] = tile = before + b"".join(taken)
        at += len(taken)
        if len(tile) == TILE_WIDTH * HASH_BYTES:
            yield _rows(tile)[-1][0]


def _rows(tile: bytes) -> list[list[bytes]]:
    """Return a tile's hashes and the complete subtrees over them, a row for each level up to the last that has any."""
    rows = [[tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)])
    return rows


class Tiles:
    """The nodes of a tree of `size` leaves, worked out of its tiles; each tile is read and hashed once."""

    def __init__(self, size: int, read_tile: ReadTile) -> None:
        """Read nothing yet."""
        self.size = size
        self._read = read_tile
        self._kept: dict[tuple[int, int], list[list[bytes]]] = {}

    def node(self, level: int, index: int) -> bytes:
        """Return the root of the complete subtree of `2**level` leaves that begins at leaf `index * 2**level`."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile, at = divmod(index, TILE_WIDTH >> height)
        return self._tile(tile_level, tile)[height][at]

    def root(self, size: int | None = None) -> bytes:
        """Return the root of the tree's first `size` leaves, of all by default."""
        return self._range(0, self.size if size is None else size)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the inclusion proof of leaf `index` (from 0) in the tree's first `size` leaves (RFC 9162 §2.1.3.1).

        Raises:
            ValueError: the tree of that size has no such leaf.
        """
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise ValueError(f"no leaf {index} in a tree of {size}")
        return [self._range(*sibling) for sibling in _siblings(index, size)]

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Return the proof that the tree's first `old` leaves are those of its first `size` (RFC 9162 §2.1.4.1).

        Raises:
            ValueError: `old` is larger than `size`, or the tree smaller than that.
        """
        size = self.size if size is None else size
        if not 0 <= old <= size <= self.size:
            raise ValueError(f"no proof from a tree of {old} leaves to one of {size}")
        return [self._range(*part) for part in _common(old, size)] if 0 < old < size else []

    def _range(self, start: int, end: int) -> bytes:
        roots, at = [], start
        while at < end:
            level = (end - at).bit_length() - 1
            roots.append(self.node(level, at >> level))
            at += 1 << level
        return _joined(roots)

    def _tile(self, level: int, index: int) -> list[list[bytes]]:
        if (level, index) not in self._kept:
            width = tile_width(level, index, size=self.size)
            self._kept[level, index] = _rows(self._read(level, index, width)[: width * HASH_BYTES])
        return self._kept[level, index]


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves that stand beside the path from a leaf to the root, lowest first."""
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def _common(old: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves a consistency proof is made of, in its order."""
    start, end, is_whole, found = 0, size, True, []
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, is_whole = middle, False
    return ([] if is_whole else [(start, end)]) + found[::-1]


def _split(size: int) -> int:
    """Return the largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _joined(roots: Sequence[bytes]) -> bytes:
    if not roots:
        return EMPTY_ROOT
    joined = roots[-1]
    for root in reversed(roots[:-1]):
        joined = node_hash(root, joined)
    return joined
