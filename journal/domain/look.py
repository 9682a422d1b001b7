"""Looking into a state without making all of it JSON: a run of 100,000 events has more in it than a page ever shows.

A state that is `Shallow` gives its parts as it keeps them; of any other its `to_json` is looked at. Which event set a
value is found on the way down, by the rule of `aggregate.blame_of`: what was said explicitly, else the `version` of the
nearest object around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from journal.domain.aggregate import State, escaped

MISSING: Final = msgspec.UNSET
"""What stands at a pointer where nothing does: null is a value."""


_LEAVES: Final = frozenset({str, int, float, bool, type(None)})


@runtime_checkable
class Shallow(Protocol):
    """A state that can be looked at without being copied."""

    def parts(self) -> dict[str, Any]:
        """Return `to_json` with large parts as they are kept: read only. Structs stand for objects."""

    def set_by(self) -> dict[str, int]:
        """Return the versions, by JSON Pointer, of what no object with a `version` of its own holds."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A value in a state, and the event that set it; None where no event did."""

    value: Any
    version: int | None


class Look:
    """One state, looked at. It must not change meanwhile."""

    def __init__(self, state: State) -> None:
        self.parts: Mapping[str, Any] = state.parts() if isinstance(state, Shallow) else state.to_json()
        self._state = state

    @cached_property
    def _explicit(self) -> dict[str, int]:
        return self._state.set_by() if isinstance(self._state, Shallow) else self._state.blame()

    def at(self, pointer: str) -> Found:
        """Return what stands at a JSON Pointer, and the event that set it; `MISSING` where nothing does."""
        value: Any = self.parts
        version: int | None = None
        walked = ""
        for token in tokens(pointer):
            value = child(value, token)
            if value is MISSING:
                return Found(value=MISSING, version=None)
            walked += f"/{escaped(token)}"
            version = self.version(value, walked, version)
        return Found(value=value, version=self._newest(value, walked, version))

    def version(self, value: Any, pointer: str, around: int | None) -> int | None:
        """Return what `around` becomes at a value: its own version, that which is known of it, or that around it."""
        own = child(value, "version") if holds(value) and not is_list(value) else None
        return own if isinstance(own, int) else self._explicit.get(pointer, around)

    def _newest(self, value: Any, pointer: str, version: int | None) -> int | None:
        """Return the version of a leaf; of an object that has none of its own, the newest of what is in it."""
        if not holds(value) or isinstance(child(value, "version"), int):
            return version
        return max((leaf for _, _, leaf in self.leaves(value, pointer, version) if leaf), default=None)

    def leaves(self, value: Any, pointer: str, version: int | None) -> Iterator[tuple[str, Any, int | None]]:
        """Yield pointer, value and version of each leaf in a value."""
        if not holds(value):
            yield pointer, value, version
            return
        for token, inner in children(value):
            at = f"{pointer}/{escaped(token)}"
            yield from self.leaves(inner, at, self.version(inner, at, version))


def tokens(pointer: str) -> list[str]:
    """Return the parts of a JSON Pointer (RFC 6901)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def holds(value: Any) -> bool:
    """Tell whether there are values in a value: an empty list or object is a leaf, as text is."""
    if type(value) in _LEAVES:
        return False
    if isinstance(value, msgspec.Struct):
        return True
    return isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes) and len(value) > 0


def is_list(value: Any) -> bool:
    """Tell whether a value is a list, in whatever form the state keeps it."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def child(value: Any, token: str) -> Any:
    """Return what an object or list has at a token of a pointer, `MISSING` where it has nothing there."""
    if isinstance(value, msgspec.Struct):
        return getattr(value, token, MISSING) if token in value.__struct_fields__ else MISSING
    if isinstance(value, Mapping):
        return value.get(token, MISSING)
    if is_list(value) and token.isdecimal() and len(token) < 12 and int(token) < len(value):  # noqa: PLR2004 - a list's
        return value[int(token)]
    return MISSING


def children(value: Any) -> Iterable[tuple[str, Any]]:
    """Return what is in an object or list, by the token of a pointer."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value).items()
    if isinstance(value, Mapping):
        return value.items()
    return ((str(at), inner) for at, inner in enumerate(value))


def builtin(value: Any) -> Any:
    """Return a value as plain JSON values."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {name: builtin(inner) for name, inner in value.items()}
    if is_list(value):
        return [builtin(inner) for inner in value]
    return value
