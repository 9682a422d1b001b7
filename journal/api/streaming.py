"""Long answers piece by piece, on either kind of server: what is sent is never all in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

_PIECE: Final = 64 * 1024


def streamed(request: HttpRequest, pieces: Iterable[bytes], *, content_type: str) -> StreamingHttpResponse:
    """Return a response that reads on as it is sent. The pieces are put together to a size worth a packet."""
    together = _together(pieces)
    content = _awaited(together) if isinstance(request, ASGIRequest) else together
    response = StreamingHttpResponse(content, content_type=content_type)
    # Said so that the middleware leaves it alone: it would compress each piece of an awaited answer by itself, and
    # browsers stop behind the first, so that a download ended after 64 kB and looked whole.
    response["Content-Encoding"] = "identity"
    return response


def _together(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _awaited(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read each piece in the thread where the request's database connection lives."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece
