"""How far the signed logs are behind the journal, and which of them stopped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from journal.domain.text import amount
from journal.models import EventRow, Log, LogHead, Project
from journal.runtime import checkpoint, log_rows, sealer
from journal.runtime.status_lines import Level, Scope, SealLine, listed, sentence, span

LATE_S: Final = 10.0
"""A sealer that runs signs about every second; after this many it does not."""

_MOST: Final = 10_000


def lines(scope: Scope, *, now: datetime) -> tuple[SealLine, ...]:
    """Return a line for each project that has a log, or events that should be in one."""
    logs = {log.project: log for log in log_rows.all_newest()}
    waiting = _waiting()
    known = [slug for slug in Project.objects.order_by("slug").values_list("slug", flat=True) if scope.has(slug)]
    heads = dict(_heads(logs.values()))
    return tuple(
        _line(slug, logs.get(slug), waiting.get(slug, []), heads.get(slug), now)
        for slug in known
        if slug in logs or slug in waiting
    )


def summary(found: Iterable[SealLine]) -> str:
    """Return in one sentence whether everything is under a signed checkpoint."""
    shown = list(found)
    if not shown:
        return "Nothing to seal yet."
    broken = [one.project for one in shown if one.level == "fails"]
    late = [one.project for one in shown if one.level == "caution"]
    waiting = sum(one.unsealed for one in shown)
    if broken:
        return sentence(f"The log of {listed(broken)} stopped")
    if late:
        return sentence(f"{amount(waiting, 'event')} of {listed(late)} not sealed")
    return sentence(f"Sealed but for {amount(waiting, 'event')}" if waiting else "Every event is sealed")


def _heads(logs: Iterable[Log]) -> Iterator[tuple[str, datetime]]:
    """When the newest head of each log was signed, by project."""
    for log in logs:
        for sealed_at in LogHead.objects.filter(log=log, size=log.size).values_list("sealed_at", flat=True):
            yield log.project, sealed_at


def _waiting() -> dict[str, list[int]]:
    """Return when the events past the sealer were recorded, by project; at most so many in all."""
    mark = checkpoint.peek(sealer.NAME)
    rows = EventRow.objects.filter(position__gt=mark.position if mark else 0).order_by("position")
    found: dict[str, list[int]] = {}
    for project, recorded_us in rows.values_list("project", "recorded_us")[:_MOST]:
        found.setdefault(project, []).append(recorded_us)
    return found


def _line(project: str, log: Log | None, waiting: list[int], sealed_at: datetime | None, now: datetime) -> SealLine:
    behind = max(now.timestamp() - waiting[0] / 1_000_000, 0.0) if waiting else 0.0
    state, level, words = _told(log, len(waiting), behind)
    return SealLine(
        project=project,
        origin=log.origin if log else None,
        size=log.size if log else 0,
        unsealed=len(waiting),
        behind_s=behind,
        sealed_at=sealed_at,
        state=state,
        level=level,
        words=words,
    )


def _told(log: Log | None, waiting: int, behind: float) -> tuple[str, Level, str]:
    if log is not None and log.broken:
        return "stopped", "fails", log.broken
    sealed = f"{amount(log.size if log else 0, 'event')} sealed"
    if not waiting:
        return "sealed", "ok", sealed
    more = "+" if waiting == _MOST else ""
    words = f"{sealed}, {amount(waiting, 'event')}{more} not yet, the oldest for {span(behind)}"
    return ("sealing", "ok", words) if behind < LATE_S else ("late", "caution", words)
