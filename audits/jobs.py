"""Audits as jobs: made by a worker in the background; started again, the same audit and not a second one.

The files are kept under the job's id before anything is said of them, so that a worker that died in between leaves
files that the next one finds, and the journal tells of each audit once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from audits import making, render, signing
from audits.bundle import Evidence
from audits.events import AuditMade
from audits.report import Report
from audits.selection import Query
from journal.domain import codec
from journal.errors import JournalError
from journal.runtime import job as jobs
from journal.runtime import log_inventory, withdrawals

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KIND: Final = "audit"
BUNDLE: Final = "bundle.zip"
REPORT: Final = "report.pdf"
TRAIL: Final = "trail.jsonl"
TOLD: Final = "told.json"
"""What is said of the files: kept after them, and not handed out."""

_ALL: Final = 1_000_000
_NAMESPACE: Final = UUID("f2b81d1e-8a57-5b0c-9c1e-3f6f0a8c2d11")


def submit(query: Query, *, user_id: int | None, by: str, purpose: str = "") -> Any:
    """Write the job that makes an audit; the caller wakes a worker. What it is compared with is settled here."""
    arguments = {
        "query": query.to_json(),
        "by": by,
        "purpose": purpose,
        "previous": making.last_checkpoint(query.project),
    }
    return jobs.enqueue(kind=KIND, project=query.project, user_id=user_id, arguments=arguments, unit="pages")


def find(job_id: str, *, project: str) -> Any:
    """Return an audit of a project, None where it has none of that id."""
    return jobs.find(job_id, kind=KIND, project=project)


def newest(project: str, *, limit: int = 50) -> list[Any]:
    """Return a project's audits, the newest first."""
    return list(jobs.newest(KIND, project=project, limit=limit))


def every(project: str) -> list[Any]:
    """Return all audits of a project."""
    return list(jobs.newest(KIND, project=project, limit=_ALL))


def forget(job: Any, *, words: str, scrubbed: Callable[[Any], Any]) -> None:
    """Say of an audit whose files were deleted that they were, and take the quotations out of what was asked."""
    jobs.withdraw(job, arguments=scrubbed(job.arguments), words=words)


def query_of(job: Any) -> Query:
    """Return what an audit was asked for."""
    asked = job.arguments["query"]
    since, until = (datetime.fromisoformat(asked[name]) if asked[name] else None for name in ("from", "until"))
    return Query(
        project=asked["project"],
        subject=asked["subject"],
        correlation=asked["correlation"],
        since=since,
        until=until,
        agent=asked["agent"],
        tool=asked["tool"],
    )


def run(job_id: str) -> None:
    """Make one audit. A refusal ends the job with its words; anything else with a reason for the operator."""
    job = jobs.claim(job_id)
    if job is None:
        return
    try:
        with jobs.beating(job):
            result = _made(job, on_page=lambda page: jobs.beat(job, done=page))
        jobs.finish(job, result=result)
    except jobs.JobLost:
        log.info("audit_stopped", job=job.id)
    except JournalError as refused:
        jobs.finish(job, error=str(refused))
    except Exception as error:
        log.exception("audit_failed", job=job.id)
        jobs.finish(job, error=f"{type(error).__name__}: {error}")


def _made(job: Any, *, on_page: Callable[[int], None]) -> dict[str, Any]:
    """Make what is not there yet: the files with what is told of them, then the event, each once."""
    if not default_storage.exists(place(job.id, TOLD)):
        _make(job, on_page=on_page)
    with default_storage.open(place(job.id, TOLD)) as file:
        told: dict[str, Any] = msgspec.json.decode(file.read())
    made = msgspec.convert(told.pop("event"), AuditMade)
    making.tell(job.project_id, made, event_id=str(uuid5(_NAMESPACE, job.id)))
    return told


def _make(job: Any, *, on_page: Callable[[int], None]) -> None:
    """Keep the files. What is told of them is kept last: an attempt that died before that is made again, whole.

    So is one during which something was purged or erased: the files may hold it, and whoever deletes the files of what
    goes found none yet. It is asked once before they are kept, and once more when they can be found.
    """
    while True:
        before = withdrawals.told(job.project_id)
        on_page(0)  # whoever deleted files of this audit has ended it
        job.refresh_from_db(fields=["arguments"])  # whom it asks for may be gone from there as well
        files = _files(job, on_page=on_page)
        if withdrawals.told(job.project_id) != before:
            continue
        for name, content in files.items():
            default_storage.delete(place(job.id, name))
            default_storage.save(place(job.id, name), ContentFile(content))
        if withdrawals.told(job.project_id) == before:
            return
        for name in files:
            default_storage.delete(place(job.id, name))


def _files(job: Any, *, on_page: Callable[[int], None]) -> dict[str, bytes]:
    """Make the files, and last what is told of them."""
    asked, evidence = job.arguments, making.gathered(query_of(job), previous=job.arguments["previous"])
    files = {BUNDLE: making.bundle(evidence), TRAIL: making.trail(evidence)}
    found = making.made_report(evidence, by=asked["by"], purpose=asked["purpose"])
    missing = render.available()
    if not missing:
        files[REPORT] = _report(evidence, found, asked, on_page)
    name = REPORT if REPORT in files else BUNDLE
    event = making.made_of(evidence, file=name, content=files[name], by=asked["by"], purpose=asked["purpose"])
    told = {
        "good": found.is_good,
        "events": len(evidence.selection.events),
        "runs": len(found.runs),
        "actions": found.actions,
        "failing_runs": found.failing,
        "cut": found.cut,
        "completeness": evidence.selection.completeness.to_json(),
        "log": {"origin": evidence.checkpoint.origin, "size": evidence.checkpoint.size},
        "no_pdf": missing,
        "files": {name: _described(content) for name, content in files.items()},
        "event": event,
    }
    return files | {TOLD: codec.encode(told)}


def _report(evidence: Evidence, found: Report, asked: dict[str, Any], on_page: Callable[[int], None]) -> bytes:
    made = making.pdf(evidence, by=asked["by"], purpose=asked["purpose"], on_page=on_page, found=found)
    try:
        return making.signed(made)
    except signing.SigningUnavailable:
        return made


def place(job_id: str, name: str) -> str:
    """Return where a file of an audit is kept, below the installation's storage."""
    return f"audits/{job_id}/{name}"


log_inventory.holds_copies(
    log_inventory.Copy(
        name="audits",
        holds="reports, bundles and trails that were made, with the events they cover",
        where="file storage, folder audits",
        made_anew=False,
        count=lambda project: log_inventory.jobs_done(KIND, project),
    )
)


def _described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
