"""What the access log says: filtered, a page at a time by position, summed in a sentence, written as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count, Sum

from audits.models import ACCESS, AccessEntry
from journal.domain import codec
from journal.domain.access_log import EVENTS, AccessKind, sentence
from journal.domain.event import instant
from journal.domain.text import amount
from journal.runtime import projection
from journal.store.sql import microseconds

PAGE: Final = 100
OUTCOMES: Final = ("done", "refused", "failed")
_LONGEST: Final = 300
_LATELY: Final = timedelta(days=7)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\x00")
"""What a spreadsheet takes for the beginning of a formula."""

_LARGEST: Final = 2**62


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which records. Empty is all; `since` and `until` are inclusive."""

    user: str = ""
    kind: str = ""
    object: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_any(self) -> bool:
        """Whether nothing is left out."""
        return self == Filter()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record."""

    position: int
    id: str
    stream: str
    version: int
    at: datetime
    kind: str
    what: str
    object: str
    by: str
    via: str
    detail: str
    origin: str
    outcome: str
    count: int
    since: datetime | None
    first_version: int
    last_version: int
    correlation: str

    @property
    def events(self) -> str:
        """Which events of a run were looked at, in words."""
        if not self.first_version:
            return ""
        low, high = self.first_version, self.last_version
        return f"event {low:,}" if low == high else f"events {low:,} to {high:,}"

    def to_json(self) -> dict[str, Any]:
        """Return it as the API gives it: what is not known is left out."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said["correlation_id"] = said.pop("correlation")
        said |= {"at": instant(self.at), "since": instant(self.since) if self.since else None}
        return {name: value for name, value in said.items() if value not in ("", 0, None)}

    @property
    def says(self) -> str:
        """The record in a sentence."""
        struct = EVENTS[AccessKind(self.kind)]
        return sentence(
            struct(
                what=self.what,
                object=self.object,
                by=self.by,
                via=self.via,
                detail=self.detail,
                count=self.count,
                outcome="failed" if self.outcome == "failed" else "done",
            )
        )


def settle() -> None:
    """Bring the table up to date where nobody follows the journal; whoever does is not waited for."""
    projection.catch_up(projection.named(ACCESS), patience_s=0)


def entries(project: str, asked: Filter, *, before: int | None = None, limit: int = PAGE) -> list[Entry]:
    """Return records, the newest first, before a position of the journal."""
    rows = _rows(project, asked)
    if before is not None:
        rows = rows.filter(position__lt=min(before, _LARGEST))
    return [_entry(row) for row in rows.order_by("-position")[:limit]]


def every(project: str, asked: Filter) -> Iterator[Entry]:
    """Yield all records, the oldest first, in pages: what is added meanwhile comes at the end."""
    after = 0
    while part := list(_rows(project, asked).filter(position__gt=after).order_by("position")[: 5 * PAGE]):
        yield from map(_entry, part)
        after = part[-1].position


def _rows(project: str, asked: Filter) -> Any:
    rows = AccessEntry.objects.filter(project=project)
    exact = {"who": asked.user, "kind": asked.kind, "object": asked.object, "outcome": asked.outcome}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if asked.since is not None:
        rows = rows.filter(occurred_us__gte=microseconds(asked.since))
    if asked.until is not None:
        rows = rows.filter(occurred_us__lte=microseconds(asked.until))
    return rows


def _entry(row: AccessEntry) -> Entry:
    return Entry(
        position=row.position,
        id=row.event_id,
        stream=row.stream,
        version=row.version,
        at=_EPOCH + timedelta(microseconds=row.occurred_us),
        kind=row.kind,
        what=row.what,
        object=row.object,
        by=row.who,
        via=row.via,
        detail=row.detail,
        origin=row.origin,
        outcome=row.outcome,
        count=row.times,
        since=datetime.fromisoformat(row.since) if row.since else None,
        first_version=row.first_version,
        last_version=row.last_version,
        correlation=row.correlation,
    )


def summary(project: str, asked: Filter, *, now: datetime) -> str:
    """Return the log in a sentence: of the last seven days where no period is asked for."""
    is_lately = asked.since is None and asked.until is None
    found = _rows(project, replace(asked, since=now - _LATELY) if is_lately else asked).order_by()
    counted = {
        (kind, outcome): times for kind, outcome, times in found.values_list("kind", "outcome").annotate(n=Sum("times"))
    }
    people = found.exclude(who="").aggregate(n=Count("who", distinct=True))["n"]
    reads = sum(times for (kind, _), times in counted.items() if kind == AccessKind.READ)
    refused = sum(times for (_, outcome), times in counted.items() if outcome == "refused")
    others = sum(counted.values()) - reads - refused
    when = "in the last 7 days" if is_lately else "in this period"
    if not counted:
        return f"Nothing is recorded {when}{'' if asked.is_any else ' that matches'}."
    by = f" by {amount(people, 'person', 'people')}" if people else ""
    done = [amount(reads, "read")] if reads else []
    done += [amount(others, "other thing") + " done"] if others else []
    if not done:
        return f"{refused:,} refused{by} {when}."
    return f"{', '.join(done)}{by} {when}; {f'{refused:,}' if refused else 'none'} refused."


def people(project: str) -> list[str]:
    """Return the names that stand in the log, for the filter."""
    names = AccessEntry.objects.filter(project=project).exclude(who="").order_by("who")
    return list(names.values_list("who", flat=True).distinct()[:200])


# --- A form, and an address ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Page:
    """The page: what was asked for as it was typed, what was found, and where it goes on."""

    draft: Mapping[str, str]
    refusal: str
    sentence: str
    entries: Sequence[Entry]
    people: Sequence[str]
    older: str
    is_first: bool

    @property
    def query(self) -> str:
        """The filter as it stands in addresses."""
        return urlencode({name: value for name, value in self.draft.items() if value})


NAMES: Final = ("user", "kind", "object", "outcome", "since", "until")


def page(project: str, given: Mapping[str, str], *, now: datetime) -> Page:
    """Return the page. What cannot be read is said, and nothing is shown for it."""
    draft = cleaned(given)
    settle()
    try:
        asked = filter_of(draft)
    except ValueError as error:
        return Page(
            draft=draft, refusal=str(error), sentence="", entries=[], people=people(project), older="", is_first=True
        )
    before = given.get("before", "")
    cursor = int(before) if before.isascii() and before.isdecimal() and len(before) < 20 else None  # noqa: PLR2004 - fits 64 bits
    found = entries(project, asked, before=cursor, limit=PAGE + 1)
    told = {name: value for name, value in draft.items() if value}
    return Page(
        draft=draft,
        refusal="",
        sentence=summary(project, asked, now=now),
        entries=found[:PAGE],
        people=people(project),
        older=urlencode({**told, "before": found[PAGE - 1].position}) if len(found) > PAGE else "",
        is_first=cursor is None,
    )


def cleaned(given: Mapping[str, str]) -> dict[str, str]:
    """Return what an address says of a filter, as a database can be asked for it: no NUL, nothing too long."""
    return {name: " ".join(given.get(name, "").replace("\x00", "").split())[:_LONGEST] for name in NAMES}


def filter_of(draft: Mapping[str, str]) -> Filter:
    """Return a filter.

    Raises:
        ValueError: a time is none, or there is no such kind or outcome; in words.
    """
    kind, outcome = draft.get("kind", ""), draft.get("outcome", "")
    if kind and kind not in {known.value for known in AccessKind}:
        raise ValueError(f"There is no kind {kind!r}; there are {', '.join(AccessKind)}.")
    if outcome and outcome not in OUTCOMES:
        raise ValueError(f"There is no outcome {outcome!r}; there are {', '.join(OUTCOMES)}.")
    return Filter(
        user=draft.get("user", ""),
        kind=kind,
        object=draft.get("object", ""),
        outcome=outcome,
        since=moment_of(draft.get("since", ""), at_end=False),
        until=moment_of(draft.get("until", ""), at_end=True),
    )


def moment_of(text: str, *, at_end: bool) -> datetime | None:
    """Return a time, UTC where no zone is given; a day alone is its beginning, or its last microsecond.

    Raises:
        ValueError: it is none; in words.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if at_end and "T" not in text and " " not in text:
            at += timedelta(days=1, microseconds=-1)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:40]!r} is no time; write 2026-11-01, or 2026-11-01T09:00Z.") from error


# --- Files ------------------------------------------------------------------------------------------------------------

_COLUMNS: Final = (
    "at", "kind", "what", "object", "by", "via", "outcome", "detail", "origin", "count", "since", "first_version",
    "last_version", "correlation_id", "id", "stream", "version", "position",
)  # fmt: skip


def as_jsonl(found: Iterator[Entry]) -> Iterator[bytes]:
    """Yield a line for each record."""
    return (codec.encode(entry.to_json()) + b"\n" for entry in found)


def as_csv(found: Iterator[Entry]) -> Iterator[bytes]:
    """Yield the same as CSV, in UTF-8. No cell is a formula."""
    yield _line(_COLUMNS)
    for entry in found:
        said = entry.to_json()
        yield _line([said.get(name, "") for name in _COLUMNS])


def _line(cells: Sequence[Any]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells]
    )
    return out.getvalue().encode(errors="replace")


FORMS: Final = {"jsonl": ("application/x-ndjson", as_jsonl), "csv": ("text/csv; charset=utf-8", as_csv)}
