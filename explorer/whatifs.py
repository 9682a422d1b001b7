"""Saved what-ifs: who may make, name, share, change and drop one.

The first edit makes a draft, so that what somebody tries has an address from the beginning; a name keeps it. Only its
owner changes it. Shared, everybody in the project may open it, and it is listed on its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from django.db.models import Q, QuerySet
from uuid_utils.compat import uuid7

from explorer.models import WhatIf
from journal.access import Permission, Role, may
from journal.domain import codec
from journal.domain.whatif_edits import MOST_EDITS, Edit, EditsRefused, Problem, check_places, plain_edits, read_edits
from journal.errors import Refused

LONGEST_NAME: Final = 80
MOST_NAMED: Final = 100
"""What-ifs that one person keeps in one project."""

MOST_DRAFTS: Final = 20
"""Drafts of one person in one project; the oldest goes when there is another."""

LARGEST_BYTES: Final = 1_000_000
"""Of all edits of one what-if together."""

LISTED: Final = 50


class WhatIfRefused(Refused):
    """A what-if that cannot be kept."""


def may_share(role: Role) -> bool:
    """Whether a role may show a what-if to everybody in the project: whoever may add words to what all see."""
    return may(role, Permission.ANNOTATE)


def may_change(kept: WhatIf, *, user_id: int) -> bool:
    """Whether somebody may edit or name a what-if: its owner alone."""
    return kept.owner_id == user_id


def may_delete(kept: WhatIf, *, user_id: int, role: Role) -> bool:
    """Whether somebody may drop one: its owner, and admins where it is everybody's."""
    return kept.owner_id == user_id or (kept.shared and may(role, Permission.ADMIN))


def visible(project: str, user_id: int) -> QuerySet[WhatIf]:
    """Return the what-ifs of a project that somebody may open: their own, and shared ones."""
    rows = WhatIf.objects.filter(project=project).filter(Q(owner_id=user_id) | Q(shared=True))
    return rows.select_related("owner")


def listed(project: str, stream: str, user_id: int) -> list[WhatIf]:
    """Return those of one run, the newest first; drafts only where they are somebody's own."""
    return list(visible(project, user_id).filter(stream=stream).order_by("-changed_at", "-id")[:LISTED])


def found(project: str, stream: str, what_if_id: str, user_id: int) -> WhatIf | None:
    """Return one that somebody may open."""
    return visible(project, user_id).filter(stream=stream, id=what_if_id[:36].replace("\x00", "")).first()


def edits_of(kept: WhatIf) -> tuple[Edit, ...]:
    """Return the edits of a what-if.

    Raises:
        EditsRefused: they were saved by other code, and this one cannot read them.
    """
    value: Any = msgspec.json.decode(kept.edits)
    return read_edits(value)


def begin(project: str, stream: str, edits: Sequence[Edit], *, newest: int, user_id: int) -> WhatIf:
    """Make a draft.

    Raises:
        EditsRefused: no such history can be made of the run.
        WhatIfRefused: the edits are too large together.
    """
    drafts = WhatIf.objects.filter(project=project, owner_id=user_id, name="").order_by("-changed_at", "-id")
    text = _text(edits, newest)
    old = list(drafts.values_list("id", flat=True)[MOST_DRAFTS - 1 :])
    WhatIf.objects.filter(id__in=old).delete()
    return WhatIf.objects.create(id=str(uuid7()), project=project, stream=stream, owner_id=user_id, edits=text)


def change(kept: WhatIf, edits: Sequence[Edit], *, newest: int) -> None:
    """Give a what-if other edits.

    Raises:
        EditsRefused: no such history can be made of the run.
        WhatIfRefused: the edits are too large together.
    """
    kept.edits = _text(edits, newest)
    kept.save(update_fields=["edits", "changed_at"])


def keep(kept: WhatIf, *, name: str, shared: bool) -> None:
    """Name a what-if, and show it to the project or no longer.

    Raises:
        WhatIfRefused: the name is missing or too long, or there are too many.
    """
    plain = " ".join(name.replace("\x00", "").split())
    if not plain:
        raise WhatIfRefused("A what-if needs a name to be kept by.")
    if len(plain) > LONGEST_NAME:
        raise WhatIfRefused(f"The name has {len(plain)} characters; {LONGEST_NAME} are the most.")
    others = WhatIf.objects.filter(project=kept.project, owner_id=kept.owner_id).exclude(name="").exclude(id=kept.id)
    if others.count() >= MOST_NAMED:
        raise WhatIfRefused(f"You keep {MOST_NAMED} what-ifs in {kept.project}, which is the most. Delete one first.")
    kept.name, kept.shared = plain, shared
    kept.save(update_fields=["name", "shared", "changed_at"])


def _text(edits: Sequence[Edit], newest: int) -> str:
    if len(edits) > MOST_EDITS:
        raise EditsRefused([Problem(edit=0, message=f"{len(edits)} edits; {MOST_EDITS} are the most")])
    check_places(edits, newest)
    text = codec.encode(plain_edits(edits)).decode()
    if len(text.encode()) > LARGEST_BYTES:
        raise WhatIfRefused(f"The edits have {len(text.encode()):,} bytes together; {LARGEST_BYTES:,} are the most.")
    return text
