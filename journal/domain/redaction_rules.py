"""A project's rules of redaction: each version an event of the stream `redaction-rules`."""

from __future__ import annotations

from typing import Final

import msgspec

from journal.domain.catalog import catalog

CATEGORY: Final = "redaction"
STREAM: Final = f"{CATEGORY}-rules"


class OwnPattern(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern of the project's own: RE2's syntax, asked of decoded text."""

    name: str
    pattern: str


@catalog.event("redaction.rules_saved")
class RulesSaved(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is replaced from here on; the version of the rules is the event's.

    `off` are the kinds of secrets that are left alone, `on` the kinds of personal data that are replaced.
    """

    off: tuple[str, ...] = ()
    on: tuple[str, ...] = ()
    patterns: tuple[OwnPattern, ...] = ()
    by: str = ""
