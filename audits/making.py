"""Making an audit: gather, write, and say in the journal that it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from typing import Final

from audits import render, signing
from audits.bundle import Evidence, archive, gather
from audits.events import AuditMade, stream_of
from audits.report import Asked, Check, Fact, Report, report
from audits.selection import Query
from audits.trail import records
from audits.verifier import verify
from journal.access import record_access
from journal.access.acting import Actor
from journal.domain import codec
from journal.domain.access_log import AccessKind
from journal.domain.agent_run import CATEGORY as AGENT_RUN
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata
from journal.domain.stream import ANY_VERSION
from journal.runtime import log_check, log_keys, witnesses
from journal.store import get_store

_MADE: Final = catalog.name_of(AuditMade)


def gathered(query: Query, *, previous: str | None = None, on_progress: log_check.OnProgress | None = None) -> Evidence:
    """Return the evidence for a query.

    Where no earlier checkpoint is given, it is that of the project's last audit: who was handed that one can see that
    nothing it rests on was changed since.
    """
    known = last_checkpoint(query.project) if previous is None else previous
    return gather(query, previous=known, on_progress=on_progress)


def bundle(evidence: Evidence) -> bytes:
    """Return the evidence as a bundle."""
    return archive(evidence.files)


def trail(evidence: Evidence) -> bytes:
    """Return the actions of the evidence as an agent audit trail, a record a line: no payloads, but their digests."""
    return b"".join(record + b"\n" for record in records(evidence))


def made_report(evidence: Evidence, *, by: str, purpose: str = "") -> Report:
    """Return what the report of this evidence says: its result box is what the verifier finds in it now."""
    keys = log_keys.in_use().keyring().verifiers
    asked = Asked(
        by=by,
        purpose=purpose,
        made_with=f"nagare-web {version('nagare-web')}, events schema of {AGENT_RUN}, Noto Sans and Noto Sans Mono",
        as_of=evidence.sealed_at,
        earlier=tuple(_earlier(evidence)),
        keys=tuple(Fact(name=key.vkey, value=key.fingerprint) for key in keys),
    )
    return report(evidence, asked, checks=list(_checks(evidence)))


def pdf(
    evidence: Evidence,
    *,
    by: str,
    purpose: str = "",
    on_page: render.OnPage | None = None,
    found: Report | None = None,
) -> bytes:
    """Return the report as PDF, unsigned: the same bytes for the same evidence, asker and purpose.

    Whoever has `found` what `made_report` says already hands it in: the verifier reads every event for it.

    Raises:
        PdfUnavailable: the machine lacks what pages are laid out with.
    """
    found = found or made_report(evidence, by=by, purpose=purpose)
    return render.pdf(found, evidence.files, on_page=on_page)


def signed(made: bytes) -> bytes:
    """Return a PDF with this installation's signature over all of it.

    Raises:
        SigningUnavailable: pyHanko is not installed.
    """
    return signing.sign(made, signing.in_use(), reason="Made by this installation, unchanged since")


NAMES: Final = {
    "pdf": "PDF signed in whole",
    "earlier report": "Goes on from the earlier one",
    "files": "Files as listed",
    "checkpoint": "Signature valid",
    "events": "Every event unchanged",
    "times": "Every time unchanged",
    "streams": "None missing in a run",
    "query": "Question answered",
    "journal": "Whole journal as sealed",
    "growth": "Log only grew",
}


def _checks(evidence: Evidence) -> Iterator[Check]:
    """Run the verifier that goes into the evidence on that evidence."""
    lines: list[str] = []
    keys = [verify.key_of(key.vkey) for key in log_keys.in_use().keyring().verifiers]
    witnessed = [verify.key_of(one.key.vkey) for one in witnesses.in_use()]
    verify.verify(evidence.files, keys=keys, witnesses=witnessed, say=lines.append)
    for line in lines:
        verdict, _, rest = line.partition("  ")
        name, _, words = rest.partition(": ")
        yield Check(name=NAMES.get(name, name), is_good={"PASS": True, "FAIL": False}.get(verdict), words=words)
    if not evidence.previous:
        yield Check(name=NAMES["growth"], is_good=None, words="no earlier checkpoint was given to compare with")


def _earlier(evidence: Evidence) -> Iterator[Fact]:
    """Yield the audits of the same subject or correlation that were made before, under this checkpoint."""
    query = evidence.selection.query
    for event in get_store(query.project).read_stream(stream_of(query.project)):
        said = event.payload.get("query") or {}
        if (said.get("subject"), said.get("correlation")) == (query.subject, query.correlation):
            words = f"by {event.payload.get('by') or 'somebody'}, over {event.payload.get('events', 0):,} events"
            yield Fact(name=f"{event.recorded_at:%Y-%m-%d %H:%M} UTC", value=words)


def record(evidence: Evidence, *, file: str, content: bytes, by: str, purpose: str = "") -> str:
    """Journal that an audit was handed over. Returns the event's id."""
    made = made_of(evidence, file=file, content=content, by=by, purpose=purpose)
    return tell(evidence.selection.query.project, made)


def made_of(evidence: Evidence, *, file: str, content: bytes, by: str, purpose: str = "") -> AuditMade:
    """Return what is journalled of an audit."""
    return AuditMade(
        query=evidence.selection.query.to_json(),
        events=len(evidence.selection.events),
        checkpoint=evidence.note,
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        by=by,
        purpose=purpose,
    )


def tell(project: str, made: AuditMade, *, event_id: str | None = None) -> str:
    """Journal an audit; the same id again is the same event. Returns the event's id."""
    metadata = codec.encode(Metadata(actor=f"user:{made.by}"))
    event = EventData(id=event_id, type=_MADE, data=codec.encode(made), metadata=metadata)
    appended = get_store(project).append(stream_of(project), [event], expected_version=ANY_VERSION)
    if appended.is_new:
        detail = f"{made.events:,} events, SHA-256 {made.sha256[:16]}…"  # of whom stands in the audit, and can go
        record_access(project, AccessKind.REPORT, "report made", of=made.file, detail=detail, who=Actor(by=made.by))
    return appended.ids[0]


def last_checkpoint(project: str) -> str:
    """Return the signed head that the project's last audit rests on; empty where there was none."""
    store = get_store(project)
    newest = store.stream_version(stream_of(project))
    for at in range(newest, 0, -1):  # one that was erased says nothing, so the one before it is asked
        for event in store.read_stream(stream_of(project), after=at - 1, until=at):
            if said := event.payload.get("checkpoint"):
                return str(said)
    return ""
