"""The dispatches of an append, written by every SQL store inside the append's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from journal.domain.dispatch import DispatchRow

_INSERT = (
    "INSERT INTO journal_dispatch (id, project, event_id, effect, target, payload, state, attempts, token,"
    " next_try_us, last_error, created_us) VALUES (%s, %s, %s, %s, %s, %s, 'pending', 0, 0, %s, '', %s)"
)


def insert(cursor: Any, rows: Sequence[DispatchRow]) -> None:
    """Write the rows through the append's own cursor: they are there exactly where its events are.

    Plain INSERT on every database: the events are new, so are the ids derived from them.
    """
    if rows:
        cursor.executemany(_INSERT, [_values(row) for row in rows])


def _values(row: DispatchRow) -> tuple[Any, ...]:
    text = row.payload.decode()
    return row.id, row.project, row.event_id, row.effect, row.target, text, row.due_us, row.created_us
