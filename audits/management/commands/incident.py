"""`nagare incident`: open, list and close incidents, and record what was done for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandParser

from audits import incidents
from audits.aggregates import Incident
from audits.duties import duties
from audits.incident_api import document
from journal.access.projects import ensure_project
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, moment, wrong_usage

BY: Final = "nagare incident"


class Command(Base):
    """Look after incidents."""

    help = (
        "An incident is something that others may have to be told of in time. Its deadlines count from when somebody"
        " became aware; each step is recorded with who and when, in the project's signed log. Clocks: "
        + ", ".join(clock.id for clock in duties().clocks)
        + ". Not legal advice."
    )
    example = (
        'nagare incident open --title "Wrong refunds" --aware 2026-11-30T09:00Z --clock gdpr-breach --run agent_run-7\n'
        "  nagare incident step ID --step gdpr-breach/notification --account 'sent, reference 311'"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", choices=["list", "show", "open", "step", "close"])
        parser.add_argument("incident", nargs="?", metavar="ID", help="the incident's id, for show, step and close")
        parser.add_argument("--title", default="", metavar="TEXT", help="open: what it is called in lists")
        parser.add_argument("--noticed", default="", metavar="TEXT", help="open: what was noticed")
        parser.add_argument("--aware", type=moment, metavar="T", help="open: when you became aware, ISO 8601 (now)")
        parser.add_argument(
            "--run",
            action="append",
            default=[],
            metavar="R",
            help="open: a run, run@version or event id; again for more",
        )
        parser.add_argument("--clock", action="append", default=[], metavar="C", help="open: whose deadlines run")
        parser.add_argument("--hold", action="store_true", help="open: keep these runs from purge and erasure")
        parser.add_argument("--step", default="", metavar="CLOCK/STEP", help="step: what was done")
        parser.add_argument("--done", type=moment, metavar="T", help="step: when, ISO 8601 (now)")
        parser.add_argument(
            "--account", default="", metavar="TEXT", help="step: to whom; close: how it ended, which it needs"
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Do what was asked."""
        project, what = ensure_project(options["project"]).slug, options["what"]
        if what == "list":
            self._list(project, as_json=options["json"])
            return
        ident = options["incident"] or ""
        if what == "open":
            ident = self._open(project, options)
        elif not ident:
            raise wrong_usage(f"incident {what} needs the incident's id; `nagare incident list` shows them")
        elif what == "step":
            self._step(project, ident, options)
        elif what == "close":
            incidents.close(project, ident, account=options["account"], by=BY)
        self._show(incidents.load(project, ident), as_json=options["json"])

    def _open(self, project: str, options: dict[str, Any]) -> str:
        if not options["title"]:
            raise wrong_usage("incident open needs --title")
        return incidents.open_incident(
            project,
            title=options["title"],
            noticed=options["noticed"],
            aware_at=options["aware"] or datetime.now(UTC),
            concerns=options["run"],
            clocks=options["clock"],
            hold=options["hold"],
            by=BY,
        )

    def _step(self, project: str, ident: str, options: dict[str, Any]) -> None:
        clock, slash, step = options["step"].partition("/")
        if not slash:
            raise wrong_usage("incident step needs --step CLOCK/STEP; `nagare incident show ID` lists them")
        incidents.do(project, ident, clock=clock, step=step, done_at=options["done"], account=options["account"], by=BY)

    def _list(self, project: str, *, as_json: bool) -> None:
        found = [document(one, now=datetime.now(UTC)) for one in incidents.listing(project)]
        if as_json:
            self.print_json({"items": found})
            return
        for one in found:
            late = sum(step["standing"] == "late" for step in one["deadlines"])
            state = f"{one['status']}, {late} late" if late and one["status"] == "open" else one["status"]
            self.say(f"{one['id']}  {state}  {one['title']}")

    def _show(self, incident: Incident, *, as_json: bool) -> None:
        shown = document(incident, now=datetime.now(UTC))
        if as_json:
            self.print_json(shown)
            return
        self.say(f"{shown['id']}  {shown['status']}  {shown['title']}, aware since {shown['aware_at']}")
        for step in shown["deadlines"]:
            due = f"due {step['due_at']}{' at the latest' if step['is_latest'] else ''}" if step["due_at"] else ""
            said = ", ".join(text for text in (step["standing"], step["left"], due) if text)
            self.say(f"  {step['clock']}/{step['step']}  {step['words']} ({step['regime']}): {said}")
