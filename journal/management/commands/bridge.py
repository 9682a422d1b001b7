"""`nagare bridge`: what another program's database keeps of its runs, brought in as it is written."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import CommandError, CommandParser

from journal.domain.text import printable
from journal.ingest.bridge import Bridge
from journal.ingest.importer import FileReport, Report
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, store_of
from journal.runtime import sealer
from journal.runtime.projection import catch_up_all


class Command(Base):
    """Bring what is new in a checkpointer's database."""

    help = (
        "Read the checkpoints that LangGraph's SQLite or PostgreSQL saver keeps, and bring what is new since the last"
        " time; with --follow, go on until SIGTERM or Ctrl-C. The database is only read. Its password is better kept in"
        " ~/.pgpass or PGPASSWORD than in the URL."
    )
    example = "nagare bridge langgraph --database postgresql://app@db/agents --follow"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("kind", choices=["langgraph"], help="whose database it is: %(choices)s")
        parser.add_argument(
            "--database", required=True, metavar="URL", help="sqlite:///PATH, a path, or postgresql://USER@HOST/NAME"
        )
        parser.add_argument("--follow", action="store_true", help="go on, and bring what comes")
        parser.add_argument(
            "--poll", type=float, default=2.0, metavar="S", help="look every so often (default: %(default)s seconds)"
        )
        parser.add_argument(
            "--replace-invalid", action="store_true", help="show NUL characters and lone surrogates as U+FFFD"
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Bring what is new, once or until a signal comes."""
        if options["poll"] <= 0:
            raise CommandError("--poll takes a number of seconds above 0", returncode=2)
        bridge = Bridge(
            store=store_of(options["project"]),
            url=options["database"],
            replace=options["replace_invalid"],
            on_report=(lambda _report: None) if options["json"] else self._tell,
            on_trouble=self._warn,
        )
        report = self._follow(bridge, options["poll"]) if options["follow"] else bridge.once()
        _catch_up()
        if options["json"]:
            self.print_json(report)
        else:
            self._sum_up(report)
        if report.totals["refused"] and not options["follow"]:
            raise CommandError(f"{report.totals['refused']} threads refused", returncode=1)

    def _follow(self, bridge: Bridge, poll_s: float) -> Report:
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        return bridge.follow(stop, poll_s=poll_s, on_new=_catch_up)

    def _warn(self, reason: str) -> None:
        self.stderr.write(printable(reason))

    def _tell(self, report: FileReport) -> None:
        events = sum(run.events for run in report.runs)
        said = f"{len(report.runs)} runs, {events:,} events, {report.added:,} new" if report.runs else ""
        more = "; ".join(part for part in (said, report.reason) if part)
        self.say(f"{report.status:>9}  thread {report.path}: {more}")

    def _sum_up(self, report: Report) -> None:
        totals = report.totals
        self.say(f"{totals['files']:,} threads were new or had more, {totals['refused']:,} were refused")


def _catch_up() -> None:
    """Let pages and the log show what came."""
    catch_up_all()
    sealer.catch_up()
