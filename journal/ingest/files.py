"""Which files an import means: paths, folders, globs, archives, and what came with them.

Only regular files below what was named are read; a link out of a folder is not followed. Archives are opened within
the limits of `archive`.
"""

from __future__ import annotations

import glob
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from journal.errors import ImportRefused
from journal.ingest import archive
from journal.ingest.source import MAX_DOCUMENT_BYTES, Source

_SUFFIXES: Final = frozenset(
    {".json", ".jsonl", ".ndjson", ".traj", ".eval", ".gz", ".zip", ".log", ".sqlite", ".sqlite3", ".db"}
)
"""What a folder is searched for. A file that is named itself is always tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A file to import, not read yet; or one that cannot be, with the reason in `refused`."""

    name: str
    read: Callable[[], bytes] = bytes
    beside: Callable[[str], bytes | None] = lambda _name: None
    names: Callable[[], list[str]] = list
    refused: str | None = None

    def source(self) -> Source:
        """Read the file, and inflate it where it is gzipped.

        Raises:
            ImportRefused: it cannot be read, or is past a limit.
        """
        try:
            data = self.read()
        except OSError as error:
            raise ImportRefused(f"it cannot be read: {error.strerror or error}") from error
        name = self.name
        if data[:2] == b"\x1f\x8b":
            data = archive.gunzip(data)
            name = name.removesuffix(".gz")
        return Source(name=name, data=data, sibling=self.beside, siblings=self.names)


def find(paths: Iterable[str]) -> Iterator[Found]:
    """Yield the files that the paths mean, folders in order of name, archives entry by entry."""
    for path in paths:
        yield from _named(path)


def _named(path: str) -> Iterator[Found]:
    at = Path(path)
    if at.is_dir():
        for inner in sorted(_below(at)):
            yield from _opened(inner, root=at)
    elif at.is_file():
        yield from _opened(at, root=None)
    elif matches := sorted(glob.glob(path, recursive=True)):  # noqa: PTH207 - absolute patterns too
        for match in matches:
            yield from _named(match)
    else:
        yield Found(name=path, refused="there is no such file, folder or match; check the path, and quote a glob")


def _below(folder: Path) -> Iterator[Path]:
    for inner in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in inner.relative_to(folder).parts)
        if inner.suffix.lower() in _SUFFIXES and not hidden and inner.is_file() and not inner.is_symlink():
            yield inner


def _opened(path: Path, root: Path | None) -> Iterator[Found]:
    """Yield the file, or the entries of the archive it is. A file that was named alone has nothing beside it."""
    if path.stat().st_size > MAX_DOCUMENT_BYTES:
        yield Found(name=str(path), refused=f"{path.stat().st_size:,} bytes, the limit is {MAX_DOCUMENT_BYTES:,}")
    elif path.suffix.lower() == ".zip":
        yield from from_archive(str(path), path.read_bytes())
    elif root is None:
        yield Found(name=str(path), read=partial(_content, path))
    else:
        yield Found(
            name=str(path),
            read=partial(_content, path),
            beside=partial(_beside_on_disk, path.parent, root),
            names=partial(_names_on_disk, path.parent),
        )


def _content(path: Path) -> bytes:
    """Return a file's bytes. What a database's writer has put in its log so far is part of it, as SQLite reads it."""
    if path.with_name(f"{path.name}-wal").is_file():
        try:
            with (
                closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database,
                closing(sqlite3.connect(":memory:")) as copy,
            ):
                database.backup(copy)
                return copy.serialize()
        except sqlite3.Error:
            return path.read_bytes()
    return path.read_bytes()


def _beside_on_disk(folder: Path, root: Path, name: str) -> bytes | None:
    wanted = (folder / name).resolve()
    inside = wanted.is_relative_to(root.resolve()) and wanted.is_file()
    return wanted.read_bytes() if inside and wanted.stat().st_size <= MAX_DOCUMENT_BYTES else None


def _names_on_disk(folder: Path) -> list[str]:
    return sorted(inner.name for inner in folder.iterdir() if inner.is_file())


def from_archive(name: str, data: bytes) -> Iterator[Found]:
    """Yield the entries of a zip as files beside each other; the archive itself where it cannot be opened."""
    try:
        entries = dict(archive.entries(data))
    except ImportRefused as refusal:
        yield Found(name=name, refused=str(refusal))
        return
    yield from from_memory({f"{name}/{entry}": content for entry, content in entries.items()})


def from_memory(files: dict[str, bytes], *, every: bool = False) -> Iterator[Found]:
    """Yield files whose bytes are at hand, each with the others of its folder beside it.

    Only names a folder would be searched for, unless `every` one was chosen by hand.
    """
    for name in sorted(files):
        if every or PurePosixPath(name).suffix.lower() in _SUFFIXES:
            folder = str(PurePosixPath(name).parent)
            yield Found(
                name=name,
                read=partial(files.__getitem__, name),
                beside=partial(_beside_in_memory, files, folder),
                names=partial(_names_in_memory, files, folder),
            )


def _beside_in_memory(files: dict[str, bytes], folder: str, name: str) -> bytes | None:
    path = PurePosixPath(folder)
    while name.startswith("../"):
        path, name = path.parent, name.removeprefix("../")
    return files.get(str(path / name))


def _names_in_memory(files: dict[str, bytes], folder: str) -> list[str]:
    return sorted(PurePosixPath(name).name for name in files if str(PurePosixPath(name).parent) == folder)
