"""What may be asked of a hypothetical history: events put in, exchanged or left out, and what is wrong with a request.

An edit says at which version of the recorded run it is made. `insert` puts an event directly behind that version, 0
being before all; several behind one version stand in the order in which they are given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from journal.domain import codec
from journal.domain.catalog import Unknown, catalog
from journal.domain.event import EventData, instant
from journal.domain.text import amount
from journal.errors import PayloadRefused, Refused

Op = Literal["insert", "replace", "drop"]

MOST_EDITS: Final = 50
LARGEST_BYTES: Final = 256_000
"""Of one event's data and metadata; an event larger than that can be dropped, not written by hand."""

_OPS: Final[tuple[Op, ...]] = get_args(Op)
_TYPO: Final = 0.75
_LARGEST_VERSION: Final = 2**53


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """One change to a history. `event` is None where one is dropped.

    Of the event that a replacement takes the place of, it keeps what it does not say itself: time, causes, subjects.
    """

    op: Op
    version: int
    event: EventData | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with an edit; `edit` counts from 1, 0 is the request as a whole."""

    edit: int
    message: str

    @property
    def words(self) -> str:
        """Return the problem as a sentence that names the edit."""
        return f"Edit {self.edit}: {self.message}" if self.edit else self.message


class EditsRefused(Refused):
    """Edits that make no history. `problems` says of each which and why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = [{"edit": problem.edit, "message": problem.message} for problem in problems]
        super().__init__(" ".join(f"{problem.words}." for problem in problems))


def read_edits(value: object) -> tuple[Edit, ...]:
    """Return edits from plain JSON values, as the API and saved what-ifs have them.

    Raises:
        EditsRefused: a part has the wrong shape, is of an unknown type, does not fit its type or is too large.
    """
    if not isinstance(value, list):
        raise EditsRefused([Problem(edit=0, message="edits must be a list")])
    if len(value) > MOST_EDITS:
        raise EditsRefused([Problem(edit=0, message=f"{len(value):,} edits; {MOST_EDITS} are the most")])
    edits: list[Edit] = []
    problems: list[Problem] = []
    for place, one in enumerate(value, 1):
        try:
            edits.append(_edit(one))
        except _Wrong as wrong:
            problems.append(Problem(edit=place, message=str(wrong)))
    if problems:
        raise EditsRefused(problems)
    return tuple(edits)


def plain_edits(edits: Iterable[Edit]) -> list[dict[str, Any]]:
    """Return edits as plain JSON values, which `read_edits` reads back."""
    return [
        {"op": edit.op, "version": edit.version, **({"event": _plain(edit.event)} if edit.event else {})}
        for edit in edits
    ]


def check_places(edits: Sequence[Edit], newest: int) -> None:
    """Refuse edits that no history of `newest` events can take.

    Raises:
        EditsRefused: a version that the run does not have, or one that is changed twice.
    """
    problems: list[Problem] = []
    taken: dict[int, int] = {}
    for place, edit in enumerate(edits, 1):
        first = 0 if edit.op == "insert" else 1
        if not first <= edit.version <= newest:
            said = f"there is no event {edit.version:,}; the run has the events 1 to {newest:,}"
            problems.append(Problem(edit=place, message=said))
        elif edit.op != "insert":
            if edit.version in taken:
                said = f"event {edit.version:,} is changed by edit {taken[edit.version]} already"
                problems.append(Problem(edit=place, message=said))
            taken.setdefault(edit.version, place)
    if problems:
        raise EditsRefused(problems)


def checked_event(event: EventData) -> EventData:
    """Return a hypothetical event that the journal could hold.

    Raises:
        EditsRefused: its type is not known, its data does not fit the type, or it is no JSON that could be stored.
    """
    try:
        return _checked(event)
    except _Wrong as wrong:
        raise EditsRefused([Problem(edit=0, message=str(wrong))]) from wrong


class _Moment(msgspec.Struct):
    at: Annotated[datetime, msgspec.Meta(tz=True)]


class _Wrong(Exception):
    """One edit cannot be taken."""


def _edit(value: object) -> Edit:
    if not isinstance(value, Mapping):
        raise _Wrong("it must be an object with op, version and event")
    op, version = next((known for known in _OPS if known == value.get("op")), None), value.get("version")
    if op is None:
        raise _Wrong(f"op must be one of {', '.join(_OPS)}, not {value.get('op')!r:.40}")
    if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version <= _LARGEST_VERSION:
        raise _Wrong(f"version must be the number of an event, not {version!r:.40}")
    if odd := sorted(set(map(str, value)) - {"op", "version", "event"}):
        raise _Wrong(f"there is nothing called {odd[0][:40]!r} in an edit; there are op, version and event")
    given = value.get("event")
    if op == "drop":
        if given is not None:
            raise _Wrong("drop takes an event out, so it comes without one")
        return Edit(op="drop", version=version)
    if not isinstance(given, Mapping):
        raise _Wrong(f"{op} needs an event, an object with type and data")
    return Edit(op=op, version=version, event=_checked(_event(given)))


def _event(given: Mapping[Any, Any]) -> EventData:
    name, data = given.get("type"), given.get("data", {})
    if not isinstance(name, str):
        raise _Wrong("the event needs a type, such as agent_run.tool_returned")
    if not isinstance(data, Mapping):
        raise _Wrong("the event’s data must be an object")
    schema = given.get("schema", catalog.schema_of(name) or 1)
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise _Wrong(f"schema must be a number from 1 on, not {schema!r:.40}")
    return EventData(
        type=name,
        data=_bytes(data, "data"),
        metadata=_bytes(given.get("metadata", {}), "metadata"),
        schema=schema,
        occurred_at=_time(given.get("occurred_at")),
    )


def _bytes(value: object, what: str) -> bytes:
    try:
        return codec.encode(value)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise _Wrong(f"the event’s {what} cannot be stored: {error}") from error


def _time(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return msgspec.convert({"at": value}, _Moment).at
    except msgspec.ValidationError as error:
        raise _Wrong(f"occurred_at must be a time with its zone, as 2026-11-22T18:55:03Z, not {value!r:.40}") from error


def _checked(event: EventData) -> EventData:
    for what, raw in (("data", event.data), ("metadata", event.metadata)):
        if len(raw) > LARGEST_BYTES:
            raise _Wrong(f"its {what} has {amount(len(raw), 'byte')}; {LARGEST_BYTES:,} are the most")
        try:
            codec.check_object(raw, what=f"its {what}")
        except PayloadRefused as refused:
            raise _Wrong(str(refused)) from refused
    if catalog.schema_of(event.type) is None:
        near = get_close_matches(event.type, catalog.names(), n=1)
        hint = f"; nearest: {near[0]}" if near else ""
        raise _Wrong(f"there is no event type {event.type[:80]!r}{hint}")
    read = catalog.read(event.type, event.schema, event.data)
    if isinstance(read, Unknown):
        raise _Wrong(f"{event.type} cannot be read: {read.reason}")
    _refuse_typos(event, type(read))
    return event


def _refuse_typos(event: EventData, struct: type[msgspec.Struct]) -> None:
    """Refuse a key that is nearly one of the type's and would do nothing: `tool_name` for `toolName`."""
    fields = [field.encode_name for field in msgspec.structs.fields(struct)]
    given = msgspec.json.decode(event.data)
    for key in given:
        missing = [field for field in fields if field not in given]
        if key not in fields and (near := get_close_matches(key, missing, n=1, cutoff=_TYPO)):
            raise _Wrong(f"{event.type} has no {key[:80]!r}; did you mean {near[0]!r}?")


def _plain(event: EventData) -> dict[str, Any]:
    said: dict[str, Any] = {"type": event.type, "schema": event.schema, "data": msgspec.json.decode(event.data)}
    if event.metadata != b"{}":
        said["metadata"] = msgspec.json.decode(event.metadata)
    if event.occurred_at is not None:
        said["occurred_at"] = instant(event.occurred_at)
    return said
