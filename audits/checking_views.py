"""The page that checks a report which somebody hands in, and the program that does so without this installation."""

from __future__ import annotations

import hashlib

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from audits import checking
from audits.checking import CheckRefused
from journal.access import Permission, ProjectRequest, requires
from journal.domain.note import NoteRefused, parse_vkey
from journal.runtime import log_keys

_LONGEST_KEY = 2_000


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.READ)
def page(request: ProjectRequest) -> HttpResponse:
    """Check a report or bundle and say what each check found; nothing of it is kept."""
    found, refusal = None, ""
    given = " ".join(request.POST.get("key", "")[:_LONGEST_KEY].split())
    if request.method == "POST":
        try:
            report = request.FILES.get("report")
            earlier = _content(request.FILES.get("previous"))
            name = (report.name if report else "") or "report"
            found = checking.check(name, _content(report), keys=_keys(given), previous=earlier)
        except CheckRefused as refused:
            refusal = str(refused)
    own = log_keys.in_use().keyring().current.verifier
    shown = {
        "found": found,
        "refusal": refusal,
        "given": given,
        "own": own,
        "program": hashlib.sha256(checking.program()).hexdigest(),
        "most": checking.MOST_BYTES >> 20,
    }
    return render(request, "audits/verify.html", shown, status=400 if refusal else 200)


def _content(file: UploadedFile[bytes] | None) -> bytes:
    if file is None:
        return b""
    if (file.size or 0) > checking.MOST_BYTES:
        raise CheckRefused(f"{file.name} has {file.size:,} bytes, the limit of this page is {checking.MOST_BYTES:,}")
    return bytes(file.read())


def _keys(given: str) -> list[str]:
    """Return the keys that count: one that was typed in, else this installation's own."""
    if not given:
        return [key.vkey for key in log_keys.in_use().keyring().verifiers]
    try:
        return [parse_vkey(given).vkey]
    except NoteRefused as error:
        raise CheckRefused(str(error)) from error


@require_safe
@requires(Permission.READ)
def program(request: ProjectRequest) -> HttpResponse:
    """Give the verifier as a file that stands alone."""
    return _alone("verify.py")


@require_safe
@requires(Permission.READ)
def witness(request: ProjectRequest) -> HttpResponse:
    """Give the witness as a file that stands alone."""
    return _alone("witness.py")


def _alone(name: str) -> HttpResponse:
    response = HttpResponse(checking.program(name), content_type="text/x-python; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
