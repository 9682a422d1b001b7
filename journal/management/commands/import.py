"""`nagare import`: files to runs."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from journal.domain.text import printable
from journal.ingest import load_formats
from journal.ingest.files import find
from journal.ingest.importer import FileReport, Importer, Report
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, on_terminal, store_of
from journal.runtime import sealer
from journal.runtime.projection import catch_up_all


class Command(Base):
    """Import files, folders, globs and archives."""

    help = (
        "Import recorded runs from files, folders, globs, .gz and .zip. The format is told by what is in the file."
        " Importing again adds only what is new. Exit code 1 where a file was refused; the others are in."
    )
    example = "nagare import ~/.claude/projects/my-project --project default"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, folder, glob, .gz or .zip")
        parser.add_argument(
            "--format",
            metavar="F",
            choices=[known.name for known in load_formats()],
            help="read every file as this format: %(choices)s",
        )
        parser.add_argument(
            "--replace-invalid", action="store_true", help="show NUL characters and lone surrogates as U+FFFD"
        )
        parser.add_argument(
            "--model-step",
            action="append",
            default=[],
            metavar="NAME",
            help="take steps of this name (a Temporal activity) for calls of a model; may be given several times",
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Import, catch the read models up, and report."""
        importer = Importer(
            store=store_of(options["project"]),
            format_name=options["format"],
            replace=options["replace_invalid"],
            model_steps=frozenset(options["model_step"]),
        )
        report = importer.run(find(options["paths"]), on_file=self._teller(as_json=options["json"]))
        catch_up_all()
        sealer.catch_up()
        _clear_line()
        if options["json"]:
            self.print_json(report)
        else:
            self._sum_up(report)
        if report.totals["refused"]:
            raise CommandError(f"{report.totals['refused']} of {report.totals['files']} files refused", returncode=1)

    def _teller(self, *, as_json: bool) -> Any:
        done = 0

        def tell(report: FileReport) -> None:
            nonlocal done
            done += 1
            if not as_json and (report.status == "refused" or report.left_out or not on_terminal()):
                _clear_line()
                self.say(f"{report.status:>9}  {report.path}{_found(report)}")
            if on_terminal():
                _clear_line()
                sys.stderr.write(f"{done} files  {printable(report.path[-70:])}")
                sys.stderr.flush()

        return tell

    def _sum_up(self, report: Report) -> None:
        totals = report.totals
        added = sum(file.added for file in report.files)
        self.say(
            f"{totals['files']:,} files, {totals['runs']:,} runs, {totals['events']:,} events ({added:,} new),"
            f" {totals['decisions']:,} decisions, {totals['tool_calls']:,} tool calls,"
            f" {totals['tool_errors']:,} tool errors, {totals['refused']:,} files refused"
        )


def _clear_line() -> None:
    """Take the progress off a terminal, so that what is printed next begins a line."""
    if on_terminal():
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()


def _found(report: FileReport) -> str:
    """Return what was found in a file, or why it was refused."""
    if report.status == "refused":
        return f": {report.reason}"
    events = sum(run.events for run in report.runs)
    runs = f": {report.format}, {len(report.runs):,} runs, {events:,} events" if report.runs else ""
    return runs + (f"; {report.reason}" if report.reason else "")
