"""A base for states of one's own: write `evolve`, and everything a page asks of a state is there."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

from journal.domain.aggregate import escaped
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent

_OWN = frozenset({"stream", "version"})


class PlainAggregate:
    """A state of plain attributes. What an event changed in it is found by comparing before and after.

    That makes each event cost time in proportion to the state: right for an order or an account, wrong for thousands
    of entries, where `journal.domain.run_state` shows how a state keeps the versions itself. Attributes that begin
    with an underscore are not shown.
    """

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.version = 0
        self._set_at: dict[str, int] = {}
        self._removed_at: dict[str, int] = {}
        self._leaves: dict[str, Any] = {}

    def evolve(self, event: Any) -> None:
        """Take the next event in, as its Struct; one this code does not know comes as `Unknown` and may be left out."""
        raise NotImplementedError(f"{type(self).__name__} has no evolve(event)")

    def apply(self, event: RecordedEvent) -> None:
        """Take the next recorded event in."""
        if not self.version:
            self._leaves = _leaves(self._shown())
        self.version = event.version
        self.evolve(catalog.decode(event))
        before, self._leaves = self._leaves, _leaves(self._shown())
        for pointer, value in self._leaves.items():
            if pointer not in before or before[pointer] != value:
                self._set_at[pointer] = event.version
        for pointer in before.keys() - self._leaves.keys():
            self._removed_at[pointer] = event.version
            self._set_at.pop(pointer, None)

    def fork(self) -> Self:
        """Return an equal state that changes on its own."""
        return deepcopy(self)

    def to_json(self) -> dict[str, Any]:
        """Return every public attribute, as plain JSON values of its own."""
        return {"stream": self.stream, "version": self.version, **deepcopy(self._shown())}

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf; what no event has touched has none."""
        return dict(self._set_at)

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Return the version that removed what stood at `pointer` or below it."""
        del gone
        below = (version for at, version in self._removed_at.items() if f"{at}/".startswith(f"{pointer}/"))
        return max(below, default=None)

    def _shown(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name[0] != "_" and name not in _OWN}


def _leaves(value: Any, pointer: str = "") -> dict[str, Any]:
    """Return what has nothing inside, by JSON Pointer; an empty object or list is a leaf as well."""
    if isinstance(value, dict) and (value or not pointer):
        inner = [(f"{pointer}/{escaped(str(name))}", one) for name, one in value.items()]
    elif isinstance(value, list) and value:
        inner = [(f"{pointer}/{at}", one) for at, one in enumerate(value)]
    else:
        return {pointer: value}
    return {at: leaf for place, one in inner for at, leaf in _leaves(one, place).items()}
