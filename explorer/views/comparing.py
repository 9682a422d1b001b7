"""Two runs side by side."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from explorer.numbers import whole
from explorer.queries.comparing import Asked, compare_page
from journal.access import Permission, ProjectRequest, requires
from journal.runtime.comparing import named

_LONGEST: Final = 300
_DIGITS: Final = 9


@require_safe
@requires(Permission.READ)
def compare(request: ProjectRequest) -> HttpResponse:
    """Show where two runs part; without two of them, ask which."""
    a, b = _asked(request)
    page = compare_page(
        request.project.slug,
        a,
        b,
        start=whole(request.GET.get("from", ""), digits=_DIGITS) or 0,
        is_all=request.GET.get("show") == "all",
    )
    if isinstance(page, Asked):
        status = 404 if page.problem else 200
        return render(request, "explorer/compare/ask.html", {"asked": page}, status=status)
    return render(request, "explorer/compare/page.html", {"page": page})


def _asked(request: HttpRequest) -> tuple[str, str]:
    """Return the two runs that are named, each at the event that a form of the page gives beside it."""
    a, b = (_at(_plain(request.GET.get(name, "")), request.GET.get(f"v{name}", "")) for name in "ab")
    return a, b


def _at(stream: str, version: str) -> str:
    number = whole(version.strip(), digits=_DIGITS)
    return stream if number is None or not stream else f"{named(stream)[0]}@{number}"


def _plain(text: str) -> str:
    return text.replace("\x00", "").strip()[:_LONGEST]
