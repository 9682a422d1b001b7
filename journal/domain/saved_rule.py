"""The events of a saved rule: one stream per rule and project, category `rule`, named after the rule.

Every version of a rule is an event, so that a verdict can always be told which text it comes from.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

import msgspec

from journal.domain.catalog import catalog

CATEGORY: Final = "rule"
NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LONGEST_NAME: Final = 80


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


@catalog.event("rule.saved")
class Saved(_Data, frozen=True, kw_only=True):
    """A version of a rule was saved; `version` counts from 1 and goes on after the rule was retired."""

    name: str = ""
    version: int = 0
    description: str = ""
    expression: str = ""
    monotone: bool = False
    by: str | None = None


@catalog.event("rule.retired")
class Retired(_Data, frozen=True, kw_only=True):
    """The rule is offered no longer, `version` being its newest. What it said stays, and can still be read."""

    version: int = 0
    by: str | None = None
    reason: str | None = None


def digest(expression: str) -> str:
    """Return what tells one text of a rule from another."""
    return sha256(expression.encode()).hexdigest()[:16]
