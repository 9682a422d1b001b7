"""Checkpoints: the last position each subscriber has handled, moved on by compare-and-set and fenced by a token.

A new holder of a lease first stamps the checkpoint with its token (`take`). From then on whatever an earlier holder
still has in hand is refused when it moves the checkpoint on, and, being in the same transaction, is undone.
"""

from __future__ import annotations

import msgspec
from django.db.models.functions import Now

from journal.models import Checkpoint


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as it was read. `generation` says which rows of a read model it stands for."""

    name: str
    position: int = 0
    generation: int = 0
    code_version: int = 1
    token: int = 0


class Overtaken(Exception):
    """Another process moved the checkpoint meanwhile: read it and go on from there."""


class Fenced(Exception):
    """A later holder of the lease has stamped the checkpoint: this one may write no more."""


def peek(name: str) -> Mark | None:
    """Return a checkpoint, None where nothing was handled yet."""
    row = Checkpoint.objects.filter(name=name).first()
    return _mark(row) if row else None


def read(name: str, *, code_version: int = 1, generation: int = 0) -> Mark:
    """Return a checkpoint; a new one stands at the beginning."""
    row, _ = Checkpoint.objects.get_or_create(
        name=name, defaults={"code_version": code_version, "generation": generation}
    )
    return _mark(row)


def take(name: str, *, token: int, code_version: int = 1, generation: int = 0) -> Mark:
    """Stamp a checkpoint with a holder's token and return it. Earlier tokens are refused from here on.

    Raises:
        Fenced: a later holder was here first.
    """
    read(name, code_version=code_version, generation=generation)
    if not Checkpoint.objects.filter(name=name, token__lte=token).update(token=token):
        raise Fenced(name)
    return read(name)


def advance(mark: Mark, *, to: int, token: int = 0) -> Mark:
    """Move a checkpoint on from where it was read. Call it inside the transaction whose work it stands for.

    Raises:
        Fenced: a later holder has stamped it.
        Overtaken: it is no longer where it was read.
    """
    moved = Checkpoint.objects.filter(
        name=mark.name, position=mark.position, generation=mark.generation, token__lte=token
    ).update(position=to, token=token, updated_at=Now())
    if not moved:
        check(mark.name, token=token)
        raise Overtaken(mark.name)
    return msgspec.structs.replace(mark, position=to, token=token)


def check(name: str, *, token: int) -> None:
    """Raise `Fenced` where a later holder has stamped the checkpoint."""
    if Checkpoint.objects.filter(name=name, token__gt=token).exists():
        raise Fenced(name)


def _mark(row: Checkpoint) -> Mark:
    return Mark(
        name=row.name, position=row.position, generation=row.generation, code_version=row.code_version, token=row.token
    )
