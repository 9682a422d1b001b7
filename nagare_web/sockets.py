"""Which WebSockets are answered at all: those to our own names, of our own pages or of programs with a token.

A browser sends its cookies with a socket that any site's page opens, and asks nobody first. So a socket without a token
has to come from a page of the very host that it goes to. A page cannot set the header that carries a token; a program
that does needs no origin, and one that names an origin is held to it like everyone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    App = Callable[[Any, Any, Any], Awaitable[None]]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_LONGEST_LOGGED: Final = 200


class OwnOrigin:
    """Deny, before the handshake, what comes from elsewhere or goes to a name that is not ours."""

    def __init__(self, application: App) -> None:
        self._application = application
        self._denier: App = WebsocketDenier.as_asgi()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Pass the socket on, or deny it."""
        found = headers_of(scope)
        answered = self._application if is_own(found) else self._denier
        if answered is self._denier:
            origin, host = (" ".join(found.get(name, ()))[:_LONGEST_LOGGED] for name in ("origin", "host"))
            log.warning("foreign_socket_refused", origin=origin, host=host)
        await answered(scope, receive, send)


def headers_of(scope: dict[str, Any]) -> dict[str, list[str]]:
    """Return the headers of a handshake by lower-case name; one may come more than once."""
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers", ()):
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def is_own(headers: dict[str, list[str]]) -> bool:
    """Tell whether a handshake is for us: its host is one of ours, and its origin the same; two of either are none."""
    hosts, origins = headers.get("host", []), headers.get("origin", [])
    if len(hosts) != 1 or len(origins) > 1:
        return False
    domain, _port = split_domain_port(hosts[0])
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    return _names(origins[0], hosts[0]) if origins else bool(headers.get("authorization"))


def _names(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.casefold() == host.casefold()
