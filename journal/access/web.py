"""What a view declares about who may see it, and the check itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from journal.access.permissions import Permission, Role, may
from journal.access.projects import chosen_project
from journal.domain.access_log import is_access
from journal.models import Project

PUBLIC: Final = "public"
"""Declared by a view that anyone may see."""

V = TypeVar("V", bound=Callable[..., Any])


class ProjectRequest(HttpRequest):
    """A request whose project is known and whose user may do what the view declared."""

    project: Project
    role: Role


def names_access(request: HttpRequest, kwargs: Mapping[str, Any]) -> bool:
    """Return whether an address asks for a stream of the access log, in its path or as what to compare with."""
    asked = (kwargs.get("stream", ""), *(request.GET.get(name, "") for name in ("a", "b", "with")))
    return any(is_access(str(name)) for name in asked)


def public(view: V) -> V:
    """Declare that anyone may see a view."""
    view.nagare_permission = PUBLIC  # type: ignore[attr-defined]
    return view


def requires(permission: Permission) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """Declare and check what a view needs.

    Nobody signed in: to the sign-in page, and back here afterwards (401 for a fragment or a program). No member of
    the project: 404, as if there were none. A member without the permission: 403.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _sign_in(request)
            chosen = chosen_project(request)
            if chosen is None:
                raise Http404("no such project")
            project, role = chosen
            if not may(role, permission):
                raise PermissionDenied(f"your role in {project.slug} is {role}, which does not include {permission}")
            if names_access(request, kwargs) and not may(role, Permission.AUDIT):
                raise PermissionDenied(f"the access log is for auditors and admins; you are {role} in {project.slug}")
            known = cast(ProjectRequest, request)
            known.project, known.role = project, role
            return view(known, *args, **kwargs)

        checked.nagare_permission = permission  # type: ignore[attr-defined]
        return checked

    return decorate


def reader_id(request: HttpRequest) -> int:
    """Return the id of whoever is signed in, 0 where nobody is: no account has that."""
    return request.user.pk or 0


def _sign_in(request: HttpRequest) -> HttpResponse:
    to = f"{settings.LOGIN_URL}?next={quote(request.get_full_path())}"
    if request.headers.get("HX-Request") == "true":
        response = HttpResponse(status=401)
        response["HX-Redirect"] = to
        return response
    if request.method not in ("GET", "HEAD"):
        return HttpResponse("sign in first", status=401, content_type="text/plain")
    return HttpResponseRedirect(to)
