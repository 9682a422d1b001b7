"""How long a project keeps payloads, and what is held: both folded from their streams, which are short."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec
from django.utils.crypto import salted_hmac

from journal.access import record_access
from journal.access.acting import Actor, actor
from journal.domain import codec
from journal.domain import retention as events
from journal.domain.access_log import AccessKind, Outcome
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata
from journal.domain.retention import HOLDS, LONGEST_DAYS, POLICIES, Hold, HoldKind, Policy
from journal.domain.stream import ANY_VERSION
from journal.errors import Refused
from journal.runtime import log_inventory
from journal.store import get_store

LONGEST_REASON: Final = 2_000


class RetentionRefused(Refused):
    """A policy, hold, purge or erasure that cannot be. `field` is what of the request is wrong."""

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class Held(Refused):
    """Something that holds forbid to purge or erase. `holds` are their ids."""

    def __init__(self, reason: str, *, holds: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.holds = list(holds)


class HoldNotFound(Refused):
    """No hold that binds has this id, or is about this stream or subject."""


def pseudonym(project: str, subject: str) -> str:
    """Return what stands for a subject in orders and certificates: an HMAC under the installation's secret key.

    Whoever has the key and the id can show that an order is about that id; the database alone cannot.
    """
    return salted_hmac("nagare.retention.subject", f"{project}\0{subject}", algorithm="sha256").hexdigest()


def tell(project: str, stream: str, said: msgspec.Struct, *, by: str, event_id: str | None = None) -> str:
    """Append an event of retention; `by` is the actor. Returns its id; the same id again is the same event."""
    metadata = codec.encode(Metadata(actor=by or None))
    event = EventData(id=event_id, type=catalog.name_of(type(said)), data=codec.encode(said), metadata=metadata)
    told = get_store(project).append(stream, [event], expected_version=ANY_VERSION).ids[0]
    _record(project, said, act=told, by=by)
    return told


_RECORDED: Final[Mapping[type[msgspec.Struct], tuple[AccessKind, str, Outcome]]] = {
    events.PolicySet: (AccessKind.SETTING, "retention", "done"),
    events.HoldAdded: (AccessKind.REMOVAL, "hold added", "done"),
    events.HoldReleased: (AccessKind.REMOVAL, "hold released", "done"),
    events.PurgeOrdered: (AccessKind.REMOVAL, "purge", "done"),
    events.PurgeRefused: (AccessKind.REMOVAL, "purge", "refused"),
    events.ErasureOrdered: (AccessKind.REMOVAL, "erasure", "done"),
    events.ErasureRefused: (AccessKind.REMOVAL, "erasure", "refused"),
}


def _record(project: str, said: msgspec.Struct, *, act: str, by: str) -> None:
    """Put what was done into the access log too, by the id of its event: what it is about may name a person."""
    recorded = _RECORDED.get(type(said))
    if recorded is None:
        return
    kind, what, outcome = recorded
    who = actor()
    record_access(project, kind, what, of=act, outcome=outcome, who=who if who.by == by else Actor(by=by))


def reason_of(text: str, *, what: str, field: str) -> str:
    """Return a reason somebody typed, on one line.

    Raises:
        RetentionRefused: it is empty, or very long.
    """
    said = " ".join(text.split())
    if not said:
        raise RetentionRefused(f"{what} needs a reason in words: it is kept, and outsiders read it", field=field)
    if len(said) > LONGEST_REASON:
        raise RetentionRefused(f"{what}: the reason is longer than {LONGEST_REASON:,} characters", field=field)
    return said


# --- Policies ---------------------------------------------------------------------------------------------------------


def policies_of(project: str) -> list[Policy]:
    """Return every policy the project had, oldest first."""
    return events.policies(get_store(project).read_stream(POLICIES))


def policy_of(project: str) -> Policy:
    """Return the policy in force."""
    return next(reversed(policies_of(project)), Policy())


def set_policy(project: str, *, floor_days: int, ceiling_days: int | None, by: str, reason: str = "") -> Policy:
    """Set how long payloads are kept, from now on.

    Raises:
        RetentionRefused: a number is out of range, or the ceiling lies below the floor.
    """
    if not 0 <= floor_days <= LONGEST_DAYS:
        raise RetentionRefused(f"the floor is 0 to {LONGEST_DAYS:,} days", field="floor")
    if ceiling_days is not None and not 1 <= ceiling_days <= LONGEST_DAYS:
        raise RetentionRefused(f"the ceiling is 1 to {LONGEST_DAYS:,} days, or none", field="ceiling")
    if ceiling_days is not None and ceiling_days < floor_days:
        raise RetentionRefused("the ceiling lies below the floor: nothing could satisfy both", field="ceiling")
    said = events.PolicySet(floor_days=floor_days, ceiling_days=ceiling_days, reason=" ".join(reason.split()), by=by)
    tell(project, POLICIES, said, by=by)
    return policy_of(project)


@log_inventory.tells_policy
def _in_the_inventory(project: str) -> log_inventory.Policy | None:
    """Say how long payloads are kept, where somebody set that."""
    if not policies_of(project):
        return None
    policy = policy_of(project)
    return log_inventory.Policy(floor_days=policy.floor_days, ceiling_days=policy.ceiling_days, words=policy.words)


# --- Holds ------------------------------------------------------------------------------------------------------------


def holds_of(project: str) -> list[Hold]:
    """Return every hold there was, oldest first."""
    return events.holds(get_store(project).read_stream(HOLDS))


def active_holds(project: str) -> list[Hold]:
    """Return the holds that bind."""
    return [hold for hold in holds_of(project) if hold.is_active]


def add_hold(  # noqa: PLR0913 - a hold is what it is
    project: str, *, stream: str = "", subject: str = "", kind: HoldKind = "legal", reason: str, by: str
) -> Hold:
    """Hold a stream, or all that names a subject.

    Raises:
        RetentionRefused: neither or both are named, there is no such stream, or no reason is given.
    """
    if bool(stream) == bool(subject):
        raise RetentionRefused("a hold is on either a stream or a subject", field="stream")
    if stream and not get_store(project).stream_version(stream):
        raise RetentionRefused(f"there is no stream {stream[:200]!r} in project {project!r}", field="stream")
    said = reason_of(reason, what="a hold", field="reason")
    added = events.HoldAdded(stream=stream, subject=subject, kind=kind, reason=said, by=by)
    hold_id = tell(project, HOLDS, added, by=by)
    return next(hold for hold in holds_of(project) if hold.id == hold_id)


def release_hold(  # noqa: PLR0913 - which hold, why, by whom
    project: str, *, hold_id: str = "", stream: str = "", subject: str = "", reason: str, by: str
) -> list[Hold]:
    """Release a hold by its id, or those on a stream or subject. Returns them as they were.

    Raises:
        HoldNotFound: none of that kind binds.
        RetentionRefused: no reason is given.
    """
    said = reason_of(reason, what="a release", field="reason")
    found = [
        hold
        for hold in active_holds(project)
        if (hold_id and hold.id == hold_id)
        or (stream and hold.stream == stream)
        or (subject and hold.subject == subject)
    ]
    if not found:
        raise HoldNotFound(f"no hold that binds is on {(hold_id or stream or subject)[:200]!r} in project {project!r}")
    for hold in found:
        tell(project, HOLDS, events.HoldReleased(hold=hold.id, reason=said, by=by), by=by)
    return found


def holding(holds: Iterable[Hold], stream: str, subjects: Iterable[str]) -> list[Hold]:
    """Return those of some holds that bind a stream, which names these subjects."""
    named = set(subjects)
    return [hold for hold in holds if hold.stream == stream or (hold.subject and hold.subject in named)]


def held(holds: Iterable[Hold], subjects_by_stream: Mapping[str, Iterable[str]]) -> dict[str, list[Hold]]:
    """Return the streams that are held, with what holds them."""
    listed = list(holds)
    found = {stream: holding(listed, stream, named) for stream, named in subjects_by_stream.items()}
    return {stream: by for stream, by in found.items() if by}


def age_limit(policy: Policy, now: datetime) -> datetime:
    """Return the time before which what occurred is past the floor."""
    return now - policy.floor


def ceiling_limit(policy: Policy, now: datetime) -> datetime | None:
    """Return the time before which what occurred is past the ceiling, None where there is none."""
    return None if policy.ceiling is None else now - policy.ceiling
