"""The events of retention: how long payloads are kept, what is held, what was purged and erased, by whom and why.

Four streams a project, category `retention`, sealed in the project's own log like all else. An order stands in the
journal before the first payload goes, and what came of it behind the last: between the two, the work can be taken up
again. A person is named in an order by a pseudonym alone, since an order is kept for good.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec

from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent, instant
from journal.domain.text import amount

CATEGORY: Final = "retention"
POLICIES: Final = f"{CATEGORY}-policies"
HOLDS: Final = f"{CATEGORY}-holds"
PURGES: Final = f"{CATEGORY}-purges"
ERASURES: Final = f"{CATEGORY}-erasures"

FLOOR_DAYS: Final = 184
"""The floor of a project that set none: six months, whichever six they are."""

LONGEST_DAYS: Final = 36_500

HoldKind = Literal["legal", "incident"]


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


@catalog.event("retention.policy_set")
class PolicySet(_Data, frozen=True, kw_only=True):
    """How many days payloads are kept at least, and at most; no `ceiling_days` keeps them until somebody purges."""

    floor_days: int = FLOOR_DAYS
    ceiling_days: int | None = None
    reason: str = ""
    by: str = ""


@catalog.event("retention.hold_added")
class HoldAdded(_Data, frozen=True, kw_only=True):
    """Nothing of a stream, or of the runs that name a subject, may be purged or erased until this is released."""

    stream: str = ""
    subject: str = ""
    kind: HoldKind = "legal"
    reason: str = ""
    by: str = ""


@catalog.event("retention.hold_released")
class HoldReleased(_Data, frozen=True, kw_only=True):
    """A hold, named by the id of its event, binds no longer."""

    hold: str = ""
    reason: str = ""
    by: str = ""


class Span(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of one stream, the versions an order is about: pairs of first and last."""

    stream: str
    versions: list[tuple[int, int]]

    @property
    def count(self) -> int:
        """How many versions that are."""
        return sum(last - first + 1 for first, last in self.versions)

    def holds(self, version: int) -> bool:
        """Return whether a version is among them."""
        return any(first <= version <= last for first, last in self.versions)


@catalog.event("retention.purge_ordered")
class PurgeOrdered(_Data, frozen=True, kw_only=True):
    """The payloads of whole runs that ended before a time go, by a policy. `events` counts those of this order."""

    policy: int = 0
    floor_days: int = 0
    ceiling_days: int | None = None
    before: str = ""
    spans: list[Span] = []
    events: int = 0
    by: str = ""


@catalog.event("retention.purge_done")
class PurgeDone(_Data, frozen=True, kw_only=True):
    """The payloads of an order are gone, and so are their copies, counted by where they were."""

    order: str = ""
    events: int = 0
    copies: dict[str, int] = {}


@catalog.event("retention.purge_refused")
class PurgeRefused(_Data, frozen=True, kw_only=True):
    """A purge was asked for that may not be: all of it, or the runs in `streams`, which are held."""

    before: str = ""
    reason: str = ""
    streams: list[str] = []
    by: str = ""


@catalog.event("retention.erasure_ordered")
class ErasureOrdered(_Data, frozen=True, kw_only=True):
    """What the journal holds of a subject goes, on a ground. `subject` is a pseudonym (HMAC), never the id itself."""

    subject: str = ""
    ground: str = ""
    spans: list[Span] = []
    events: int = 0
    by: str = ""


@catalog.event("retention.erasure_done")
class ErasureDone(_Data, frozen=True, kw_only=True):
    """The payloads of an order are gone, and so are their copies, counted by where they were."""

    order: str = ""
    events: int = 0
    keys: list[str] = []
    copies: dict[str, int] = {}


@catalog.event("retention.erasure_refused")
class ErasureRefused(_Data, frozen=True, kw_only=True):
    """An erasure was asked for that a hold forbids."""

    subject: str = ""
    ground: str = ""
    reason: str = ""
    holds: list[str] = []
    by: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How long a project keeps payloads. `number` is the version of the event that set it, 0 for the default."""

    number: int = 0
    floor_days: int = FLOOR_DAYS
    ceiling_days: int | None = None
    set_at: str | None = None
    by: str | None = None

    @property
    def floor(self) -> timedelta:
        """How long payloads are kept at least."""
        return timedelta(days=self.floor_days)

    @property
    def ceiling(self) -> timedelta | None:
        """How long they are kept at most, None where that is not said."""
        return None if self.ceiling_days is None else timedelta(days=self.ceiling_days)

    @property
    def name(self) -> str:
        """What the policy is called: where it is named, it can be looked up."""
        return policy_name(self.number)

    @property
    def words(self) -> str:
        """The policy in a sentence."""
        most = (
            f"and purged after {amount(self.ceiling_days, 'day')}"
            if self.ceiling_days
            else "and no time to purge is set"
        )
        return f"payloads are kept for {amount(self.floor_days, 'day')} at least, {most}"


def policy_name(number: int) -> str:
    """Return what a policy is called, by its number."""
    return f"retention policy {number}" if number else "the default retention policy"


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it stands."""

    id: str
    stream: str
    subject: str
    kind: HoldKind
    reason: str
    by: str
    added_at: str
    released_at: str | None = None
    release_reason: str = ""
    released_by: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it binds."""
        return self.released_at is None

    @property
    def words(self) -> str:
        """What is held, as refusals name it."""
        return f"{self.kind} hold {self.id.rpartition('-')[2]} ({self.reason})"


def policies(events: Iterable[RecordedEvent]) -> list[Policy]:
    """Return every policy there was, oldest first."""
    return [
        Policy(
            number=event.version,
            floor_days=said.floor_days,
            ceiling_days=said.ceiling_days,
            set_at=instant(event.recorded_at),
            by=said.by,
        )
        for event in events
        if isinstance(said := catalog.decode(event), PolicySet)
    ]


def holds(events: Iterable[RecordedEvent]) -> list[Hold]:
    """Return every hold there was as it stands, oldest first."""
    found: dict[str, Hold] = {}
    for event in events:
        match catalog.decode(event):
            case HoldAdded() as said:
                fields = {name: getattr(said, name) for name in ("stream", "subject", "kind", "reason", "by")}
                found[event.id] = Hold(id=event.id, added_at=instant(event.recorded_at), **fields)
            case HoldReleased() as said if said.hold in found:
                found[said.hold] = msgspec.structs.replace(
                    found[said.hold],
                    released_at=instant(event.recorded_at),
                    release_reason=said.reason,
                    released_by=said.by,
                )
    return list(found.values())


def spans_of(versions: dict[str, list[int]]) -> list[Span]:
    """Return versions by stream as spans."""
    return [Span(stream=stream, versions=list(_pairs(sorted(known)))) for stream, known in versions.items() if known]


def _pairs(versions: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for version in versions:
        if first and version == last + 1:
            last = version
            continue
        if first:
            yield first, last
        first = last = version
    if first:
        yield first, last


def naming(subject: str) -> re.Pattern[str]:
    """Return what finds a subject in a text where it stands by itself: `user-4` is not in `user-42`."""
    return re.compile(rf"(?<![\w-]){re.escape(subject)}(?![\w-])")


def before_of(text: str) -> datetime:
    """Return the time in an order's `before`."""
    return datetime.fromisoformat(text)


Order = PurgeOrdered | ErasureOrdered


def order_of(event: RecordedEvent) -> Order | None:
    """Return what an event orders, None where it is no order."""
    said: Any = catalog.decode(event)
    return said if isinstance(said, PurgeOrdered | ErasureOrdered) else None
