"""What audits hold of events, and how it goes when they do."""

from __future__ import annotations

import re
import zipfile
from contextlib import suppress
from typing import Any, Final

from django.core.files.storage import default_storage

from audits import jobs
from audits.bundle import MANIFEST
from audits.models import Mention
from journal.runtime import projection
from journal.runtime.copies import Gone, holds_copies, made_again

_ID: Final = re.compile(rb'"id":"([0-9a-f-]{36})"')
_VERDICT: Final = re.compile(rb'"event_id": "([0-9a-f-]{36})"')
"""In the manifest, of the verdicts that the report quotes."""

_FILES: Final = (jobs.BUNDLE, jobs.REPORT, jobs.TRAIL, jobs.TOLD)


@holds_copies
class Mentions:
    """The index of who is named in which run."""

    name = "subject index"

    def clear(self, gone: Gone) -> int:
        """Make the rows of each stream again of what is left."""

        def drop(generation: int, stream: str) -> int:
            count: int = Mention.every.filter(generation=generation, project=gone.project, stream=stream).delete()[0]
            return count

        return made_again(projection.named("subjects"), gone, drop)


@holds_copies
class Files:
    """Reports and bundles that were made and are kept here. Those that were handed over are in other hands."""

    name = "audit files"

    def clear(self, gone: Gone) -> int:
        """Delete the files of each audit that covers one of the events, or that asked for the subject."""
        found = 0
        for job in jobs.every(gone.project):
            if not _concerns(job, gone):
                continue
            found += sum(_delete(jobs.place(job.id, name)) for name in _FILES)
            words = f"Its files held what was {gone.words}, and are deleted."
            jobs.forget(job, words=words, scrubbed=gone.scrubbed)
        return found


def _concerns(job: Any, gone: Gone) -> bool:
    query = job.arguments.get("query") or {}
    if gone.subject and query.get("subject") == gone.subject:
        return True
    place = jobs.place(job.id, jobs.BUNDLE)
    if not default_storage.exists(place):
        return False
    with (
        suppress(zipfile.BadZipFile, KeyError),
        default_storage.open(place) as file,
        zipfile.ZipFile(file) as bundle,
        bundle.open("events.jsonl") as lines,
        bundle.open(MANIFEST) as manifest,
    ):
        verdicts = {found[1].decode() for found in _VERDICT.finditer(manifest.read())}
        return not verdicts.isdisjoint(gone.event_ids) or any(
            found[1].decode() in gone.event_ids for line in lines for found in _ID.finditer(line)
        )
    return False


def _delete(place: str) -> int:
    if not default_storage.exists(place):
        return 0
    default_storage.delete(place)
    return 1
