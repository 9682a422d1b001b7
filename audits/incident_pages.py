"""What the pages of incidents show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from django.urls import reverse

from audits import clocks, incidents
from audits.aggregates import Incident
from audits.clocks import Deadline, Standing
from audits.duties import AWARE, Clock, Step, duties
from audits.incident_events import Concern
from audits.incidents import IncidentRefused
from journal.domain.event import RecordedEvent
from journal.domain.explain import Explanation, explain

_LONGEST: Final = 20_000
_FIELDS: Final = ("title", "noticed", "aware", "concerns", "hold")
_BROWSER: Final = "%Y-%m-%dT%H:%M"
"""How a browser's own field for a time writes it: without a zone, which is the reader's."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The form as it was filled in. Times are in the reader's zone."""

    title: str = ""
    noticed: str = ""
    aware: str = ""
    concerns: str = ""
    hold: str = ""
    clocks: frozenset[str] = frozenset()

    @staticmethod
    def of(given: Mapping[str, str], chosen: Iterable[str] = ()) -> Draft:
        """Read a form, or the address that leads to it."""
        text = {name: given.get(name, "").replace("\x00", "").strip()[:_LONGEST] for name in _FIELDS}
        return Draft(**text, clocks=frozenset(chosen))


@dataclass(frozen=True, kw_only=True)
class Group:
    """The clocks of one regime, in the form."""

    name: str
    clocks: tuple[Clock, ...]


@dataclass(frozen=True, kw_only=True)
class Due:
    """A deadline as the page shows it."""

    deadline: Deadline
    standing: Standing
    left: str
    counts_from: str
    by: str
    account: str

    @property
    def needs_hurry(self) -> bool:
        """Whether it is late, or soon will be."""
        return self.standing in ("late", "due soon")


@dataclass(frozen=True, kw_only=True)
class Line:
    """An incident in the list, with the step that is due next."""

    id: str
    incident: Incident
    aware_at: datetime
    next: Due | None
    late: int
    runs: int


@dataclass(frozen=True, kw_only=True)
class Concerned:
    """A run or an event that an incident is about."""

    concern: Concern
    href: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """Something that was done, as its event says."""

    event: RecordedEvent
    said: Explanation


@dataclass(frozen=True, kw_only=True)
class IncidentPage:
    """One incident."""

    id: str
    incident: Incident
    aware_at: datetime
    due: tuple[Due, ...]
    concerned: tuple[Concerned, ...]
    told: tuple[Told, ...]
    groups: tuple[Group, ...]
    now: str
    refusal: str
    field: str
    typed: Mapping[str, str]

    @property
    def is_open(self) -> bool:
        """Whether steps can be recorded."""
        return self.incident.status == "open"

    @property
    def next(self) -> Due | None:
        """Return what is due next."""
        return _next(self.due)

    @property
    def late(self) -> int:
        """Return how many steps are late."""
        return sum(one.standing == "late" for one in self.due)

    @property
    def unheld(self) -> tuple[str, ...]:
        """Return the runs concerned that are not held."""
        return tuple(stream for stream in self.incident.streams if stream not in self.incident.held)


def groups() -> tuple[Group, ...]:
    """Return the clocks there are, by regime."""
    found: dict[str, list[Clock]] = {}
    for clock in duties().all_clocks():
        found.setdefault(clock.regime, []).append(clock)
    return tuple(Group(name=name, clocks=tuple(own)) for name, own in found.items())


def lines(project: str, *, now: datetime) -> list[Line]:
    """Return a project's incidents."""
    return [_line(one, now) for one in incidents.listing(project)]


def one(  # noqa: PLR0913 - what came of a form
    project: str,
    ident: str,
    *,
    now: datetime,
    zone: tzinfo,
    refused: IncidentRefused | None = None,
    typed: Mapping[str, str] | None = None,
) -> IncidentPage:
    """Return the page of an incident.

    Raises:
        NoIncident: there is none.
    """
    incident = incidents.load(project, ident)
    return IncidentPage(
        id=incidents.ident_of(incident),
        incident=incident,
        aware_at=datetime.fromisoformat(incident.aware_at),
        due=due(incident, now),
        concerned=tuple(map(_concerned, incident.known_concerns)),
        told=tuple(Told(event=event, said=explain(event)) for event in incidents.history(project, ident)),
        groups=groups(),
        now=in_browser(now, zone),
        refusal=refused.reason if refused else "",
        field=refused.field if refused else "",
        typed=typed or {},
    )


def due(incident: Incident, now: datetime) -> tuple[Due, ...]:
    """Return an incident's steps with their deadlines."""
    return tuple(_due(one, incident, now) for one in incident.deadlines())


def in_browser(at: datetime, zone: tzinfo) -> str:
    """Return a time as a browser's field takes it."""
    return at.astimezone(zone).strftime(_BROWSER)


def moment(text: str, zone: tzinfo, *, name: str) -> datetime:
    """Return a time of a form; one without a zone is in the reader's.

    Raises:
        IncidentRefused: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise IncidentRefused(f"{text[:40]!r} is no time; write 2026-11-30T14:05", field=name) from error
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _line(incident: Incident, now: datetime) -> Line:
    steps = due(incident, now)
    return Line(
        id=incidents.ident_of(incident),
        incident=incident,
        aware_at=datetime.fromisoformat(incident.aware_at),
        next=_next(steps) if incident.status == "open" else None,
        late=sum(one.standing == "late" for one in steps),
        runs=len(incident.streams),
    )


def _next(steps: Sequence[Due]) -> Due | None:
    waiting = [(one.deadline.due_at, at) for at, one in enumerate(steps) if one.deadline.done_at is None]
    dated = [(due_at, at) for due_at, at in waiting if due_at is not None]
    return steps[min(dated)[1]] if dated else None


def _due(deadline: Deadline, incident: Incident, now: datetime) -> Due:
    said = incident.steps.get(deadline.key, {})
    left = ""
    if deadline.due_at is not None:
        left = clocks.in_words(deadline.due_at - (deadline.done_at or now))
    return Due(
        deadline=deadline,
        standing=deadline.standing(now),
        left=left,
        counts_from=_counts_from(deadline),
        by=str(said.get("by", "")),
        account=str(said.get("account", "")),
    )


def _counts_from(deadline: Deadline) -> str:
    """Say what the time is made of: "24 hours from awareness, 4 hours from “Classify the incident”"."""
    steps = {step.id: step for step in deadline.clock.steps}
    return ", ".join(f"{term.words} from {_begin(term.from_, steps)}" for term in deadline.step.terms)


def _begin(name: str, steps: Mapping[str, Step]) -> str:
    return "awareness" if name == AWARE else f"“{steps[name].words}”" if name in steps else name


def _concerned(concern: Concern) -> Concerned:
    href = reverse("explorer:run", args=[concern.stream])
    return Concerned(concern=concern, href=f"{href}?v={concern.version}" if concern.version else href)
