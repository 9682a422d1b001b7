"""Certificates of erasure: what was erased, when, by whom and on which ground, with proofs from the signed log.

Nothing is kept for them: a certificate is made of the journal whenever somebody wants it, and proves by the log's own
means that the order and its end stand there. It names the subject by the pseudonym alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent, instant
from journal.domain.retention import ERASURES, ErasureDone, ErasureOrdered, ErasureRefused
from journal.domain.text import amount
from journal.errors import EventNotFound
from journal.runtime import log_rows, sealer
from journal.runtime.withdrawals import done_id_of
from journal.store import get_store


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure as lists show it. `done_at` is None while it is carried out; `refused` says which holds forbade it."""

    id: str
    subject: str
    ground: str
    by: str
    at: datetime
    events: int = 0
    streams: int = 0
    done_at: datetime | None = None
    refused: str = ""
    copies: dict[str, int] = {}

    @property
    def request(self) -> str:
        """What people call it by."""
        return self.id.rpartition("-")[2]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate. `order_proof` and `done_proof` are `.tlog-proof` texts, empty while the event is not sealed."""

    request: str
    project: str
    subject: str
    ground: str
    by: str
    ordered_at: str
    done_at: str | None
    events: int
    streams: int
    keys: list[str]
    copies: dict[str, int]
    order_event: str
    done_event: str | None
    order_proof: str
    done_proof: str

    @property
    def text(self) -> str:
        """The certificate for people, the proofs at its end."""
        return "\n".join(_lines(self))


def erasures_of(project: str) -> list[Erasure]:
    """Return a project's erasures and refused ones, the newest first."""
    found: dict[str, Erasure] = {}
    for event in get_store(project).read_stream(ERASURES):
        match catalog.decode(event):
            case ErasureOrdered() as said:
                found[event.id] = Erasure(
                    id=event.id,
                    subject=said.subject,
                    ground=said.ground,
                    by=said.by,
                    at=event.recorded_at,
                    events=said.events,
                    streams=len(said.spans),
                )
            case ErasureDone() as said if said.order in found:
                found[said.order] = msgspec.structs.replace(
                    found[said.order], done_at=event.recorded_at, copies=said.copies
                )
            case ErasureRefused() as said:
                found[event.id] = Erasure(
                    id=event.id, subject=said.subject, ground=said.ground, by=said.by, at=event.recorded_at,
                    refused=said.reason,
                )  # fmt: skip
    return list(reversed(found.values()))


def certificate(project: str, order_id: str, *, seal: bool = True) -> Certificate:
    """Return the certificate of an erasure. What waits for the sealer is sealed first.

    Raises:
        EventNotFound: the project has no such erasure.
    """
    store = get_store(project)
    event = store.event(order_id)
    order = catalog.decode(event)
    if not isinstance(order, ErasureOrdered):
        raise EventNotFound(event_id=order_id, project=project)
    end = store.events([done_id_of(order_id)]).get(done_id_of(order_id))
    done = catalog.decode(end) if end is not None else None
    if seal:
        sealer.catch_up()
    return Certificate(
        request=order_id.rpartition("-")[2],
        project=project,
        subject=order.subject,
        ground=order.ground,
        by=order.by,
        ordered_at=instant(event.recorded_at),
        done_at=instant(end.recorded_at) if end is not None else None,
        events=order.events,
        streams=len(order.spans),
        keys=list(done.keys) if isinstance(done, ErasureDone) else [],
        copies=dict(done.copies) if isinstance(done, ErasureDone) else {},
        order_event=order_id,
        done_event=end.id if end is not None else None,
        order_proof=_proof(project, event),
        done_proof=_proof(project, end) if end is not None else "",
    )


def _proof(project: str, event: RecordedEvent) -> str:
    log = log_rows.newest(project)
    proof = log_rows.proof_of(log, event.position) if log is not None else None
    return proof.text if proof is not None else ""


def _lines(made: Certificate) -> Iterator[str]:
    yield f"CERTIFICATE OF ERASURE  request {made.request}"
    yield ""
    yield f"Project          {made.project}"
    yield f"Subject          HMAC-SHA-256 {made.subject}"
    yield f"Ground           {made.ground}"
    yield f"Ordered by       {made.by or 'not recorded'}"
    yield f"Ordered at       {made.ordered_at}"
    yield f"Done at          {made.done_at or 'not done yet'}"
    yield f"Payloads erased  {amount(made.events, 'event')} in {amount(made.streams, 'stream')}"
    copies = ", ".join(f"{name} {count:,}" for name, count in made.copies.items())
    yield f"Copies cleared   {copies or 'none were found'}"
    yield f"Keys destroyed   {', '.join(made.keys) or 'none: payloads were removed, not made unreadable'}"
    yield ""
    yield "The order and its end are events of the project's tamper-evident log. The digests of what was erased stay"
    yield "in it, so that the log, its proofs and reports handed out before verify as they did. Backups that were"
    yield "made before hold what they held until they are deleted."
    for name, event_id, proof in (
        ("Order", made.order_event, made.order_proof),
        ("End", made.done_event, made.done_proof),
    ):
        if event_id:
            yield ""
            yield f"{name}: event {event_id}"
            yield proof.rstrip("\n") or "not under a signed checkpoint yet"
    yield ""
