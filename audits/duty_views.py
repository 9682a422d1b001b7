"""The page of duties: which there are, what here helps with which part, and what stays the reader's own work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.views.decorators.http import require_safe

from audits.duties import Confidence, Duty, Regime, chosen, duties
from journal.access import Permission, ProjectRequest, Role, may, requires

_SURE: Final[dict[Confidence, str]] = {
    "read": "read in the source",
    "tried": "tried out",
    "judged": "our judgement",
}


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a page helps with; without `href` where the reader's role may not open it."""

    words: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A duty in the table."""

    duty: Duty
    regime: Regime
    roles: tuple[str, ...]
    links: tuple[Link, ...]
    sure: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Something to filter by."""

    name: str
    href: str
    is_on: bool
    count: int


@require_safe
@requires(Permission.READ)
def page(request: ProjectRequest) -> HttpResponse:
    """Show the duties, of one regime and one role where that is asked for."""
    known = duties()
    regime = _one_of(request.GET.get("regime", ""), known.regimes)
    role = _one_of(request.GET.get("role", ""), known.roles)
    found = chosen(regime=regime, role=role)
    context = {
        "lines": [_line(duty, request.role) for duty in found],
        "regimes": _choices({name: one.name for name, one in known.regimes.items()}, "regime", regime, role),
        "roles": _choices(known.roles, "role", role, regime),
        "state": known.regimes[regime] if regime else None,
        "disclaimer": known.disclaimer,
        "total": len(known.duties),
    }
    return render(request, "audits/duties/page.html", context)


def _one_of(asked: str, known: dict[str, Regime] | dict[str, str]) -> str:
    return asked if asked in known else ""


def _choices(names: dict[str, str], kind: str, on: str, other: str) -> list[Choice]:
    """Return the choices of a kind, each with how many duties it leaves beside the other choice."""
    against = "role" if kind == "regime" else "regime"
    found = []
    for name, words in {"": "all", **names}.items():
        asked = {key: value for key, value in ((kind, name), (against, other)) if value}
        count = len(chosen(regime=asked.get("regime", ""), role=asked.get("role", "")))
        href = reverse("audits:duties") + (f"?{urlencode(asked)}" if asked else "")
        found.append(Choice(name=words, href=href, is_on=name == on, count=count))
    return found


def _line(duty: Duty, role: Role) -> Line:
    known = duties()
    return Line(
        duty=duty,
        regime=known.regimes[duty.regime],
        roles=tuple(known.roles[name] for name in duty.roles),
        links=tuple(
            Link(words=one.with_, href=one.page if _may_open(role, one.page) else "")
            for one in duty.helps
            if _is_here(one.page)
        ),
        sure=_SURE[duty.confidence],
    )


def _is_here(path: str) -> bool:
    """Return whether a page is installed: what another app would bring is not promised."""
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _may_open(role: Role, path: str) -> bool:
    needed = getattr(resolve(path).func, "nagare_permission", None)
    return isinstance(needed, Permission) and may(role, needed)
