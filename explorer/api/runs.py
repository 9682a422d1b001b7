"""Runs: listed, and one of them: its state at a version, in prose, what changed, and the graph of its causes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

import msgspec
from django.db.models import QuerySet
from django.http.response import HttpResponseBase

from explorer.documents import GraphNode, Run, asked, node_of, run_document
from explorer.models import EventLine, RunSummary
from explorer.queries.run_steps import run_of
from explorer.queries.runs import run_list
from explorer.query_language import quoted
from journal.access import Permission
from journal.api import documents
from journal.api.answers import answer, next_address
from journal.api.asked import Asked, Limit, Position, Time
from journal.api.base import ApiRequest, ApiView, operation
from journal.api.lineage import settle
from journal.api.refusals import Malformed
from journal.api.streaming import streamed
from journal.domain import codec
from journal.errors import StreamNotFound
from journal.exports.documents import diff_document, explained_all, state_document
from journal.runtime.purged import check_standing
from journal.runtime.repository import repository
from journal.store import get_store, lineage

TAG: Final = "Runs"
_PAGE: Final = 500
_TERMS: Final = ("status", "agent", "model", "tool", "since", "until")


class Runs(msgspec.Struct, kw_only=True):
    """A page of runs, newest first."""

    items: list[Run]
    next: str | None


class Graph(msgspec.Struct, kw_only=True):
    """Causes and effects of a part of a run. `items` are its events, `others` those beyond that links lead to.

    `missing` are causes that are named and that the journal does not hold.
    """

    stream: str
    items: list[GraphNode]
    others: list[GraphNode]
    links: list[documents.Link]
    missing: list[str]
    next: str | None


class RunsAsked(Asked, frozen=True, kw_only=True):
    """Which runs. All that is given has to hold."""

    q: Annotated[str, msgspec.Meta(description="What the query box of the run list takes.")] = ""
    status: Literal["running", "answered", "aborted", "recorded"] | None = None
    agent: str | None = None
    model: str | None = None
    tool: Annotated[str | None, msgspec.Meta(description="A tool that was called.")] = None
    failed: Annotated[bool | None, msgspec.Meta(description="Aborted, or judged a failure or an error.")] = None
    since: Annotated[Time | None, msgspec.Meta(description="Started then or later; ISO 8601.")] = None
    until: Annotated[Time | None, msgspec.Meta(description="Started then or earlier; ISO 8601.")] = None
    cursor: Annotated[str, msgspec.Meta(description="As `next` gives it.")] = ""
    limit: Limit = 50


class StateAsked(Asked, frozen=True, kw_only=True):
    """Which version."""

    version: Annotated[Position | None, msgspec.Meta(description="Default: the newest; 0 is before all.")] = None


class ExplainAsked(Asked, frozen=True, kw_only=True):
    """Which events."""

    after: Annotated[Position, msgspec.Meta(description="Only events past this version.")] = 0
    until: Annotated[Position | None, msgspec.Meta(description="Only events up to this version.")] = None


class DiffAsked(Asked, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """Which two versions."""

    since: Annotated[Position, msgspec.Meta(description="The earlier version.")]
    until: Annotated[Position, msgspec.Meta(description="The later version.")]


class GraphAsked(Asked, frozen=True, kw_only=True):
    """Which part of the run."""

    after: Annotated[Position, msgspec.Meta(description="Only events past this version.")] = 0
    limit: Limit = 500


class RunList(ApiView):
    """The project's runs."""

    @operation(needs=Permission.READ, tag=TAG, asked=RunsAsked, answers={200: Runs}, refusals=(400,))
    def get(self, request: ApiRequest, *, asked: RunsAsked) -> HttpResponseBase:
        """List runs, newest first.

        The list is a read model: a run that was just appended is in it a moment later.
        """
        found, cursor = _listed(request.project, asked)
        following = next_address(request.django, cursor=cursor) if cursor else None
        return answer({"items": [run_document(row) for row in found], "next": following})


def _listed(project: str, given: RunsAsked) -> tuple[list[RunSummary], str]:
    terms = [f"{name}:{quoted(value)}" for name in _TERMS if (value := getattr(given, name)) is not None]
    flags = [] if given.failed is None else ["failed" if given.failed else "-failed"]
    query = asked(" ".join([given.q, *terms, *flags]).strip())
    try:
        return run_list(project, query, cursor=given.cursor, limit=given.limit, now=datetime.now(UTC))
    except ValueError as error:
        raise Malformed("is none that a list gave", parameter="cursor") from error


class OneRun(ApiView):
    """One run."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: Run}, refusals=(404, 410))
    def get(self, request: ApiRequest, stream: str, *, asked: Asked) -> HttpResponseBase:
        """Read what lists show of a run."""
        return answer(run_document(_run(request.project, stream)))


class State(ApiView):
    """A run's state."""

    @operation(
        needs=Permission.READ, tag=TAG, asked=StateAsked, answers={200: documents.State}, refusals=(400, 404, 410)
    )
    def get(self, request: ApiRequest, stream: str, *, asked: StateAsked) -> HttpResponseBase:
        """Read the state after a version, and which event set each leaf of it."""
        states = repository(request.project)
        check_standing(request.project, stream)
        state = states.load(stream) if asked.version is None else states.load_at_version(stream, asked.version)
        return answer(state_document(state))


class Explain(ApiView):
    """A run in prose."""

    @operation(
        needs=Permission.READ,
        tag=TAG,
        asked=ExplainAsked,
        answers={200: documents.Explanations},
        refusals=(400, 404, 410),
    )
    def get(self, request: ApiRequest, stream: str, *, asked: ExplainAsked) -> HttpResponseBase:
        """Read what happened in plain words, an event at a time."""
        store = get_store(request.project)
        if not store.stream_version(stream):
            raise StreamNotFound(stream=stream, project=request.project)
        check_standing(request.project, stream)
        events = store.read_stream(stream, after=asked.after, until=asked.until)
        pieces = _explained(stream, (codec.encode(told) for told in explained_all(events)))
        return streamed(request.django, pieces, content_type="application/json")


def _explained(stream: str, told: Iterator[bytes]) -> Iterator[bytes]:
    yield b'{"stream": ' + codec.encode(stream) + b', "events": ['
    between = b"\n"
    for one in told:
        yield between + one
        between = b",\n"
    yield b"\n]}\n"


class Diff(ApiView):
    """What changed in a run's state."""

    @operation(needs=Permission.READ, tag=TAG, asked=DiffAsked, answers={200: documents.Diff}, refusals=(400, 404, 410))
    def get(self, request: ApiRequest, stream: str, *, asked: DiffAsked) -> HttpResponseBase:
        """Compare the states after two versions; each change names the event that made it."""
        check_standing(request.project, stream)
        states = repository(request.project)
        before = states.load_at_version(stream, asked.since)
        after = states.load_at_version(stream, asked.until)
        return answer(diff_document(stream, before, after))


class CauseGraph(ApiView):
    """Causes and effects in a run."""

    @operation(needs=Permission.READ, tag=TAG, asked=GraphAsked, answers={200: Graph}, refusals=(400, 404, 410))
    def get(self, request: ApiRequest, stream: str, *, asked: GraphAsked) -> HttpResponseBase:
        """Read the events of a run and every link that begins or ends at one of them, also from and to other runs."""
        settle("causes")
        run = _run(request.project, stream)
        found = list(_lines().filter(run=run, version__gt=asked.after).order_by("version")[: asked.limit + 1])
        shown = found[: asked.limit]
        own = {line.event_id for line in shown}
        links = lineage.touching(request.project, [line.event_id for line in shown])
        named = list(dict.fromkeys(name for link in links for name in (link.cause, link.effect) if name not in own))
        others = _lines_of(request.project, named)
        held = {line.event_id for line in others}
        more = next_address(request.django, after=shown[-1].version) if len(found) > asked.limit else None
        return answer(
            {
                "stream": stream,
                "items": [node_of(line) for line in shown],
                "others": [node_of(line) for line in others],
                "links": links,
                "missing": [name for name in named if name not in held],
                "next": more,
            }
        )


def _run(project: str, stream: str) -> RunSummary:
    """Return a run's summary; one that was just appended is waited for.

    Raises:
        StreamNotFound: there is none.
        RunPurged: nothing is left of it.
    """
    found = run_of(project, stream)
    if found is None and get_store(project).stream_version(stream):
        check_standing(project, stream)
        settle("explorer")
        found = run_of(project, stream)
    if found is None:
        raise StreamNotFound(stream=stream, project=project)
    return found


def _lines() -> QuerySet[EventLine]:
    return EventLine.objects.select_related("run")


def _lines_of(project: str, event_ids: list[str]) -> list[EventLine]:
    found: list[EventLine] = []
    for start in range(0, len(event_ids), _PAGE):
        page = event_ids[start : start + _PAGE]
        found += _lines().filter(run__project=project, event_id__in=page).order_by("position")
    return found
