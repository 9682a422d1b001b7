"""The events of an incident: one stream each, category `incident`, in the project's log like every other.

Its clocks stand in the event that started them, as they were then.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from audits.duties import Clock
from journal.domain.catalog import catalog
from journal.domain.sealing import INCIDENTS


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


class Concern(_Data, frozen=True, kw_only=True):
    """A run, or one event of it: then with its version and id."""

    stream: str
    version: int | None = None
    event_id: str | None = None


@catalog.event("incident.opened")
class Opened(_Data, frozen=True, kw_only=True):
    """Something was noticed. `awareAt` is what the deadlines of `clocks` count from."""

    title: str = ""
    noticed: str = ""
    aware_at: datetime | None = None
    concerns: tuple[Concern, ...] = ()
    clocks: tuple[Clock, ...] = ()
    by: str = ""


@catalog.event("incident.widened")
class Widened(_Data, frozen=True, kw_only=True):
    """More runs or events turned out to be concerned, or more rules to apply."""

    concerns: tuple[Concern, ...] = ()
    clocks: tuple[Clock, ...] = ()
    by: str = ""


@catalog.event("incident.step_done")
class StepDone(_Data, frozen=True, kw_only=True):
    """A step of a clock was done, `doneAt`, as `by` says; `account` is what was sent to whom."""

    clock: str = ""
    step: str = ""
    words: str = ""
    done_at: datetime | None = None
    account: str = ""
    by: str = ""


@catalog.event("incident.noted")
class Noted(_Data, frozen=True, kw_only=True):
    """Somebody wrote down what was found or done."""

    text: str = ""
    by: str = ""


@catalog.event("incident.held")
class Held(_Data, frozen=True, kw_only=True):
    """The runs concerned are not to be purged or erased. `isKept` says whether retention here obeys it."""

    streams: tuple[str, ...] = ()
    reason: str = ""
    is_kept: bool = False
    by: str = ""


@catalog.event("incident.released")
class Released(_Data, frozen=True, kw_only=True):
    """The hold is over."""

    streams: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""


@catalog.event("incident.closed")
class Closed(_Data, frozen=True, kw_only=True):
    """The incident is over; `account` says how it ended, and `left` names the steps that were not done."""

    account: str = ""
    left: tuple[str, ...] = ()
    by: str = ""


def stream_of(incident_id: str) -> str:
    """Return the stream of an incident."""
    return f"{INCIDENTS}-{incident_id}"
