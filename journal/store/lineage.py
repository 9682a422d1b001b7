"""Causes and effects over all streams of a project, walked in the database: bounded, in few queries, however deep.

The links are a read model (`journal_cause`), filled by the projection `causes` from what each event says of its causes.
A cause that the journal does not hold is reported as missing; a cycle ends where it closes. `walk` follows everything
in reach; `around` reads what a page shows of one event, in one statement that the page may join with its own rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, get_args

import msgspec
from django.db import connections

from journal.domain.event import CauseKind
from journal.domain.lineage import Around, CausalLink, Walk, ancestors, descendants, spread_over

MOST: Final = 10_000
"""Events a walk may touch; past it the walk says that it was cut."""

_PAGE: Final = 500

# The rows of the generation that is live: another may be being built beside it.
_LIVE: Final = "COALESCE((SELECT generation FROM journal_checkpoint WHERE name = 'causes'), 0)"

# UNION, not UNION ALL: an event is visited once, so diamonds do not multiply and a cycle ends. The order of visits is
# nearest first. It starts at the event's own row, whose column has the type and the collation that the recursion needs,
# or is given them.
# Where a bound stands differs. SQLite and MySQL stop a recursion by a limit inside it. PostgreSQL knows only one
# outside and computes no more rows than that fetches. MariaDB knows only one outside and computes all rows, level by
# level, down to `max_recursive_iterations` (1,000), which for a longer walk has to be raised.
_WALK: Final = """{name}(id) AS (
    SELECT {own} FROM journal_event WHERE project = %s AND event_id {start}
    UNION
    {step} {inner}
)"""
_STEP: Final = """SELECT link.{next} FROM journal_cause link{hint} JOIN {name} ON link.{at} = {name}.id
    WHERE link.generation = {live} AND link.project = %s"""

# SQLite takes all the links of an event in before it counts the first of them, so that an event with fifty thousand
# effects cost as much as those; of one event it reads no more than can be among the nearest, whatever their kinds.
# Left to itself it also walks down by the index of the other direction, which holds all columns that are asked for:
# each step then reads all links of the project.
_STEP_BOUNDED: Final = """SELECT link.{next} FROM {name} JOIN journal_cause link ON link.id IN (
        SELECT near.id FROM journal_cause near{index}
        WHERE near.generation = {live} AND near.project = %s AND near.{at} = {name}.id ORDER BY near.id LIMIT {most}
    )"""

# MySQL keeps the ids of events in ASCII, those of links not. Where the two meet, one is converted: said here, it is the
# single value; left to the server, it is each of a project's ids, and no index finds the one.
_OWN: Final = {"mysql": "CONVERT(event_id USING utf8mb4) COLLATE utf8mb4_bin"}
_OTHER: Final = {"mysql": "CONVERT(part.other USING ascii) COLLATE ascii_bin"}

Direction = Literal["up", "down"]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A query without its last semicolon, for use as a table of another one, and its values."""

    sql: str
    values: tuple[Any, ...]


def walk(project: str, event_id: str, *, direction: Direction, most: int = MOST, using: str = "default") -> Walk:
    """Return every event in reach of one, its own distance 0, with the links among them."""
    reached = _reached(project, [event_id], direction, most + 1, using)
    links = _links(project, reached[:most], direction, using)
    present = _present(project, {event_id, *(link.cause for link in links), *(link.effect for link in links)}, using)
    pure = ancestors if direction == "up" else descendants
    return pure(event_id, links, present=frozenset(present), most=most)


def spread(
    project: str, event_ids: Sequence[str], *, direction: Direction, most: int = MOST, using: str = "default"
) -> Walk:
    """Return every event in reach of any of some, each of those at distance 0, with the links among them.

    As many queries as for one: they are walked together, and each event is visited once. Downwards nothing is missing,
    since a link is told by its effect.
    """
    starts = list(dict.fromkeys(event_ids))
    if not starts:
        return Walk(depths={}, links=())
    reached = _reached(project, starts, direction, most + 1, using)
    links = _links(project, reached[:most], direction, using)
    if direction == "down":
        present = {*reached, *(link.effect for link in links)}
    else:
        present = _present(project, {*reached, *(link.cause for link in links)}, using)
    kept = [start for start in starts if start in present]
    return spread_over(kept, links, present=frozenset(present), most=most, upwards=direction == "up")


def touching(project: str, event_ids: Sequence[str], *, using: str = "default") -> list[CausalLink]:
    """Return every link that begins or ends at one of some events."""
    found = [*_links(project, event_ids, "up", using), *_links(project, event_ids, "down", using)]
    return list(dict.fromkeys(found))


def reach_sql(project: str, event_id: str, *, direction: Direction, most: int, using: str = "default") -> Statement:
    """Return the query for the ids of the nearest `most` events in reach, the event itself among them."""
    sql = f"WITH RECURSIVE {_walk('walk', direction, most, using)} SELECT id FROM walk LIMIT {int(most)}"  # noqa: S608
    return Statement(sql=sql, values=(project, event_id, project))


def _walk(name: str, direction: Direction, most: int, using: str, *, starts: int = 1) -> str:
    here, there = ("effect", "cause") if direction == "up" else ("cause", "effect")
    vendor = connections[using].vendor
    # Both indexes begin with what is the same for all of a project's links: before MySQL has counted, it takes either.
    index = "journal_cause_once" if direction == "up" else "journal_cause_down"
    step = _STEP_BOUNDED if vendor == "sqlite" else _STEP
    return _WALK.format(
        name=name,
        own=_OWN.get(vendor, "event_id"),
        start="= %s" if starts == 1 else f"IN ({', '.join(['%s'] * starts)})",
        step=step.format(
            name=name,
            next=there,
            at=here,
            live=_LIVE,
            hint={"mysql": f" FORCE INDEX ({index})"}.get(vendor, ""),
            index=f" INDEXED BY {index}" if vendor == "sqlite" and direction == "down" else "",
            most=int(most) * len(get_args(CauseKind)),
        ),
        inner=f"LIMIT {int(most)}" if _stops_inside(using) else "",
    )


def _stops_inside(using: str) -> bool:
    connection: Any = connections[using]
    return connection.vendor == "sqlite" or (connection.vendor == "mysql" and not connection.mysql_is_mariadb)


def _reached(project: str, starts: Sequence[str], direction: Direction, most: int, using: str) -> list[str]:
    connection: Any = connections[using]
    recursion = _walk("walk", direction, most, using, starts=len(starts))
    sql = f"WITH RECURSIVE {recursion} SELECT id FROM walk LIMIT {int(most)}"  # noqa: S608 - as above
    statement = Statement(sql=sql, values=(project, *starts, project))
    is_mariadb = connection.vendor == "mysql" and connection.mysql_is_mariadb
    deeper = f"SET STATEMENT max_recursive_iterations = {int(most)} FOR " if is_mariadb else ""
    return [row[0] for row in _rows(deeper + statement.sql, statement.values, using)]


def _links(project: str, ids: Sequence[str], direction: Direction, using: str) -> list[CausalLink]:
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


# --- Around one event -------------------------------------------------------------------------------------------------

NEAREST: Final = 60
"""Events whose links `around` reads: the nearest ones."""

COUNTED: Final = 500
"""Where `around` stops counting: a total of one more says "more than"."""

SIDES: Final = 12
"""Direct effects and siblings that `around` reads, of each."""

_LINKS: Final = 600

COLUMNS: Final = ("what", "cause", "effect", "kind", "certainty", "number", "other", "held")
"""What a row of `around_sql` has: `other` is the link's end that is farther away, `held` whether the journal has it.

`number` is the link's place in the table, or a total where `what` is not the name of a part of the answer.
"""


# Reading newest links first keeps those of the event itself where a bound cuts. A part with a limit stands in a SELECT
# of its own, since SQLite has no brackets around the parts of a UNION. The table's own order is that of recording.
_AROUND: Final = """WITH RECURSIVE {walks}
SELECT part.what, part.cause, part.effect, part.kind, part.certainty, part.number, part.other,
    CASE WHEN event.event_id IS NULL THEN 0 ELSE 1 END AS held
FROM (
    SELECT * FROM (
        SELECT 'links' AS what, link.cause, link.effect, link.kind, link.certainty, link.id AS number,
            link.cause AS other
        FROM journal_cause link JOIN (SELECT id FROM up LIMIT {nearest}) near ON link.effect = near.id
        WHERE link.generation = {live} AND link.project = %s
        ORDER BY link.id DESC LIMIT {links}
    ) links
    UNION ALL SELECT 'nearest', '', id, '', '', 0, '' FROM (SELECT id FROM up LIMIT {nearest}) nearest
    UNION ALL SELECT 'reach', '', '', '', '', COUNT(*) - 1, '' FROM (SELECT id FROM up LIMIT {counted}) reach
    UNION ALL SELECT 'read_until', '', '', '', '', COALESCE(MAX(position), 0), ''
        FROM journal_checkpoint WHERE name = 'causes'
    {sides}
) part LEFT JOIN journal_event event ON event.project = %s AND event.event_id = {other}
"""

# Of siblings those nearest to the event in the order of recording, before it and after it: an event that thousands were
# caused by is as cheap as any.
_SIDES: Final = """
    UNION ALL SELECT * FROM (
        SELECT 'effects', cause, effect, kind, certainty, id, effect AS other FROM journal_cause
        WHERE generation = {live} AND project = %s AND cause = %s ORDER BY id LIMIT {few}
    ) effects
    UNION ALL SELECT 'effect_count', '', '', '', '', COUNT(DISTINCT effect), '' FROM (
        SELECT effect FROM journal_cause WHERE generation = {live} AND project = %s AND cause = %s LIMIT {more}
    ) effect_count
    UNION ALL SELECT * FROM (
        SELECT 'siblings', link.cause, link.effect, link.kind, link.certainty, link.id, link.effect AS other
        FROM journal_cause link JOIN ({direct}) direct ON link.cause = direct.cause
        WHERE link.generation = {live} AND link.project = %s AND link.id < direct.id
        ORDER BY link.id DESC LIMIT {half}
    ) earlier
    UNION ALL SELECT * FROM (
        SELECT 'siblings', link.cause, link.effect, link.kind, link.certainty, link.id, link.effect AS other
        FROM journal_cause link JOIN ({direct}) direct ON link.cause = direct.cause
        WHERE link.generation = {live} AND link.project = %s AND link.id > direct.id
        ORDER BY link.id LIMIT {half}
    ) later
    UNION ALL SELECT 'sibling_count', '', '', '', '', COUNT(DISTINCT effect), '' FROM (
        SELECT link.effect FROM journal_cause link JOIN ({direct}) direct ON link.cause = direct.cause
        WHERE link.generation = {live} AND link.project = %s AND link.effect <> %s LIMIT {more}
    ) sibling_count
"""

_DIRECT: Final = (
    "SELECT id, cause FROM journal_cause"  # noqa: S608 - constants
    f" WHERE generation = {_LIVE} AND project = %s AND effect = %s ORDER BY id LIMIT 1"
)

_COUNT_BELOW: Final = """
    UNION ALL SELECT 'reach_below', '', '', '', '', COUNT(*) - 1, '' FROM (SELECT id FROM down LIMIT {counted}) below
"""

_READ_BELOW: Final = """
    UNION ALL SELECT 'nearest_below', '', id, '', '', 0, '' FROM (SELECT id FROM down LIMIT {nearest}) nearest_below
    UNION ALL SELECT * FROM (
        SELECT 'below', link.cause, link.effect, link.kind, link.certainty, link.id, link.effect AS other
        FROM journal_cause link JOIN (SELECT id FROM down LIMIT {nearest}) near ON link.cause = near.id
        WHERE link.generation = {live} AND link.project = %s
        ORDER BY link.id LIMIT {links}
    ) below
"""

Below = Literal["", "count", "read"]


def around_sql(project: str, event_id: str, *, below: Below = "", using: str = "default") -> Statement:
    """Return the one query for what stands around an event; its rows have `COLUMNS` and go into `around_of`.

    `below` asks how many events it led to, directly or not, and for the links of the nearest of them. At most some
    1,400 rows, whatever the length of chains and the number of effects. It is for SQLite, PostgreSQL and MySQL.
    """
    here = (project, event_id)
    sides = _SIDES + (_COUNT_BELOW if below else "") + (_READ_BELOW if below == "read" else "")
    walks = [_walk("up", "up", COUNTED + 2, using), *([_walk("down", "down", COUNTED + 2, using)] if below else ())]
    values = [*[*here, project] * len(walks), project]
    values += [*here, *here, *here, project, *here, project, *here, *here]
    values += [project] if below == "read" else []
    bounds: dict[str, Any] = {"nearest": NEAREST, "links": _LINKS, "counted": COUNTED + 2, "more": COUNTED + 1}
    bounds |= {"live": _LIVE, "direct": _DIRECT, "few": SIDES, "half": SIDES // 2}
    other = _OTHER.get(connections[using].vendor, "part.other")
    sql = _AROUND.format(**bounds, walks=", ".join(walks), sides=sides.format(**bounds), other=other)
    return Statement(sql=sql, values=(*values, project))


def around_of(event_id: str, rows: Iterable[Sequence[Any]]) -> Around:
    """Put together what `around_sql` found, in whatever order the database gave it."""
    links: dict[str, list[CausalLink]] = {"links": [], "effects": [], "siblings": [], "below": []}
    ids: dict[str, set[str]] = {"nearest": set(), "nearest_below": set(), "missing": set()}
    totals: dict[str, int] = {}
    for what, cause, effect, kind, certainty, number, other, held in sorted(rows, key=_place):
        if what in ids:
            ids[what].add(effect)
        elif what not in links:
            totals[what] = int(number)
        else:
            links[what].append(CausalLink(cause=cause, effect=effect, kind=kind, certainty=certainty))
            ids["missing"].update(() if held else (other,))
    return Around(
        event=event_id,
        links=tuple(links["links"]),
        effects=tuple(links["effects"]),
        siblings=tuple(link for link in links["siblings"] if link.effect != event_id),
        below=tuple(links["below"]),
        nearest=frozenset(ids["nearest"]),
        nearest_below=frozenset(ids["nearest_below"]),
        missing=frozenset(ids["missing"]),
        reach=totals.get("reach", 0),
        reach_below=totals.get("reach_below"),
        effect_count=totals.get("effect_count", 0),
        sibling_count=totals.get("sibling_count", 0),
        read_until=totals.get("read_until", 0),
        is_cut=max(len(links["links"]), len(links["below"])) >= _LINKS,
    )


def around(project: str, event_id: str, *, below: Below = "", using: str = "default") -> Around:
    """Return what stands around an event, in one query. What may be asked for is that of `around_sql`."""
    statement = around_sql(project, event_id, below=below, using=using)
    return around_of(event_id, _rows(statement.sql, statement.values, using))


def _place(row: Sequence[Any]) -> tuple[str, int]:
    return row[0], int(row[5])
