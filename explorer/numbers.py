"""Numbers that addresses and forms carry: typed by people, so of any length and in any script."""

from __future__ import annotations


def whole(text: str, *, digits: int) -> int | None:
    """Return a whole number of at most so many ASCII digits, None where the text is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None
