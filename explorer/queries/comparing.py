"""Two runs on a page: their steps side by side with equal stretches folded, what differs in the state, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlencode

from django.urls import reverse

from explorer import figures
from explorer.models import EventLine, RunSummary
from explorer.queries.run_lines import parts_of
from explorer.queries.run_steps import run_of
from explorer.state_changes import ChangeRow, change_rows, counted
from explorer.verdicts import Verdicts, verdicts_of
from journal.domain.align import Pair
from journal.domain.comparing import TOTALS, Comparison, Step, less
from journal.errors import StreamNotFound, VersionNotFound
from journal.runtime.comparing import compare_streams, named, notes
from journal.store import get_store

PAGE: Final = 80
"""Rows of a page; more have a link."""

_AROUND: Final = 3
_FOLDED: Final = 4
"""Equal steps that stand before and behind a difference; from so many more on they are folded."""

MARKS: Final = {"equal": "=", "differs": "≠", "elsewhere": "≈", "left": "<", "right": ">"}
WORDS: Final = {
    "equal": "equal",
    "differs": "differs",
    "elsewhere": "same, elsewhere",
    "left": "only in A",
    "right": "only in B",
}
NAMES: Final = {
    "events": "Events",
    "decisions": "Decisions",
    "tool_calls": "Tool calls",
    "tool_errors": "Tool failures",
    "input_tokens": "Tokens in",
    "output_tokens": "Tokens out",
    "cost_usd": "Cost",
    "duration_ms": "Took",
}

Mark = Literal["equal", "differs", "elsewhere", "left", "right"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A step of one side."""

    version: int
    kind: str
    lead: str
    rest: str
    href: str
    is_at: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """Two steps side by side, or `folded` equal ones in one row. `difference` counts the places that differ, from 1."""

    mark: Mark
    left: Cell | None = None
    right: Cell | None = None
    elsewhere: int | None = None
    elsewhere_href: str = ""
    folded: int = 0
    first: int = 0
    last: int = 0
    difference: int = 0

    @property
    def sign(self) -> str:
        """Return the mark as a character."""
        return MARKS[self.mark]

    @property
    def words(self) -> str:
        """Return the mark in words."""
        return WORDS[self.mark]


@dataclass(frozen=True, kw_only=True, slots=True)
class SidePage:
    """One of the two runs, as the head of its column."""

    name: str
    run: RunSummary
    at: int
    verdicts: Verdicts
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """A figure of both runs and their difference; "not recorded" where a source has none."""

    name: str
    left: str
    right: str
    difference: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparePage:
    """Two runs side by side."""

    found: Comparison
    left: SidePage
    right: SidePage
    rows: tuple[Row, ...]
    differences: int
    notes: tuple[str, ...]
    changes: tuple[ChangeRow, ...]
    counts: Mapping[str, int]
    since: tuple[Total, ...]
    totals: tuple[Total, ...]
    swap: str
    all_steps: str
    earlier: str
    later: str
    is_all: bool
    detail: str

    @property
    def title(self) -> str:
        """Return where they part."""
        return self.found.words()

    @property
    def more(self) -> int:
        """Return how many changes of the state are not shown."""
        return len(self.found.changes) - len(self.changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What an address asks for, as it was written; `problem` says why there is no comparison."""

    a: str
    b: str
    problem: str = ""
    runs: tuple[RunSummary, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """How much is shown: `start` is the first row, `is_all` whether equal steps are not folded."""

    a: str
    b: str
    start: int
    is_all: bool

    def address(self, **changed: Any) -> str:
        said: dict[str, Any] = {"a": self.a, "b": self.b}
        if self.is_all:
            said["show"] = "all"
        said.update({name: value for name, value in changed.items() if value})
        return f"{reverse('explorer:compare')}?{urlencode(said, safe='@:')}"


def compare_page(project: str, a: str, b: str, *, start: int, is_all: bool) -> ComparePage | Asked:
    """Return the comparison that an address asks for; what was asked, with the reason, where there is none.

    The runs whose names are given are read from the journal once each; everything else is four queries.
    """
    if not a or not b:
        return Asked(a=a, b=b, runs=_newest(project))
    (left, left_at), (right, right_at) = named(a), named(b)
    runs = {stream: run_of(project, stream) for stream in (left, right)}
    one, other = runs[left], runs[right]
    missing = next((stream for stream, run in runs.items() if run is None), None)
    if one is None or other is None:
        return Asked(a=a, b=b, problem=f"There is no run {missing} in this project.", runs=_newest(project))
    store = get_store(project)
    try:
        found = compare_streams(
            store, one.stream, other.stream, left_at=_within(one, left_at), right_at=_within(other, right_at)
        )
    except (StreamNotFound, VersionNotFound) as error:
        return Asked(a=a, b=b, problem=f"{error}.", runs=_newest(project))
    return _page(found, one, other, _View(a=a, b=b, start=start, is_all=is_all))


def _within(run: RunSummary, asked: int | None) -> int | None:
    return None if asked is None else max(1, min(asked, run.events))


def _newest(project: str) -> tuple[RunSummary, ...]:
    rows = RunSummary.objects.filter(project=project, category="agent_run").order_by("-started_us", "-id")
    return tuple(rows.only("stream", "title", "events", "status", "started_us", "time_known")[:30])


def _page(found: Comparison, left: RunSummary, right: RunSummary, view: _View) -> ComparePage:
    plan = _folded(found, is_all=view.is_all)
    differences = max((row.difference for row in plan), default=0)
    start = min(view.start, max(0, len(plan) - 1))
    shown = plan[start : start + PAGE]
    return ComparePage(
        found=found,
        left=_side("A", left, found.left.at),
        right=_side("B", right, found.right.at),
        rows=tuple(_filled(found, shown, left, right)),
        differences=differences,
        notes=tuple(notes(found)),
        changes=change_rows(found.changes),
        counts={str(mark): count for mark, count in counted(found.changes).items()},
        since=_totals(found.left.since, found.right.since),
        totals=_totals(found.left.totals, found.right.totals),
        swap=_View(a=view.b, b=view.a, start=0, is_all=view.is_all).address(),
        all_steps=_View(a=view.a, b=view.b, start=0, is_all=not view.is_all).address(),
        earlier=view.address(**{"from": max(0, start - PAGE)}) if start else "",
        later=view.address(**{"from": start + PAGE}) if start + PAGE < len(plan) else "",
        is_all=view.is_all,
        detail=_detail(found),
    )


def _side(name: str, run: RunSummary, at: int) -> SidePage:
    href = f"{reverse('explorer:run', args=[run.stream])}?v={max(1, at)}"
    return SidePage(name=name, run=run, at=at, verdicts=verdicts_of(run.verdicts), href=href)


# --- Rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    """A row before its words are known."""

    index: int
    pair: Pair
    folded: int = 0
    difference: int = 0


def _folded(found: Comparison, *, is_all: bool) -> list[_Planned]:
    """Return the rows in order: long stretches of equal steps as one, neighbouring differences as one difference."""
    plan: list[_Planned] = []
    differences = 0
    was_equal = True
    for first, last, is_equal in _stretches(found.pairs):
        if not is_equal:
            differences += was_equal
            plan += [_Planned(index=at, pair=found.pairs[at], difference=differences) for at in range(first, last)]
        else:
            plan += _equal(found.pairs, first, last, is_all=is_all)
        was_equal = is_equal
    return plan


def _stretches(pairs: Sequence[Pair]) -> list[tuple[int, int, bool]]:
    stretches: list[tuple[int, int, bool]] = []
    for at, pair in enumerate(pairs):
        is_equal = pair.mark == "equal"
        if stretches and stretches[-1][2] == is_equal:
            stretches[-1] = (stretches[-1][0], at + 1, is_equal)
        else:
            stretches.append((at, at + 1, is_equal))
    return stretches


def _equal(pairs: Sequence[Pair], first: int, last: int, *, is_all: bool) -> list[_Planned]:
    head = first + _AROUND
    tail = last - (_AROUND if last < len(pairs) else 0)
    if is_all or tail - head < _FOLDED:
        return [_Planned(index=at, pair=pairs[at]) for at in range(first, last)]
    shown = [_Planned(index=at, pair=pairs[at]) for at in range(first, head)]
    shown.append(_Planned(index=head, pair=pairs[head], folded=tail - head))
    return shown + [_Planned(index=at, pair=pairs[at]) for at in range(tail, last)]


def _filled(found: Comparison, plan: Sequence[_Planned], left: RunSummary, right: RunSummary) -> list[Row]:
    lefts = _cells(left, found.left_steps, [row.pair.left for row in plan if not row.folded], found.left.at)
    rights = _cells(right, found.right_steps, [row.pair.right for row in plan if not row.folded], found.right.at)
    return [_row(found, row, lefts, rights, left, right) for row in plan]


def _cells(run: RunSummary, steps: Sequence[Step], wanted: Sequence[int | None], at: int) -> dict[int, Cell]:
    versions = {steps[place].version: place for place in wanted if place is not None}
    rows = EventLine.objects.filter(run=run, version__in=list(versions)).only("version", "kind", "summary", "tool")
    path = reverse("explorer:run", args=[run.stream])
    found: dict[int, Cell] = {}
    for line in rows:
        lead, rest = parts_of(line.kind, line.tool, line.summary)
        found[versions[line.version]] = Cell(
            version=line.version,
            kind=line.kind,
            lead=lead,
            rest=rest,
            href=f"{path}?v={line.version}",
            is_at=line.version == at,
        )
    return found


def _row(  # noqa: PLR0913, PLR0917 - two sides
    found: Comparison,
    row: _Planned,
    lefts: Mapping[int, Cell],
    rights: Mapping[int, Cell],
    left: RunSummary,
    right: RunSummary,
) -> Row:
    pair = row.pair
    if row.folded and pair.left is not None:
        first, last = found.left_steps[pair.left].version, found.left_steps[pair.left + row.folded - 1].version
        return Row(mark="equal", folded=row.folded, first=first, last=last)
    elsewhere = found.elsewhere.get(row.index)
    other = right if pair.mark == "left" else left
    return Row(
        mark="elsewhere" if elsewhere else pair.mark,
        left=lefts.get(pair.left) if pair.left is not None else None,
        right=rights.get(pair.right) if pair.right is not None else None,
        elsewhere=elsewhere,
        elsewhere_href=f"{reverse('explorer:run', args=[other.stream])}?v={elsewhere}" if elsewhere else "",
        difference=row.difference,
    )


# --- Figures ----------------------------------------------------------------------------------------------------------


def _totals(left: dict[str, Any], right: dict[str, Any]) -> tuple[Total, ...]:
    differences = less(left, right)
    return tuple(
        Total(
            name=NAMES[name],
            left=_figure(name, left[name]),
            right=_figure(name, right[name]),
            difference=_signed(name, differences[name]),
        )
        for name in TOTALS
    )


def _figure(name: str, value: Any) -> str:
    match name:
        case "cost_usd":
            return figures.cost(value)
        case "duration_ms":
            return figures.duration(value)
        case _:
            return figures.thousands(value)


def _signed(name: str, value: Any) -> str:
    if value is None:
        return figures.NOT_RECORDED
    if not value:
        return "="
    return f"{'+' if value > 0 else '−'}{_figure(name, abs(value))}"


def _detail(found: Comparison) -> str:
    """Say what each did after they parted."""
    if found.is_one_run:
        return "What the state is at the one and at the other, and what lies between."
    if found.parting is None:
        return "No step differs. Ids, times, tokens and prices are not compared."
    parts = []
    for name, side in (("A", found.left), ("B", found.right)):
        events = figures.counted(side.since["events"], "event")
        calls = side.since["tool_calls"]
        cost = side.since["cost_usd"]
        told = [events]
        if calls is not None:
            told.append(figures.counted(calls, "tool call"))
        if cost is not None:
            told.append(figures.cost(cost))
        parts.append(f"{name} goes on for {', '.join(told)}")
    return f"From there {parts[0]}; {parts[1]}."
