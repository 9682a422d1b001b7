"""The journal's own process managers, and the kinds of job that one of them drives."""

from __future__ import annotations

from journal.ingest import jobs as imports
from journal.runtime import bisects, job_process, rebuilds, regrade

__all__ = ["bisects", "imports", "job_process", "rebuilds", "regrade"]
