"""Answers: JSON by the one encoder, and lists whose items are sent as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from journal.api.streaming import streamed
from journal.domain import codec

MEDIA_TYPE: Final = "application/json"


def answer(document: object, *, status: int = 200, location: str = "") -> HttpResponse:
    """Return one JSON document."""
    response = HttpResponse(codec.encode(document) + b"\n", status=status, content_type=MEDIA_TYPE)
    if location:
        response["Location"] = location
    return response


def item_list(request: HttpRequest, items: Iterable[bytes], following: Callable[[], str | None]) -> HttpResponseBase:
    """Return a list, an item a line; `following` is asked for the next page's address once all items are sent."""
    return streamed(request, _pieces(items, following), content_type=MEDIA_TYPE)


def _pieces(items: Iterable[bytes], following: Callable[[], str | None]) -> Iterator[bytes]:
    yield b'{"items": ['
    between = b"\n"
    for item in items:
        yield between
        yield item
        between = b",\n"
    yield b'\n], "next": ' + codec.encode(following()) + b"}\n"


def next_address(request: HttpRequest, **changed: Any) -> str:
    """Return the address of a list's next page: this one's, with other parameters."""
    given = {name: value for name, value in request.GET.items() if name not in changed}
    return f"{request.path}?{urlencode({**given, **changed})}"
