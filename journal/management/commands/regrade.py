"""`nagare regrade`: a rule on every run in a range."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.domain.text import amount
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, moment, store_of
from journal.models import Job
from journal.runtime import regrade
from journal.tasks import wake

_SHOWN = 20


class Command(Base):
    """Evaluate a rule on many runs."""

    help = (
        "Evaluate a rule on every run that has an event in the range, and journal the verdicts. --since and --until are"
        " ISO 8601, inclusive, and look at when events occurred. A run that has this verdict already is left out."
        " Workers do it; one that stops loses nothing."
    )
    example = "nagare regrade no-failure-loop --since 2026-11-01 --wait --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("rule", metavar="RULE", help="a rule, as `nagare invariants` names it")
        parser.add_argument("--since", type=moment, metavar="T", help="only events that occurred then or later")
        parser.add_argument("--until", type=moment, metavar="T", help="only events that occurred then or earlier")
        parser.add_argument("--query", default="", metavar="Q", help="only runs that match, as in the list of runs")
        parser.add_argument("--force", action="store_true", help="also runs that have this verdict already")
        parser.add_argument("--wait", action="store_true", help="do it here, and return when it is done")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Submit; with --wait also do."""
        project = store_of(options["project"]).project
        scope = {name: options[name] for name in ("rule", "since", "until", "query", "force")}
        job = regrade.submit(project=project, **scope)
        if options["wait"]:
            job = regrade.finish(job)
        else:
            wake(job.id, kind=regrade.KIND)
            job.refresh_from_db()
        if options["json"]:
            self.print_json(regrade.as_json(job))
        elif job.status == "done":
            self._tell(job)
        else:
            self.say(f"{options['rule']}: job {job.id} is {job.status}; workers do it, --wait does it here")

    def _tell(self, job: Job) -> None:
        found = regrade.report(job)
        self.say(
            f"{found.rule}, version {found.rule_version}: {amount(found.runs, 'run')}; {found.holds:,} hold,"
            f" {found.fails:,} fail, {found.errors:,} could not be judged"
        )
        if found.previous_version is not None:
            self.say(
                f"Against version {found.previous_version}: {found.newly_failing:,} newly fail,"
                f" {found.newly_holding:,} newly hold."
            )
        if not found.runs:
            self._tell_why(job)
        for grade in regrade.grades(job, limit=_SHOWN).grades:
            self.say(f"{grade.stream} event {grade.version}: {grade.message}")
        if found.fails > _SHOWN:
            self.say(f"… and {found.fails - _SHOWN:,} more; --json prints all of them.")

    def _tell_why(self, job: Job) -> None:
        asked = regrade.definition(job)
        why = regrade.estimate(
            project=str(job.project_id), rule=asked.rule, since=asked.since, until=asked.until, query=asked.query
        )
        if why.excluded_by:
            self.say(f"No run is left by: {why.excluded_by}. Without it: {amount(why.matched_without_it, 'run')}.")
