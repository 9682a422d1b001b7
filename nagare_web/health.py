"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from journal.access import public
from journal.runtime.projection import progress, registered

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_LAG: Final = 20_000
"""Events. A large import puts the read models a few seconds behind: no reason to take the server out of service."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """The answer of one check. `detail` is for the operator and names no secret, as anyone may read it."""

    name: str
    is_ok: bool
    detail: str


def database() -> Check:
    """Ask the database the smallest question there is."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return Check(name="database", is_ok=False, detail=f"does not answer: {type(error).__name__}")
    return Check(name="database", is_ok=True, detail="answers")


def projections() -> Check:
    """Look how far the read models are behind the journal; pages show what they hold."""
    try:
        behind = {state.name: state.head - state.position for state in map(progress, registered())}
    except DatabaseError as error:
        return Check(name="projections", is_ok=False, detail=f"cannot be read: {type(error).__name__}")
    furthest = max(behind, key=behind.__getitem__, default=None)
    if furthest is None:
        return Check(name="projections", is_ok=True, detail="none registered")
    detail = f"{furthest} is {behind[furthest]:,} events behind, at most {LONGEST_LAG:,} are fine"
    return Check(name="projections", is_ok=behind[furthest] <= LONGEST_LAG, detail=detail)


CHECKS: Final[tuple[Callable[[], Check], ...]] = (database, projections)


@public
@never_cache
@require_safe
def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer that the process is alive. Asks nothing else, since a restart would not mend anything else."""
    return JsonResponse({"status": "alive"})


@public
@never_cache
@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 where every check passes and 503 where one does not, with each check's own words."""
    checks = [check() for check in CHECKS]
    is_ready = all(check.is_ok for check in checks)
    body = {
        "status": "ready" if is_ready else "not ready",
        "checks": {check.name: {"ok": check.is_ok, "detail": check.detail} for check in checks},
    }
    return JsonResponse(body, status=200 if is_ready else 503)
