"""`nagare bench`: how fast, against the least that the same work costs, or against a budget."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from django.core.management.base import CommandParser
from django.utils.module_loading import autodiscover_modules

from journal.benches.registry import Asked, known
from journal.management.base import Command as Base
from journal.management.base import wrong_usage

_WIDTH: Final = 100
_SMALLEST: Final = 100
"""Events; a shorter run has too few places to move to."""


class Command(Base):
    """Run a benchmark."""

    help = "Measure the project's own work on this machine, in a scratch journal that is removed at the end."
    example = "nagare bench import --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        autodiscover_modules("benches")
        self._known = known()
        about = (fill(f"{bench.name}: {bench.about}.", _WIDTH) for bench in self._known.values())
        parser.description = "\n\n".join((self.help, *about))
        parser.add_argument(
            "name",
            nargs="?",
            choices=self._known,
            default="import",
            metavar="NAME",
            help="%(choices)s; default: import",
        )
        parser.add_argument(
            "--sizes",
            type=_sizes,
            default=(),
            metavar="N,…",
            help="events of the runs that `ui` opens, such as 200,2000",
        )

        parser.add_argument("--data", default="", metavar="FOLDER", help="what `whowhen` measures: its conversations")

    def run(self, **options: Any) -> None:
        """Measure and print."""
        bench = self._known[options["name"]]
        if options["sizes"] and not bench.sizes:
            raise wrong_usage(f"the benchmark {bench.name} has no sizes to choose from; leave --sizes out")
        if options["data"] and not bench.data:
            raise wrong_usage(f"the benchmark {bench.name} makes its own data; leave --data out")
        if bench.data and not (options["data"] and Path(options["data"]).is_dir()):
            asked = options["data"] or "FOLDER"
            raise wrong_usage(f"the benchmark {bench.name} needs {bench.data}: --data {asked} is no folder")
        report = bench.run(_tell, Asked(sizes=options["sizes"] or bench.sizes, data=options["data"]))
        if options["json"]:
            self.print_json({"benchmarks": [report.document]})
            return
        for line in report.lines:
            self.say(line)


def _tell(what: str) -> None:
    sys.stderr.write(f"measuring {what}\n")


def _sizes(text: str) -> tuple[int, ...]:
    """Return numbers of events parted by commas; argparse says what is wrong with others."""
    sizes = text.split(",")
    if all(size.isdecimal() and int(size) >= _SMALLEST for size in sizes):
        return tuple(map(int, sizes))
    raise ArgumentTypeError(f"{text!r} is not numbers of events, {_SMALLEST} at least, parted by commas")
