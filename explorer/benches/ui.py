"""`nagare bench ui`: what the run page costs a browser and a reader, beside its budgets and what other tools cost.

Bytes, requests and elements hang on the pages alone, and are gated by tests; seconds hang on the machine and on what
else it does, and are only told. Everything is made in a folder of its own and removed at the end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import ceil
from typing import Final

import msgspec

from explorer.benches.ui_site import Site, started
from journal.benches.registry import Report, Say
from journal.errors import JournalError

SIZES: Final = (200, 2_000, 100_000)
SOURCE: Final = (
    "Other tools: our own measurements of Phoenix 20.26, MLflow 3.17 and Inspect View in autumn 2026, with Chromium on"
    " two busy cores: home pages cold, then made-up runs of 200 / 2,000 steps. Their times were taken under load;"
    " bytes, elements, heap and CPU do not depend on it. None of them opened a run of 100,000."
)


class NoBrowser(JournalError):
    """The benchmark drives a browser, and something of it is not installed."""

    def __init__(self, *, missing: str, way_out: str) -> None:
        self.missing = missing
        super().__init__(f"`nagare bench ui` drives a browser, and {missing}; {way_out}")


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """What one thing took, again and again."""

    times: int
    p50_ms: float
    p95_ms: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The run page with a run of so many events.

    Compressed bytes are those of `gzip -6`, which the budgets mean; `wire_bytes` is what really came, headers included:
    this server sends stylesheets and scripts compressed, and leaves pages to the proxy before it.
    """

    events: int
    html_bytes: int
    css_bytes: int
    js_bytes: int
    wire_bytes: int
    requests: int
    elements: int
    heap_bytes: int
    renderer_cpu_s: float
    first_byte: Times
    highlight: Times
    highlight_drawn: Times
    cursor_move: Times
    find: Times
    jump_to_last: Times

    @property
    def all_bytes(self) -> int:
        """All that a cold browser loads, compressed."""
        return self.html_bytes + self.css_bytes + self.js_bytes


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How busy the machine was in the last minute, this benchmark included: what to hold against its times."""

    processors: int
    average: float

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        return f"Times were taken on {self.processors} processors with a load of {self.average}."


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: what is measured, its budget, and the same of other tools where it is known."""

    name: str
    unit: str
    of: Callable[[Measured], float]
    budget: float | None
    peers: str = ""


_KILO: Final = 1_000
_MEGA: Final = 1_000_000

ROWS: Final = (
    Row(name="HTML, gzip", unit="kB", of=lambda m: m.html_bytes / _KILO, budget=30),
    Row(name="CSS, gzip", unit="kB", of=lambda m: m.css_bytes / _KILO, budget=20),
    Row(name="JavaScript, gzip", unit="kB", of=lambda m: m.js_bytes / _KILO, budget=60),
    Row(
        name="all, cold, gzip",
        unit="kB",
        of=lambda m: m.all_bytes / _KILO,
        budget=120,
        peers="home page alone: Phoenix 6,171, MLflow 5,378, Inspect 7,282",
    ),
    Row(
        name="all, cold, as sent",
        unit="kB",
        of=lambda m: m.wire_bytes / _KILO,
        budget=None,
        peers="for the run on top: Phoenix 23 / 50, MLflow 9,513 / 44,078, Inspect 94 / 959",
    ),
    Row(
        name="requests",
        unit="",
        of=lambda m: m.requests,
        budget=24,
        peers="home page, then the run: Phoenix 24 + 8, MLflow 18 + 7, Inspect 32 + 14",
    ),
    Row(
        name="elements",
        unit="",
        of=lambda m: m.elements,
        budget=1_500,
        peers="Phoenix 9,655 / 55,634, MLflow 7,056 / 61,032, Inspect 691 / 912",
    ),
    Row(
        name="JavaScript heap",
        unit="MB",
        of=lambda m: m.heap_bytes / _MEGA,
        budget=15,
        peers="Phoenix 122 / 237, MLflow 104 / 511, Inspect 21 / 67",
    ),
    Row(
        name="renderer CPU, cold",
        unit="s",
        of=lambda m: m.renderer_cpu_s,
        budget=0.25,
        peers="Phoenix 3.0 / 4.5, MLflow 4.1 / 19.1, Inspect 0.9 / 1.6",
    ),
    Row(
        name="first byte, p50",
        unit="ms",
        of=lambda m: m.first_byte.p50_ms,
        budget=60,
        peers="Phoenix 5-450, MLflow 7-65 (an empty shell), Inspect 20-40",
    ),
    Row(name="first byte, p95", unit="ms", of=lambda m: m.first_byte.p95_ms, budget=200),
    Row(name="key to row marked, p95", unit="ms", of=lambda m: m.highlight.p95_ms, budget=16),
    Row(name="key to its frame, p50", unit="ms", of=lambda m: m.highlight_drawn.p50_ms, budget=None),
    Row(name="key to its frame, p95", unit="ms", of=lambda m: m.highlight_drawn.p95_ms, budget=None),
    Row(
        name="key to inspector, p50",
        unit="ms",
        of=lambda m: m.cursor_move.p50_ms,
        budget=None,
        peers="Phoenix 2,485, MLflow 547 (200 steps)",
    ),
    Row(name="key to inspector, p95", unit="ms", of=lambda m: m.cursor_move.p95_ms, budget=100),
    Row(name="find to first hit, p50", unit="ms", of=lambda m: m.find.p50_ms, budget=300, peers="Inspect 841 (2,000)"),
    Row(name="jump to the last, p95", unit="ms", of=lambda m: m.jump_to_last.p95_ms, budget=100),
)


def times(took_ms: Sequence[float]) -> Times:
    """Sum measurements up: the median and the 95th of a hundred, each a value that was measured."""
    ordered = sorted(took_ms)
    p50, p95 = (ordered[ceil(share * len(ordered)) - 1] for share in (0.5, 0.95))
    return Times(times=len(ordered), p50_ms=round(p50, 1), p95_ms=round(p95, 1))


def run(say: Say, sizes: tuple[int, ...]) -> Report:
    """Make the runs, serve them, open each in a browser, and put what it cost beside the budgets.

    Raises:
        NoBrowser: Playwright or a Chromium is missing, with how to install it.
    """
    measure = _measurer()
    say(f"runs of {', '.join(f'{size:,}' for size in sizes)} events: making them")
    with started(sizes) as site:
        measured = measure(site, say)
    load = Load(processors=os.cpu_count() or 1, average=round(os.getloadavg()[0], 1))
    return Report(document=_document(measured, load), lines=(*table(measured), load.words))


def _measurer() -> Callable[[Site, Say], list[Measured]]:
    try:
        from explorer.benches.ui_browser import measure  # noqa: PLC0415 - Playwright is a development dependency
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("playwright"):
            raise
        raise NoBrowser(
            missing="Playwright is not installed",
            way_out="in a checkout `make install` brings it, elsewhere `pip install 'nagare-web[dev]'`",
        ) from error
    return measure


def _document(measured: Sequence[Measured], load: Load) -> dict[str, object]:
    budgets = [{"name": row.name, "unit": row.unit, "budget": row.budget, "peers": row.peers} for row in ROWS]
    return {"name": "ui", "load": load, "sizes": measured, "budgets": budgets, "source": SOURCE}


def over_budget(measured: Measured) -> list[str]:
    """Return the names of the rows whose budget a run's figures are over."""
    return [row.name for row in ROWS if row.budget is not None and row.of(measured) > row.budget]


def table(measured: Sequence[Measured]) -> tuple[str, ...]:
    """Return the table: a line a metric, a column a size, then the budget and other tools; `!` is over budget."""
    heads = ["", *(f"{one.events:,}" for one in measured), "budget", "other tools, 200 / 2,000"]
    lines = [heads, *(_line(row, measured) for row in ROWS)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads) - 1)]
    shown = ("  ".join([line[0].ljust(widths[0]), *_right(line[1:-1], widths[1:]), line[-1]]) for line in lines)
    return (*(line.rstrip() for line in shown), "", "! is over budget.", SOURCE)


def _line(row: Row, measured: Sequence[Measured]) -> list[str]:
    values = [f"{'! ' if row.name in over_budget(one) else ''}{_number(row.of(one))}" for one in measured]
    name = f"{row.name}, {row.unit}" if row.unit else row.name
    return [name, *values, "" if row.budget is None else f"≤ {_number(row.budget)}", row.peers]


def _right(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]


def _number(value: float) -> str:
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if value >= 1 else f"{value:.2f}"
