"""The OpenAPI document, made of what the views declare: Structs are the schemas, of requests as of answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.openapi import AutoSchema

from journal.api.base import ApiView, Media, Operation
from journal.api.problems import MEDIA_TYPE as PROBLEM
from journal.api.problems import Problem

_REF: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (401, 403, 429, 503)
_SHAPES: Final = {"stream": {"pattern": r"^[a-z][a-z0-9_]{0,63}-[A-Za-z0-9._:~-]{1,180}$"}}
_NO_NUL: Final = r"^[^\u0000]*$"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_NAMED: Final = {
    "stream": "The stream's name, such as `agent_run-0192f0c1`.",
    "event_id": "The event's id, a UUID.",
    "job_id": "The job's id.",
    "name": "The read model's name.",
    "audit_id": "The audit's id, which is its job's.",
    "schedule_id": "The schedule's id.",
    "incident_id": "The incident's id: its stream is `incident-` and this.",
    "hold_id": "The hold's id, which is that of the event that added it.",
    "erasure_id": "The erasure's id, which is that of the event that ordered it.",
}


class Described(AutoSchema):
    """Describes a view by the operations it declares; nothing is guessed."""

    def get_operation(
        self, path: str, path_regex: str, path_prefix: str, method: str, registry: Any
    ) -> dict[str, Any] | None:
        """Return the operation of one verb, None where there is none."""
        view = cast(ApiView, self.view)
        known = view.operations().get(method.lower())
        return None if known is None else _operation(view, known, path, method)


def _operation(view: ApiView, known: Operation, path: str, method: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{type(view).__name__}_{method.lower()}",
        "summary": known.summary,
        "description": f"{known.description} Needs the permission `{known.needs}`.".strip(),
        "tags": [known.tag],
        "security": [{"token": []}, {"session": []}],
        "parameters": [*_path_parameters(path), *_query_parameters(known.asked)],
        "responses": _responses(known),
    }
    if known.body is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(known.body)}}}
    return described


def _responses(known: Operation) -> dict[str, Any]:
    answers = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": _content(kind),
        }
        for status, kind in known.answers.items()
    }
    refused = sorted({*known.refusals, *_ALWAYS, 400, 404})
    problems = {
        str(status): {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM: {"schema": _ref(Problem)}},
        }
        for status in refused
    }
    return {**answers, **problems}


def _content(kind: Any) -> dict[str, Any]:
    if isinstance(kind, Media):
        return {kind.type: {"schema": {"type": "string", **({"format": "binary"} if kind.is_binary else {})}}}
    return {"application/json": {"schema": _ref(kind)}}


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(path):
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": _NAMED[name],
            "schema": {"type": "string", "minLength": 1, **_SHAPES.get(name, {})},
        }


def _query_parameters(asked: type[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    (_, described) = _schemas([asked])
    own = described[asked.__name__]
    for name, schema in sorted(own["properties"].items(), key=lambda one: one[0] == "project"):
        shown = {key: value for key, value in _without_null(schema).items() if key not in ("description", "default")}
        default = schema.get("default")
        if shown == {"type": "string"}:
            shown["pattern"] = _NO_NUL
        yield {
            "name": name,
            "in": "query",
            "required": name in own.get("required", ()),
            **({"description": schema["description"]} if "description" in schema else {}),
            "schema": {**shown, **({"default": default} if default not in (None, "") else {})},
        }


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema without null: an address has no such value, a parameter is left out."""
    choices = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if not choices:
        return {key: [v for v in value if v is not None] if key == "enum" else value for key, value in schema.items()}
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**rest, **(choices[0] if len(choices) == 1 else {"anyOf": choices})}


def _ref(kind: Any) -> dict[str, Any]:
    ((schema,), _) = _schemas([kind])
    return schema


def _schemas(kinds: Iterable[Any]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    return msgspec.json.schema_components(kinds, schema_hook=_raw, ref_template=_REF)


def _raw(kind: type[Any]) -> dict[str, Any]:
    if kind is msgspec.Raw:
        return {"type": "object", "description": "Kept byte for byte."}
    raise NotImplementedError(kind)


def add_components(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:  # noqa: FBT001 - a hook's signature
    """Add what the operations refer to."""
    kinds: list[Any] = [Problem]
    for view in _views(get_resolver()):
        for known in view.operations().values():
            kinds += [
                *(one for one in known.answers.values() if not isinstance(one, Media)),
                *([known.body] if known.body else []),
            ]
    _, components = _schemas(kinds)
    result["components"]["schemas"] = dict(sorted(components.items()))
    result["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of **Settings** or `nagare token`."},
        "session": {"type": "apiKey", "in": "cookie", "name": "sessionid", "description": "A signed-in browser."},
    }
    return result


def _views(resolver: URLResolver) -> Iterator[type[ApiView]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None)
            if isinstance(view, type) and issubclass(view, ApiView):
                yield view
        else:
            yield from _views(pattern)
