"""Foreign trajectories to events. A module a format; adding one is adding a file.

A format module holds one `Format` made by `register`. `load_formats` loads every module of this package; a module
`import_formats` of any installed app is loaded with the app.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from journal.ingest.draft import RecordedRun, RunDraft
    from journal.ingest.source import Source

Detect = Callable[["Source"], bool]
Read = Callable[["Source"], Iterable["RunDraft | RecordedRun"]]
Companion = Callable[["Source"], str | None]


def _no_companion(_source: Source) -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A file format: its name (as `--format` takes it), what people call it, how to tell it, how to read it.

    `order` breaks ties: formats are asked in rising order, and the first that says yes reads the file.
    `example` is what a file of this kind begins with, in a line, for refusals and docs.
    `companion` says in a sentence why a file that lies beside runs is none itself (labels, metadata, a schema), and
    what reads it; None where it is no such file. An import leaves companions out without an error.
    """

    name: str
    title: str
    detect: Detect
    read: Read
    order: int = 50
    example: str = ""
    companion: Companion = _no_companion


_formats: dict[str, Format] = {}


def register(format: Format) -> Format:  # noqa: A002 - the field's word
    """Add a format to the registry, and return it."""
    _formats[format.name] = format
    return format


def load_formats() -> tuple[Format, ...]:
    """Import every format module, and return the formats in the order they are asked."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(sorted(_formats.values(), key=lambda known: (known.order, known.name)))
