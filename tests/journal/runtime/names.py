"""A small projection whose read model is rows of a table that is there anyway, one for each stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from journal.domain.event import RecordedEvent
from journal.domain.stream import ANY_VERSION
from journal.models import Project
from journal.runtime import checkpoint, read_model
from journal.store import get_store
from tests.builders import raw


class Names:
    """Keeps the newest version of each stream. `poison` are ids it cannot take; `before` is called with each batch.

    `taken` are the generations and positions it was given.
    """

    name = "test-names"

    def __init__(self) -> None:
        self.code_version = 1
        self.poison: set[str] = set()
        self.before: Callable[[int], None] = lambda _generation: None
        self.taken: list[tuple[int, int]] = []

    def handle(self, events: Sequence[RecordedEvent], *, generation: int) -> None:
        """Write a row for each event's stream."""
        self.before(generation)
        for event in events:
            category, _, name = event.stream.partition("-")
            if event.id in self.poison:
                raise ValueError("poison")
            self.taken.append((generation, event.position))
            if category == "name":
                self._note(f"run-{generation}-{name}", event.version)

    def _note(self, slug: str, version: int) -> None:
        at = Project.objects.filter(slug=slug).values_list("name", flat=True).first()
        Project.objects.update_or_create(slug=slug, defaults={"name": str(max(int(at or 0), version))})

    def discard(self, *, below: int, keep: Collection[int]) -> None:
        """Delete the rows of old generations."""
        for slug in Project.objects.filter(slug__startswith="run-").values_list("slug", flat=True):
            generation = int(slug.split("-")[1])
            if generation < below and generation not in keep:
                Project.objects.filter(slug=slug).delete()

    def digest(self, *, generation: int) -> str:
        """Return a digest of the rows."""
        return read_model.digest([sorted(self.rows(generation).items())])

    def rows(self, generation: int | None = None) -> dict[str, str]:
        """Return stream and newest version of a generation, by default the one that pages see."""
        live = checkpoint.read(self.name).generation if generation is None else generation
        start = f"run-{live}-"
        found = Project.objects.filter(slug__startswith=start).values_list("slug", "name")
        return {slug.removeprefix(start): name for slug, name in found}


def generations() -> set[int]:
    """Return the generations there are rows of."""
    return {
        int(slug.split("-")[1])
        for slug in Project.objects.filter(slug__startswith="run-").values_list("slug", flat=True)
    }


def append(*streams: str) -> list[str]:
    """Append an event to each name's stream, and return the ids."""
    return [get_store().append(f"name-{stream}", [raw()], expected_version=ANY_VERSION).ids[0] for stream in streams]
