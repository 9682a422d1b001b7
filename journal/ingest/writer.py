"""Drafts to appended events: ids from places, versions from order, causes from keys; twice is once.

Every id is derived from project, format, the run's `source_id` and the event's key, so a second import finds what the
first one wrote. Only events whose ids are new are appended. An event the source now records differently keeps its
bytes, and a note says what the source has now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID, uuid5

import msgspec
import stamina
import uuid_utils

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.agent_run import Started
from journal.domain.catalog import catalog
from journal.domain.event import Cause, EventData, Metadata
from journal.domain.own import is_evidence
from journal.domain.stream import stream_name
from journal.errors import ImportRefused, PayloadRefused, WrongExpectedVersion
from journal.ingest.draft import EventDraft, Link, Opaque, RecordedRun, Ref, RunDraft
from journal.ingest.linking import link
from journal.store import EventStore
from journal.store.redacting import is_alike
from journal.store.tracing import as_recorded

_NAMESPACE = UUID("7e2a6c1e-2f1c-5d0b-9d7e-6e616761726f")
_NUL = b"\\u0000"
Status = Literal["imported", "unchanged", "extended"]
_BATCH = 2_000
"""Events in one append: long enough to be quick, short enough not to hold other writers up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What writing a run came to."""

    stream: str
    status: Status
    events: int
    added: int
    revised: int = 0


@dataclass(kw_only=True, slots=True)
class Prepared:
    """A run ready to be appended: every event has its id and its draft, in order."""

    stream: str
    identity: UUID
    run: RunDraft
    format: str
    drafts: list[EventDraft] = field(default_factory=list)


def stream_of(project: str, format_name: str, source_id: str) -> str:
    """Return the stream a run of a format goes to."""
    return stream_name(run.CATEGORY, str(_identity(project, format_name, source_id)))


def event_id(project: str, format_name: str, source_id: str, key: str) -> str:
    """Return the id of an event of a run, by its key."""
    return str(uuid5(_identity(project, format_name, source_id), key))


def prepare(draft: RunDraft, *, format_name: str, project: str) -> Prepared:
    """Return the run with its links worked out and its keys made unique; nothing is written."""
    identity = _identity(project, format_name, draft.source_id)
    drafts = list(_unique(draft.events))
    drafts.extend(_outcome(draft, format_name))
    link(drafts)
    return Prepared(
        stream=stream_name(run.CATEGORY, str(identity)),
        identity=identity,
        run=draft,
        format=format_name,
        drafts=drafts,
    )


def write(prepared: Prepared, *, store: EventStore, now: datetime) -> Written:
    """Append what the journal does not have of a run.

    Raises:
        ImportRefused: an event cannot be kept byte for byte; nothing of the run was added.
    """
    for attempt in stamina.retry_context(on=WrongExpectedVersion, attempts=8, timeout=30.0):
        with attempt:
            return _Writing(prepared, store, now).run()
    raise AssertionError("unreachable: the retries end by returning or raising")


def write_recorded(recorded: RecordedRun, *, store: EventStore) -> Written:
    """Append what the journal does not have of an exported stream; its events keep their ids and bytes.

    Raises:
        ImportRefused: an event of it cannot be kept, or the stream is one that only the journal itself writes; nothing
            of the stream was added.
        EventIdReused: the journal has an event of the same id with other content.
    """
    if is_evidence(recorded.stream):
        raise ImportRefused(f"only the journal itself writes {recorded.stream[:80]!r}: others rely on it")
    for attempt in stamina.retry_context(on=WrongExpectedVersion, attempts=8, timeout=30.0):
        with attempt:
            known = store.versions_of(recorded.stream)
            fresh = [event for event in recorded.events if event.id not in known]
            for event in fresh:
                codec.check_object(event.data, what=f"event {event.id} of {recorded.stream}: data")
            _append(store, recorded.stream, fresh, len(known))
            status: Status = "imported" if not known else "extended" if fresh else "unchanged"
            return Written(stream=recorded.stream, status=status, events=len(known) + len(fresh), added=len(fresh))
    raise AssertionError("unreachable: the retries end by returning or raising")


def _append(store: EventStore, stream: str, events: list[EventData], version: int) -> None:
    with as_recorded():
        for start in range(0, len(events), _BATCH):
            version = store.append(stream, events[start : start + _BATCH], expected_version=version).version


class _Writing:
    """One attempt at a run, on what the journal holds at its beginning."""

    def __init__(self, prepared: Prepared, store: EventStore, now: datetime) -> None:
        self._prepared = prepared
        self._store = store
        self._now = now
        self._known = store.versions_of(prepared.stream)
        self._namespace = uuid_utils.UUID(int=prepared.identity.int)
        self._versions: dict[str, int] = {}
        self._ids = {draft.key: self._id(draft.key) for draft in prepared.drafts}
        self._correlation = _correlation(prepared, store.project)
        self._agent: str | None = None
        self._clock = now

    def run(self) -> Written:
        fresh = self._place()
        events = [self._event(draft) for draft in self._prepared.drafts]
        before = len(self._known)
        self._check(events)
        notes = self._revisions(events) if before else []
        _append(self._store, self._prepared.stream, [events[at] for at in fresh] + notes, before)
        added = len(fresh) + len(notes)
        status: Status = "extended" if added else "unchanged"
        return Written(
            stream=self._prepared.stream,
            status=status if before else "imported",
            events=before + added,
            added=added,
            revised=len(notes),
        )

    def _place(self) -> list[int]:
        """Give every draft its version: the one it has, or the next free one. Returns the places of the new ones."""
        version, fresh = len(self._known), []
        for at, draft in enumerate(self._prepared.drafts):
            known = self._known.get(self._ids[draft.key])
            if known is None:
                version += 1
                fresh.append(at)
            self._versions[draft.key] = known if known is not None else version
        return fresh

    def _event(self, draft: EventDraft) -> EventData:
        kind, data = self._data(draft)
        self._clock = draft.at or self._clock
        return EventData(
            id=self._ids[draft.key],
            type=kind,
            data=codec.encode(data),
            metadata=codec.encode(self._metadata(draft)),
            occurred_at=self._clock,
            schema=catalog.schema_of(kind) or 1,
        )

    def _data(self, draft: EventDraft) -> tuple[str, Any]:
        event = draft.event
        if isinstance(event, Opaque):
            return f"source.{event.name}", event.data
        if isinstance(event, run.Started):
            self._agent = event.agent or self._agent
            event = self._with_parent(event)
        elif isinstance(event, run.HandedOff) and event.child_run:
            event = msgspec.structs.replace(event, child_run=self._stream_of(event.child_run))
        return catalog.name_of(type(event)), self._resolved(_data_of(event))

    def _resolved(self, value: Any, inside: str = "") -> Any:
        """Return the data with every `Ref` replaced by the version it stands for."""
        if isinstance(value, Ref):
            version = self._versions.get(value.key)
            return {"version": version} if inside == "messages" else version
        if isinstance(value, dict):
            return {name: self._resolved(inner, name) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._resolved(inner, inside) for inner in value]
        return value

    def _metadata(self, draft: EventDraft) -> Metadata:
        links = [*draft.causes, *self._spawned(draft)]
        direct = next((cause for cause in links if cause.certainty == "recorded"), None)
        return Metadata(
            correlation_id=self._correlation,
            causation_id=self._cause_id(direct) if direct else None,
            traceparent=draft.traceparent,
            actor=draft.actor or self._actor(draft),
            causes=tuple(
                Cause(id=self._cause_id(cause), kind=cause.kind, certainty=cause.certainty)
                for cause in links
                if cause is not direct or cause.kind != "triggered"  # a kind that says more is not lost
            ),
            subjects=draft.subjects,
            time="recorded" if draft.at is not None else "unknown",
        )

    def _spawned(self, draft: EventDraft) -> Iterable[Link]:
        parent = self._prepared.run.parent
        if isinstance(draft.event, run.Started) and parent is not None and parent[1] is not None:
            yield Link(parent[1], "spawned", "recorded", run=parent[0])

    def _actor(self, draft: EventDraft) -> str | None:
        by_agent = (run.ModelCalled, run.ModelResponded, run.Reasoned, run.Answered, run.HandedOff, run.MemoryWritten)
        return f"agent:{self._agent}" if self._agent and isinstance(draft.event, by_agent) else None

    def _cause_id(self, cause: Link) -> str:
        if cause.run is None:
            return self._ids.get(cause.key) or self._id(cause.key)
        return str(uuid5(_identity(self._store.project, self._prepared.format, cause.run), cause.key))

    def _id(self, key: str) -> str:
        return str(uuid_utils.uuid5(self._namespace, key))

    def _with_parent(self, event: Started) -> Started:
        parent = event.parent_run or (self._prepared.run.parent[0] if self._prepared.run.parent else None)
        return msgspec.structs.replace(event, parent_run=self._stream_of(parent) if parent else None)

    def _stream_of(self, source_id: str) -> str:
        return stream_of(self._store.project, self._prepared.format, source_id)

    def _check(self, events: list[EventData]) -> None:
        """Refuse before anything is written, and name the line.

        Our own encoder writes no duplicate keys and no NaN, and a lone surrogate does not get past reading: what is
        left is NUL, which is looked for in the bytes before they are read again.
        """
        for draft, event in zip(self._prepared.drafts, events, strict=True):
            if _NUL not in event.data:
                continue
            try:
                codec.check_object(event.data, what=f"{event.type} at {draft.key}")
            except PayloadRefused as refused:
                raise ImportRefused(
                    f"{refused.reason} in {event.type}; `nagare import --replace-invalid` shows each one as U+FFFD",
                    line=draft.line,
                ) from refused

    def _revisions(self, events: list[EventData]) -> list[EventData]:
        """Return a note for each event that the source now records with other data than the journal holds."""
        stored = {event.id: event for event in self._store.read_stream(self._prepared.stream)}
        notes = []
        for draft, event in zip(self._prepared.drafts, events, strict=True):
            before = None if draft.repeats else stored.get(event.id or "")
            if before is not None and not is_alike(before.project, before.data, event.data):
                note = self._note(before.version, event)
                if note.id not in self._known:
                    notes.append(note)
        return notes

    def _note(self, version: int, now: EventData) -> EventData:
        digest = sha256(now.data).hexdigest()[:16]
        text = "The source now records this event differently; the journal keeps it as it was first imported."
        note = run.Annotated(by=f"import:{self._prepared.format}", text=text, at_version=version, label="revised")
        data = {**msgspec.to_builtins(note), "now": msgspec.json.decode(now.data)}
        return EventData(
            id=self._id(f"revised:{now.id}:{digest}"),
            type="agent_run.annotated",
            data=codec.encode(data),
            metadata=codec.encode(Metadata(correlation_id=self._correlation, causes=(Cause(id=str(now.id)),))),
            occurred_at=self._now,
        )


def _correlation(prepared: Prepared, project: str) -> str:
    """A run and those it spawned are one conversation, named for the first of them."""
    if prepared.run.correlation:
        return prepared.run.correlation
    root = prepared.run.parent[0] if prepared.run.parent else prepared.run.source_id
    return str(_identity(project, prepared.format, root))


def replace_invalid(draft: EventDraft) -> EventDraft:
    """Return the draft with every NUL and lone surrogate shown as U+FFFD."""
    if isinstance(draft.event, Opaque):
        draft.event = Opaque(name=draft.event.name, data=_replaced(draft.event.data))
    else:
        draft.event = msgspec.structs.replace(
            draft.event, **{name: _replaced(value) for name, value in msgspec.structs.asdict(draft.event).items()}
        )
    return draft


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_replaced(name): _replaced(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(inner) for inner in value)
    return value


def _data_of(event: run.AgentRunEvent) -> dict[str, Any]:
    """Return the event's data by its names on the wire, defaults left out, and every `Ref` still in it."""
    return {
        encode_name: value
        for name, encode_name, default in _fields_of(type(event))
        if (value := getattr(event, name)) != default and value not in ((), {})
    }


@cache
def _fields_of(struct: type[msgspec.Struct]) -> list[tuple[str, str, Any]]:
    """Return (attribute, name on the wire, default); asking msgspec each time would cost more than the encoding."""
    return [(known.name, known.encode_name, known.default) for known in msgspec.structs.fields(struct)]


def _identity(project: str, format_name: str, source_id: str) -> UUID:
    return uuid5(_NAMESPACE, f"{project}\x1f{format_name}\x1f{source_id}")


def _unique(events: Iterable[EventDraft]) -> Iterable[EventDraft]:
    """Keys name places, and no place is twice; a source that repeats its own ids gets them numbered."""
    seen: dict[str, int] = {}
    for draft in events:
        seen[draft.key] = seen.get(draft.key, 0) + 1
        if seen[draft.key] > 1:
            draft.key = f"{draft.key}#{seen[draft.key]}"
        yield draft


def _outcome(draft: RunDraft, format_name: str) -> Iterable[EventDraft]:
    """The source's own label of how the run ended, as a grade; another label later is another grade."""
    outcome = draft.outcome
    if outcome.status in ("unknown", "running") and outcome.raw is None:
        return
    digest = sha256(codec.encode([outcome.status, outcome.raw])).hexdigest()[:16]
    yield EventDraft(
        key=f"outcome:{digest}",
        event=run.Graded(rule="outcome", by=format_name, verdict=outcome.status, raw=outcome.raw),
        actor=f"import:{format_name}",
    )


def utc_now() -> datetime:
    """Return the time, for those at the rim who pass it in."""
    return datetime.now(UTC)
