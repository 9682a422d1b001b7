"""The server as a sink: `POST /api/v1/streams/{stream}/events`, and reading a stream back for a replay.

Uses the standard library alone, so that nothing it sends passes through an HTTP client that is being recorded.
"""

from __future__ import annotations

import codecs
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from journal.domain.codec import encode
from journal.domain.event import EventData, RecordedEvent, instant
from journal.errors import EventIdReused, PayloadRefused, StreamNotFound, WrongExpectedVersion
from journal.recorder.errors import ServerRefused, ServerUnreachable
from journal.recorder.lines import from_wire

# Python loads this codec with the first connection; a process that is forked in that moment never gets it.
codecs.lookup("idna")

TIMEOUT_S: Final = 10.0
_PAGE: Final = 500
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NEVER: Final = frozenset({400, 413, 415, 422})
_CONFLICT: Final = 409
_CREATED: Final = 201
_MISSING: Final = 404
_MOST_BODY: Final = 1 << 26
_TOLD: Final = 200


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What the server made of an append."""

    version: int
    is_new: bool


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A token goes to the address it was given for, and to no other."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """Follow none."""


class Server:
    """A Nagare server, and the token to talk to it with. Keeps no connection open."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT_S) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ValueError(f"{url!r} is no address of a server; it looks like https://nagare.example.com")
        self.url = url.rstrip("/")
        self._token = token.strip()
        self._timeout = timeout
        self._open = urllib.request.build_opener(_NoRedirect()).open

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def append(self, stream: str, events: Sequence[EventData], *, expected_version: int) -> Taken:
        """Append all events or none. See `Sink.append`.

        Raises:
            ServerRefused: the token or the address is wrong.
        """
        body = encode(
            {
                "expected_version": expected_version or "none",
                "events": [_on_the_wire(event) for event in events],
            }
        )
        status, answer = self._ask(f"/api/v1/streams/{quote(stream, safe='')}/events", stream, events, body)
        version = answer.get("version")
        if not isinstance(version, int):
            raise ServerUnreachable(url=self.url, reason="its answer names no version")
        return Taken(version=version, is_new=status == _CREATED)

    def read_stream(self, stream: str, *, after: int = 0, until: int | None = None) -> Iterator[RecordedEvent]:
        """Yield the events of a stream, a page at a time.

        Raises:
            StreamNotFound: this project has no such stream.
            ServerRefused: the token may not read.
        """
        path: str | None = f"/api/v1/streams/{quote(stream, safe='')}/events?after={after}&limit={_PAGE}"
        path = path + f"&until={until}" if path and until is not None else path
        while path:
            _, page = self._ask(path, stream)
            yield from map(from_wire, page.get("items", ()))
            path = page.get("next")

    def _ask(
        self, path: str, stream: str, events: Sequence[EventData] = (), body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        address = urljoin(f"{self.url}/", path.lstrip("/")) if not path.startswith("http") else path
        if urlsplit(address)[:2] != urlsplit(self.url)[:2]:
            raise ServerRefused(url=self.url, status=0, reason="it sent the reader to another server")
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "User-Agent": "nagare-recorder",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310 - checked in __init__
        try:
            with self._open(request, timeout=self._timeout) as response:
                return response.status, _decoded(response.read(_MOST_BODY))
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(error, stream, events)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ServerUnreachable(url=self.url, reason=str(reason) or type(error).__name__) from error
        raise AssertionError("unreachable: a refusal is raised")

    def _refuse(self, error: urllib.error.HTTPError, stream: str, events: Sequence[EventData]) -> None:
        try:
            problem = _decoded(error.read(_MOST_BODY))
        except (OSError, ValueError):
            problem = {}
        reason = str(problem.get("detail") or problem.get("title") or error.reason)[:_TOLD]
        if error.code == _CONFLICT:
            if isinstance(problem.get("actual"), int):
                raise WrongExpectedVersion(
                    stream=stream, expected=problem.get("expected", "?"), actual=problem["actual"]
                ) from error
            raise EventIdReused(
                stream=stream, event_id=str(problem.get("event_id") or (events[0].id if events else "")), reason=reason
            ) from error
        if error.code in _NEVER:
            raise PayloadRefused(what=f"append to {stream}", reason=reason, way_out="see the server's log") from error
        if error.code in _LATER:
            raise ServerUnreachable(
                url=self.url, reason=f"{error.code} {reason}", retry_after=_seconds(error.headers.get("Retry-After"))
            ) from error
        if error.code == _MISSING and not events:
            raise StreamNotFound(stream=stream, project="of the token") from error
        raise ServerRefused(url=self.url, status=error.code, reason=reason) from error


def _on_the_wire(event: EventData) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "schema": event.schema,
        "data": msgspec.Raw(event.data),
        "metadata": msgspec.Raw(event.metadata),
    }
    if event.occurred_at is not None:
        wire["occurred_at"] = instant(event.occurred_at)
    return wire


def _decoded(raw: bytes) -> dict[str, Any]:
    decoded = json.loads(raw)
    if not isinstance(decoded, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004 - a value from outside, not a programmer's mistake
    return decoded


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None
