"""Where else the journal's contents stand: read models, caches, files. Whoever keeps a copy says here how it goes.

The journal's payloads are withdrawn in one place; everything made of them elsewhere is cleared by its holder, which
registers itself when its app's module `copies` is loaded. Clearing twice changes nothing more: it is done again where
it was interrupted, and once more when every process has seen that the payloads are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

import msgspec
from django.db import transaction
from django.db.models.functions import Now

from journal.domain.retention import naming
from journal.models import Checkpoint
from journal.runtime.beside import building_name
from journal.runtime.projection import Projection
from journal.store import get_store

GONE: Final = "[erased]"
"""What stands in the place of a piece of text that went."""

_TEXTS: Final = frozenset({"message", "title", "summary", "text", "reason", "detail", "preview", "prompt"})


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """What was withdrawn: events by id, and the streams they are of. `subject` is empty where runs were purged.

    `whole` are those of the streams of which nothing is left.
    """

    project: str
    order: str
    words: str
    streams: frozenset[str]
    whole: frozenset[str]
    event_ids: frozenset[str]
    subject: str = ""

    def scrubbed(self, value: Any) -> Any:
        """Return a JSON value without what it quotes: the subject anywhere, and texts that stand beside a stream."""
        if isinstance(value, str):
            return naming(self.subject).sub(GONE, value) if self.subject else value
        if isinstance(value, list):
            return [self.scrubbed(one) for one in value]
        if not isinstance(value, dict):
            return value
        is_about = any(isinstance(one, str) and one in self.streams for one in value.values())
        return {
            self.scrubbed(name): GONE if is_about and name in _TEXTS and one else self.scrubbed(one)
            for name, one in value.items()
        }


class Holder(Protocol):
    """Who keeps copies."""

    name: str
    """What the copies are called where they are counted."""

    def clear(self, gone: Gone) -> int:
        """Delete what is held of these events, or make it again of what is left. Returns how much went."""


H = TypeVar("H", bound=type[Holder])
_holders: dict[str, Holder] = {}


def holds_copies(holder: H) -> H:
    """Register a class that holds copies."""
    _holders[holder.name] = holder()
    return holder


def holders() -> tuple[Holder, ...]:
    """Return who holds copies, by name."""
    return tuple(_holders[name] for name in sorted(_holders))


def clear(gone: Gone) -> dict[str, int]:
    """Let every holder clear what it has, and return the counts by name, without those that had nothing."""
    counts = {holder.name: holder.clear(gone) for holder in holders()}
    return {name: count for name, count in counts.items() if count}


def made_again(
    projection: Projection,
    gone: Gone,
    drop: Callable[[int, str], int],
    *,
    keeps: Callable[[str], bool] = lambda _: True,
) -> int:
    """Let a projection make its rows of each stream again, in the live generation and in one that is being built.

    `drop` deletes a generation's rows of a stream and returns how many; a stream that `keeps` denies gets none again.
    """
    dropped = 0
    for name in (projection.name, building_name(projection.name)):
        for stream in sorted(gone.streams):
            with transaction.atomic():
                # The checkpoint's row keeps a batch that is under way from coming in between.
                Checkpoint.objects.filter(name=name).update(updated_at=Now())
                mark = Checkpoint.objects.filter(name=name).first()
                if mark is None:
                    continue
                dropped += drop(mark.generation, stream)
                events = [e for e in get_store(gone.project).read_stream(stream) if e.position <= mark.position]
                if events and keeps(stream):
                    projection.handle(events, generation=mark.generation)
    return dropped
