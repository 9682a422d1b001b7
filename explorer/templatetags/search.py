"""Marks in what was found: made of offsets into the recorded text, never of HTML that it may hold."""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from explorer import outside
from explorer.search.passages import Passage

register = template.Library()


@register.filter
def passage(found: Passage) -> SafeString:
    """Show a passage, what was looked for marked in it."""
    parts = (
        (format_html("<mark>{}</mark>" if part.is_hit else "{}", outside.brief(part.text)),) for part in found.parts
    )
    return format_html_join("", "{}", parts)
