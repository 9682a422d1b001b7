"""Stream names and the versions that stand for "none" and "any"."""

from __future__ import annotations

import re
from typing import Final, Literal, NewType

from journal.errors import PayloadRefused

StreamName = NewType("StreamName", str)
type_any = Literal["any"]

NO_STREAM: Final = 0
"""The version of a stream that has no events; as an expected version: the stream must not exist."""

ANY_VERSION: Final[type_any] = "any"
"""As an expected version: append at the end, wherever that is."""

ExpectedVersion = int | type_any

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}-[A-Za-z0-9._:~-]{1,180}")


def stream_name(category: str, ident: str) -> str:
    """Return `category-ident`, checked.

    Raises:
        PayloadRefused: the name has characters an address or a database key would not carry unchanged.
    """
    return checked(f"{category}-{ident}")


def checked(name: str) -> str:
    """Return `name` when it is a stream name: a lower-case category, a dash, an id of URL-safe characters.

    Raises:
        PayloadRefused: it is not.
    """
    if not _NAME.fullmatch(name):
        raise PayloadRefused(
            what=f"stream name {name[:80]!r}",
            reason="it is not category-id",
            way_out="use a lower-case category, a dash, then letters, digits and . _ : ~ - (at most 245 characters)",
        )
    return name


def category(name: str) -> str:
    """Return what stands before the first dash of a stream name."""
    return name.partition("-")[0]
