"""Who owns what: leases in words, and the processes that wait for one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db.models.functions import Now

from journal.domain.text import amount
from journal.models import Lease
from journal.runtime import beside, lease, outbox_loop, presence, sealer
from journal.runtime import projection as projections
from journal.runtime.status_lines import LeaseLine, Level, listed, sentence, span

_TAKEOVER: Final = span(2 * lease.TTL.total_seconds())
_PROJECTION: Final = "projection:"
_REBUILD: Final = "rebuild:"
_WORDS: Final = {outbox_loop.LEASE: "the outbox", sealer.LEASE: "the sealer"}


class Held:
    """All leases as one query found them, by the database's clock."""

    def __init__(self, *, now: datetime | None = None) -> None:
        found = list(Lease.objects.annotate(read_at=Now()).order_by("name"))
        self.now = now or (found[0].read_at if found else datetime.now().astimezone())
        self.rows: dict[str, Lease] = {row.name: row for row in found if not row.name.startswith(presence.PREFIX)}
        self._present = {row.holder for row in found if row.name.startswith(presence.PREFIX) and self._lives(row)}
        self._present |= {row.holder for row in self.rows.values() if self._lives(row)}

    def holder(self, name: str) -> str | None:
        """Return who holds a lease now."""
        row = self.rows.get(name)
        return row.holder if row is not None and self._lives(row) else None

    def standby(self, name: str) -> tuple[str, ...]:
        """Return the processes that would take a lease over: those of its role that run and do not hold it."""
        role = _role(name)
        holder = self.holder(name)
        return tuple(sorted(one for one in self._present if role and one.startswith(f"{role}-") and one != holder))

    def _lives(self, row: Lease) -> bool:
        return bool(row.holder) and row.expires_at > self.now


def lines(held: Held) -> tuple[LeaseLine, ...]:
    """Return a line for each lease that somebody should hold, and for rebuilds that somebody does."""
    expected = [outbox_loop.LEASE, sealer.LEASE, *(projections.lease_name(known) for known in projections.registered())]
    others = [name for name in held.rows if name not in expected and (held.holder(name) or held.rows[name].holder)]
    return tuple(_line(held, name) for name in (*expected, *others))


def summary(found: Iterable[LeaseLine]) -> str:
    """Return who does what, in one sentence: each owner with what it owns, then those that own nothing."""
    owned: dict[str, list[str]] = {}
    idle: dict[str, None] = {}
    for one in found:
        if one.holder:
            owned.setdefault(one.holder, []).append(one.what)
        idle.update(dict.fromkeys(one.standby))
    clauses = [f"{holder} owns {_things(what)}" for holder, what in owned.items()]
    waiting = [name for name in idle if name not in owned]
    if waiting:
        clauses.append(f"{listed(waiting)} {'is' if len(waiting) == 1 else 'are'} idle as designed")
    missing = [one.what for one in found if one.level in ("caution", "fails")]
    if missing:
        clauses.append(f"{'nobody' if clauses else 'Nobody'} owns {listed(missing)}")
    return sentence(", ".join(clauses))


def what_is(name: str) -> str:
    """Return what a lease is for, in words."""
    if name in _WORDS:
        return _WORDS[name]
    if name.startswith(_PROJECTION):
        return f"read model {name.removeprefix(_PROJECTION)}"
    if name.startswith(_REBUILD):
        return f"rebuild of {name.removeprefix(_REBUILD)}"
    return name


def follower(subscription: str, *, is_read_model: bool) -> str:
    """Return the lease of whoever moves a subscription on."""
    if subscription == sealer.NAME:
        return sealer.LEASE
    return f"{_PROJECTION}{subscription}" if is_read_model else outbox_loop.LEASE


def rebuilder(projection: str) -> str:
    """Return the lease of whoever rebuilds a projection."""
    return beside.lease_name(projection)


def _line(held: Held, name: str) -> LeaseLine:
    row, holder, standby = held.rows.get(name), held.holder(name), held.standby(name)
    state, level, words = _told(held, name, holder, standby)
    return LeaseLine(
        name=name,
        what=what_is(name),
        holder=holder,
        token=row.token if row else 0,
        held_for_s=(held.now - row.acquired_at).total_seconds() if row and holder else None,
        renews_in_s=_renews_in(held, row) if row and holder else None,
        standby=standby,
        state=state,
        level=level,
        words=words,
    )


def _told(held: Held, name: str, holder: str | None, standby: tuple[str, ...]) -> tuple[str, Level, str]:
    if holder:
        return "healthy", "ok", _cover(standby, role=_role(name))
    row = held.rows.get(name)
    if row is not None and row.holder:
        silent = span((held.now - row.heartbeat_at).total_seconds())
        return "lost", "caution", f"{row.holder} is silent for {silent}; whoever looks next takes over"
    if standby:
        return "changing", "active", f"{listed(list(standby))} takes it within {_TAKEOVER}"
    if name == outbox_loop.LEASE:
        return "stopped", "fails", "nothing is delivered until nagare run-outbox runs"
    if name == sealer.LEASE:
        return "stopped", "caution", "nothing is sealed until nagare run-projections runs"
    return "stopped", "caution", "followed by the scheduler's worker only; start nagare run-projections"


def _cover(standby: tuple[str, ...], *, role: str) -> str:
    if standby:
        idle = "is idle as designed and" if len(standby) == 1 else "are idle as designed, one"
        return f"{listed(list(standby))} {idle} takes over within {_TAKEOVER} of a miss"
    return "no other process would take over" if role else "renewed while the work lasts"


def _renews_in(held: Held, row: Lease) -> float:
    """The next renewal comes a third of the lease's time after the last."""
    ttl = (row.expires_at - row.heartbeat_at).total_seconds()
    return float(max(0.0, ttl / 3 - (held.now - row.heartbeat_at).total_seconds()))


def _role(name: str) -> str:
    """Return the role of the processes that wait for a lease; empty where it is taken for one piece of work."""
    if name == outbox_loop.LEASE:
        return outbox_loop.ROLE
    return projections.ROLE if name.startswith(_PROJECTION) or name == sealer.LEASE else ""


def _things(what: list[str]) -> str:
    models = [one for one in what if one.startswith("read model ")]
    if len(models) > 1:
        return listed([*(one for one in what if one not in models), amount(len(models), "read model")])
    return listed(what)
