"""A base for states that are one JSON document when they are kept: small ones, whose fork may be a copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import msgspec

from journal.domain import codec


class KeptState(ABC):
    """Freezes, thaws and forks a state that says what it is in `_kept` and takes that up again in `_take_up`.

    A fork is a snapshot that another state took up, so that what is tested of one holds for the other.
    """

    folded_by: ClassVar[tuple[str, ...]]

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.version = 0

    @abstractmethod
    def _kept(self) -> dict[str, Any]:
        """Return everything the state is but stream and version, as JSON that shares nothing with it."""

    @abstractmethod
    def _take_up(self, kept: dict[str, Any]) -> None:
        """Become what `_kept` described."""

    def snapshot(self) -> dict[str, Any]:
        """Return everything the state is, as JSON."""
        return {"version": self.version, **self._kept()}

    @classmethod
    def restore(cls, stream: str, kept: dict[str, Any]) -> Self:
        """Return the state that `snapshot` described; fold the events past its version into it."""
        state = cls(stream)
        state.version = kept["version"]
        state._take_up(kept)
        return state

    def fork(self) -> Self:
        """Return an equal state that changes on its own."""
        return self.restore(self.stream, self.snapshot())

    def freeze(self) -> bytes:
        """Return the snapshot as bytes."""
        return codec.encode({"stream": self.stream, "snapshot": self.snapshot()})

    @classmethod
    def thaw(cls, frozen: bytes) -> Self:
        """Return the state that was frozen."""
        kept = msgspec.json.decode(frozen)
        return cls.restore(kept["stream"], kept["snapshot"])
