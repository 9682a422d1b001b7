"""How other people's text and numbers stand in a report."""

from __future__ import annotations

import unicodedata
from typing import Final

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from audits.making import NAMES

register = template.Library()

_RIGHT_TO_LEFT: Final = frozenset(("R", "AL", "AN"))
_PLAIN: Final = "\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"


@register.filter
def shown(text: object) -> SafeString:
    """Show other people's text on paper: escaped, isolated in its direction, and what cannot be seen named.

    A character that steers direction, hides, or is none at all stands as its code, so that what is read is what was
    recorded, and text copied out of the report says the same.
    """
    spelled = "".join(_spelled(mark) for mark in str(text))
    if not any(unicodedata.bidirectional(mark) in _RIGHT_TO_LEFT for mark in spelled):
        return escape(spelled)  # nothing to isolate, and a box less to lay out
    return mark_safe(f"<bdi>{escape(spelled)}</bdi>")  # noqa: S308 - escaped in the same line


def _spelled(mark: str) -> str:
    if mark in _PLAIN or unicodedata.category(mark) not in {"Cc", "Cf", "Cn", "Co", "Cs"}:
        return mark
    return f"[U+{ord(mark):04X}]"


@register.filter
def check_name(name: str) -> str:
    """Say what a check of the verifier looks at, as the cover of a report does."""
    return NAMES.get(name, name)


@register.filter
def figure(number: int) -> str:
    """Show a count with its thousands apart."""
    return f"{number:,}"
