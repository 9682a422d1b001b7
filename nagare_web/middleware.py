"""What happens to every request, whichever app answers it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from csp.middleware import CSPMiddleware
from django.core.exceptions import DisallowedHost, PermissionDenied
from django.http import Http404
from uuid_utils.compat import uuid7

from journal.runtime.purged import purge_of
from nagare_web import telemetry, views

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    GetResponse = Callable[[HttpRequest], HttpResponseBase]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CORRELATION_HEADER: Final = "X-Correlation-Id"
ACCEPTED_CORRELATION: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_LOGGED: Final = 200
PROBES: Final = frozenset({"/healthz", "/readyz"})


class RequestContext:
    """Put correlation id and traceparent on every log line of a request, and log the request once it is answered."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer within the context, and tell the caller the id."""
        correlation_id = _correlation_id(request)
        started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        with (
            telemetry.request_span(request) as span,
            structlog.contextvars.bound_contextvars(
                correlation_id=correlation_id, traceparent=telemetry.traceparent_of(span)
            ),
        ):
            response = self.get_response(request)
            telemetry.finish_request_span(span, request, response)
            self._log(request, response, duration_ms=(time.perf_counter() - started) * 1000)
        response.headers[CORRELATION_HEADER] = correlation_id
        return response

    def _log(self, request: HttpRequest, response: HttpResponseBase, *, duration_ms: float) -> None:
        """Log the path but not the query string, which holds what people searched for in payloads."""
        write = log.debug if request.path in PROBES else log.info
        write(
            "request",
            method=request.method,
            path=telemetry.path_of(request),
            status=response.status_code,
            duration_ms=round(duration_ms, 1),
        )


def _correlation_id(request: HttpRequest) -> str:
    """Return the caller's correlation id where it is a plain token, else a new one: nobody may write into our logs."""
    given = request.headers.get(CORRELATION_HEADER, "")
    return given if ACCEPTED_CORRELATION.fullmatch(given) else str(uuid7())


class ContentSecurityPolicy(CSPMiddleware):
    """Send the policy with a nonce on every response.

    django-csp leaves the nonce out where no template asked for it. A nonce that is always there means that a page can
    turn to scripts without a change of its policy's shape, and that a scan of the headers sees one policy.
    """

    def process_request(self, request: HttpRequest) -> None:
        """Make the nonce now rather than when it is first asked for."""
        super().process_request(request)
        self._make_nonce(request)


class HostAndOrigin:
    """Answer only to our own names, and let no other site's page write here.

    The host check stands against DNS rebinding and so covers static files too. CSRF tokens protect the views that use
    cookies; the origin check protects every other one as well, and needs no token.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Raise what Django turns into a 400 or a 403, or go on."""
        host = _checked_host(request)
        origin = request.headers.get("Origin")
        if origin is not None and request.method not in SAFE_METHODS and not _is_same_host(origin, host):
            log.warning("foreign_origin_refused", origin=origin[:LONGEST_LOGGED], host=host, method=request.method)
            reason = "This request came from a page of another site."
            raise PermissionDenied(reason)
        return self.get_response(request)


def _checked_host(request: HttpRequest) -> str:
    """Return the Host header. One that is not ours raises DisallowedHost, which becomes a 400."""
    try:
        return request.get_host()
    except DisallowedHost:
        log.warning("foreign_host_refused", host=request.headers.get("Host", "")[:LONGEST_LOGGED])
        raise


def _is_same_host(origin: str, host: str) -> bool:
    """Compare name and port. The scheme is left to the proxy in front, which may speak TLS where we do not."""
    try:
        return urlsplit(origin).netloc.casefold() == host.casefold()
    except ValueError:
        return False


class DenyByDefault:
    """Refuse every view that does not say who may use it.

    A forgotten permission then shows as a page nobody can open, and not as one that everybody can. Views declare theirs
    with `journal.access.requires` or `journal.access.public`, which set `nagare_permission`.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Go on: what the view is is not known yet."""
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponseBase], _args: object, _kwargs: object
    ) -> None:
        """Stop before the view runs.

        Raises:
            PermissionDenied: neither the view nor its class declares a permission.
        """
        if not declares_permission(view):
            log.error("view_without_permission", view=f"{view.__module__}.{view.__qualname__}", path=request.path)
            reason = "This page declares no permission, so nobody may open it."
            raise PermissionDenied(reason)


def declares_permission(view: Callable[..., object]) -> bool:
    """Tell whether a view callable, or the class it was made from, has a `nagare_permission`."""
    candidates = (view, getattr(view, "view_class", None), getattr(view, "cls", None))
    return any(getattr(candidate, "nagare_permission", None) is not None for candidate in candidates)


class GoneOnceItWasThere:
    """Where a page finds no run because it was purged, say so with 410 and the policy's name.

    It comes after the view, which has found out who asks and in which project. A page that finds its run pays nothing.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Take a 404 of a run's page for what it is."""
        project = getattr(request, "project", None)
        stream = request.resolver_match.kwargs.get("stream") if request.resolver_match else None
        if not isinstance(exception, Http404) or project is None or not stream:
            return None
        purged = purge_of(project.slug, stream.replace("\x00", ""))
        return views.gone(request, f"{purged}.") if purged is not None else None
