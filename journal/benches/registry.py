"""What `nagare bench` can measure: each benchmark registers itself, in a module `benches` of any installed app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

Say = Callable[[str], None]
"""Tells whoever waits what is being measured."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark found: a document for programs, and lines for people."""

    document: Any
    lines: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever runs a benchmark chose: numbers of events, and the folder with what is measured."""

    sizes: tuple[int, ...] = ()
    data: str = ""


class Bench(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark. `sizes` are what it measures where nothing is asked for; without any it takes none.

    `data` says what lies in the folder that it has to be given; empty where it needs none.
    """

    name: str
    about: str
    run: Callable[[Say, Asked], Report]
    sizes: tuple[int, ...] = ()
    data: str = ""


_known: dict[str, Bench] = {}


def register(bench: Bench) -> None:
    """Offer a benchmark under its name; a later one of the same name replaces it."""
    _known[bench.name] = bench


def known() -> dict[str, Bench]:
    """Return the registered benchmarks by name, in the order of the names."""
    return dict(sorted(_known.items()))
