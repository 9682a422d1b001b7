"""Who looked at what, who took it along, who changed who may: events of the project's own journal, a stream a day.

They stand in the same sealed log as the runs, so that taking one out shows. None of them holds anything of a payload:
they say which object, never what is in it.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

import msgspec

from journal.domain.catalog import catalog
from journal.domain.stream import category

CATEGORY: Final = "access"
Outcome = Literal["done", "refused", "failed"]
_V4_KEPT: Final = 24
_V6_KEPT: Final = 48


class AccessKind(StrEnum):
    """What was done, as the review page filters it. Each is an event type."""

    READ = "read"
    EXPORT = "export"
    REPORT = "report"
    REMOVAL = "removal"
    """Erasures, holds and their release, purges."""
    MEMBERS = "members"
    """Accounts made, roles given and taken."""
    TOKEN = "token"  # noqa: S105 - a word
    SETTING = "setting"
    SIGN_IN = "sign-in"
    REFUSED = "refused"


class Access(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What every record says.

    `what` is the thing done in a word or two, `object` what it was done to: a stream, a file, a name, a token's
    beginning. `by` is the account, empty where nobody is known; `via` how they came: `browser`, `command`, a token's or
    a link's name. `origin` is the address, shortened by `shortened`. With `count` above 1 the record stands for that
    many, `since` the first of them; of a run that was read, `first_version` and `last_version` are the outermost events
    looked at.
    """

    what: str = ""
    object: str = ""
    by: str = ""
    via: str = ""
    detail: str = ""
    origin: str = ""
    outcome: Outcome = "done"
    count: int = 1
    since: str = ""
    first_version: int = 0
    last_version: int = 0


@catalog.event("access.read")
class Read(Access, frozen=True, kw_only=True):
    """Somebody was shown payloads."""


@catalog.event("access.exported")
class Exported(Access, frozen=True, kw_only=True):
    """Somebody took data along as a file, or made a link that shows it elsewhere."""


@catalog.event("access.reported")
class Reported(Access, frozen=True, kw_only=True):
    """Somebody made a report, or was handed one."""


@catalog.event("access.removed")
class Removed(Access, frozen=True, kw_only=True):
    """Somebody erased, held, released or purged."""


@catalog.event("access.members_changed")
class MembersChanged(Access, frozen=True, kw_only=True):
    """Somebody was given an account or a role, or lost it."""


@catalog.event("access.token_changed")
class TokenChanged(Access, frozen=True, kw_only=True):
    """A token was made, made anew or revoked."""


@catalog.event("access.setting_changed")
class SettingChanged(Access, frozen=True, kw_only=True):
    """A setting of the project was changed."""


@catalog.event("access.signed_in")
class SignedIn(Access, frozen=True, kw_only=True):
    """Somebody signed in, or tried to."""


@catalog.event("access.refused")
class Refused(Access, frozen=True, kw_only=True):
    """Somebody asked for what they may not have, or for what is not theirs."""


EVENTS: Final[dict[AccessKind, type[Access]]] = {
    AccessKind.READ: Read,
    AccessKind.EXPORT: Exported,
    AccessKind.REPORT: Reported,
    AccessKind.REMOVAL: Removed,
    AccessKind.MEMBERS: MembersChanged,
    AccessKind.TOKEN: TokenChanged,
    AccessKind.SETTING: SettingChanged,
    AccessKind.SIGN_IN: SignedIn,
    AccessKind.REFUSED: Refused,
}
KINDS: Final[dict[type[Access], AccessKind]] = {event: kind for kind, event in EVENTS.items()}


def stream_of(moment: datetime) -> str:
    """Return the stream of what was recorded then: a day's, in UTC, so that no stream grows for ever."""
    return f"{CATEGORY}-{moment.astimezone(UTC):%Y-%m-%d}"


def is_access(stream: str) -> bool:
    """Return whether a stream is one of these: read by those who may audit, and written by the journal alone."""
    return category(stream) == CATEGORY


def shortened(address: str) -> str:
    """Return an address without what tells one machine of a network from another.

    The first 24 bits of an IPv4 address, the first 48 of an IPv6 one; `this machine` for loopback; what is no address
    is left out.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if found.is_loopback:
        return "this machine"
    kept = _V4_KEPT if found.version == 4 else _V6_KEPT  # noqa: PLR2004 - the protocol's number
    return str(ipaddress.ip_network((found, kept), strict=False))


_DONE: Final = {
    AccessKind.READ: "read",
    AccessKind.EXPORT: "took along",
    AccessKind.REPORT: "report:",
    AccessKind.REMOVAL: "removal:",
    AccessKind.MEMBERS: "members:",
    AccessKind.TOKEN: "token:",
    AccessKind.SETTING: "setting:",
    AccessKind.SIGN_IN: "sign-in:",
    AccessKind.REFUSED: "was refused",
}


def sentence(said: Access) -> str:
    """Return a record in a sentence, for a list."""
    who = said.by or "Somebody"
    done = _DONE[KINDS[type(said)]]
    of = f" of {said.object}" if said.object else ""
    times = f", {said.count:,} times" if said.count > 1 else ""
    detail = f" ({said.detail})" if said.detail else ""
    via = f", by {said.via}" if said.via and said.via != "browser" else ""
    failed = ", which failed" if said.outcome == "failed" else ""
    return f"{who} {done} {said.what or 'something'}{of}{detail}{times}{via}{failed}"
