"""OTLP over HTTP: where the OpenTelemetry exporters of agents send spans and log records.

The answer comes once what was sent is committed; `journal.ingest.span_settler` makes runs of it later. Refusals are
those of the API in the form that OTLP asks for, a `google.rpc.Status`.

Source: OpenTelemetry Protocol specification 1.x, OTLP/HTTP Response.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from journal.access import Permission
from journal.api import asked, problems, rates
from journal.api.grants import token_grant
from journal.api.refusals import Malformed, WrongMediaType, WrongMethod
from journal.errors import ImportRefused, JournalError
from journal.ingest import otlp_wire, span_inbox
from journal.ingest.otlp_wire import ENCODINGS, Encoding, Signal

_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 422: 3, 429: 8, 503: 14}
"""HTTP statuses as gRPC has them. Exporters send again what was answered 429 or 503, after `Retry-After`."""

_UNKNOWN: Final = 2
_KEPT_HEADERS: Final = ("Retry-After", "WWW-Authenticate", "Allow")
_FULL: Final = f"its trace holds {span_inbox.MAX_RECORDS:,} records, which is the most"


def _export(request: HttpRequest, *, signal: Signal) -> HttpResponse:
    try:
        return _received(request, signal)
    except (JournalError, OperationalError, InterfaceError) as error:
        return _refused(error, _encoding_of(request) or "application/json")


def _received(request: HttpRequest, signal: Signal) -> HttpResponse:
    if request.method != "POST":
        raise WrongMethod(method=request.method or "", allowed=["POST"])
    grant = token_grant(request)
    rates.check(grant.holder)
    grant.check(Permission.IMPORT)
    encoding = _encoding_of(request)
    if encoding is None:
        raise WrongMediaType(header="Content-Type", value=request.content_type or "", takes=" or ".join(ENCODINGS))
    raw = asked.unpacked(request)
    try:
        received = otlp_wire.read(raw, signal=signal, encoding=encoding)
    except ImportRefused as refused:
        raise Malformed(str(refused)) from refused
    kept = span_inbox.keep(grant.project, received.records, now=datetime.now(UTC))
    if kept.refused:
        received.refused[_FULL] += kept.refused
    return _answer(otlp_wire.answer(received, signal=signal, encoding=encoding), encoding)


def _encoding_of(request: HttpRequest) -> Encoding | None:
    return next((known for known in ENCODINGS if known == request.content_type), None)


def _refused(error: Exception, encoding: Encoding) -> HttpResponse:
    problem = cast(HttpResponse, problems.handle(error, {}))
    detail = str(error) if isinstance(error, JournalError) else "the database did not answer in time; send it again"
    code = _CODES.get(problem.status_code, _UNKNOWN)
    response = _answer(otlp_wire.failure(code, detail, encoding=encoding), encoding, status=problem.status_code)
    for name in _KEPT_HEADERS:
        if name in problem:
            response[name] = problem[name]
    return response


def _answer(body: bytes, encoding: Encoding, *, status: int = 200) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type=encoding)
    response["Cache-Control"] = "no-store"
    return response


def _declared(view: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Return a view that needs the right to import, from a token: no cookie counts, so no form of another site can."""
    declared: Any = csrf_exempt(view)
    declared.nagare_permission = Permission.IMPORT
    return declared


traces: Final = _declared(partial(_export, signal="traces"))
logs: Final = _declared(partial(_export, signal="logs"))
