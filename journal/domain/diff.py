"""What changed between two states, leaf by leaf, and which event set it.

Lists of things that name their version (the model's context, open calls) are matched by that version, so that dropping
the first item is one removal and not a change of everything behind it. What two states share is not looked into.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from journal.domain.aggregate import State, escaped
from journal.domain.look import MISSING, Look, builtin, child, holds, is_list

__all__ = ["MISSING", "Change", "diff", "differences"]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leaf that differs. A missing side is left out; `version` is the event that last set it."""

    path: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    version: int | None = None


def diff(before: State, after: State) -> list[Change]:
    """Return the changes that lead from one state to the other, in the order of the later state's leaves."""
    older, newer = Look(before), Look(after)

    def setter(pointer: str, left: Any, right: Any) -> int | None:
        """What set the new leaf, else what removed the old one."""
        if right is not MISSING:
            return newer.at(pointer).version
        removed = after.removed_at(pointer, left)
        return removed or (after.version if after.version == before.version + 1 else None)

    return [
        Change(path=pointer, before=left, after=right, version=setter(pointer, left, right))
        for pointer, left, right in differences(older.parts, newer.parts)
        if pointer not in ("/version", "/stream")
    ]


def differences(old: Any, new: Any, pointer: str = "") -> list[tuple[str, Any, Any]]:
    """Return where two JSON values differ: JSON Pointer, old, new; `MISSING` on the side that has nothing there."""
    if old is new or (old == new and type(old) is type(new)):
        return []
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return _walk_objects(old, new, pointer)
    if is_list(old) and is_list(new):
        return _walk_lists(old, new, pointer)
    if isinstance(old, msgspec.Struct) and isinstance(new, msgspec.Struct):
        return _walk_objects(builtin(old), builtin(new), pointer)
    if (isinstance(old, Mapping) and new is None) or (old is None and isinstance(new, Mapping)):
        return _walk_objects(old or {}, new or {}, pointer)
    return [(pointer, builtin(old), builtin(new))]


def _walk_objects(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> list[tuple[str, Any, Any]]:
    found = []
    for name in [*new, *(gone for gone in old if gone not in new)]:
        left, right = old.get(name, MISSING), new.get(name, MISSING)
        if left is right:
            continue
        at = f"{pointer}/{escaped(name)}"
        found += differences(left, right, at) if MISSING not in (left, right) else _leaf(left, right, at)
    return found


def _walk_lists(old: Sequence[Any], new: Sequence[Any], pointer: str) -> list[tuple[str, Any, Any]]:
    same = _shared(old, new)
    old, new = old[same:], new[same:]
    keys_old, keys_new = _keys(old), _keys(new)
    if keys_old is None or keys_new is None:
        keys_old, keys_new = list(range(len(old))), list(range(len(new)))
    places_old = {key: place for place, key in enumerate(keys_old)}
    places_new = {key: place for place, key in enumerate(keys_new)}
    found = []
    for key, place in places_new.items():
        at = f"{pointer}/{same + place}"
        if key in places_old:
            found += differences(old[places_old[key]], new[place], at)
        else:
            found += _leaf(MISSING, new[place], at)
    for key, place in places_old.items():
        if key not in places_new:
            found += _leaf(old[place], MISSING, f"{pointer}/{same + place}")
    return found


def _shared(old: Sequence[Any], new: Sequence[Any]) -> int:
    """Return how many items both lists begin with: very many, where one is a fork of the other that grew."""
    place = 0
    for left, right in zip(old, new, strict=False):
        if left is not right:
            break
        place += 1
    return place


def _keys(items: Sequence[Any]) -> list[Any] | None:
    keys = [
        tuple(_named(item, name) for name in ("version", "kind", "call_id"))
        if holds(item) and not is_list(item)
        else None
        for item in items
    ]
    return keys if None not in keys and len(set(keys)) == len(keys) else None


def _named(item: Any, name: str) -> Any:
    value = child(item, name)
    return None if value is MISSING else value


def _leaf(left: Any, right: Any, pointer: str) -> list[tuple[str, Any, Any]]:
    """An object that came or went is one change, whole: its parts have no history of their own."""
    return [(pointer, builtin(left), builtin(right))]
