"""The events of a long job: one stream per job, category `job`. Its row says how far it is; these say what happened."""

from __future__ import annotations

from typing import Final

import msgspec

from journal.domain.catalog import catalog

CATEGORY: Final = "job"


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire. `round` rises each time a job that has ended is queued again."""

    round: int = 1


@catalog.event("job.submitted")
class Submitted(_Data, frozen=True, kw_only=True):
    """A job was asked for; `steps` are all it consists of, in order."""

    kind: str = ""
    steps: tuple[str, ...] = ()


@catalog.event("job.step_done")
class StepDone(_Data, frozen=True, kw_only=True):
    """A step is done. `done` is how much of the whole job is done with it, in the job's unit."""

    step: str = ""
    done: int = 0


@catalog.event("job.failed")
class Failed(_Data, frozen=True, kw_only=True):
    """The job cannot go on."""

    reason: str = ""


@catalog.event("job.cancelled")
class Cancelled(_Data, frozen=True, kw_only=True):
    """Somebody stopped the job."""


@catalog.event("job.ended")
class Ended(_Data, frozen=True, kw_only=True):
    """The job left nothing behind that would have to be cleared away. `error` is empty where it was done."""

    error: str = ""
