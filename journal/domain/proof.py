"""Checking what a log proves: that an entry stands in it, and that it only ever grew (RFC 9162 §2.1.3.2, §2.1.4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from journal.domain.merkle import EMPTY_ROOT, node_hash


class ProofRefused(ValueError):
    """A proof that does not lead to the root it was given for."""


def check_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash stands at `index`, from 0, in the tree of `size` leaves with this root.

    Raises:
        ProofRefused: it does not, or the path has not the length it has to have.
    """
    if not 0 <= index < size:
        raise ProofRefused(f"there is no leaf {index} in a tree of {size}")
    found = leaf
    for sibling, is_left in zip(path, _sides(index, size - 1, steps=len(path)), strict=True):
        found = node_hash(sibling, found) if is_left else node_hash(found, sibling)
    if found != root:
        raise ProofRefused("the path leads to another root")


def check_consistency(*, old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check that a tree of `size` leaves begins with the `old` leaves of another.

    Raises:
        ProofRefused: it does not, or the path has not the length it has to have.
    """
    if not 0 <= old <= size:
        raise ProofRefused(f"a tree of {size} leaves does not begin with {old}")
    if old in {0, size}:
        if path or old_root != (root if old == size else EMPTY_ROOT):
            raise ProofRefused("trees of one size have one root" if old else "the empty tree has one root")
        return
    hashes = list(path) if old & (old - 1) else [old_root, *path]
    if not hashes:
        raise ProofRefused("the path is too short")
    shared = (old & -old).bit_length() - 1  # below it the older tree's edge is a complete subtree
    before = after = hashes[0]
    sides = _sides((old - 1) >> shared, (size - 1) >> shared, steps=len(hashes) - 1)
    for sibling, is_left in zip(hashes[1:], sides, strict=True):
        before = node_hash(sibling, before) if is_left else before
        after = node_hash(sibling, after) if is_left else node_hash(after, sibling)
    if before != old_root:
        raise ProofRefused("the path leads to another root of the older tree")
    if after != root:
        raise ProofRefused("the path leads to another root")


def _sides(at: int, last: int, *, steps: int) -> Iterator[bool]:
    """Yield for each step from node `at` of a level up whether the sibling stands on its left; `last` is the edge."""
    for _ in range(steps):
        if last == 0:
            raise ProofRefused("the path is too long")
        is_left = bool(at & 1) or at == last
        if is_left:
            while at and not at & 1:  # the edge has no sibling on these levels
                at, last = at >> 1, last >> 1
        yield is_left
        at, last = at >> 1, last >> 1
    if last != 0:
        raise ProofRefused("the path is too short")
