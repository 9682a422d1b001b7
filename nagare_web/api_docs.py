"""The API described: the OpenAPI document, and the same as a page for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape, format_html
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from journal.access import public
from journal.api import problems

if TYPE_CHECKING:
    from journal.errors import JournalError

_TOKEN: Final = "$NAGARE_TOKEN"  # noqa: S105 - the name of a shell variable
_TAGS: Final = ("Events", "Lineage", "Runs", "Rules", "Work", "Audits", "Incidents", "Retention", "The signed log")
_DEEP: Final = 3


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI document. It says what the code is, so it is made once."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


@public
@require_safe
def schema(_request: HttpRequest) -> HttpResponse:
    """Answer with the OpenAPI document."""
    return HttpResponse(msgspec.json.encode(document()), content_type="application/vnd.oai.openapi+json")


@public
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the API: each address with what it takes and answers, and each error."""
    context = {"sections": _sections(), "errors": _errors(), "base": f"{request.scheme}://{request.get_host()}"}
    return render(request, "nagare_web/api.html", context)


@dataclass(frozen=True, kw_only=True)
class Field:
    """A parameter, or a member of a body or an answer, indented by how deep it stands."""

    name: str
    type: str
    words: str
    is_required: bool
    depth: int = 0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer by its status."""

    status: str
    words: str
    fields: list[Field]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One operation."""

    anchor: str
    method: str
    path: str
    summary: str
    words: str
    parameters: list[Field]
    body: list[Field]
    answers: list[Answer]
    refusals: list[str]
    command: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """The operations of one tag."""

    name: str
    operations: list[Shown]


@dataclass(frozen=True, kw_only=True)
class Error:
    """An error by its type."""

    slug: str
    status: int
    title: str
    words: str


@lru_cache(maxsize=1)
def _sections() -> list[Section]:
    found: dict[str, list[Shown]] = {tag: [] for tag in _TAGS}
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            found[described["tags"][0]].append(_shown(path, method, described))
    return [Section(name=name, operations=operations) for name, operations in found.items()]


def _shown(path: str, method: str, described: Mapping[str, Any]) -> Shown:
    schema = _content(described.get("requestBody", {}))
    answers = {status: one for status, one in described["responses"].items() if status < "400"}
    return Shown(
        anchor=f"op-{described['operationId']}",
        method=method.upper(),
        path=path,
        summary=described["summary"],
        words=_coded(described["description"]),
        parameters=[
            Field(
                name=one["name"],
                type=_type(one["schema"]),
                words=_coded(one.get("description", "")),
                is_required=one["required"],
            )
            for one in described["parameters"]
        ],
        body=list(_fields(schema, 0)),
        answers=[
            Answer(status=status, words=one["description"], fields=list(_fields(_content(one), 0)))
            for status, one in answers.items()
        ],
        refusals=[status for status in described["responses"] if status >= "400"],
        command=_command(path, method, schema),
    )


def _coded(text: str) -> str:
    """Return text with what stands between backticks as code; everything else is escaped."""
    parts = text.split("`")
    return mark_safe(  # noqa: S308 - each part is escaped
        "".join(format_html("<code>{}</code>", part) if at % 2 else escape(part) for at, part in enumerate(parts))
    )


def _content(described: Mapping[str, Any]) -> dict[str, Any]:
    for kind in described.get("content", {}).values():
        schema: dict[str, Any] = kind["schema"]
        return schema
    return {}


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        found: Mapping[str, Any] = document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def _fields(schema: Mapping[str, Any], depth: int) -> Iterator[Field]:
    """Yield the members of an object, each followed by those within it, as deep as is readable."""
    known = _resolved(schema)
    for name, inner in known.get("properties", {}).items():
        yield Field(
            name=name,
            type=_type(inner),
            words=_coded(_said(inner)),
            is_required=name in known.get("required", ()),
            depth=depth,
        )
        if depth < _DEEP:
            yield from _fields(_inner(inner), depth + 1)


def _said(schema: Mapping[str, Any]) -> str:
    """Return what is said of a member: itself, else of what it may be."""
    choices = (schema, *schema.get("anyOf", ()), _inner(schema))
    return next((str(one["description"]) for one in choices if "description" in one), "")


def _inner(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    known = _resolved(schema)
    return _resolved(known.get("items", {})) if known.get("type") == "array" else known


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema["enum"])
    if "$ref" in schema:
        return "object"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any JSON")


def _command(path: str, method: str, schema: Mapping[str, Any]) -> str:
    shown = path.replace("{stream}", "agent_run-0192f0c1").replace("{event_id}", "$EVENT").replace("{job_id}", "$JOB")
    query = _QUERIES.get(path.rpartition("/")[2], "")
    lines = [
        f'curl{" -X POST" if method == "post" else ""} "$NAGARE{shown.replace("{name}", "explorer")}{query}"',
        f'-H "Authorization: Bearer {_TOKEN}"',
    ]
    if schema:
        lines += ["-H 'Content-Type: application/json'", f"-d '{json.dumps(_example(schema))}'"]
    return " \\\n  ".join(lines)


_QUERIES: Final[Mapping[str, str]] = {"diff": "?from=22&to=23", "compare": "?with=agent_run-0192f0c2"}
_EXAMPLES: Final[Mapping[str, Any]] = {
    "Append": {
        "expected_version": "any",
        "events": [{"type": "agent_run.started", "data": {"prompt": "Fix it", "model": "orion-3"}}],
    },
    "NewRule": {"name": "quick-tools", "expression": "state.totals.tool_errors < 3", "monotone": True},
    "NewBisect": {"rule": "edit-after-reading", "stream": "agent_run-0192f0c1"},
    "NewRegrade": {"rule": "edit-after-reading", "since": "2026-11-01T00:00:00Z"},
    "NewWhatIf": {"edits": [{"op": "drop", "version": 22}], "rules": ["edit-after-reading"]},
    "NewSchedule": {
        "name": "every night",
        "kind": "regrade",
        "cron": "0 3 * * *",
        "arguments": {"rule": "edit-after-reading"},
    },
}


def _example(schema: Mapping[str, Any]) -> Any:
    return _EXAMPLES.get(schema.get("$ref", "").rpartition("/")[2], {})


def _errors() -> list[Error]:
    return sorted(_error_rows(problems.KINDS.items()), key=lambda one: (one.status, one.slug))


def _error_rows(known: Iterable[tuple[type[JournalError], problems.Kind]]) -> Iterator[Error]:
    for error, kind in known:
        words = _coded((error.__doc__ or "").strip().splitlines()[0])
        yield Error(slug=problems.slug(error), status=kind.status, title=kind.title, words=words)
    for status, (name, title) in problems.PLAIN.items():
        yield Error(slug=name, status=status, title=title, words="Answered where no view was reached, or one failed.")
