"""Events as rows of the live page: told from the journal itself, since the read models come a little later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.template.loader import render_to_string
from django.utils import timezone

from explorer.listed import is_listed
from explorer.live.narrowing import Facts, Narrowing
from explorer.models import RunSummary
from explorer.projections import kind_of
from explorer.queries.run_lines import parts_of
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.text import clip
from journal.store import get_store

_SENTENCE: Final = 400
_NAME: Final = 200
_ID: Final = 8
_ID_WHOLE: Final = 12
"""An id no longer than this is shown whole."""

_KEPT_AGENTS: Final = 2_000


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveRow:
    """One event in a line. `at` is when the journal had it, which is what the order of the rows is of.

    `run` is what its run goes by here: the agent and the beginning of the id, which tells two runs of one agent apart.
    """

    stream: str
    run: str
    version: int
    position: int
    kind: str
    lead: str
    rest: str
    says: str
    at: str
    is_failure: bool

    @property
    def is_verdict(self) -> bool:
        """Whether it tells that a rule was broken."""
        return self.says == "fails"


class Rows:
    """Makes rows of a project's events: of those that are somebody's run and that the query lets through."""

    def __init__(self, project: str, narrowing: Narrowing) -> None:
        self._project = project
        self._narrowing = narrowing
        self._agents: dict[str, str] = {}

    def of(self, events: Iterable[RecordedEvent]) -> list[LiveRow]:
        """Return the rows, in the order of the events."""
        shown = [event for event in events if is_listed(event.stream)]
        self._learn({event.stream for event in shown} - self._agents.keys())
        return [row for event in shown if (row := self._row(event)) is not None]

    def _row(self, event: RecordedEvent) -> LiveRow | None:
        decoded = catalog.decode(event)
        tool = clip(getattr(decoded, "tool_name", None) or "", _NAME)
        says = (decoded.verdict or "") if isinstance(decoded, run.Graded) else ""
        failed = isinstance(decoded, run.ToolFailed | run.Aborted) or says == "fails"
        facts = Facts(agent=self._agents.get(event.stream, ""), tool=tool, is_failure=failed)
        if not self._narrowing.lets(facts):
            return None
        kind = kind_of(event, decoded)
        lead, rest = parts_of(kind, tool, clip(explain(event).summary, _SENTENCE))
        at = timezone.localtime(event.recorded_at)
        return LiveRow(
            stream=event.stream,
            run=_called(event.stream, self._agents.get(event.stream, "")),
            version=event.version,
            position=event.position,
            kind=kind,
            lead=lead,
            rest=rest,
            says=says,
            at=f"{at:%H:%M:%S}.{at.microsecond // 100_000}",
            is_failure=failed,
        )

    def _learn(self, streams: set[str]) -> None:
        """Find out whose runs these are: from the list, or from its beginning where the list does not have it yet."""
        if not streams:
            return
        if len(self._agents) > _KEPT_AGENTS:
            self._agents.clear()
        listed = RunSummary.objects.filter(project=self._project, stream__in=streams)
        found = {stream: agent for stream, agent in listed.values_list("stream", "agent") if agent}
        self._agents |= found | {stream: self._beginning(stream) for stream in streams - found.keys()}

    def _beginning(self, stream: str) -> str:
        for event in get_store(self._project).read_stream(stream, until=1):
            decoded = catalog.decode(event)
            return (decoded.agent or "") if isinstance(decoded, run.Started) else ""
        return ""


def _called(stream: str, agent: str) -> str:
    own = stream.partition("-")[2]
    if not agent:
        return clip(stream, _NAME)
    return f"{agent} {own[:_ID] if len(own) > _ID_WHOLE else own}"


def html_of(rows: Sequence[LiveRow], *, left_out: int = 0, after: int = 0) -> str:
    """Return rows as they stand in the page; before them, how many were left out and where to read those."""
    context: dict[str, Any] = {"rows": rows, "left_out": left_out, "after": after}
    return "".join([render_to_string("explorer/live/_rows.html", context)])  # plain: encoders do not know safe strings
