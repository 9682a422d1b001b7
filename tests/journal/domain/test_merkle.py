"""The tree against its definition: RFC 9162 §2.1 written down as it stands there, recursion and all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.domain import merkle
from journal.domain.merkle import EMPTY_ROOT, Frontier, Growth, Tiles, grow, parse_tile_path, tile_path, tile_width
from journal.domain.proof import ProofRefused, check_consistency, check_inclusion

SIZES = 300
LEAVES = [merkle.leaf_hash(f"entry {at}".encode()) for at in range(SIZES)]


@cache
def mth(start: int, end: int) -> bytes:
    """The Merkle Tree Hash of leaves [start, end) by its definition."""
    if end == start:
        return sha256(b"").digest()
    if end - start == 1:
        return LEAVES[start]
    k = largest_power_below(end - start)
    return sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest()


def largest_power_below(n: int) -> int:
    """The k of §2.1.1: k < n <= 2k."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, start: int, end: int) -> list[bytes]:
    """PATH(m, D_n) of §2.1.3.1, over leaves [start, end)."""
    n = end - start
    if n == 1:
        return []
    k = largest_power_below(n)
    if m < k:
        return [*path(m, start, start + k), mth(start + k, end)]
    return [*path(m - k, start + k, end), mth(start, start + k)]


def subproof(m: int, start: int, end: int, *, is_whole: bool) -> list[bytes]:
    """SUBPROOF(m, D_n, b) of §2.1.4.1, over leaves [start, end)."""
    n = end - start
    if m == n:
        return [] if is_whole else [mth(start, end)]
    k = largest_power_below(n)
    if m <= k:
        return [*subproof(m, start, start + k, is_whole=is_whole), mth(start + k, end)]
    return [*subproof(m - k, start + k, end, is_whole=False), mth(start, start + k)]


class Stored:
    """Tiles as a log keeps them: the widest of each."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier()

    def read(self, level: int, index: int, width: int) -> bytes:
        """Give a tile; asking for more than it has is a mistake."""
        tile = self.tiles[level, index]
        assert len(tile) >= width * 32
        return tile

    def append(self, leaves: Sequence[bytes]) -> Growth:
        """Take leaves in, and keep what that changed."""
        growth = grow(self.frontier, leaves, self.read)
        self.tiles |= growth.tiles
        self.frontier = growth.frontier
        return growth


@pytest.fixture(scope="module")
def full() -> Stored:
    """All leaves, in one batch."""
    stored = Stored()
    stored.append(LEAVES)
    return stored


def test_every_root_to_300_leaves_is_the_definitions(full: Stored) -> None:
    """The frontier, the tiles and the definition agree on each size."""
    frontier = Frontier()
    assert frontier.root == mth(0, 0) == EMPTY_ROOT
    for size in range(1, SIZES + 1):
        frontier.add(LEAVES[size - 1])
        assert frontier.root == mth(0, size) == Tiles(SIZES, full.read).root(size) == merkle.root_of(LEAVES[:size])
        assert Frontier(size, frontier.roots).root == frontier.root


def test_every_inclusion_proof_to_300_leaves_is_the_definitions_and_checks(full: Stored) -> None:
    """45,150 proofs: made of tiles as by the definition, and each leads to the root."""
    tiles = Tiles(SIZES, full.read)
    for size in range(1, SIZES + 1):
        for index in range(size):
            proof = tiles.inclusion(index, size)
            assert proof == path(index, 0, size)
            check_inclusion(LEAVES[index], index=index, size=size, path=proof, root=mth(0, size))


def test_every_consistency_proof_to_300_leaves_is_the_definitions_and_checks(full: Stored) -> None:
    """45,451 pairs of sizes, equal ones and the empty tree included."""
    tiles = Tiles(SIZES, full.read)
    for size in range(SIZES + 1):
        for old in range(size + 1):
            proof = tiles.consistency(old, size)
            assert proof == (subproof(old, 0, size, is_whole=True) if 0 < old < size else [])
            check_consistency(old=old, old_root=mth(0, old), size=size, root=mth(0, size), path=proof)


def test_a_thousand_altered_proofs_are_refused(full: Stored) -> None:
    """A bit, a step, an index, a size, a leaf or a root changed: none of it passes."""
    random, tiles = Random(9162), Tiles(SIZES, full.read)
    for _ in range(1000):
        size = random.randrange(2, SIZES + 1)
        index, old = random.randrange(size), random.randrange(1, size)
        with pytest.raises(ProofRefused):
            check_inclusion(**_altered_inclusion(random, tiles, index, size))
        with pytest.raises(ProofRefused):
            check_consistency(**_altered_consistency(random, tiles, old, size))


def _altered_inclusion(random: Random, tiles: Tiles, index: int, size: int) -> dict[str, Any]:
    proof: dict[str, Any] = {"leaf": LEAVES[index], "index": index, "size": size}
    proof |= {"path": tiles.inclusion(index, size), "root": mth(0, size)}
    match random.choice(["leaf", "root", "path", "longer", "shorter", "index", "size"]):
        case "leaf" | "root" as name:
            proof[name] = _flipped(random, proof[name])
        case "index":
            proof["index"] = random.choice([other for other in range(-1, size + 1) if other != index])
        case "size":  # of a size whose tree has another shape above this leaf
            proof["size"] = index if random.random() < 0.5 else size * 4
        case how:
            proof["path"] = _altered_path(random, proof["path"], how)
    return proof


def _altered_consistency(random: Random, tiles: Tiles, old: int, size: int) -> dict[str, Any]:
    proof: dict[str, Any] = {"old": old, "old_root": mth(0, old), "size": size, "root": mth(0, size)}
    proof["path"] = tiles.consistency(old, size)
    match random.choice(["old_root", "root", "path", "longer", "shorter", "old"]):
        case "old_root" | "root" as name:
            proof[name] = _flipped(random, proof[name])
        case "old":
            proof["old"] = random.choice([size + 1, -1, size])
        case how:
            proof["path"] = _altered_path(random, proof["path"], how)
    return proof


def _altered_path(random: Random, steps: list[bytes], how: str) -> list[bytes]:
    if how == "longer":
        return [*steps, random.randbytes(32)]
    if how == "shorter":
        return steps[:-1]
    at = random.randrange(len(steps))
    return [*steps[:at], _flipped(random, steps[at]), *steps[at + 1 :]]


def _flipped(random: Random, hashed: bytes) -> bytes:
    at = random.randrange(256)
    return bytes(byte ^ (1 << at % 8 if place == at // 8 else 0) for place, byte in enumerate(hashed))


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6))
def test_however_leaves_come_in_the_tiles_are_the_same(batches: list[int]) -> None:
    """Tiles depend on the leaves alone, and a batch names each tile that it made wider."""
    stored, leaves = Stored(), [bytes([at % 251]) * 32 for at in range(sum(batches))]
    for batch in batches:
        before, size = dict(stored.tiles), stored.frontier.size
        growth = stored.append(leaves[size : size + batch])
        changed = {key for key, tile in stored.tiles.items() if before.get(key) != tile}
        assert set(growth.tiles) == changed
    once = Stored()
    once.append(leaves)
    assert stored.tiles == once.tiles
    assert stored.frontier.root == merkle.root_of(leaves)


def test_a_large_tree_has_the_tiles_the_specification_counts() -> None:
    """tlog-tiles' own example: 70,000 leaves are 273 full tiles and one of 112, 1 and 17, and one of 1."""
    stored = Stored()
    stored.append([b"\x07" * 32] * 70_000)
    widths = {key: len(tile) // 32 for key, tile in stored.tiles.items()}
    assert [widths[0, index] for index in (0, 272, 273)] == [256, 256, 112]
    assert widths[1, 0] == 256
    assert widths[1, 1] == 17
    assert widths[2, 0] == 1
    assert len(widths) == 274 + 2 + 1
    assert {key: tile_width(*key, size=70_000) for key in widths} == widths
    assert [tile_width(2, 1, size=70_000), tile_width(3, 0, size=70_000)] == [0, 0]


def test_a_proof_in_a_large_tree_reads_few_tiles() -> None:
    """Three levels of tiles at 70,000 leaves, and at each the edge's tile beside the leaf's own."""
    stored, read = Stored(), list[tuple[int, int]]()
    stored.append([index.to_bytes(32, "big") for index in range(70_000)])

    def counted(level: int, index: int, width: int) -> bytes:
        read.append((level, index))
        return stored.read(level, index, width)

    proof = Tiles(70_000, counted).inclusion(12_345)
    check_inclusion((12_345).to_bytes(32, "big"), index=12_345, size=70_000, path=proof, root=stored.frontier.root)
    assert len(read) <= 6


@pytest.mark.parametrize(
    ("level", "index", "width", "written"),
    [
        (0, 0, 256, "0/000"),
        (0, 1_234_067, 256, "0/x001/x234/067"),
        (1, 5, 17, "1/005.p/17"),
        (63, 1000, 1, "63/x001/000.p/1"),
    ],
)
def test_tiles_have_the_addresses_of_the_specification(level: int, index: int, width: int, written: str) -> None:
    """And are found again by them."""
    assert tile_path(level, index, width) == written
    assert parse_tile_path(written) == (level, index, width)


@pytest.mark.parametrize(
    "path",
    ["", "0", "64/000", "00/000", "0/0", "0/x000/001", "0/001.p/256", "0/001.p/0", "0/001.p/017", "-1/000", "0/x1/000"],
)
def test_another_spelling_of_a_tile_is_no_address(path: str) -> None:
    """One tile, one address."""
    assert parse_tile_path(path) is None


def test_a_leaf_that_is_not_there_has_no_proof(full: Stored) -> None:
    """Neither is there one between trees in the wrong order."""
    tiles = Tiles(SIZES, full.read)
    for index, size in [(-1, 5), (5, 5), (0, SIZES + 1)]:
        with pytest.raises(ValueError, match=f"no leaf {index}"):
            tiles.inclusion(index, size)
    with pytest.raises(ValueError, match="no proof"):
        tiles.consistency(6, 5)
    with pytest.raises(ValueError, match="complete subtrees"):
        Frontier(3, [b"\x00" * 32])
