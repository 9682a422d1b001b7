"""A request as it was sent, without what an earlier one of the run held already.

An agent sends the whole conversation each time; kept whole, a run of n steps would take n² room. A request is kept as
what it adds to an earlier one, its base: the first `keep` entries of the list are the base's, `added` follow, and the
fields in `set` and `unset` differ. The SHA-256 of the body's bytes says whether another request is the very same.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec

_LISTS: Final = ("messages", "input")
_REMEMBERED: Final = 8


class Requests:
    """The last requests of a run, to find in them what a new one repeats."""

    def __init__(self) -> None:
        self._recent: list[tuple[str, dict[str, Any]]] = []

    def packed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body as what it adds to the request it shares most with."""
        name = list_name(body)
        base = max(self._recent, key=lambda known: _shared(known[1], body, name), default=None)
        if base is None or name is None or not _shared(base[1], body, name):
            return {"set": {field: value for field, value in body.items() if field != name}} | _added(body, name, 0)
        before = base[1]
        differing = {
            field: value
            for field, value in body.items()
            if field != name and (field not in before or before[field] != value)
        }
        gone = [field for field in before if field not in body]
        packed = {"base": base[0], **_added(body, name, _shared(before, body, name))}
        if differing:
            packed["set"] = differing
        if gone:
            packed["unset"] = gone
        return packed

    def remember(self, event_id: str, body: dict[str, Any]) -> None:
        """Take a request in as a base of later ones."""
        self._recent = [*self._recent[-_REMEMBERED + 1 :], (event_id, body)]


def _added(body: dict[str, Any], name: str | None, keep: int) -> dict[str, Any]:
    if name is None:
        return {}
    return {"list": name, "keep": keep, "added": body[name][keep:]}


def list_name(body: dict[str, Any]) -> str | None:
    """Return the field that holds a request's conversation as a list, or None."""
    return next((name for name in _LISTS if isinstance(body.get(name), list)), None)


def _shared(before: dict[str, Any], body: dict[str, Any], name: str | None) -> int:
    if name is None or not isinstance(before.get(name), list):
        return 0
    count = 0
    for left, right in zip(before[name], body[name], strict=False):
        if left != right:
            break
        count += 1
    return count


def unpacked(packed: dict[str, Any], base: Callable[[str], dict[str, Any] | None]) -> dict[str, Any] | None:
    """Return the body again; `base` gives that of an earlier request by its event's id. None where it is not there."""
    before: dict[str, Any] | None = {}
    if "base" in packed:
        before = base(str(packed["base"]))
    if before is None or "omitted" in packed:
        return None
    body = {name: value for name, value in before.items() if name not in packed.get("unset", ())}
    body |= packed.get("set", {})
    name = packed.get("list")
    if isinstance(name, str):
        kept = before.get(name)
        body[name] = [*(kept[: packed.get("keep", 0)] if isinstance(kept, list) else ()), *packed.get("added", ())]
    return body


def digest(raw: bytes) -> str:
    """Return the SHA-256 of a body's bytes."""
    return sha256(raw).hexdigest()


def decoded(raw: bytes) -> dict[str, Any] | None:
    """Return a body that is a JSON object, or None."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
