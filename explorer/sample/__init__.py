"""The sample: one synthetic run with a real bug, so that an empty journal is one click away from a filled debugger.

The file is an export of the demo's run (`nagare export --format jsonl`): 200 events of a coding agent that edits, at
event 23, a file it never read.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

from journal.ingest.files import from_memory
from journal.ingest.importer import Importer, iter_runs
from journal.runtime.projection import catch_up_all
from journal.store import get_store

VERSION: Final = 23
"""The event the sample is opened at."""

_FILE: Final = "edit-without-reading.jsonl"


def install(project: str) -> str:
    """Import the sample into a project, where it is not there yet, and return its stream."""
    data = gzip.decompress((Path(__file__).parent / f"{_FILE}.gz").read_bytes())
    report = Importer(store=get_store(project)).run(from_memory({_FILE: data}))
    catch_up_all()
    return next(iter_runs(report)).stream
