"""Incidents: opened, their steps recorded, runs held for them, closed with an account. Each is a stream of its own.

Who may do so is the caller's to check: `Permission.AUDIT`. There are few of them, so a list folds their events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from uuid_utils.compat import uuid7

from audits import holding
from audits.aggregates import Close, Do, Hold, Incident, Note, Open, Release, Widen
from audits.duties import Clock, duties
from audits.incident_events import Concern, stream_of
from journal.domain.event import Metadata, RecordedEvent
from journal.domain.own import is_own
from journal.domain.sealing import INCIDENTS
from journal.errors import CommandRejected, EventNotFound, Refused
from journal.runtime.repository import repository
from journal.store import get_store

LONGEST_TITLE: Final = 200
LONGEST_TEXT: Final = 8_000
MOST_CONCERNS: Final = 200
_LONGEST_ID: Final = 64
_EARLIEST: Final = 1970


class IncidentRefused(Refused):
    """Something about an incident that cannot be. `field` names what of a form it is about; empty is all of it."""

    def __init__(self, reason: str, *, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class NoIncident(Refused):
    """No such incident in this project."""


def open_incident(  # noqa: PLR0913 - what an incident is
    project: str,
    *,
    title: str,
    aware_at: datetime,
    by: str,
    noticed: str = "",
    concerns: Iterable[str] = (),
    clocks: Iterable[str] = (),
    hold: bool = False,
) -> str:
    """Open an incident and return its id.

    `concerns` are runs by their stream, or events as `stream@version` or by id; `clocks` those that start, by their ids
    in the duties; `hold` keeps the runs concerned from purge and erasure.

    Raises:
        IncidentRefused: something of it cannot be.
    """
    _check_time(aware_at, field="aware")
    found, started = _concerns(project, concerns), _clocks(clocks)
    if hold and not found:
        raise IncidentRefused("there is no run to hold: name one, or hold none", field="concerns")
    ident = str(uuid7())
    command = Open(
        title=_line(title, field="title"),
        noticed=_text(noticed, field="noticed"),
        aware_at=aware_at,
        concerns=found,
        clocks=started,
        by=by,
        now=datetime.now(UTC),
    )
    _execute(project, ident, command, by, field="aware" if command.title else "title")
    if hold:
        hold_runs(project, ident, reason=f"incident: {command.title}", by=by)
    return ident


def widen(project: str, ident: str, *, by: str, concerns: Iterable[str] = (), clocks: Iterable[str] = ()) -> None:
    """Add runs, events and clocks that turned out to be concerned.

    Raises:
        NoIncident: there is none.
        IncidentRefused: something of it cannot be, or the incident is closed.
    """
    found, started = _concerns(project, concerns), _clocks(clocks)
    if not found and not started:
        raise IncidentRefused("name a run, an event or a clock", field="concerns")
    _execute(project, ident, Widen(concerns=found, clocks=started, by=by), by)


def do(  # noqa: PLR0913 - what a step is
    project: str, ident: str, *, clock: str, step: str, by: str, done_at: datetime | None = None, account: str = ""
) -> None:
    """Record that a step of a clock was done; now, unless another time is given.

    Raises:
        NoIncident: there is none.
        IncidentRefused: it has no such step, it is done, its time is in the future, or the incident is closed.
    """
    now = datetime.now(UTC)
    if done_at is not None:
        _check_time(done_at, field="done")
    account = _text(account, field="account")
    command = Do(clock=clock, step=step, done_at=done_at or now, account=account, by=by, now=now)
    _execute(project, ident, command, by)


def note(project: str, ident: str, *, text: str, by: str) -> None:
    """Write down what was found or done.

    Raises:
        NoIncident: there is none.
        IncidentRefused: it says nothing, or too much.
    """
    _execute(project, ident, Note(text=_text(text, field="text"), by=by), by, field="text")


def hold_runs(project: str, ident: str, *, reason: str, by: str) -> None:
    """Keep the runs concerned from purge and erasure. Those that came later are held when it is asked again.

    Raises:
        NoIncident: there is none.
        IncidentRefused: it names no run, or is closed.
    """
    reason = _line(reason, field="reason") or "incident"
    _execute(project, ident, Hold(reason=reason, is_kept=holding.is_kept(), by=by), by)
    held = load(project, ident).held
    holding.hold(project, held, incident=stream_of(ident), reason=reason, by=by)


def release(project: str, ident: str, *, reason: str, by: str) -> None:
    """Let the runs go that are held for an incident.

    Raises:
        NoIncident: there is none.
        IncidentRefused: nothing is held, or no reason is given.
    """
    held = tuple(load(project, ident).held)
    reason = _line(reason, field="reason")
    _execute(project, ident, Release(reason=reason, by=by), by, field="reason")
    holding.release(project, held, incident=stream_of(ident), reason=reason, by=by)


def close(project: str, ident: str, *, account: str, by: str) -> None:
    """Close an incident with an account of how it ended. What is held stays held until it is released.

    Raises:
        NoIncident: there is none.
        IncidentRefused: there is no account, or it is closed already.
    """
    _execute(project, ident, Close(account=_text(account, field="account"), by=by), by, field="account")


def load(project: str, ident: str) -> Incident:
    """Return an incident.

    Raises:
        NoIncident: there is none.
    """
    state = Incident(stream_of(_known(ident)))
    for event in get_store(project).read_stream(state.stream):
        state.apply(event)
    if not state.aware_at:
        raise NoIncident(f"project {project!r} has no incident {ident[:_LONGEST_ID]!r}")
    return state


def history(project: str, ident: str) -> list[RecordedEvent]:
    """Return an incident's events, in order."""
    return list(get_store(project).read_stream(stream_of(_known(ident))))


def listing(project: str) -> list[Incident]:
    """Return a project's incidents: open ones first, of each kind the newest first."""
    found: dict[str, Incident] = {}
    for event in get_store(project).read_category(INCIDENTS):
        found.setdefault(event.stream, Incident(event.stream)).apply(event)
    newest = sorted((one for one in found.values() if one.aware_at), key=lambda one: one.aware_at, reverse=True)
    return sorted(newest, key=lambda one: one.status != "open")


def ident_of(incident: Incident) -> str:
    """Return the id of an incident."""
    return incident.stream.removeprefix(f"{INCIDENTS}-")


# --- What is asked for ------------------------------------------------------------------------------------------------


def _execute(project: str, ident: str, command: object, by: str, *, field: str = "") -> None:
    if not isinstance(command, Open):
        load(project, ident)
    try:
        repository(project).execute(stream_of(ident), command, metadata=Metadata(actor=f"user:{by}"))
    except CommandRejected as rejected:
        raise IncidentRefused(rejected.reason, field=field) from rejected


def _check_time(at: datetime, *, field: str) -> None:
    if at.tzinfo is None:
        raise IncidentRefused("a time needs its zone, such as 2026-11-30T14:05Z", field=field)
    if at.year < _EARLIEST:
        raise IncidentRefused(f"{at.year:04} is too long ago", field=field)


def _clocks(ids: Iterable[str]) -> tuple[Clock, ...]:
    found = []
    for ident in dict.fromkeys(ids):
        clock = duties().clock(ident)
        if clock is None:
            known = ", ".join(one.id for one in duties().clocks)
            raise IncidentRefused(f"there is no clock {ident[:_LONGEST_ID]!r}; there are {known}", field="clocks")
        found.append(clock)
    return tuple(found)


def _concerns(project: str, said: Iterable[str]) -> tuple[Concern, ...]:
    names = [name for text in said if (name := text.strip())]
    if len(names) > MOST_CONCERNS:
        raise IncidentRefused(f"name at most {MOST_CONCERNS} runs and events", field="concerns")
    return tuple(dict.fromkeys(_found(project, names)))


def _found(project: str, names: Sequence[str]) -> Iterator[Concern]:
    store = get_store(project)
    for name in names:
        stream, at, version = name.rpartition("@")
        if at and version.isascii() and version.isdigit() and len(version) < len(str(2**63)):
            event = next(iter(store.read_stream(stream, after=int(version) - 1, until=int(version))), None)
        elif store.stream_version(name) and not is_own(name):
            yield Concern(stream=name)
            continue
        else:
            event = _event(project, name)
        if event is None or is_own(event.stream):
            raise IncidentRefused(f"there is no run or event {name[:LONGEST_TITLE]!r}", field="concerns")
        yield Concern(stream=event.stream, version=event.version, event_id=event.id)


def _event(project: str, event_id: str) -> RecordedEvent | None:
    try:
        return get_store(project).event(event_id)
    except EventNotFound:
        return None


def _known(ident: str) -> str:
    """Return an id as far as it can be one: what cannot names no stream."""
    return "".join(letter for letter in ident[:_LONGEST_ID] if letter.isascii() and (letter.isalnum() or letter == "-"))


def _line(text: str, *, field: str) -> str:
    folded = " ".join(text.replace("\x00", "").split())
    if len(folded) > LONGEST_TITLE:
        raise IncidentRefused(f"the {field} has {len(folded):,} characters, {LONGEST_TITLE} at most", field=field)
    return folded


def _text(text: str, *, field: str) -> str:
    kept = text.replace("\x00", "").replace("\r\n", "\n").strip()
    if len(kept) > LONGEST_TEXT:
        raise IncidentRefused(f"the text has {len(kept):,} characters, {LONGEST_TEXT:,} at most", field=field)
    return kept
