"""Two sequences side by side: what is equal, what stands in another's place, what only one of them has.

The alignment is the cheapest: equal items cost nothing, an item without a counterpart `GAP`, and a pair that differs as
much as it is unlike. For sequences too long to look at every pair, only pairs near the diagonal are looked at: such an
alignment is a good one and may not be the cheapest, which it says.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

Mark = Literal["equal", "differs", "left", "right"]

GAP: Final = 2
ALIKE: Final = 2
"""A pair of one group, such as two calls of one tool with other arguments."""

SAME_KIND: Final = 3
"""A pair of one kind in other groups; of two kinds none is a pair."""

CELLS: Final = 2_500_000
"""Pairs that are looked at: all of two runs of 2,000 events; about a second."""

_FAR: Final = 1 << 40
_BOTH, _LEFT, _RIGHT = 0, 1, 2


class Item(NamedTuple):
    """What is compared: items with equal `key` are equal; `kind` and `group` say how unlike two others are."""

    key: Hashable
    kind: str
    group: str = ""


class Pair(NamedTuple):
    """Two items side by side by their index; None where one side has none."""

    left: int | None
    right: int | None
    mark: Mark


class Alignment(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs in order, and what they cost. `is_cheapest` is False where some pairs were not looked at."""

    pairs: tuple[Pair, ...]
    cost: int
    is_cheapest: bool = True


def align(left: Sequence[Item], right: Sequence[Item], *, cells: int = CELLS) -> Alignment:
    """Return the alignment of two sequences. What they begin and end with alike is equal, whatever their length."""
    head = _shared(left, right)
    tail = _shared(left[head:][::-1], right[head:][::-1])
    inner_left, inner_right = left[head : len(left) - tail], right[head : len(right) - tail]
    # From behind, so that of alignments that cost the same the one is found whose pairs come early.
    moves, cost, is_cheapest = _moves(inner_left[::-1], inner_right[::-1], cells)
    pairs = [Pair(at, at, "equal") for at in range(head)]
    pairs += _pairs(moves[::-1], left, right, head)
    pairs += [Pair(len(left) - at, len(right) - at, "equal") for at in range(tail, 0, -1)]
    return Alignment(pairs=tuple(pairs), cost=cost, is_cheapest=is_cheapest)


def pair_cost(one: Item, other: Item) -> int:
    """Return what two items side by side cost; `_FAR` where they cannot stand there."""
    if one.key == other.key:
        return 0
    if one.kind != other.kind:
        return _FAR
    return ALIKE if one.group == other.group else SAME_KIND


def _shared(left: Sequence[Item], right: Sequence[Item]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one.key != other.key:
            break
        count += 1
    return count


def _moves(left: Sequence[Item], right: Sequence[Item], cells: int) -> tuple[list[int], int, bool]:
    """Return the steps from the beginning of both to their ends, what they cost, and whether all pairs were looked at.

    Needleman and Wunsch's table, row by row. A row holds the places within `width` of the straight line between the
    ends, all of them where there are few enough.
    """
    rows, columns = len(left), len(right)
    if not rows or not columns:
        return [_LEFT] * rows + [_RIGHT] * columns, GAP * (rows + columns), True
    is_whole = rows * columns <= cells
    width = columns if is_whole else max(8, cells // (2 * max(rows, columns)), columns // rows + 1)
    above, above_first = [GAP * at for at in range(min(columns, width) + 1)], 0
    came: list[tuple[int, bytearray]] = []
    for row, one in enumerate(left, 1):
        middle = row * columns // rows
        first, last = max(0, middle - width), min(columns, middle + width)
        costs, steps = _row(one, right, above, above_first, first, last)
        came.append((first, steps))
        above, above_first = costs, first
    return _back(came, rows, columns), above[columns - above_first], is_whole


def _row(  # noqa: PLR0913, PLR0917 - one row of the table, from the one above
    one: Item, right: Sequence[Item], above: list[int], above_first: int, first: int, last: int
) -> tuple[list[int], bytearray]:
    costs: list[int] = []
    steps = bytearray()
    beside = _FAR
    end = above_first + len(above)
    for column in range(first, last + 1):
        up = above[column - above_first] + GAP if above_first <= column < end else _FAR
        best, step = up, _LEFT
        if column:
            if above_first < column <= end:
                both = above[column - 1 - above_first] + pair_cost(one, right[column - 1])
                if both <= best:
                    best, step = both, _BOTH
            if beside + GAP < best:
                best, step = beside + GAP, _RIGHT
        costs.append(best)
        steps.append(step)
        beside = best
    return costs, steps


def _back(came: Sequence[tuple[int, bytearray]], row: int, column: int) -> list[int]:
    moves: list[int] = []
    while row or column:
        if not row:
            moves += [_RIGHT] * column
            break
        first, steps = came[row - 1]
        move = steps[column - first]
        moves.append(move)
        row -= move != _RIGHT
        column -= move != _LEFT
    return moves[::-1]


def _pairs(moves: Sequence[int], left: Sequence[Item], right: Sequence[Item], head: int) -> list[Pair]:
    """Return the steps as pairs; between two pairs the left side's items come first."""
    pairs: list[Pair] = []
    waiting: list[Pair] = []
    at_left = at_right = head
    for move in moves:
        if move == _LEFT:
            pairs.append(Pair(at_left, None, "left"))
        elif move == _RIGHT:
            waiting.append(Pair(None, at_right, "right"))
        else:
            pairs += waiting
            waiting = []
            mark: Mark = "equal" if left[at_left].key == right[at_right].key else "differs"
            pairs.append(Pair(at_left, at_right, mark))
        at_left += move != _RIGHT
        at_right += move != _LEFT
    return pairs + waiting
