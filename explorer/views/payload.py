"""Stored bytes as files. Whatever a browser makes of one, it may do nothing: no type is guessed, no script is run."""

from __future__ import annotations

import re
from typing import Final

from django.http import Http404, HttpResponse

from explorer.payload import blob_of
from journal.domain.event import RecordedEvent

_PICTURES: Final = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
"""Types a browser may be told: of these it can make nothing but a picture."""

_ENDING: Final = re.compile(r"[a-z0-9]{1,8}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")

DOWNLOADS: Final = frozenset({"data", "metadata", "blob"})


def download(event: RecordedEvent, name: str, number: int) -> HttpResponse:
    """Give an event's data or metadata as it is stored, or the bytes of a base64 string in its data.

    Raises:
        Http404: there is no such string.
    """
    if name != "blob":
        return _file(event.data if name == "data" else event.metadata, event, f"{name}.json")
    found = blob_of(event.data, number)
    if found is None:
        raise Http404("the event's data has no such attachment")
    blob, raw = found
    ending = _PICTURES.get(blob.media_type) or blob.media_type.rpartition("/")[2]
    ending = ending if _ENDING.fullmatch(ending) else "bin"
    return _file(raw, event, f"{number + 1}.{ending}", blob.media_type)


def _file(raw: bytes, event: RecordedEvent, name: str, media_type: str = "") -> HttpResponse:
    known = media_type if media_type in _PICTURES else "application/octet-stream"
    response = HttpResponse(raw, content_type=known)
    stream = _NOT_IN_NAMES.sub("_", event.stream)[:100]
    response["Content-Disposition"] = f'attachment; filename="{stream}-{event.version}-{name}"'
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response
