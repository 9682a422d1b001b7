"""`nagare bench`: how fast, against the least that the same work costs on the same machine in the same minute."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from journal.benches import importing, store
from journal.management.base import Command as Base


class Command(Base):
    """Run a benchmark."""

    help = (
        "Measure the project's own work against a floor measured in the same run. import: made-up sessions into a"
        " journal of its own; the floor decodes the same files and inserts the same rows into a bare SQLite table."
        " store: append, read, replay and catch-up on the configured kind of database, in a scratch one of its own; the"
        " floor is the raw driver."
    )
    example = "nagare bench import --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        names = ["import", "store"]
        parser.add_argument(
            "name", nargs="?", choices=names, default=names[0], metavar="NAME", help="%(choices)s; default: %(default)s"
        )

    def run(self, **options: Any) -> None:
        """Measure and print."""
        if options["name"] == "store":
            self._store(as_json=options["json"])
        else:
            self._import(as_json=options["json"])

    def _import(self, *, as_json: bool) -> None:
        found = importing.run()
        if as_json:
            self.print_json({"benchmarks": [found]})
            return
        self.say(
            f"{found.name}: {found.events:,} events of {found.bytes:,} bytes in {found.seconds:.2f} s,"
            f" {found.events_per_second:,.0f} events/s;"
            f" {found.ratio:.1f} times the floor of {found.floor_seconds:.2f} s"
        )

    def _store(self, *, as_json: bool) -> None:
        def tell(operation: str) -> None:
            sys.stderr.write(f"measuring {operation}\n")

        ratios = store.run(say=tell)
        if as_json:
            self.print_json({"benchmarks": [{"name": "store", "ratios": ratios}]})
            return
        for one in ratios:
            self.say(
                f"{one.operation:<40} {one.store_per_s:>9,.0f} events/s  {one.ratio:.2f} of the raw driver's"
                f" {one.floor_per_s:,.0f}  (goal {one.goal:.2f})"
            )
