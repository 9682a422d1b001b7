"""What changed between two states, leaf by leaf, and which event set it.

Lists of things that name their version (the model's context, open calls) are matched by that version, so that dropping
the first item is one removal and not a change of everything behind it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from journal.domain.aggregate import State, escaped

MISSING = msgspec.UNSET


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One leaf that differs. A missing side is left out; `version` is the event that last set it."""

    path: str
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET
    version: int | None = None


def diff(before: State, after: State) -> list[Change]:
    """Return the changes that lead from one state to the other, in the order of the later state's leaves."""
    blame = after.blame()

    def setter(pointer: str, left: Any, right: Any) -> int | None:
        """What set the new leaf, else what removed the old one."""
        if right is not MISSING:
            return _blamed(pointer, right, blame)
        removed = after.removed_at(pointer, left)
        return removed or (after.version if after.version == before.version + 1 else None)

    return [
        Change(path=pointer, before=left, after=right, version=setter(pointer, left, right))
        for pointer, left, right in _walk(before.to_json(), after.to_json(), "")
        if pointer not in ("/version", "/stream")
    ]


def _blamed(pointer: str, value: Any, blame: dict[str, int]) -> int | None:
    """Return the version of a leaf; of an object that came whole, its own version or the newest of its leaves."""
    if pointer in blame:
        return blame[pointer]
    if isinstance(value, dict) and isinstance(value.get("version"), int):
        return int(value["version"])
    inside = [version for leaf, version in blame.items() if leaf.startswith(pointer + "/")]
    return max(inside, default=None)


def _walk(old: Any, new: Any, pointer: str) -> list[tuple[str, Any, Any]]:
    if old == new and type(old) is type(new):
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return _walk_objects(old, new, pointer)
    if isinstance(old, list) and isinstance(new, list):
        return _walk_lists(old, new, pointer)
    if (isinstance(old, dict) and new is None) or (old is None and isinstance(new, dict)):
        return _walk_objects(old or {}, new or {}, pointer)
    return [(pointer, old, new)]


def _walk_objects(old: dict[str, Any], new: dict[str, Any], pointer: str) -> list[tuple[str, Any, Any]]:
    found = []
    for name in [*new, *(gone for gone in old if gone not in new)]:
        left, right = old.get(name, MISSING), new.get(name, MISSING)
        at = f"{pointer}/{escaped(name)}"
        found += _walk(left, right, at) if MISSING not in (left, right) else _leaves(left, right, at)
    return found


def _walk_lists(old: list[Any], new: list[Any], pointer: str) -> list[tuple[str, Any, Any]]:
    keys_old, keys_new = _keys(old), _keys(new)
    if keys_old is None or keys_new is None:
        keys_old, keys_new = list(range(len(old))), list(range(len(new)))
    places_old = {key: place for place, key in enumerate(keys_old)}
    places_new = {key: place for place, key in enumerate(keys_new)}
    found = []
    for key, place in places_new.items():
        at = f"{pointer}/{place}"
        if key in places_old:
            found += _walk(old[places_old[key]], new[place], at)
        else:
            found += _leaves(MISSING, new[place], at)
    for key, place in places_old.items():
        if key not in places_new:
            found += _leaves(old[place], MISSING, f"{pointer}/{place}")
    return found


def _keys(items: list[Any]) -> list[Any] | None:
    keys = [
        (item.get("version"), item.get("kind"), item.get("call_id")) if isinstance(item, dict) else None
        for item in items
    ]
    return keys if None not in keys and len(set(keys)) == len(keys) else None


def _leaves(left: Any, right: Any, pointer: str) -> list[tuple[str, Any, Any]]:
    """An object that came or went is one change, whole: its parts have no history of their own."""
    return [(pointer, left, right)]
