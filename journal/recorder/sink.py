"""Where events go: anything that appends as an event store does, such as a store in the same process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from journal.domain.event import EventData


class Outcome(Protocol):
    """What an append came to."""

    @property
    def version(self) -> int:
        """The version of the last event of the append."""

    @property
    def is_new(self) -> bool:
        """Whether anything was stored that was not there before."""


class Sink(Protocol):
    """The part of an event store that recording needs. `journal.store`'s stores and `Server` are sinks."""

    def append(self, stream: str, events: Sequence[EventData], *, expected_version: int) -> Outcome:
        """Append all events or none; the same ids with the same content again are the same append.

        Raises:
            WrongExpectedVersion: the stream is at another version; names it.
            EventIdReused: an id is known with other content, or known and new ids are mixed.
            PayloadRefused: an event cannot be kept.
            ServerUnreachable: it is not known whether it was appended; to be tried again.
        """
