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

import structlog
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from audits import making, render, signing
from audits.bundle import Evidence
from audits.selection import Query
from journal.errors import JournalError
from journal.runtime import job as jobs

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

KIND: Final = "audit"
BUNDLE: Final = "bundle.zip"
REPORT: Final = "report.pdf"
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
    query, asked = query_of(job), job.arguments
    evidence = making.gathered(query, previous=asked["previous"])
    files = {BUNDLE: _kept(job, BUNDLE, lambda: making.bundle(evidence))}
    missing = render.available()
    if not missing:
        files[REPORT] = _kept(job, REPORT, lambda: _report(evidence, asked, on_page))
    told = files.get(REPORT, files[BUNDLE])
    event_id = str(uuid5(_NAMESPACE, job.id))
    name = REPORT if REPORT in files else BUNDLE
    making.record(evidence, file=name, content=told, by=asked["by"], purpose=asked["purpose"], event_id=event_id)
    found = making.made_report(evidence, by=asked["by"], purpose=asked["purpose"])
    return {
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
    }


def _report(evidence: Evidence, asked: dict[str, Any], on_page: Callable[[int], None]) -> bytes:
    made = making.pdf(evidence, by=asked["by"], purpose=asked["purpose"], on_page=on_page)
    try:
        return making.signed(made)
    except signing.SigningUnavailable:
        return made


def _kept(job: Any, name: str, make: Callable[[], bytes]) -> bytes:
    """Return a file of the audit: the one that an earlier attempt kept, else one made and kept now."""
    path = place(job.id, name)
    if default_storage.exists(path):
        with default_storage.open(path) as file:
            return bytes(file.read())
    content = make()
    default_storage.save(path, ContentFile(content))
    return content


def place(job_id: str, name: str) -> str:
    """Return where a file of an audit is kept, below the installation's storage."""
    return f"audits/{job_id}/{name}"


def _described(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
