"""Files that are there whole or not at all, for what is kept outside the database: keys, heads, reports.

Content goes into a candidate of its own name beside the file, and to the disk; then the candidate becomes the file in
one step. A reader never sees half of it, and a crash leaves at most a candidate behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

OWNER_ALONE: Final = 0o600
AS_USUAL: Final = 0o666
"""What the process's mask leaves of it: for files that are for others as well."""


def place(path: Path, content: bytes) -> None:
    """Write a file that did not exist, for its owner alone; of several that try, one wins and all read the same.

    Raises:
        OSError: it cannot be written.
    """
    candidate = _candidate(path, content, OWNER_ALONE)
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(candidate)
    finally:
        candidate.unlink()


def replace(path: Path, content: bytes, *, mode: int = OWNER_ALONE) -> None:
    """Write a file in place of the one that is there, if one is.

    Raises:
        OSError: it cannot be written; then what was there stays.
    """
    candidate = _candidate(path, content, mode)
    try:
        candidate.replace(path)
    except OSError:
        candidate.unlink(missing_ok=True)
        raise


def _candidate(path: Path, content: bytes, mode: int) -> Path:
    candidate = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    descriptor = os.open(candidate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        candidate.unlink(missing_ok=True)
        raise
    return candidate
