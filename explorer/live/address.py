"""What the address of a live socket asks for. Whatever stands there is somebody's input."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from django.http import QueryDict

from explorer.query_language import MAX_LENGTH

_LONGEST: Final = 4_096
_LONGEST_NAME: Final = 245
_LONGEST_ID: Final = 36
_DIGITS: Final = 18
_FIELDS: Final = 10


Form = Literal["events", "rows", "edge", "jobs"]
_FORMS: Final[dict[str, Form]] = {"events": "events", "rows": "rows", "edge": "edge", "jobs": "jobs"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Events past `after`, or from now on where it is None: of a stream, or of the project.

    `form` is `events` for programs, `rows` for the live page, which may narrow them by a query `q`, `edge` for who
    reads a stream over HTTP and wants to know how far it goes, and `jobs` for work alone: all, or the `job` of that id.
    """

    after: int | None = None
    stream: str = ""
    project: str | None = None
    form: Form = "events"
    q: str = ""
    job: str = ""


def asked(query: bytes) -> Asked | None:
    """Return what a query asks for, None where it is none that is answered."""
    if len(query) > _LONGEST:
        return None
    try:
        given = QueryDict(query.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
    after, form = given.get("after"), given.get("as", "events")
    stream, q, job = given.get("stream", ""), given.get("q", ""), given.get("job", "")
    is_odd = len(given) > _FIELDS or any("\x00" in value for _, values in given.lists() for value in values)
    is_number = after is None or (after.isascii() and after.isdecimal() and len(after) <= _DIGITS)
    is_long = len(stream) > _LONGEST_NAME or len(q) > MAX_LENGTH or len(job) > _LONGEST_ID
    if is_odd or not is_number or is_long or form not in _FORMS or (form == "edge" and not stream):
        return None
    return Asked(
        after=None if after is None else int(after),
        stream=stream,
        project=given.get("project"),
        form=_FORMS[form],
        q=q,
        job=job,
    )
