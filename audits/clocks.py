"""The deadlines of an incident, worked out from its clocks: plain functions of plain data, and no clock of their own.

Days and hours are counted from the very moment, which is never later than the law's own counting: rules that lengthen a
period to the end of a day, or past a weekend, are the reader's to apply.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from audits.duties import AWARE, Clock, Step, Term

Standing = Literal["open", "due soon", "late", "done", "done late", "no deadline"]
SOON = timedelta(hours=24)


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a clock, and when it is due.

    `is_latest` says that the step it counts from is not done yet, so that the time is the latest there can be and moves
    forward once that step is.
    """

    clock: Clock
    step: Step
    due_at: datetime | None
    is_latest: bool
    done_at: datetime | None

    @property
    def key(self) -> str:
        """Name it within its incident."""
        return key_of(self.clock.id, self.step.id)

    def standing(self, now: datetime) -> Standing:
        """Return how it stands at a moment."""
        if self.done_at is not None:
            return "done late" if self.due_at is not None and self.done_at > self.due_at else "done"
        if self.due_at is None:
            return "no deadline"
        if now > self.due_at:
            return "late"
        return "due soon" if self.due_at - now <= SOON else "open"


def key_of(clock: str, step: str) -> str:
    """Name a step of a clock."""
    return f"{clock}/{step}"


def deadlines(clocks: Iterable[Clock], *, aware_at: datetime, done: Mapping[str, datetime]) -> tuple[Deadline, ...]:
    """Return every step of some clocks with its deadline; `done` is when each was done, by `key_of`."""
    return tuple(_deadline(clock, step, aware_at, done) for clock in clocks for step in clock.steps)


def _deadline(clock: Clock, step: Step, aware_at: datetime, done: Mapping[str, datetime]) -> Deadline:
    due_at, is_latest = _due(clock, step, aware_at, done)
    done_at = done.get(key_of(clock.id, step.id))
    return Deadline(clock=clock, step=step, due_at=due_at, is_latest=is_latest, done_at=done_at)


def _due(clock: Clock, step: Step, aware_at: datetime, done: Mapping[str, datetime]) -> tuple[datetime | None, bool]:
    """Return the earliest of a step's terms, and whether one of them begins with something that is not done."""
    times: list[datetime] = []
    is_latest = False
    for term in step.terms:
        begins, is_open = _begins(clock, term, aware_at, done)
        is_latest = is_latest or is_open
        if begins is not None:
            times.append(plus(begins, term))
    return min(times, default=None), is_latest


def _begins(clock: Clock, term: Term, aware_at: datetime, done: Mapping[str, datetime]) -> tuple[datetime | None, bool]:
    """Return when a term begins, or can begin at the latest, and whether that is not known yet."""
    if term.from_ == AWARE:
        return aware_at, False
    known = done.get(key_of(clock.id, term.from_))
    if known is not None:
        return known, False
    before = next((step for step in clock.steps if step.id == term.from_), None)
    return (None if before is None else _due(clock, before, aware_at, done)[0]), True


def plus(at: datetime, term: Term) -> datetime:
    """Return a moment with a term added. A month later is the same day, or the last one where there is no such day."""
    if term.months:
        months = at.month - 1 + term.months
        year, month = at.year + months // 12, months % 12 + 1
        at = at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))
    return at + timedelta(days=term.days, hours=term.hours)


def in_words(left: timedelta) -> str:
    """Say how much time is left, or by how much it is over, in the two units that matter."""
    minutes = int(abs(left).total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    if days:
        said = f"{_amount(days, 'day')} {_amount(hours, 'hour')}" if hours else _amount(days, "day")
    elif hours:
        said = f"{_amount(hours, 'hour')} {_amount(minutes, 'minute')}" if minutes else _amount(hours, "hour")
    else:
        said = _amount(minutes, "minute") if minutes else "less than a minute"
    return f"{said} left" if left >= timedelta() else f"{said} over"


def _amount(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
