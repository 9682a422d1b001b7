"""Error pages. They ask neither the database nor the session, so that they still come when those are what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.template.loader import render_to_string

from journal.api import problems

if TYPE_CHECKING:
    from django.http import HttpRequest


def _page(request: HttpRequest, status: int, *, reason: str = "") -> HttpResponse:
    """Render a page without context processors, which would look at the user. The nonce is what its script needs.

    Programs that ask the API are answered as it answers them.
    """
    if request.path.startswith("/api/v1/"):
        return problems.plain(status, reason)
    context = {"status": status, "reason": reason, "CSP_NONCE": getattr(request, "csp_nonce", "")}
    return HttpResponse(render_to_string(f"nagare_web/{status}.html", context), status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that the request cannot be understood; the exception may hold an attacker's text and is not shown."""
    return _page(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say why the page may not be opened, in the words of the code that refused."""
    return _page(request, 403, reason=str(exception))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form is too old, which is what a failed CSRF check means to a person."""
    return _page(
        request,
        403,
        reason="This form has expired, or cookies are switched off. Go back, reload the page and send it again.",
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that nothing is at this address."""
    return _page(request, 404)


def gone(request: HttpRequest, reason: str) -> HttpResponse:
    """Say that a run was purged, and by which policy."""
    return _page(request, 410, reason=reason)


def server_error(request: HttpRequest) -> HttpResponse:
    """Say that the fault is ours, and where to look for it."""
    return _page(request, 500)
