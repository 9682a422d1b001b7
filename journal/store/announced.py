"""Order where the database shows no locks: writers announce themselves in a row, and readers look at it uncommitted.

As on PostgreSQL (`postgres.py` has the argument), a writer says `low` before it draws positions, all of them greater,
and a reader stops at the smallest `low` of the writers that are not through. What a lock's key is there is a row here:
`journal_writer` has a fixed number of slots, and an append updates one of them **in its own transaction**: `low`, and a
`ticket` that rises by one. So a writer's row exists in two versions until it ends:

- A reader that reads *uncommitted* rows sees the announcement from before the first position is drawn.
- One that reads *committed* rows sees it from the moment at which the events are visible, as both are the same commit.
- A rollback, a crash and a lost connection take it back, and there is nothing to clean up.

So the reader takes, in this order: `high`, the highest committed position; the slots uncommitted; the slots committed.
A slot whose tickets differ belongs to a writer that is not through. To its own writer the two look the same.

Sessions share a slot only if there are more than slots; they then wait for each other, which costs time alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from journal.store.protocol import Held, Horizon
from journal.store.sql import SqlStore, moment

SLOTS: Final = 128


class _Writer(msgspec.Struct, frozen=True, kw_only=True):
    low: int
    session: int
    since_us: int


class AnnouncingStore(SqlStore):
    """A store whose writers announce themselves in `journal_writer`."""

    announce: ClassVar[str]
    read_settled: ClassVar[str] = "SELECT slot, ticket FROM journal_writer"
    """Slot and ticket, as committed."""

    def _announce(self, cursor: Any) -> None:
        cursor.execute(self.announce)

    def _dirty(self) -> Sequence[tuple[Any, ...]]:
        """Return slot, ticket, low, session and since of all slots, uncommitted changes included."""
        raise NotImplementedError

    def _writing(self) -> list[_Writer]:
        announced = self._dirty()
        settled = dict(self._fetch(self.read_settled, []))
        return [
            _Writer(low=low, session=session, since_us=since)
            for slot, ticket, low, session, since in announced
            if settled.get(slot) != ticket
        ]

    def _highest(self) -> int:
        return int(self._fetch("SELECT COALESCE(MAX(position), 0) FROM journal_event", [])[0][0])

    def _reach(self) -> int | None:
        high = self._highest()
        return min([high, *(writer.low for writer in self._writing())])

    def horizon(self) -> Horizon:
        """Return how far a reader may read, and which sessions hold back what lies behind."""
        high = self._highest()
        writing = sorted(self._writing(), key=lambda writer: writer.since_us)
        head = min([high, *(writer.low for writer in writing)])
        held = tuple(
            Held(after=w.low, by=f"database session {w.session}", since=moment(w.since_us))
            for w in writing
            if w.low < high
        )
        return Horizon(head=head, held_back=high - head, since=held[0].since if held else None, by=held)
