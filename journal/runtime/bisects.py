"""Bisects as jobs: the answer is kept with what it was found with, so that the claim can be checked again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from time import perf_counter
from typing import Any, Final, Literal

import msgspec

from journal.access.projects import DEFAULT_PROJECT, ensure_project
from journal.domain import codec
from journal.domain.access_log import is_access
from journal.domain.invariant import Invariant
from journal.domain.saved_rule import digest
from journal.errors import Refused, StreamNotFound
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime import job_process, lookups, saved_rules
from journal.runtime.grading import bisect_journal, bisect_stream
from journal.runtime.grading_json import range_as_json, run_as_json
from journal.runtime.purged import check_standing
from journal.runtime.regrade_plan import state_code
from journal.runtime.rule_process import rule_process
from journal.store import EventStore, get_store

KIND: Final = "bisect"
STEP: Final = "bisect"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a bisect was asked, frozen when it was submitted: with the rule's text, the code of states, the head."""

    rule: str
    rule_version: int
    kind: Literal["built-in", "saved"]
    expression: str
    digest: str
    monotone: bool
    state_code: str
    head: int
    stream: str | None = None
    stream_version: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    tool: str | None = None
    check: bool = True


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: `answer` is what `nagare bisect --json` prints, `probes` the events a search asked about.

    `head` and `head_sha256` name the journal it was found in: the position, and the digest of the event there.
    """

    answer: dict[str, Any]
    probes: tuple[dict[str, Any], ...]
    words: str
    head: int
    head_sha256: str
    rule_version: int
    state_code: str
    seconds: float


class BisectRefused(Refused):
    """A bisect that cannot be asked."""


def submit(  # noqa: PLR0913 - a scope is what it is
    *,
    project: str,
    rule: str,
    version: int | None = None,
    stream: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    tool: str | None = None,
    check: bool = True,
    user_id: int | None = None,
) -> Job:
    """Write the job that bisects a run where `stream` is given, else a range; the caller wakes a worker.

    Raises:
        RuleNotFound: there is no such rule or version.
        StreamNotFound: the stream has no events, or is one of the access log, which rules are never asked of: whoever
            may ask one could read it by what it answers.
        RunPurged: nothing is left of it.
        BisectRefused: a stream and a range are given.
        ProjectRefused: there is no such project.
    """
    ensure_project(project)
    if stream is not None and (since or until or tool):
        raise BisectRefused("a run is looked at whole: since, until and tool choose events of the journal")
    record, store = saved_rules.find_rule(project, rule, version), get_store(project)
    newest = store.stream_version(stream) if stream is not None and not is_access(stream) else None
    if stream is not None and not newest:
        raise StreamNotFound(stream=stream, project=project)
    if stream is not None:
        check_standing(project, stream)
    asked = Definition(
        rule=record.name,
        rule_version=record.version,
        kind=record.kind,
        expression=record.expression,
        digest=digest(record.expression) if record.kind == "saved" else "",
        monotone=record.monotone,
        state_code=state_code(),
        head=store.head(),
        stream=stream,
        stream_version=newest,
        since=since,
        until=until,
        tool=tool,
        check=check,
    )
    return jobs.enqueue(
        kind=KIND, project=project, user_id=user_id, arguments=msgspec.to_builtins(asked), unit="bisects"
    )


def run(job_id: str) -> Job | None:
    """Work on a job until it ends. Safe to call twice and to stop anywhere.

    Returns the job, or None where another worker has it or it has ended.
    """
    return job_process.run(job_id)


def definition(job: Job) -> Definition:
    """Return what a job was asked."""
    return msgspec.convert(job.arguments, Definition, strict=False)


def result(job: Job) -> Result | None:
    """Return what was found; None until the job is done."""
    return msgspec.convert(job.result, Result) if job.status == "done" and job.result else None


def find(job_id: str, *, project: str) -> Job | None:
    """Return a bisect of a project."""
    return jobs.find(job_id, kind=KIND, project=project)


def newest(project: str, *, limit: int = 50) -> list[Job]:
    """Return a project's bisects, the newest first."""
    return jobs.newest(KIND, project=project, limit=limit)


class BisectKind:
    """A bisect: one step, whose answer depends on what was frozen and on nothing else."""

    name = KIND

    def steps(self, job: Job) -> Sequence[str]:
        """Return the one step."""
        del job
        return (STEP,)

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Find, and keep the answer in the job's row."""
        del step, done
        project, asked = job.project_id or DEFAULT_PROJECT, definition(job)
        with rule_process() as process:
            record = saved_rules.find_rule(project, asked.rule, asked.rule_version)
            found = _found(get_store(project), asked, saved_rules.invariant_of(record, process))
        job.result = msgspec.to_builtins(found)
        jobs.beat(job, done=1, total=1, result=job.result)
        return 1

    def clean_up(self, job: Job) -> None:
        """Leave the answer."""


job_process.runs(BisectKind())


def _found(store: EventStore, asked: Definition, rule: Invariant) -> Result:
    began, look = perf_counter(), lookups.of(store.project)
    if asked.stream is not None:
        one = bisect_stream(rule, store, asked.stream, check=asked.check, until=asked.stream_version, lookup=look)
        answer, words, probes = run_as_json(one), one.outcome.words(), one.outcome.probes
    else:
        over = bisect_journal(
            rule, store, since=asked.since, until=asked.until, tool=asked.tool, head=asked.head, lookup=look
        )
        answer, words, probes = range_as_json(over), "", ()
    return Result(
        answer=msgspec.to_builtins(answer),
        probes=tuple(msgspec.to_builtins(probe) for probe in probes),
        words=words,
        head=asked.head,
        head_sha256=head_sha256(store, asked.head),
        rule_version=asked.rule_version,
        state_code=asked.state_code,
        seconds=perf_counter() - began,
    )


def head_sha256(store: EventStore, head: int) -> str:
    """Return the digest of the event at a position, as one line on the wire; empty where there is none."""
    event = next(iter(store.read_all(after=head - 1, limit=1)), None) if head else None
    return sha256(codec.line(event)).hexdigest() if event is not None else ""
