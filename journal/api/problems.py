"""Errors as `application/problem+json`: one table from the error tree to statuses.

Source: RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse

from journal import errors
from journal.api import refusals
from journal.domain import codec
from journal.runtime.erasing import NothingOf
from journal.runtime.log_rows import NotSealed
from journal.runtime.retention import Held, HoldNotFound, RetentionRefused
from journal.runtime.selecting import QueryRefused

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
DOCS: Final = "/api/docs/"
_RESERVED: Final = ("type", "title", "status", "detail")


class Kind(msgspec.Struct, frozen=True):
    """How a class of errors is answered: its status and its title, which is the same each time."""

    status: int
    title: str


KINDS: Final[dict[type[errors.JournalError], Kind]] = {
    errors.JournalError: Kind(400, "The request was refused"),
    errors.AppendRefused: Kind(422, "Nothing was stored"),
    errors.WrongExpectedVersion: Kind(409, "The stream is at another version"),
    errors.EventIdReused: Kind(409, "An event id is known with other content"),
    errors.PayloadRefused: Kind(422, "A payload cannot be kept as it came"),
    errors.CommandRejected: Kind(409, "The command was rejected"),
    errors.StreamNotFound: Kind(404, "No such stream"),
    errors.EventNotFound: Kind(404, "No such event"),
    errors.VersionNotFound: Kind(404, "The stream does not reach that version"),
    errors.RunPurged: Kind(410, "The run was purged"),
    errors.RuleNotFound: Kind(404, "No such rule"),
    errors.RuleRaised: Kind(422, "The rule itself went wrong"),
    errors.NotPermitted: Kind(403, "Not permitted"),
    errors.Refused: Kind(422, "What was asked for cannot be"),
    errors.ImportRefused: Kind(422, "A file cannot be imported"),
    QueryRefused: Kind(400, "The query cannot be asked"),
    errors.ExportRefused: Kind(422, "The format has no place for this stream"),
    errors.ConfigurationRefused: Kind(500, "The installation is configured wrongly"),
    RetentionRefused: Kind(422, "Retention forbids it"),
    Held: Kind(409, "It is held"),
    HoldNotFound: Kind(404, "No such hold"),
    NothingOf: Kind(404, "Nothing is held of that subject"),
    NotSealed: Kind(409, "Not under a signed checkpoint yet"),
    refusals.NotSignedIn: Kind(401, "Not signed in"),
    refusals.NoSuchThing: Kind(404, "No such thing"),
    refusals.Malformed: Kind(400, "The request cannot be read"),
    refusals.Invalid: Kind(422, "The body is not what this address takes"),
    refusals.TooLarge: Kind(413, "The body is too large"),
    refusals.WrongMediaType: Kind(415, "The body is of another type"),
    refusals.WrongMethod: Kind(405, "The method is not answered here"),
    refusals.TooManyRequests: Kind(429, "Too many requests"),
    refusals.Unavailable: Kind(503, "The database did not answer"),
}
"""The nearest class of an error's ancestry is taken."""

PLAIN: Final = {
    400: ("bad-request", "The request cannot be understood"),
    403: ("forbidden", "Not permitted"),
    404: ("not-found", "Nothing is at this address"),
    500: ("server-error", "The fault is the server's"),
}
_SERVER_ERROR: Final = 500


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The members that every problem has; each error adds its own."""

    type: str
    title: str
    status: int
    detail: str


def slug(error: type[Exception]) -> str:
    """Return an error class's name as it stands in the problem's `type`: `wrong-expected-version`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error.__name__).lower()


def kind_of(error: errors.JournalError) -> tuple[type[errors.JournalError], Kind]:
    """Return the class by which an error is answered, and how."""
    found = next(known for known in type(error).__mro__ if known in KINDS)
    return found, KINDS[found]


def problem_of(error: errors.JournalError) -> HttpResponse:
    """Return an error as the API answers it, with the error's own fields."""
    known, kind = kind_of(error)
    response = _answered(slug(known), kind.title, kind.status, str(error), error.fields())
    if kind.status == KINDS[refusals.NotSignedIn].status:
        response["WWW-Authenticate"] = 'Bearer realm="nagare"'
    if isinstance(error, refusals.TooManyRequests):
        response["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, refusals.Unavailable):
        response["Retry-After"] = "1"
    if isinstance(error, refusals.WrongMethod):
        response["Allow"] = ", ".join(error.allowed)
    return response


def plain(status: int, detail: str = "") -> HttpResponse:
    """Return a problem of Django's own, where no view was reached or one went wrong."""
    name, title = PLAIN[status]
    return _answered(name, title, status, detail or title, {})


def _answered(name: str, title: str, status: int, detail: str, fields: Mapping[str, Any]) -> HttpResponse:
    problem = Problem(type=f"{DOCS}#{name}", title=title, status=status, detail=detail)
    own = {field: value for field, value in fields.items() if field not in _RESERVED}
    body = codec.encode({**msgspec.to_builtins(problem), **own}) + b"\n"
    response = HttpResponse(body, status=status, content_type=MEDIA_TYPE)
    response["Cache-Control"] = "no-store"
    return response


def handle(error: Exception, _context: Mapping[str, Any]) -> HttpResponse | None:
    """Answer what a view raised. None for what nobody foresaw: that is the server's fault, and is logged as such."""
    match error:
        case errors.JournalError():
            return problem_of(error)
        case Http404():
            return plain(404, "there is no such thing in this project")
        case PermissionDenied():
            return plain(403, str(error))
        case OperationalError() | InterfaceError():
            log.warning("database_unavailable", reason=type(error).__name__)
            return problem_of(refusals.Unavailable())
        case _:
            return None
