"""Which events an audit covers, why each is in, and an account of all that are not.

An event is covered where it occurred in the period, and it or its run names the subject (or the correlation id). One
that names only other subjects is not, even where its run is. What is not covered is counted by its reason: an audit
that leaves something out without saying so is worse than none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from audits.models import Mention
from audits.projections import CORRELATION, SUBJECT
from journal.domain.agent_run import CATEGORY as AGENT_RUN
from journal.domain.event import RecordedEvent, instant
from journal.domain.own import is_own
from journal.domain.stream import category
from journal.errors import Refused
from journal.runtime import census
from journal.store import get_store

MOST_EVENTS: Final = 50_000
"""One audit holds its events in memory while it is made; a wider one is made in parts."""

Reason = Literal[
    "outside the period", "names only other subjects", "of another correlation", "of another agent", "of another tool"
]


class AuditRefused(Refused):
    """An audit that cannot be made as it was asked for."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"no audit: {reason}")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked. Either `subject` or `correlation`; the period is inclusive and looks at `occurred_at`."""

    project: str
    subject: str | None = None
    correlation: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    agent: str | None = None
    tool: str | None = None

    def __post_init__(self) -> None:
        if bool(self.subject) == bool(self.correlation):
            raise AuditRefused("name either a subject or a correlation id")
        for at in (self.since, self.until):
            if at is not None and at.tzinfo is None:
                raise AuditRefused("the period's times need a zone, such as 2026-11-01T00:00:00Z")
        if self.since and self.until and self.since > self.until:
            raise AuditRefused("the period ends before it begins")

    @property
    def kind(self) -> str:
        """What is looked for."""
        return SUBJECT if self.subject else CORRELATION

    @property
    def value(self) -> str:
        """The id that is looked for."""
        return self.subject or self.correlation or ""

    def to_json(self) -> dict[str, Any]:
        """The query as it stands in the manifest: what was not asked for is null."""
        return {
            "project": self.project,
            "subject": self.subject,
            "correlation": self.correlation,
            "from": instant(self.since) if self.since else None,
            "until": instant(self.until) if self.until else None,
            "agent": self.agent,
            "tool": self.tool,
        }


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit covers of one stream: its versions from `first` to `last` but those left out, in ranges."""

    stream: str
    named_by: str
    agent: str
    first: int
    last: int
    newest: int
    left_out: tuple[tuple[int, int, Reason], ...]

    @property
    def begins_before(self) -> bool:
        """Whether the stream has versions before the first that is covered."""
        return self.first > 1

    @property
    def goes_on(self) -> bool:
        """Whether it has versions past the last."""
        return self.last < self.newest

    def to_json(self) -> dict[str, Any]:
        """The part as it stands in the manifest."""
        left_out = [{"from": first, "to": last, "reason": reason} for first, last, reason in self.left_out]
        fields = {"named_by": self.named_by, "agent": self.agent, "first": self.first, "last": self.last}
        return {**fields, "newest": self.newest, "left_out": left_out}


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """An account of every event of the project that occurred in the period and is under the checkpoint."""

    in_period: int
    covered: int
    left_out: dict[str, int]
    """By reason, of the runs that name what was asked for."""

    others: int
    """Of runs that name other subjects (or correlation ids)."""

    unnamed: int
    """Of runs that name none: whether they belong here, nobody can say."""

    own: int
    """Records of the journal about its own work."""

    unsealed: int
    """Of the runs asked for, not under the checkpoint yet."""

    without_cause: int
    """Covered, past their run's first event, without a recorded cause."""

    time_unknown: int
    """Covered, whose source recorded no time: the time of import stands in its place."""

    redacted: int = 0
    """Secrets, and what else the project names, that were replaced in covered events before they were stored."""

    def to_json(self) -> dict[str, Any]:
        """The account as it stands in the manifest."""
        return msgspec.structs.asdict(self)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The events of an audit in the journal's order, what of each stream that is, and the account of the rest."""

    query: Query
    events: list[RecordedEvent]
    parts: tuple[Part, ...]
    completeness: Completeness


def select(query: Query, *, up_to: int) -> Selection:
    """Select what a query covers of the events at positions up to `up_to`, the last one under a checkpoint.

    Raises:
        AuditRefused: it covers more than `MOST_EVENTS`.
    """
    named = {
        row.stream: row for row in Mention.objects.filter(project=query.project, kind=query.kind, value=query.value)
    }
    events: list[RecordedEvent] = []
    parts: list[Part] = []
    left_out: Counter[str] = Counter()
    unsealed = 0
    for stream in sorted(named):
        took = _Taken(query, up_to=up_to)
        for event in get_store(query.project).read_stream(stream):
            took.look_at(event)
        if len(events) + len(took.events) > MOST_EVENTS:
            raise AuditRefused(f"it would cover more than {MOST_EVENTS:,} events; ask for a shorter period, in parts")
        events += took.events
        left_out += took.left_out
        unsealed += took.unsealed
        if took.events:
            parts.append(took.part(stream, named_by=named[stream].event_id))
    events.sort(key=lambda event: event.position)
    return Selection(
        query=query,
        events=events,
        parts=tuple(parts),
        completeness=_account(query, set(named), events, left_out, unsealed, up_to=up_to),
    )


class _Taken:
    """What of one stream is covered."""

    def __init__(self, query: Query, *, up_to: int) -> None:
        self._query, self._up_to = query, up_to
        self.events: list[RecordedEvent] = []
        self.left_out: Counter[str] = Counter()
        self.unsealed = 0
        self._reasons: dict[int, Reason] = {}
        self._agent = ""
        self._newest = 0

    def look_at(self, event: RecordedEvent) -> None:
        if event.version == 1:
            self._agent = _agent_of(event)
        if event.position > self._up_to:
            self.unsealed += self._in_period(event)
            return
        self._newest = event.version
        reason = self._reason(event)
        if reason is None:
            self.events.append(event)
            return
        self._reasons[event.version] = reason
        if reason != "outside the period":
            self.left_out[reason] += 1

    def part(self, stream: str, *, named_by: str) -> Part:
        first, last = self.events[0].version, self.events[-1].version
        within = ((version, why) for version, why in self._reasons.items() if first < version < last)
        return Part(
            stream=stream,
            named_by=named_by,
            agent=self._agent,
            first=first,
            last=last,
            newest=self._newest,
            left_out=tuple(_ranges(within)),
        )

    def _in_period(self, event: RecordedEvent) -> bool:
        query = self._query
        return (query.since is None or event.occurred_at >= query.since) and (
            query.until is None or event.occurred_at <= query.until
        )

    def _reason(self, event: RecordedEvent) -> Reason | None:
        """Return why an event is not covered, None where it is."""
        query, meta = self._query, event.meta
        if not self._in_period(event):
            return "outside the period"
        if query.subject and meta.subjects and query.subject not in meta.subjects:
            return "names only other subjects"
        if query.correlation and meta.correlation_id and meta.correlation_id != query.correlation:
            return "of another correlation"
        if query.agent and query.agent != self._agent:
            return "of another agent"
        if query.tool and query.tool != tool_of(event):
            return "of another tool"
        return None


def _agent_of(first: RecordedEvent) -> str:
    """Return the agent whose run a stream is, as its first event says; the actor where that says nothing."""
    said = first.payload.get("agent") if category(first.stream) == AGENT_RUN else None
    return said if isinstance(said, str) and said else (first.meta.actor or "").removeprefix("agent:")


def tool_of(event: RecordedEvent) -> str | None:
    """Return the tool an event is about, None where it is about none."""
    said = event.payload.get("toolName")
    return said if isinstance(said, str) else None


def _ranges(reasons: Iterable[tuple[int, Reason]]) -> Iterator[tuple[int, int, Reason]]:
    """Yield runs of neighbouring versions with the same reason."""
    first = last = 0
    why: Reason | None = None
    for version, reason in reasons:
        if why == reason and version == last + 1:
            last = version
            continue
        if why is not None:
            yield first, last, why
        first, last, why = version, version, reason
    if why is not None:
        yield first, last, why


def _account(  # noqa: PLR0913 - the sums of one account
    query: Query,
    named: set[str],
    events: list[RecordedEvent],
    left_out: Counter[str],
    unsealed: int,
    *,
    up_to: int,
) -> Completeness:
    by_stream = census.events_by_stream(query.project, since=query.since, until=query.until, up_to=up_to)
    rest = {stream: count for stream, count in by_stream.items() if stream not in named}
    own = sum(count for stream, count in rest.items() if is_own(stream))
    known = set(
        Mention.objects.filter(project=query.project, kind=query.kind).values_list("stream", flat=True).distinct()
    )
    others = sum(count for stream, count in rest.items() if stream in known and not is_own(stream))
    return Completeness(
        in_period=sum(by_stream.values()),
        covered=len(events),
        left_out=dict(sorted(left_out.items())),
        others=others,
        unnamed=sum(rest.values()) - own - others,
        own=own,
        unsealed=unsealed,
        without_cause=sum(event.version > 1 and not (event.meta.causation_id or event.meta.causes) for event in events),
        time_unknown=sum(event.meta.time == "unknown" for event in events),
        redacted=sum(sum(event.meta.redacted.values()) for event in events),
    )
