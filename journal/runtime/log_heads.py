"""The newest checkpoint of each log, kept outside the database: what tells a restored backup from the log it was.

A database that is put back to yesterday has forgotten checkpoints that others hold. Going on from there would sign a
second history under the same name; with the newest head in a file of its own, the sealer sees it and opens another
log instead.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from journal.domain.note import Checkpoint, NoteRefused, parse_checkpoint, split_note
from journal.runtime import private_file
from journal.runtime.in_use import InUse


class Heads:
    """The files, one a log, named by its origin. Without a folder none are kept."""

    def __init__(self, folder: Path | None) -> None:
        """Touch nothing yet."""
        self._folder = folder

    def newest(self, origin: str) -> tuple[str, Checkpoint] | None:
        """Return the newest note that was signed here for a log, None where none is known."""
        if self._folder is None:
            return None
        try:
            note = self._path(origin).read_text()
            return note, parse_checkpoint(split_note(note)[0])
        except (FileNotFoundError, NoteRefused):
            return None  # one that cannot be read is as good as none: `keep` writes it again

    def keep(self, note: str) -> None:
        """Keep a note as its log's newest."""
        if self._folder is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(parse_checkpoint(split_note(note)[0]).origin)
        private_file.replace(path, note.encode())

    def _path(self, origin: str) -> Path:
        if self._folder is None:
            raise RuntimeError("no folder to keep heads in")
        return self._folder / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"


_known: Final = InUse("journal", Heads(None))
use = _known.use
in_use = _known.in_use
"""Where this installation keeps its heads."""
