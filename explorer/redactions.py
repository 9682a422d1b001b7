"""What was replaced in an event when it arrived, in words."""

from __future__ import annotations

from collections.abc import Mapping

from journal.domain.redaction_kinds import PERSONAL, SECRETS
from journal.domain.text import amount, clip

_TITLES = {kind.name: kind.title for kind in (*SECRETS, *PERSONAL)}
_PERSONAL = {kind.name for kind in PERSONAL}
_MOST = 6


def redacted_words(found: Mapping[str, int]) -> str:
    """Return how much of which kinds was replaced; empty where nothing was.

    What the metadata say is other people's word where a program wrote them: names are cut, and unknown ones shown.
    """
    total = sum(count for count in found.values() if count > 0)
    if not total:
        return ""
    noun = (
        amount(total, "value") if found.keys() - _TITLES.keys() or found.keys() & _PERSONAL else amount(total, "secret")
    )
    kinds = [_TITLES.get(kind, clip(kind, 40)) for kind in sorted(found)[:_MOST]]
    more = ", and others" if len(found) > _MOST else ""
    return f"{noun} {'was' if total == 1 else 'were'} replaced ({', '.join(kinds)}{more})"
