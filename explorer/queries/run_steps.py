"""The event a page is about, where each way of stepping leads from it, and what stands around it: one query, by index.

The statement is written by hand. Its parts are rows of one table, so that links, the events they name, the events that
come next and the neighbours of each way of stepping come together; through the ORM they were five queries, and its
twenty subqueries took longer to put together than everything else on the page.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, models

from explorer.models import PROJECTION, EventLine, RunSummary
from journal.domain.lineage import Around
from journal.runtime.read_model import live_generation_sql
from journal.store.lineage import COLUMNS, around_of, around_sql

AHEAD: Final = 8
"""Events after the cursor that the explanation may need: a decision's result and what came of it."""

_WAYS: Final = {
    "rows": "folded_into IS NULL AND NOT (kind = 'tool_returned' AND COALESCE(pair, 0) = version - 1)",
    "decisions": "kind = 'reasoned'",
    "failures": "kind = 'tool_failed'",
    "aborts": "kind = 'aborted'",
    "tool": "kind = 'reasoned' AND tool = COALESCE(NULLIF(%s, ''), NULLIF(here.tool, ''), ' ')",
}
"""Each is one place in an index, so that the next of its events is found without looking at others. Errors are two."""

_EVERY: Final = "1 = 1"
"""What "rows" is where every event has one."""

_PARTS: Final = ("before", "after", "first", "last", "count")


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """Where a way of stepping leads from the cursor: versions, None where there is no more that way."""

    before: int | None = None
    after: int | None = None
    count: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """The event the page is about, its run, the steps that lead away from it, and what stands around it.

    `lines` are the events that links name, wherever they are recorded, and those just behind the cursor in its run;
    each knows where its own run is found, and what it is called.
    """

    line: EventLine
    run: RunSummary
    rows: Step
    decisions: Step
    errors: Step
    tool: Step
    tool_name: str
    around: Around
    lines: tuple[EventLine, ...]


def run_of(project: str, stream: str) -> RunSummary | None:
    """Return a run of the project; its name may come as it stands in an address, where databases take no NUL."""
    return RunSummary.objects.filter(project=project, stream=stream.replace("\x00", "")).first()


def cursor_at(  # noqa: PLR0913 - the event, and how the reader steps
    project: str, stream: str, version: int, *, event_id: str, tool: str = "", is_raw: bool = False, **asked: Any
) -> Cursor | None:
    """Return the event at `version`, whose id is known, with all there is around it; None where no row tells of it.

    `tool` is what the reader steps through; without, it is the event's own. `is_raw` gives every event a row. `asked`
    is passed to `around_sql`.
    """
    around = around_sql(project, event_id, **asked)
    values: list[Any] = [project, stream, version, *around.values, project, *[tool] * len(_columns("tool"))]
    with connection.cursor() as cursor:
        cursor.execute(_statement(around.sql, version, is_raw=is_raw), values)
        found = cursor.fetchall()
    return _cursor(event_id, found, tool)


class _Fields:
    """Columns of a model in their order, and which of them come from a driver as something else than they are."""

    def __init__(self, model: type[models.Model], *, but: Sequence[str] = ()) -> None:
        fields = [field for field in model._meta.concrete_fields if field.column not in but]
        self.columns = [str(field.column) for field in fields]
        self.names = [field.attname for field in fields]
        found = [(at, _CONVERTED[type(field)]) for at, field in enumerate(fields) if type(field) in _CONVERTED]
        self.odd: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(found)

    def __len__(self) -> int:
        return len(self.names)


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


_CONVERTED: Final[Mapping[type, Callable[[Any], Any]]] = {models.BooleanField: bool, models.JSONField: _json}

_OWN: Final = _Fields(RunSummary, but=("shape", "outcome_raw"))
_LINE: Final = _Fields(EventLine)
_FOREIGN: Final = ("id", "project", "stream", "title", "category")
_STEPS_AT: Final = len(COLUMNS) + len(_LINE) + len(_FOREIGN) + len(_OWN)

_LIVE: Final = f"generation = {live_generation_sql(PROJECTION)}"


def _statement(around: str, version: int, *, is_raw: bool) -> str:
    ways = _WAYS | {"rows": _EVERY} if is_raw else _WAYS
    # The version as a number: MariaDB takes no place in an index from another row, and would go there from an end.
    steps = ", ".join(_subquery(way, where, part, version) for way, where in ways.items() for part in _columns(way))
    # By the limits PostgreSQL knows that few events are near, and counts the steps once instead of for each part.
    return f"""
    WITH here AS (
        SELECT line.run_id, line.version, line.tool, line.event_id, line.pair
        FROM explorer_eventline line JOIN explorer_runsummary run ON run.id = line.run_id
        WHERE run.{_LIVE} AND run.project = %s AND run.stream = %s AND line.version = %s
    )
    SELECT {_list("part", COLUMNS)}, {_list("line", _LINE.columns)}, {_list("run", _FOREIGN)},
        {_list("own", _OWN.columns)}, steps.*
    FROM (
        SELECT {_list("around", COLUMNS)} FROM ({around}) around
        UNION ALL SELECT 'here', '', '', '', '', 0, event_id, 1 FROM here
        UNION ALL SELECT 'near', '', '', '', '', near.version, near.event_id, 1 FROM (
            SELECT next.version, next.event_id FROM explorer_eventline next JOIN here ON next.run_id = here.run_id
            WHERE next.version > here.version AND next.version <= here.version + {AHEAD}
            ORDER BY next.version LIMIT {AHEAD}
        ) near
        UNION ALL SELECT 'near', '', '', '', '', near.version, near.event_id, 1
            FROM explorer_eventline near JOIN here ON near.run_id = here.run_id AND near.version = here.pair
    ) part
    LEFT JOIN explorer_eventline line ON line.event_id = part.other
    LEFT JOIN explorer_runsummary run ON run.id = line.run_id AND run.{_LIVE} AND run.project = %s
    LEFT JOIN explorer_runsummary own ON part.what = 'here' AND own.id = run.id
    LEFT JOIN (SELECT {steps} FROM here LIMIT 1) steps ON part.what = 'here'
    """  # noqa: S608 - constants of this module and of the models


def _list(table: str, names: Iterable[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _columns(way: str) -> tuple[str, ...]:
    """How many rows there are nobody asks: the run's events are counted already."""
    return _PARTS[:-1] if way == "rows" else _PARTS


def _subquery(way: str, where: str, part: str, at: int) -> str:
    lines = f"FROM explorer_eventline WHERE run_id = here.run_id AND {where}"
    up, down = "ORDER BY version LIMIT 1", "ORDER BY version DESC LIMIT 1"
    asked = {
        "before": f"SELECT version {lines} AND version < {at:d} {down}",
        "after": f"SELECT version {lines} AND version > {at:d} {up}",
        "first": f"SELECT version {lines} {up}",
        "last": f"SELECT version {lines} {down}",
        "count": f"SELECT COUNT(*) {lines}",
    }
    return f"({asked[part]}) AS {way}_{part}"


def _cursor(event_id: str, found: Sequence[Sequence[Any]], tool: str) -> Cursor | None:
    line_end, own_end = len(COLUMNS) + len(_LINE), _STEPS_AT
    own_at = own_end - len(_OWN)
    lines: dict[str, EventLine] = {}
    runs: dict[int, RunSummary] = {}
    here: Sequence[Any] | None = None
    for row in found:
        # An event's id is unique in its project alone: another project's line of that id comes without its run.
        is_known = row[len(COLUMNS)] is not None and row[line_end] is not None
        if row[0] == "here" and is_known:
            here = row
        if is_known and row[6] not in lines:
            line = _made(EventLine, _LINE, row[len(COLUMNS) : line_end])
            if row[line_end] not in runs:
                runs[row[line_end]] = RunSummary(**dict(zip(_FOREIGN, row[line_end:own_at], strict=True)))
            line.run = runs[row[line_end]]
            lines[row[6]] = line
    if here is None or event_id not in lines:
        return None
    run = _made(RunSummary, _OWN, here[own_at:own_end])
    for known in lines.values():
        if known.run_id == run.pk:
            known.run = run
    line = lines[event_id]
    steps = _steps(here[_STEPS_AT:])
    tool_name = tool or line.tool
    return Cursor(
        line=line,
        run=run,
        rows=steps["rows"],
        decisions=steps["decisions"],
        errors=_either(steps["failures"], steps["aborts"]),
        tool=steps["tool"] if tool_name else Step(),
        tool_name=tool_name,
        around=around_of(event_id, [row[: len(COLUMNS)] for row in found if row[0] not in ("here", "near")]),
        lines=tuple(sorted(lines.values(), key=lambda known: known.position)),
    )


def _made(model: type[Any], fields: _Fields, values: Sequence[Any]) -> Any:
    """Make a model's instance of a row, whose values are as the database driver gives them."""
    converted = list(values)
    for at, convert in fields.odd:
        converted[at] = convert(converted[at])
    return model.from_db(connection.alias, fields.names, converted)


def _steps(values: Sequence[Any]) -> Mapping[str, Step]:
    named = dict(zip(((way, part) for way in _WAYS for part in _columns(way)), values, strict=True))
    return {way: Step(**{part: named[way, part] for part in _columns(way)}) for way in _WAYS}


def _either(one: Step, other: Step) -> Step:
    """Return where to go if the events of two ways are one's to step through."""

    def of(choose: Callable[..., int | None], *versions: int | None) -> int | None:
        return choose((version for version in versions if version is not None), default=None)

    return Step(
        before=of(max, one.before, other.before),
        after=of(min, one.after, other.after),
        count=one.count + other.count,
        first=of(min, one.first, other.first),
        last=of(max, one.last, other.last),
    )
