"""What only the ops pages write: lengths of time in the words of the status beside them."""

from __future__ import annotations

from django import template

from journal.runtime import status

register = template.Library()


@register.filter
def seconds(length: float | None) -> str:
    """Return a length of time in the same form as the sentences beside it; nothing where there is none."""
    return "" if length is None else status.span(length)
