"""Measurements that a user can repeat: ratios to a floor measured in the same run, as machines differ."""

from __future__ import annotations

from journal.benches import importing, store
from journal.benches.registry import Bench, Report, Say, register


def _import(say: Say, sizes: tuple[int, ...]) -> Report:
    found = importing.run()
    line = (
        f"{found.name}: {found.events:,} events of {found.bytes:,} bytes in {found.seconds:.2f} s,"
        f" {found.events_per_second:,.0f} events/s;"
        f" {found.ratio:.1f} times the floor of {found.floor_seconds:.2f} s"
    )
    return Report(document=found, lines=(line,))


def _store(say: Say, sizes: tuple[int, ...]) -> Report:
    ratios = store.run(say=say)
    lines = (
        f"{one.operation:<40} {one.store_per_s:>9,.0f} events/s  {one.ratio:.2f} of the raw driver's"
        f" {one.floor_per_s:,.0f}  (goal {one.goal:.2f})"
        for one in ratios
    )
    return Report(document={"name": "store", "ratios": ratios}, lines=tuple(lines))


register(
    Bench(
        name="import",
        about=(
            "made-up sessions into a journal of its own; the floor decodes the same files and inserts the same rows"
            " into a bare SQLite table"
        ),
        run=_import,
    )
)
register(
    Bench(
        name="store",
        about=(
            "append, read, replay and catch-up on the configured kind of database, in a scratch one of its own; the"
            " floor is the raw driver"
        ),
        run=_store,
    )
)
