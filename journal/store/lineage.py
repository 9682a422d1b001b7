"""Causes and effects over all streams of a project, walked in the database: two queries, however deep, and bounded.

The links are a read model (`journal_cause`), filled by the projection `causes` from what each event says of its causes.
A cause that the journal does not hold is reported as missing; a cycle ends where it closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from django.db import connections

from journal.domain.lineage import CausalLink, Walk, ancestors, descendants

MOST: Final = 10_000
"""Events a walk may touch; past it the walk says that it was cut."""

_PAGE: Final = 500

# The rows of the generation that is live: another may be being built beside it.
_LIVE: Final = "COALESCE((SELECT generation FROM journal_checkpoint WHERE name = 'causes'), 0)"

# UNION, not UNION ALL: an event is visited once, so diamonds do not multiply and a cycle ends. The order of visits is
# nearest first. Where the limit stands differs: SQLite and MySQL stop a recursion by a limit inside it, PostgreSQL
# knows only the outer one and computes no more rows than that fetches. MariaDB knows only the outer one too, and visits
# everything in reach before it takes the first rows: there the answer is bounded, and the work by what is in reach.
_INSIDE: Final = """
WITH RECURSIVE walk(id) AS (
    SELECT {start} UNION SELECT link.{next} FROM journal_cause link JOIN walk ON link.{at} = walk.id
    WHERE link.generation = {live} AND link.project = %s {inner}
)
SELECT id FROM walk {outer}
"""


def walk(
    project: str, event_id: str, *, direction: Literal["up", "down"], most: int = MOST, using: str = "default"
) -> Walk:
    """Return every event in reach of one, its own distance 0, with the links among them."""
    reached = _reached(project, event_id, direction, most + 1, using)
    links = _links(project, reached[:most], direction, using)
    present = _present(project, {event_id, *(link.cause for link in links), *(link.effect for link in links)}, using)
    pure = ancestors if direction == "up" else descendants
    return pure(event_id, links, present=frozenset(present), most=most)


def _reached(project: str, event_id: str, direction: str, most: int, using: str) -> list[str]:
    inside = _limits_inside(connections[using])
    limit = f"LIMIT {int(most)}"
    sql = _INSIDE.format(
        start="CAST(%s AS CHAR(36))" if connections[using].vendor == "mysql" else "%s" + _cast(using),
        next="cause" if direction == "up" else "effect",
        at="effect" if direction == "up" else "cause",
        live=_LIVE,
        inner=limit if inside else "",
        outer="" if inside else limit,
    )
    return [row[0] for row in _rows(sql, [event_id, project], using)]


def _limits_inside(connection: Any) -> bool:
    return connection.vendor == "sqlite" or (connection.vendor == "mysql" and not connection.mysql_is_mariadb)


def _cast(using: str) -> str:
    """PostgreSQL wants to know the type and collation of a bare parameter that a column is joined with."""
    return '::varchar COLLATE "C"' if connections[using].vendor == "postgresql" else ""


def _links(project: str, ids: Sequence[str], direction: str, using: str) -> list[CausalLink]:
    column = "effect" if direction == "up" else "cause"
    found = []
    for page in _pages(ids):
        sql = (
            f"SELECT cause, effect, kind, certainty FROM journal_cause WHERE generation = {_LIVE} AND project = %s"  # noqa: S608
            f" AND {column} IN ({_marks(page)}) ORDER BY id"
        )
        found += [
            CausalLink(cause=cause, effect=effect, kind=kind, certainty=certainty)
            for cause, effect, kind, certainty in _rows(sql, [project, *page], using)
        ]
    return found


def _present(project: str, ids: Iterable[str], using: str) -> set[str]:
    found: set[str] = set()
    for page in _pages(list(ids)):
        sql = f"SELECT event_id FROM journal_event WHERE project = %s AND event_id IN ({_marks(page)})"  # noqa: S608
        found.update(row[0] for row in _rows(sql, [project, *page], using))
    return found


def _pages(ids: Sequence[str]) -> Iterable[list[str]]:
    return (list(ids[start : start + _PAGE]) for start in range(0, len(ids), _PAGE))


def _marks(page: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(page))


def _rows(sql: str, values: Sequence[Any], using: str) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
