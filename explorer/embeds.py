"""Links that show one run in another site's page: whether they may be, and what an address of one is good for.

A project allows them or does not, and names the origins whose pages may hold a frame. An address carries a signature
over the link's id and its end, so nothing is looked up for one that was made up; the row behind it can be revoked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.core import signing
from uuid_utils.compat import uuid7

from explorer.models import Embedding, EmbedLink
from journal.access import Permission, holders, may, record_access, role_in
from journal.domain.access_log import AccessKind
from journal.errors import Refused

LONGEST_DAYS: Final = 365
MOST_ORIGINS: Final = 20
_SALT: Final = "explorer.embed"
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:\d{1,5})?|\[[0-9a-f:]{2,39}\](:\d{1,5})?")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class EmbedRefused(Refused):
    """A link that cannot be made, or an origin that is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What an address of a link shows, and the origins whose pages may hold it."""

    project: str
    stream: str
    expires_at: datetime
    origins: tuple[str, ...]


def embedding_of(project: str) -> Embedding:
    """Return what a project allows; nothing where nobody said anything."""
    return Embedding.objects.filter(project=project).first() or Embedding(project=project)


def allow(project: str, *, is_allowed: bool, origins: str) -> Embedding:
    """Say whether runs of a project may be embedded, and where: one origin a line.

    Raises:
        EmbedRefused: a line is no origin, or there are too many.
    """
    found = tuple(dict.fromkeys(_origin(line) for line in origins.split()))
    if len(found) > MOST_ORIGINS:
        raise EmbedRefused(f"{len(found)} origins; {MOST_ORIGINS} are the most")
    kept, _ = Embedding.objects.update_or_create(
        project=project, defaults={"is_allowed": is_allowed, "origins": list(found)}
    )
    said = f"allowed on {len(found)} sites" if is_allowed else "forbidden"
    record_access(project, AccessKind.SETTING, "embedding", detail=said)
    return kept


def _origin(text: str) -> str:
    """Return an origin as browsers compare it. What goes into a header is taken apart and put together again."""
    try:
        parts = urlsplit(text.lower())
        host, is_bare = parts.hostname or "", not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:
        host, parts, is_bare = "", urlsplit(""), False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not is_safe or not is_bare or not _HOST.fullmatch(parts.netloc):
        raise EmbedRefused(f"{text[:100]!r} is no origin: write https:// and a host, without a path or a star")
    return f"{parts.scheme}://{parts.netloc}"


def make_link(project: str, stream: str, *, user_id: int, days: int, now: datetime) -> EmbedLink:
    """Make a link to a run.

    Raises:
        EmbedRefused: the project allows none, or the time is none.
    """
    if not embedding_of(project).is_allowed:
        raise EmbedRefused(f"{project} does not allow embedding; an admin allows it in the settings")
    if not 1 <= days <= LONGEST_DAYS:
        raise EmbedRefused(f"{days} days; a link lives from 1 to {LONGEST_DAYS}")
    link = EmbedLink.objects.create(
        id=str(uuid7()), project=project, stream=stream, by_id=user_id, expires_at=now + timedelta(days=days)
    )
    record_access(project, AccessKind.EXPORT, "link made", of=stream, detail=f"link {link.pk}, for {days} days")
    return link


def links_of(project: str, *, now: datetime, stream: str = "") -> Sequence[EmbedLink]:
    """Return the links of a project, or of one of its runs, that still show something, newest first."""
    rows = EmbedLink.objects.filter(project=project, revoked_at=None, expires_at__gt=now).select_related("by")
    rows = rows.filter(by__is_active=True, by__memberships__in=holders(project, Permission.EXPORT))
    return list((rows.filter(stream=stream) if stream else rows).order_by("-created_at", "-id")[:100])


def _may_still(link: EmbedLink) -> bool:
    """Tell whether who made a link is still a member who may export: a link outlives neither."""
    role = role_in(link.by, link.project)
    return role is not None and may(role, Permission.EXPORT)


def revoke_link(project: str, link_id: str, *, now: datetime) -> bool:
    """Make a link show nothing any more, at once. False where the project has none of that id."""
    is_revoked = bool(EmbedLink.objects.filter(project=project, id=link_id, revoked_at=None).update(revoked_at=now))
    if is_revoked:
        record_access(project, AccessKind.SETTING, "link revoked", detail=f"link {link_id}")
    return is_revoked


def token_of(link: EmbedLink) -> str:
    """Return what stands in a link's address."""
    return signing.dumps([link.pk, int(link.expires_at.timestamp())], salt=_SALT)


def shown_by(token: str, *, now: datetime) -> Shown | None:
    """Return what a token shows: None where it is forged, past its end, revoked, or no longer allowed.

    It is allowed for as long as the project embeds and who made it could still make it.
    """
    try:
        link_id, until = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if until <= now.timestamp():
        return None
    link = EmbedLink.objects.filter(id=link_id, revoked_at=None, expires_at__gt=now).select_related("by").first()
    if link is None or not _may_still(link):
        return None
    embedding = embedding_of(link.project)
    if not embedding.is_allowed:
        return None
    return Shown(project=link.project, stream=link.stream, expires_at=link.expires_at, origins=tuple(embedding.origins))
