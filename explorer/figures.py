"""Numbers and times as people read them. What a source did not record is said, never shown as nothing or as zero."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

NOT_RECORDED: Final = "not recorded"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1000
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_CENT: Final = 0.01
_SIZES: Final = ("kB", "MB", "GB", "TB")


def thousands(number: float | None) -> str:
    """Return "1,630,204"."""
    return NOT_RECORDED if number is None else f"{number:,}"


def counted(number: int | None, noun: str) -> str:
    """Return "200 events" or "1 event"; `noun` is the singular."""
    if number is None:
        return f"{noun}s {NOT_RECORDED}"
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(ms: float | None) -> str:
    """Return a length of time in the two units that matter: "52 ms", "1.0 s", "19 s", "4m 14s", "2 h 04m"."""
    if ms is None or not math.isfinite(ms):
        return NOT_RECORDED
    if ms < _SECOND:
        return f"{ms:.0f} ms" if ms >= 1 or ms == 0 else f"{ms:.1f} ms"
    if ms < 9950:  # noqa: PLR2004 -- what would round to ten seconds has no decimal
        return f"{ms / _SECOND:.1f} s"
    return _long(round(ms / _SECOND))


def seconds(number: int) -> str:
    """Return whole seconds in the two units that matter: "4 s", "4m 14s"; what counts on shows no tenths."""
    return _long(number)


def _long(seconds: int) -> str:
    if seconds < _MINUTE:
        return f"{seconds} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m {seconds % _MINUTE:02}s"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE:02}m"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR:02} h"


def relative(us: int | None) -> str:
    """Return a time within a run: "+0:22.8", "+1:02:22.8"; `us` are microseconds since the run's start."""
    if us is None:
        return NOT_RECORDED
    tenths = round(abs(us) / 100_000)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{'−' if us < 0 and tenths else '+'}{clock}:{rest // 10:02}.{rest % 10}"


def cost(usd: float | None) -> str:
    """Return "$5.01", and four places under a cent."""
    if usd is None or not math.isfinite(usd):
        return NOT_RECORDED
    if usd == 0 or abs(usd) >= _CENT:
        return f"${usd:,.2f}"
    return f"${usd:.4f}" if abs(usd) >= _CENT / 100 else "under $0.0001"


def tokens(number: int | None) -> str:
    """Return "1,630,204 tokens"."""
    return counted(number, "token")


def size(number: int | None) -> str:
    """Return "312 bytes", "2.4 kB", "12.4 MB": decimal units."""
    if number is None:
        return NOT_RECORDED
    if number < _SECOND:
        return counted(number, "byte")
    amount = float(number)
    for unit in _SIZES:
        amount /= _SECOND
        if amount < 999.95 or unit == _SIZES[-1]:  # noqa: PLR2004 -- what would round to the next unit
            return f"{amount:.1f} {unit}"
    raise AssertionError


def moment(us: int) -> datetime:
    """Return the aware datetime of a number of microseconds since 1970; clamped to the years that can be written."""
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if us > 0 else datetime.min.replace(tzinfo=UTC)


def _in_zone(us: int, zone: tzinfo) -> datetime:
    """Return the time as clocks of a zone show it; at the ends of the calendar, where no zone fits, as UTC has it."""
    at = moment(us)
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at


def exact(us: int | None, zone: tzinfo = UTC) -> str:
    """Return "22 Nov 2026 12:04:34.840 UTC"."""
    if us is None:
        return NOT_RECORDED
    at = _in_zone(us, zone)
    return f"{_day(at)} {at.year} {at:%H:%M:%S}.{at.microsecond // 1000:03} {at:%Z}"


def started(us: int | None, now: datetime, zone: tzinfo = UTC) -> str:
    """Return as much of a time as tells it apart: "12:04" today, "21 Nov 12:04" this year, "21 Nov 2025" before."""
    if us is None:
        return NOT_RECORDED
    at, now = _in_zone(us, zone), now.astimezone(zone)
    if at.date() == now.date():
        return f"{at:%H:%M}"
    return f"{_day(at)} {at:%H:%M}" if at.year == now.year else f"{_day(at)} {at.year}"


def iso(us: int) -> str:
    """Return ISO 8601 for a `datetime` attribute."""
    return moment(us).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"
