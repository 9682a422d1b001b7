"""What the ops pages show: the status of the installation, as far as the reader may see it, and the lists behind it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from explorer.queries.spans import words_of
from journal.access import Permission, administers, may
from journal.domain import codec
from journal.ingest import span_untold
from journal.ingest.span_untold import Tally
from journal.runtime import status, status_processes
from journal.runtime.status import DispatchLine, Sample, Scope, Status, SubscriptionLine

if TYPE_CHECKING:
    from journal.access import ProjectRequest
    from journal.runtime.status import ParkedLine, ProjectionLine
    from journal.runtime.status_processes import Process

STATES: Final = {"dead": "Given up", "pending": "Pending", "delivered": "Delivered"}
_LONGEST_SAMPLE: Final = 2_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class OpsPage:
    """The ops page. `since` is what the next reading needs to tell rates."""

    status: Status
    spans: Tally
    may_act: bool
    since: str

    @property
    def spans_words(self) -> str:
        """How the project's received spans stand."""
        return words_of(self.spans)

    @property
    def at_us(self) -> int:
        """When it was computed."""
        return _us(self.status.at)

    @property
    def alarm_address(self) -> str:
        """The kind of page that the banner's alarm is acted upon at."""
        about = self.status.alarms[0].about if self.status.alarms else ""
        return about if about in ("outbox", "leases", "projections") else "subscription"


@dataclass(frozen=True, kw_only=True)
class OutboxPage:
    """A project's dispatches in one state."""

    state: str
    effect: str
    rows: list[DispatchLine]
    may_act: bool

    @property
    def headline(self) -> str:
        """The answer in a line."""
        count = f"{len(self.rows):,}" if self.rows else "No"
        noun = "dispatch" if len(self.rows) == 1 else "dispatches"
        return f"{count} {noun} {STATES[self.state].lower()}{f' of {self.effect}' if self.effect else ''}"


@dataclass(frozen=True, kw_only=True)
class SubscriptionPage:
    """One reader of the journal, and what it set aside of a project."""

    line: SubscriptionLine
    parked: list[ParkedLine]
    may_act: bool


@dataclass(frozen=True, kw_only=True)
class ProcessPage:
    """One process; its own state as JSON that can be read."""

    process: Process
    own: str


def scope_of(request: ProjectRequest) -> Scope:
    """Return what a reader may see: the work of the project they are in; an admin also how much others have."""
    return Scope(projects=frozenset({request.project.slug}), sees_others=administers(request.user))


def may_act(request: ProjectRequest) -> bool:
    """Return whether the reader may requeue, skip and rebuild."""
    return may(request.role, Permission.ADMIN)


def ops_page(request: ProjectRequest, *, since: str) -> OpsPage:
    """Return the whole status; `since` comes from an earlier reading's page."""
    found = status.read(scope_of(request), since=_sample(since))
    return OpsPage(
        status=found,
        spans=span_untold.tally(request.project.slug),
        may_act=may_act(request),
        since=_encoded(found.sample),
    )


def outbox_page(request: ProjectRequest, *, state: str, effect: str) -> OutboxPage:
    """Return the project's dispatches, those that were given up unless another state is asked for."""
    state = state if state in STATES else "dead"
    rows = status.dispatches(request.project.slug, state=state, effect=effect)
    return OutboxPage(state=state, effect=effect, rows=rows, may_act=may_act(request))


def subscription_page(request: ProjectRequest, name: str) -> SubscriptionPage | None:
    """Return one reader of the journal. None where there is none of this name."""
    found = status.read(scope_of(request))
    line = next((one for one in found.subscriptions if one.name == name), None)
    if line is None:
        return None
    parked = status.parked_events(request.project.slug, name)
    return SubscriptionPage(line=line, parked=parked, may_act=may_act(request))


def projection_line(request: ProjectRequest, name: str) -> ProjectionLine | None:
    """Return one projection. None where there is none of this name."""
    return next((one for one in status.read(scope_of(request)).projections if one.name == name), None)


def process_list(project: str, manager: str) -> list[Process]:
    """Return the project's newest processes."""
    return status_processes.newest(project, manager)


def process_page(project: str, stream: str) -> ProcessPage | None:
    """Return one process of the project. None where there is none of this stream."""
    found = status_processes.inspect(project, stream)
    if found is None:
        return None
    return ProcessPage(process=found, own=msgspec.json.format(codec.encode(found.own), indent=2).decode())


def _encoded(sample: Sample) -> str:
    """Return a sample for an address: time in microseconds, head, and each reader's position."""
    positions = ",".join(f"{name}:{position}" for name, position in sample.positions.items())
    return f"{_us(sample.at)}.{sample.head}.{positions}"


def _sample(text: str) -> Sample | None:
    """Return the sample that an address carries; None where it has none that can be read."""
    try:
        at, head, positions = text[:_LONGEST_SAMPLE].split(".", 2)
        pairs = (pair.rsplit(":", 1) for pair in positions.split(",") if pair)
        return Sample(
            at=datetime.fromtimestamp(int(at) / 1_000_000, UTC),
            head=int(head),
            positions={name: int(position) for name, position in pairs},
        )
    except (ValueError, OverflowError, OSError):
        return None


def _us(at: datetime) -> int:
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
