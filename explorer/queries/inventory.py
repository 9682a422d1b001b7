"""The log inventory of a project: what is recorded, since when, how long, where, and who may read it.

Everything is asked of the system when somebody looks. What only people know stands as a blank, and is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Max, Min, Sum

from explorer import csv_lines, embeds, figures
from explorer.kept import WhatIf
from explorer.models import EventLine, NoteRow, RunSummary, SearchText
from journal.access import Role, members_of, tokens_of
from journal.domain.event import instant
from journal.domain.own import is_own
from journal.domain.text import amount
from journal.runtime import log_inventory, status_seal
from journal.runtime.log_inventory import CategoryCount, Copy, Policy, holds_copies
from journal.runtime.status_lines import Scope, SealLine

MOST_AGENTS: Final = 200
NO_POLICY: Final = "no policy set: nothing is purged"
BLANK: Final = "to be filled in"

_MAY: Final = {
    Role.VIEWER: "read runs, rules and results",
    Role.ENGINEER: "read, import, annotate, grade and export",
    Role.AUDITOR: "read, export, audit, open incidents",
    Role.ADMIN: "everything in the project",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """An agent on a model: how many runs and events, and when the first began and the newest event was."""

    name: str
    model: str
    runs: int
    events: int
    first_us: int
    newest_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Somebody, or some program, that may read the project."""

    name: str
    kind: str
    may: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where copies lie, and how many rows or sets of files."""

    copy: Copy
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A field of a register of processing. `is_blank` is one that only the reader can fill in."""

    article: str
    name: str
    value: str
    is_blank: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """All of it, at a moment."""

    project: str
    at: datetime
    database: str
    agents: tuple[Agent, ...]
    has_more_agents: bool
    categories: tuple[CategoryCount, ...]
    policy: Policy | None
    seal: SealLine | None
    readers: tuple[Reader, ...]
    receivers: tuple[tuple[str, tuple[str, ...]], ...]
    places: tuple[Place, ...]

    @property
    def events(self) -> int:
        """How many events there are."""
        return sum(one.events for one in self.categories)

    @property
    def streams(self) -> int:
        """How many streams."""
        return sum(one.streams for one in self.categories)

    @property
    def first_at(self) -> datetime | None:
        """When the first was recorded."""
        return min((one.first_at for one in self.categories), default=None)

    @property
    def newest_at(self) -> datetime | None:
        """When the newest was."""
        return max((one.newest_at for one in self.categories), default=None)

    @property
    def kept(self) -> str:
        """Say how long events are kept."""
        if self.policy is None:
            return NO_POLICY
        if self.policy.words:
            return self.policy.words
        floor, ceiling = self.policy.floor_days, self.policy.ceiling_days
        least = f"at least {amount(floor, 'day')}" if floor is not None else "no floor"
        most = f"at most {amount(ceiling, 'day')}" if ceiling is not None else "no ceiling"
        return f"{least}, {most}"

    @property
    def sealed(self) -> str:
        """Say how far the signed log is."""
        if self.seal is None or self.seal.origin is None:
            return "nothing is sealed yet"
        waiting = f", {amount(self.seal.unsealed, 'event')} not yet" if self.seal.unsealed else ""
        return f"{amount(self.seal.size, 'event')} under {self.seal.origin}{waiting}"


def inventory(project: str, *, now: datetime) -> Inventory:
    """Return a project's inventory. Reads every event's row once, so it takes time in proportion to the journal."""
    agents = list(_agents(project))
    seals = status_seal.lines(Scope(projects=frozenset({project})), now=now)
    return Inventory(
        project=project,
        at=now,
        database=log_inventory.database(),
        agents=tuple(agents[:MOST_AGENTS]),
        has_more_agents=len(agents) > MOST_AGENTS,
        categories=log_inventory.categories(project),
        policy=log_inventory.policy_of(project),
        seal=seals[0] if seals else None,
        readers=tuple(_readers(project, now)),
        receivers=tuple(log_inventory.receivers(project)),
        places=tuple(Place(copy=copy, count=copy.count(project)) for copy in log_inventory.copies()),
    )


def _agents(project: str) -> Iterator[Agent]:
    rows = RunSummary.objects.filter(project=project, category="agent_run").values_list("agent", "model")
    counted = rows.annotate(
        runs=Count("id"), all_events=Sum("events"), first=Min("started_us"), last=Max("newest_us")
    ).order_by("agent", "model")
    for agent, model, runs, events, first, last in counted[: MOST_AGENTS + 1]:
        yield Agent(name=agent, model=model, runs=runs, events=events, first_us=first, newest_us=last)


def _readers(project: str, now: datetime) -> Iterator[Reader]:
    for member in members_of(project):
        note = "" if member.is_active else "account is switched off"
        yield Reader(name=member.name, kind=f"member, {member.role}", may=_MAY[member.role], note=note)
    for token in tokens_of(project, user_id=0, role=Role.ADMIN, now=now):
        if token.state == "valid":
            used = f"last used {instant(token.last_used_at)}" if token.last_used_at else "never used"
            ends = f"ends {instant(token.expires_at)}" if token.expires_at else "no end"
            name = f"{token.prefix}… of {token.owner}"
            yield Reader(name=name, kind="token", may=", ".join(token.scopes), note=f"{used}, {ends}")
    for link in embeds.links_of(project, now=now):
        name = f"whoever has a link of {link.by.get_username()}"
        yield Reader(name=name, kind="link", may=f"see the run {link.stream}", note=f"ends {instant(link.expires_at)}")


# --- As files ---------------------------------------------------------------------------------------------------------


def as_json(found: Inventory) -> dict[str, Any]:
    """Return it as plain values."""
    return {
        "project": found.project,
        "at": instant(found.at),
        "events": found.events,
        "streams": found.streams,
        "first_recorded_at": _time(found.first_at),
        "newest_recorded_at": _time(found.newest_at),
        "agents": [
            {
                "agent": one.name or None,
                "model": one.model or None,
                "runs": one.runs,
                "events": one.events,
                "first_at": figures.iso(one.first_us),
                "newest_at": figures.iso(one.newest_us),
            }
            for one in found.agents
        ],
        "logs": [
            {
                "category": one.category,
                "of_the_journal_itself": one.is_own,
                "streams": one.streams,
                "events": one.events,
                "first_recorded_at": instant(one.first_at),
                "newest_recorded_at": instant(one.newest_at),
                "types": {kind.type: kind.events for kind in one.types},
            }
            for one in found.categories
        ],
        "format": "events as JSON, by type and schema version",
        "stored_in": found.database,
        "kept": {
            "floor_days": found.policy.floor_days if found.policy else None,
            "ceiling_days": found.policy.ceiling_days if found.policy else None,
            "words": found.kept,
        },
        "sealed": {
            "origin": found.seal.origin if found.seal else None,
            "size": found.seal.size if found.seal else 0,
            "unsealed": found.seal.unsealed if found.seal else found.events,
            "at": _time(found.seal.sealed_at) if found.seal else None,
        },
        "readers": [{"who": one.name, "as": one.kind, "may": one.may, "note": one.note} for one in found.readers],
        "sent_to": [{"to": to, "what": list(what)} for to, what in found.receivers],
        "copies": [
            {
                "name": one.copy.name,
                "holds": one.copy.holds,
                "where": one.copy.where,
                "count": one.count,
                "made_anew_from_the_journal": one.copy.made_anew,
            }
            for one in found.places
        ],
    }


def as_csv(found: Inventory) -> Iterator[bytes]:
    """Yield it as lines: a section, what is listed, and what is said of it."""
    yield csv_lines.line(("section", "what", "of", "count", "since", "until", "said"))
    yield csv_lines.line(("journal", found.project, "", found.events, *_span(found), found.kept))
    yield csv_lines.line(("seal", found.project, "", found.seal.size if found.seal else 0, "", "", found.sealed))
    for agent in found.agents:
        times = (figures.iso(agent.first_us), figures.iso(agent.newest_us))
        yield csv_lines.line(("agent", agent.name, agent.model, agent.events, *times, amount(agent.runs, "run")))
    for one in found.categories:
        for kind in one.types:
            times = (instant(kind.first_at), instant(kind.newest_at))
            yield csv_lines.line(("event type", kind.type, one.category, kind.events, *times, ""))
    for reader in found.readers:
        yield csv_lines.line(
            ("reader", reader.name, reader.kind, "", "", "", f"{reader.may}. {reader.note}".strip(" ."))
        )
    for to, what in found.receivers:
        yield csv_lines.line(("sent to", to, "", "", "", "", ", ".join(what)))
    for place in found.places:
        again = "can be made from the journal again" if place.copy.made_anew else "the only one of its kind"
        said = f"{place.copy.holds}; {again}"
        yield csv_lines.line(("copy", place.copy.name, place.copy.where, place.count, "", "", said))


def register(found: Inventory) -> tuple[Entry, ...]:
    """Return the project as an entry of a register of processing, after Article 30(1) of the GDPR.

    What the system knows is filled in. It is a help with such a register, and none by itself.
    """
    agents = ", ".join(dict.fromkeys(one.name or "not named" for one in found.agents)) or "none yet"
    roles = amount(len([one for one in found.readers if one.kind.startswith("member")]), "member")
    programs = amount(sum(one.kind == "token" for one in found.readers), "token")
    links = amount(sum(one.kind == "link" for one in found.readers), "open link")
    sent = ", ".join(to for to, _ in found.receivers) or "nobody by itself"
    since = f"{found.first_at:%Y-%m-%d}" if found.first_at else "nothing recorded yet"
    types = sorted({kind.type for one in found.categories if not is_own(f"{one.category}-x") for kind in one.types})
    return (
        Entry(
            article="30(1)(a)", name="Controller, its representative, data protection officer", value="", is_blank=True
        ),
        Entry(article="", name="Name of the processing", value=f"Recording of AI agents in project {found.project}"),
        Entry(article="30(1)(b)", name="Purposes", value="", is_blank=True),
        Entry(article="30(1)(c)", name="Categories of people", value="", is_blank=True),
        Entry(article="30(1)(c)", name="Categories of personal data", value="", is_blank=True),
        Entry(article="", name="What is recorded", value=", ".join(types) or "nothing yet"),
        Entry(article="", name="By which agents, since when", value=f"{agents}; since {since}"),
        Entry(article="30(1)(d)", name="Who may read it here", value=f"{roles}, {programs}, {links}"),
        Entry(article="30(1)(d)", name="Where events are sent by themselves", value=sent),
        Entry(article="30(1)(d)", name="Other recipients", value="", is_blank=True),
        Entry(article="30(1)(e)", name="Transfers to third countries, and safeguards", value="", is_blank=True),
        Entry(article="30(1)(f)", name="Time limits for erasure", value=found.kept),
        Entry(
            article="30(1)(g)",
            name="Security measures here",
            value=(
                "roles per project; events that are only ever added; a signed, tamper-evident log"
                f" ({found.sealed}); stored in {found.database}"
            ),
        ),
        Entry(
            article="30(1)(g)",
            name="Security measures around it: backups, encryption of disks",
            value="",
            is_blank=True,
        ),
    )


def register_json(found: Inventory) -> dict[str, Any]:
    """Return the entry as plain values; what is to be filled in is null."""
    fields = [
        {"article": one.article or None, "name": one.name, "value": None if one.is_blank else one.value}
        for one in register(found)
    ]
    return {"project": found.project, "at": instant(found.at), "after": "GDPR Article 30(1)", "fields": fields}


def register_csv(found: Inventory) -> Iterator[bytes]:
    """Yield the entry as lines; what is to be filled in is empty."""
    yield csv_lines.line(("article", "field", "value"))
    for one in register(found):
        yield csv_lines.line((one.article, one.name, one.value))


def _span(found: Inventory) -> tuple[str, str]:
    return _time(found.first_at) or "", _time(found.newest_at) or ""


def _time(at: datetime | None) -> str | None:
    return instant(at) if at is not None else None


def _copy(name: str, holds: str, model: Any, *, path: str = "project", made_anew: bool = True) -> None:
    rows = getattr(model, "every", model.objects)
    holds_copies(
        Copy(
            name=name,
            holds=holds,
            where="database",
            made_anew=made_anew,
            count=lambda project: int(rows.filter(**{path: project}).count()),
        )
    )


_copy("run list", "titles, models, totals of runs", RunSummary)
_copy("event lines", "a sentence for each event", EventLine, path="run__project")
_copy("search", "the texts of events, indexed", SearchText)
_copy("notes", "what people wrote on runs", NoteRow)
_copy("what-ifs", "edits that people tried on runs", WhatIf, made_anew=False)
