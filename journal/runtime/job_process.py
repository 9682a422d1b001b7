"""Long jobs, driven by a process manager: which step comes next is decided from events, so none is lost or repeated.

    job.submitted ──> step 1 ──> job.step_done ──> step 2 ──> … ──> end ──> job.ended
                        └─────────> job.failed, job.cancelled ───────┘

The row (`journal.runtime.job`) says who works on it and how far it is; a worker that has claimed it drives the process
until it ends. A step's command is a dispatch under the job's attempt as fencing token: what an attempt that was taken
over still has in hand, it cannot end. A step that was cut short is done again; one whose `job.step_done` is stored is
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID, uuid5

import msgspec
import structlog

from journal.access.projects import DEFAULT_PROJECT
from journal.domain import codec
from journal.domain import job as events
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata, RecordedEvent
from journal.domain.process import TIMED_OUT, TimedOut
from journal.domain.stream import ANY_VERSION, category, stream_name
from journal.models import Dispatch, Job
from journal.runtime import job as jobs
from journal.runtime import outbox
from journal.runtime.outbox import Delivery, LetGo, effect
from journal.runtime.process_manager import Command, Reaction, manages, react
from journal.store import EventStore, get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

STEP: Final = "job.step"
END: Final = "job.end"
GIVE_UP: Final = "job.give_up"
STEP_TIMEOUT: Final = timedelta(hours=6)
"""A job whose next step is not done by then has failed, whatever its heartbeat says."""

_BY_THE_WORKER: Final = (STEP, END)
_SWEPT_FOR: Final = timedelta(days=1)


class Kind(Protocol):
    """What a kind of job does. Each method may be called again after a crash, and must then come to the same."""

    name: str

    def steps(self, job: Job) -> Sequence[str]:
        """Return the names of the job's steps, in order: at least one, each once, the same whenever it is asked."""

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Do one step and return how much of the job is done with it; `done` was before it.

        Raises:
            JobLost: the job was cancelled or taken over.
        """

    def clean_up(self, job: Job) -> None:
        """Clear away what nobody needs once the job has ended, however it ended."""


_kinds: dict[str, Kind] = {}


def runs(kind: Kind) -> Kind:
    """Register a kind of job."""
    _kinds[kind.name] = kind
    return kind


# --- What is decided --------------------------------------------------------------------------------------------------


@manages
class JobManager:
    """Decides which step comes next. One process for each time a job is queued."""

    name = "job"
    reacts_to = frozenset({"job.submitted", "job.step_done", "job.failed", "job.cancelled", "job.ended", TIMED_OUT})

    def process_of(self, event: RecordedEvent) -> str | None:
        """Return the job and its round."""
        if category(event.stream) != events.CATEGORY:
            return None  # a timeout comes to its process directly
        return f"{event.stream.partition('-')[2]}.{_round_of(event)}"

    def decide(self, state: dict[str, Any], event: RecordedEvent) -> Reaction | None:
        """Return the next command; once the end is decided, only that it came changes anything."""
        decoded = catalog.decode(event)
        if state.get("is_ending"):
            return Reaction(state=state, has_ended=True) if isinstance(decoded, events.Ended) else None
        return _decided(state, event, decoded)


def _decided(state: dict[str, Any], event: RecordedEvent, decoded: Any) -> Reaction | None:
    match decoded:
        case events.Submitted(kind=kind, steps=steps):
            job = event.stream.partition("-")[2]
            return _next({"job": job, "round": decoded.round, "kind": kind, "steps": list(steps), "at": 0, "done": 0})
        case events.StepDone(step=step, done=done) if state["steps"][state["at"]] == step:
            return _next(state | {"at": state["at"] + 1, "done": done})
        case events.Failed(reason=reason):
            return _end(state, error=reason)
        case events.Cancelled():
            return _end(state, error="cancelled")
        case TimedOut():
            command = Command(effect=GIVE_UP, target=_target(state), payload={"job": state["job"], "after": _hours()})
            return Reaction(state=state, commands=(command,), timeout=STEP_TIMEOUT)
    return None


def _next(state: dict[str, Any]) -> Reaction:
    if state["at"] == len(state["steps"]):
        return _end(state, error="")
    step = state["steps"][state["at"]]
    payload = {"job": state["job"], "round": state["round"], "step": step, "done": state["done"]}
    command = Command(effect=STEP, target=f"{_target(state)}/{step}", payload=payload)
    return Reaction(state=state, commands=(command,), timeout=STEP_TIMEOUT)


def _end(state: dict[str, Any], *, error: str) -> Reaction:
    payload = {"job": state["job"], "round": state["round"], "error": error}
    command = Command(effect=END, target=_target(state), payload=payload)
    return Reaction(state=state | {"is_ending": True}, commands=(command,))


def _target(state: dict[str, Any]) -> str:
    return str(state["job"])


def _hours() -> str:
    return f"{STEP_TIMEOUT / timedelta(hours=1):g} hours"


def _round_of(event: RecordedEvent) -> int:
    return int(event.payload.get("round", 1))


# --- What is done -----------------------------------------------------------------------------------------------------


@effect(STEP, in_outbox=False)
def do_step(delivery: Delivery) -> None:
    """Do one step and record that it is done, or that it failed."""
    job = _worked_on(delivery)
    if job is None:
        return
    step, at = delivery.payload["step"], int(delivery.payload["round"])
    try:
        done = _kinds[job.kind].run_step(job, step, done=delivery.payload["done"])
    except jobs.JobLost as lost:
        if _has_ended(job.id):
            return
        raise LetGo from lost
    except Exception as error:
        log.exception("job_step_failed", job=job.id, kind=job.kind, step=step)
        record(job, at, events.Failed(reason=f"{type(error).__name__}: {error}"), dispatch=delivery.id)
        return
    record(job, at, events.StepDone(step=step, done=done), dispatch=delivery.id)


@effect(END, in_outbox=False)
def end(delivery: Delivery) -> None:
    """Clear up, end the row, and record it: in this order, so that a row that has ended has left nothing behind."""
    job = Job.objects.get(id=delivery.payload["job"])
    if job.status not in jobs.ENDED:
        job = _worked_on(delivery) or job
    error = delivery.payload["error"]
    _kinds[job.kind].clean_up(job)
    jobs.finish(job, result=job.result, error=error)
    record(job, int(delivery.payload["round"]), events.Ended(error=error), dispatch=delivery.id)


@effect(GIVE_UP)
def give_up(delivery: Delivery) -> None:
    """Fail a job that takes too long; its worker stops at its next sign of life."""
    job = Job.objects.get(id=delivery.payload["job"])
    reason = f"no step was done within {delivery.payload['after']}"
    stopped = Job.objects.filter(id=job.id, status__in=("queued", "running")).update(
        status="failed", error=reason, finished_at=datetime.now(UTC)
    )
    if stopped:
        log.error("job_gave_up", job=job.id, kind=job.kind)
    wind_up(job.id)


def _worked_on(delivery: Delivery) -> Job | None:
    """Return the job as this attempt has it, None where it has ended.

    Raises:
        LetGo: another attempt has it.
    """
    job = Job.objects.get(id=delivery.payload["job"])
    if job.status in jobs.ENDED:
        return None
    if job.attempt != delivery.token:
        raise LetGo
    return job


# --- Driving it -------------------------------------------------------------------------------------------------------


def run(job_id: str) -> Job | None:
    """Work on a job until it ends. Safe to call twice and to stop anywhere.

    Returns the job, or None where another worker has it or it has ended.
    """
    job = jobs.claim(job_id)
    if job is None:
        if _has_ended(job_id):
            wind_up(job_id)
        return None
    at = _begun(job)
    with jobs.beating(job):
        _drive(job, at)
    wind_up(job_id)  # does nothing, unless somebody cancelled it meanwhile
    ended = Job.objects.get(id=job_id)
    return ended if ended.status in ("done", "failed") else None


def wind_up(job_id: str) -> None:
    """See to the end of a job whose row has ended without its process: it was cancelled, or its worker died then."""
    job = Job.objects.filter(id=job_id).first()
    if job is None or job.status not in jobs.ENDED:
        return
    at = _open_round(job)
    if at is None and not job.attempt:
        _kinds[job.kind].clean_up(job)  # cancelled before any worker saw it
        return
    if at is not None and job.status == "cancelled":
        record(job, at, events.Cancelled())
    elif at is not None and job.status == "failed":
        record(job, at, events.Failed(reason=job.error))
    _drive(job, at)


def to_wind_up(*, now: datetime) -> list[str]:
    """Return the jobs whose row has ended and whose process may not have."""
    waiting = Dispatch.objects.filter(state="pending", effect__in=_BY_THE_WORKER, created_us__gt=_us(now - _SWEPT_FOR))
    asked = {msgspec.json.decode(payload)["job"] for payload in waiting.values_list("payload", flat=True)}
    unseen = Job.objects.filter(status="cancelled", attempt=0, finished_at__gt=now - _SWEPT_FOR, kind__in=list(_kinds))
    ended = Job.objects.filter(id__in=asked, status__in=jobs.ENDED)
    return sorted({*ended.values_list("id", flat=True), *unseen.values_list("id", flat=True)})


def _drive(job: Job, at: int | None) -> None:
    """Take the job's events in and do what is decided, in turn, until nothing is left to do or the job is lost."""
    while True:
        _feed(job)
        outcomes = outbox.deliver_due(
            clock=lambda: datetime.now(UTC), token=job.attempt, effects=_BY_THE_WORKER, most=1, **_of(job)
        )
        if not outcomes or outcomes in (["lost"], ["retry"]):
            return
        if outcomes == ["dead"]:
            if at is None or _open_round(job) != at:
                return
            why = Dispatch.objects.filter(state="dead", **_of(job)).latest("ended_us").last_error
            record(job, at, events.Failed(reason=why))


def _feed(job: Job) -> None:
    store = store_of(job)
    manager = JobManager()
    for event in list(store.read_stream(stream_of(job))):
        if event.type in manager.reacts_to:
            react(store, manager, event)


def _of(job: Job) -> dict[str, Any]:
    return {"project": store_of(job).project, "target__startswith": job.id}


def _begun(job: Job) -> int:
    """Record that the job was asked for, unless that is recorded. Returns the round: it rises with each resumption."""
    at = _open_round(job)
    if at is None:
        at = _rounds(job)[1] + 1
        record(job, at, events.Submitted(kind=job.kind, steps=tuple(_kinds[job.kind].steps(job))))
    return at


def _open_round(job: Job) -> int | None:
    """Return the round that was begun and has not ended, if there is one."""
    begun, ended = _rounds(job)
    return begun if begun > ended else None


def _rounds(job: Job) -> tuple[int, int]:
    """Return the newest round that was begun, and the newest that has ended; 0 is none."""
    begun = ended = 0
    for event in store_of(job).read_stream(stream_of(job)):
        match catalog.decode(event):
            case events.Submitted(round=at):
                begun = max(begun, at)
            case events.Ended(round=at):
                ended = max(ended, at)
    return begun, ended


def record(job: Job, at: int, event: msgspec.Struct, *, dispatch: str | None = None) -> None:
    """Append an event of a job, once: its id is derived from the job, the round and what it says happened."""
    what = f"{at} {type(event).__name__} {getattr(event, 'step', '')}"
    known_id = str(uuid5(UUID(job.id), what))
    store = store_of(job)
    if known_id in store.versions_of(stream_of(job)):
        return
    data = msgspec.structs.replace(event, round=at)
    store.append(
        stream_of(job),
        [
            EventData(
                id=known_id,
                type=catalog.name_of(type(event)),
                data=codec.encode(data),
                metadata=codec.encode(Metadata(correlation_id=f"job:{job.id}", dispatch_id=dispatch)),
            )
        ],
        expected_version=ANY_VERSION,
    )


def stream_of(job: Job) -> str:
    """Return the stream of a job's events."""
    return stream_name(events.CATEGORY, job.id)


def store_of(job: Job) -> EventStore:
    """Return the journal that a job's events are in; work on the whole journal is recorded in the default project."""
    return get_store(job.project_id or DEFAULT_PROJECT)


def _has_ended(job_id: str) -> bool:
    return Job.objects.filter(id=job_id, status__in=jobs.ENDED).exists()


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
