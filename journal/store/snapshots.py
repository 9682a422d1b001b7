"""Snapshots: states of long streams, kept so that any version is near one. Deleting all of them loses only time.

A snapshot belongs to the code that folded it: the digest of that code's source is a part of its key, so other code
simply finds none. Streams are kept at every 500 events up to 8,000, and eight times for each doubling after that:
what is left to fold stays under an eighth of the stream, and all snapshots together stay near eight times the newest.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import import_module
from inspect import getsource
from typing import Final

import msgspec
import structlog
from django.db import DatabaseError, transaction

from journal.domain import aggregate
from journal.domain.aggregate import FAR, Freezable, Repository, State
from journal.models import Snapshot
from journal.store import get_store

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

EVERY: Final = 500
_DENSE_UNTIL: Final = 8_000
_ERRORS = (msgspec.MsgspecError, zlib.error, UnicodeError, OverflowError, TypeError, ValueError)


def is_kept_at(version: int) -> bool:
    """Return whether a stream's state is kept at a version."""
    if version < FAR:
        return False
    doublings = max(0, (version // _DENSE_UNTIL).bit_length())
    return version % (EVERY << doublings) == 0


class Kept:
    """The snapshots of one project."""

    def __init__(self, project: str) -> None:
        self._project = project

    def nearest(self, stream: str, version: int | None) -> State | None:
        """Return the newest snapshot at or before `version`; None where there is none that this code made."""
        empty = aggregate.initial(stream)
        if (version is not None and version < FAR) or not isinstance(empty, Freezable):
            return None
        found = Snapshot.objects.filter(project=self._project, stream=stream, code_version=code_version(type(empty)))
        if version is not None:
            found = found.filter(version__lte=version)
        row = found.order_by("-version").first()
        return _thawed(empty.thaw, row) if row else None

    def pass_by(self, state: State) -> None:
        """Keep the state if its version is one to keep; where that fails, the next load folds a little more."""
        if not is_kept_at(state.version) or not isinstance(state, Freezable):
            return
        try:
            frozen = zlib.compress(state.freeze(), 1)
            with transaction.atomic():
                Snapshot.objects.get_or_create(
                    project=self._project,
                    stream=state.stream,
                    version=state.version,
                    code_version=code_version(type(state)),
                    defaults={"state": frozen},
                )
        except (DatabaseError, *_ERRORS) as error:
            log.warning("snapshot_not_kept", version=state.version, reason=type(error).__name__)

    def drop(self, stream: str | None = None) -> int:
        """Delete the project's snapshots, or one stream's. Returns how many."""
        found = Snapshot.objects.filter(project=self._project)
        return (found.filter(stream=stream) if stream else found).delete()[0]


def repository(project: str) -> Repository:
    """Return what loads a project's states, with its snapshots."""
    return Repository(get_store(project), snapshots=Kept(project))


@cache
def code_version(kind: type[Freezable]) -> str:
    """Return a digest of the code that folds this kind of state, so that nobody need remember to raise a number."""
    code = sha256()
    for module in kind.folded_by:
        code.update(getsource(import_module(module)).encode())
    return code.hexdigest()[:16]


def _thawed(thaw: Callable[[bytes], State], row: Snapshot) -> State | None:
    try:
        return thaw(zlib.decompress(bytes(row.state)))
    except _ERRORS as error:
        log.warning("snapshot_unreadable", stream=row.stream, version=row.version, reason=type(error).__name__)
        return None
