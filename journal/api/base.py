"""What the API's views share. A verb without an `operation` is answered by nobody: deny by default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, TypeVar, cast

import msgspec
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from journal.access import Permission
from journal.access.web import names_access
from journal.api import asked as asking
from journal.api import problems, rates
from journal.api.asked import Asked
from journal.api.grants import Access, Grant
from journal.api.refusals import NoSuchThing, NotSignedIn, WrongMethod

VERBS: Final = ("get", "post")


class Media(msgspec.Struct, frozen=True):
    """An answer that is no JSON: its media type, and whether it is bytes rather than text."""

    type: str
    is_binary: bool = False


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What one verb of one address needs, takes and answers."""

    needs: Permission
    tag: str
    asked: type[Asked]
    body: type[msgspec.Struct] | None
    answers: Mapping[int, Any]
    refusals: tuple[int, ...]
    summary: str
    description: str


Handler = TypeVar("Handler", bound=Callable[..., HttpResponseBase])


def operation(  # noqa: PLR0913 - what an operation is
    *,
    needs: Permission,
    tag: str,
    answers: Mapping[int, Any],
    asked: type[Asked] = Asked,
    body: type[msgspec.Struct] | None = None,
    refusals: tuple[int, ...] = (),
) -> Callable[[Handler], Handler]:
    """Declare a verb's method. It is called with `asked`, and with `body` where it takes one, both read and checked.

    The docstring's first line is the summary, the rest of it up to "Raises" the description.
    """

    def decorate(handler: Handler) -> Handler:
        @wraps(handler)
        def checked(self: ApiView, request: ApiRequest, **path: Any) -> HttpResponseBase:
            given: dict[str, Any] = {"asked": asking.parameters(request.django, asked)}
            if body is not None:
                given["body"] = asking.body(request.django, body)
            return handler(self, request, **path, **given)

        summary, _, rest = (handler.__doc__ or "").partition("\n")
        checked.operation = Operation(  # type: ignore[attr-defined]
            needs=needs,
            tag=tag,
            asked=asked,
            body=body,
            answers=answers,
            refusals=refusals,
            summary=summary.strip().rstrip("."),
            description=" ".join(rest.split()),
        )
        return cast(Handler, checked)

    return decorate


class ApiRequest(Request):
    """A request whose project and permissions are known."""

    auth: Any

    @property
    def grant(self) -> Grant:
        """Who asks, and what they may do."""
        return cast(Grant, self.auth)

    @property
    def project(self) -> str:
        """The project that everything is looked for in."""
        return self.grant.project

    @property
    def django(self) -> HttpRequest:
        """Django's own request."""
        return self._request


class _Json(BaseContentNegotiation):
    """Answer JSON whatever is asked for: there is nothing else, and a browser that looks at an address may see it."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Bodies are read elsewhere."""
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the one there is."""
        return renderers[0], renderers[0].media_type


class ApiView(APIView):
    """Base of the API's views."""

    authentication_classes = [Access]
    permission_classes = []
    throttle_classes = []
    parser_classes = []
    renderer_classes = [JSONRenderer]
    content_negotiation_class = _Json
    http_method_names = [*VERBS, "head"]

    @classmethod
    def operations(cls) -> dict[str, Operation]:
        """Return the declared operations by verb."""
        found = {verb: getattr(getattr(cls, verb, None), "operation", None) for verb in VERBS}
        return {verb: one for verb, one in found.items() if one is not None}

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view function, with what it needs by verb declared on it."""
        view: Any = super().as_view(**initkwargs)
        needs = {verb.upper(): one.needs for verb, one in cls.operations().items()}
        view.nagare_permissions = needs
        view.nagare_permission = next(iter(needs.values()), None)
        return view

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Return a request of our own kind."""
        return ApiRequest(request, authenticators=self.get_authenticators(), negotiator=self.get_content_negotiator())

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find out who asks, whether they may, and how often they did."""
        verb = (request.method or "").lower().replace("head", "get")
        known = self.operations().get(verb)
        if known is None:
            raise WrongMethod(method=request.method or "", allowed=[verb.upper() for verb in self.operations()])
        if request.auth is None:
            raise NotSignedIn("nobody is signed in")
        grant = cast(ApiRequest, request).grant
        rates.check(grant.holder)
        grant.check(known.needs)
        if names_access(cast(ApiRequest, request).django, kwargs):
            grant.check(Permission.AUDIT)
        for name, value in kwargs.items():
            if "\x00" in str(value):  # databases take no NUL in text, so nothing has such a name
                raise NoSuchThing(kind=name, name=str(value).replace("\x00", "")[:80])

    def get_exception_handler(self) -> Any:
        """Answer errors as problems."""
        return problems.handle

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let nobody keep an answer: it is one reader's, and payloads are in it."""
        response.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, ("Authorization", "Cookie"))
        return response
