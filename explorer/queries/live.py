"""What the live page begins with: the newest events in words, and the runs that are under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.db.models import Max
from django.utils import timezone

from explorer import figures
from explorer.listed import LISTED
from explorer.live.narrowing import Narrowing, narrowed
from explorer.live.rows import LiveRow, Rows
from explorer.models import EventLine, RunSummary
from explorer.verdicts import Verdict, verdicts_of
from journal.domain.event import RecordedEvent
from journal.store import get_store

SHOWN: Final = 100
"""Rows that the page begins with."""

_SCANNED: Final = 400
_RUNS: Final = 20
_OPEN_FOR: Final = timedelta(hours=1)
_QUIET_US: Final = 30_000_000
_SECOND_US: Final = 1_000_000
_PULSE_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRun:
    """A run that has not ended. `waits_for` is what its newest event leaves open, empty where that is not known."""

    stream: str
    title: str
    events: int
    cost_usd: float | None
    running: str
    quiet: str
    waits_for: str
    fails: Verdict | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LivePage:
    """The page. `position` is how far its rows go; `is_behind` says that there are more past them.

    `pulse` is how many events the journal took in each second of the last minute, as far as those read tell.
    """

    narrowing: Narrowing
    rows: Sequence[LiveRow]
    position: int
    is_behind: bool
    is_old: bool
    pulse: Sequence[int]

    @property
    def q(self) -> str:
        """The query as typed."""
        return self.narrowing.query.text

    @property
    def failures(self) -> str:
        """The query that shows failures alone, or no longer."""
        words = self.q.split()
        return " ".join([word for word in words if word != "failed"] if self.shows_failures else [*words, "failed"])

    @property
    def shows_failures(self) -> bool:
        """Whether it does so now."""
        return "failed" in self.q.split()

    @property
    def newer(self) -> str:
        """The address of the rows past these."""
        said = {"q": self.q} if self.q else {}
        return f"?{urlencode({**said, 'after': self.position})}"


def live_page(project: str, *, q: str, after: int | None) -> LivePage:
    """Return the newest rows, or those past a position."""
    narrowing = narrowed(q)
    store, rows = get_store(project), Rows(project, narrowing)
    events = list(store.read_newest(_SCANNED) if after is None else store.read_all(after=after, limit=_SCANNED))
    found = rows.of(events)
    if after is None and events and not found:
        found = rows.of(_earlier(project))
    shown = found[-SHOWN:] if after is None else found[:SHOWN]
    is_cut = after is not None and len(found) > SHOWN
    last = shown[-1].position if is_cut else events[-1].position if events else after or 0
    return LivePage(
        narrowing=narrowing,
        rows=shown,
        position=last,
        is_behind=after is not None and (is_cut or len(events) == _SCANNED),
        is_old=after is not None,
        pulse=_pulse([event.recorded_at for event in events], timezone.now()),
    )


def _earlier(project: str) -> list[RecordedEvent]:
    """Return events up to the newest of any run: a re-grade of all history is told after it, and is nobody's run."""
    newest = RunSummary.objects.filter(LISTED, project=project).aggregate(newest=Max("position"))["newest"] or 0
    return list(get_store(project).read_all(after=max(0, newest - _SCANNED), limit=_SCANNED))


def _pulse(moments: Sequence[datetime], now: datetime) -> list[int]:
    counts = [0] * _PULSE_SECONDS
    for moment in moments:
        ago = int((now - moment).total_seconds())
        if 0 <= ago < _PULSE_SECONDS:
            counts[-1 - ago] += 1
    return counts


def open_runs(project: str, now: datetime) -> list[OpenRun]:
    """Return the runs that have not ended and had an event lately, the newest first."""
    since = int((now - _OPEN_FOR).timestamp() * _SECOND_US)
    running = RunSummary.objects.filter(LISTED, project=project, status="running", newest_us__gte=since)
    runs = list(running.filter(time_known=True).order_by("-started_us", "-id")[:_RUNS])
    newest = EventLine.objects.filter(run__in=runs, position__in=[run.position for run in runs])
    lines = {line.run_id: line for line in newest.only("run_id", "kind", "tool")}
    now_us = int(now.timestamp() * _SECOND_US)
    return [_open(run, lines.get(run.pk), now_us) for run in runs]


def _open(run: RunSummary, line: EventLine | None, now_us: int) -> OpenRun:
    silent_us = max(now_us - run.newest_us, 0)
    return OpenRun(
        stream=run.stream,
        title=run.title,
        events=run.events,
        cost_usd=run.cost_usd,
        running=figures.duration(max(now_us - run.started_us, 0) / 1000),
        quiet=figures.duration(silent_us / 1000) if silent_us >= _QUIET_US else "",
        waits_for=_waits_for(line),
        fails=verdicts_of(run.verdicts).first,
    )


def _waits_for(line: EventLine | None) -> str:
    if line is None:
        return ""
    if line.kind == "reasoned" and line.tool:
        return f"waiting for {line.tool}"
    return {"started": "just started", "model_called": "waiting for the model"}.get(line.kind, "")
