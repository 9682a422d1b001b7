"""What the explorer holds of events, and how it goes when they do."""

from __future__ import annotations

from django.db import transaction

from explorer import timelines
from explorer.models import EmbedLink, EventLine, NoteRow, RunMap, RunSummary, SavedView, WhatIf
from explorer.search import get_index
from journal.copies import deleted
from journal.domain import notes
from journal.domain.own import is_own
from journal.domain.retention import naming
from journal.runtime import projection
from journal.runtime.copies import Gone, holds_copies, made_again


@holds_copies
class Runs:
    """The lists of runs and of their events."""

    name = "run lists"

    def clear(self, gone: Gone) -> int:
        """Make the rows of each stream again of what is left; a run that was purged whole is in no list any more."""
        timelines.clear()

        def drop(generation: int, stream: str) -> int:
            runs = RunSummary.every.filter(generation=generation, project=gone.project, stream=stream)
            ids = list(runs.values_list("pk", flat=True))
            RunMap.every.filter(run__in=ids).delete()
            count: int = EventLine.every.filter(run__in=ids).delete()[0]
            runs.delete()
            return count

        return made_again(projection.named("explorer"), gone, drop)


@holds_copies
class Texts:
    """The search index."""

    name = "search index"

    def clear(self, gone: Gone) -> int:
        """Forget the events, and let the index forget their words."""
        index = get_index()
        count = index.forget(gone.project, gone.event_ids)
        if count and not transaction.get_connection().in_atomic_block:  # databases sweep outside of transactions alone
            index.sweep()
        return count


@holds_copies
class Notes:
    """Notes and grades on runs."""

    name = "notes"

    def clear(self, gone: Gone) -> int:
        """Delete the rows of the runs that notes went of, in every generation, and make again what is left."""
        beside = {stream.removeprefix(f"{notes.CATEGORY}-") for stream in gone.streams}
        count = deleted(NoteRow.every.filter(project=gone.project, is_own=False), "run", beside)
        count += deleted(NoteRow.every.filter(project=gone.project, is_own=True), "event_id", gone.event_ids)
        return count


@holds_copies
class WhatIfs:
    """Saved what-ifs, whose edits hold events."""

    name = "what-ifs"

    def clear(self, gone: Gone) -> int:
        """Delete those on the runs."""
        return deleted(WhatIf.objects.filter(project=gone.project), "stream", _runs(gone))


@holds_copies
class Links:
    """Links that show a run to whoever has them."""

    name = "embedded links"

    def clear(self, gone: Gone) -> int:
        """Delete those to runs of which nothing is left."""
        return deleted(EmbedLink.objects.filter(project=gone.project), "stream", gone.whole)


@holds_copies
class Views:
    """Saved queries, which may name a subject."""

    name = "saved views"

    def clear(self, gone: Gone) -> int:
        """Delete those whose query or name has the subject in it."""
        if not gone.subject:
            return 0
        views = SavedView.objects.filter(project=gone.project)
        named = naming(gone.subject)
        found = [one.pk for one in views if named.search(one.query) or named.search(one.name)]
        count: int = SavedView.objects.filter(pk__in=found).delete()[0]
        return count


def _runs(gone: Gone) -> list[str]:
    return [stream for stream in gone.streams if not is_own(stream)]
