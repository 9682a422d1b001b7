"""`nagare bisect`: the first event that breaks a rule, in a run or in the journal's order."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandParser

from journal.domain.suspect import Suspect
from journal.domain.text import amount
from journal.errors import RuleRaised
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, moment, store_of, wrong_usage
from journal.runtime import lookups
from journal.runtime.grading import Failing, Found, OverRange, bisect_journal, bisect_stream
from journal.runtime.grading_json import every_as_json, range_as_json, run_as_json
from journal.runtime.saved_rules import every, opened
from journal.runtime.suspecting import judge_stream
from journal.store import EventStore

EVERY: Final = "*"
"""In place of a rule's name: all of them."""


class Command(Base):
    """Find a first failure."""

    help = (
        "Find the first event that breaks a rule: of one run with --stream, else of all runs in the journal's order."
        " --since and --until are ISO 8601, inclusive, and look at when events occurred. '*' puts every rule to a run"
        " and names the decision that all failures point at."
    )
    example = "nagare bisect edit-after-reading --stream agent_run-0192f0c1 --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("rule", metavar="RULE", help="a rule, as `nagare invariants` names it; '*' for every")
        parser.add_argument("--stream", metavar="S", help="the run; without it, all runs")
        parser.add_argument("--since", type=moment, metavar="T", help="only events that occurred then or later")
        parser.add_argument("--until", type=moment, metavar="T", help="only events that occurred then or earlier")
        parser.add_argument("--tool", metavar="NAME", help="only calls and results of this tool")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Find, print."""
        store, stream = store_of(options["project"]), options["stream"]
        chosen = {name: options[name] for name in ("since", "until", "tool")}
        if stream is not None and any(chosen.values()):
            raise wrong_usage("--stream looks at a whole run; --since, --until and --tool choose events of the journal")
        if options["rule"] == EVERY:
            if stream is None:
                raise wrong_usage("every rule is put to one run: name it with --stream")
            self._tell_every(stream, store, as_json=options["json"])
            return
        with opened(store.project, options["rule"]) as rule:
            look = lookups.of(store.project)
            if stream is None:
                self._tell_range(bisect_journal(rule, store, **chosen, lookup=look), as_json=options["json"])
            else:
                self._tell_run(bisect_stream(rule, store, stream, lookup=look), as_json=options["json"])

    def _tell_every(self, stream: str, store: EventStore, *, as_json: bool) -> None:
        with every(store.project) as rules:
            found = judge_stream(store, stream, rules, lookup=lookups.of(store.project))
        if as_json:
            self.print_json(every_as_json(stream, found))
            return
        order = sorted(found.found.values(), key=lambda each: (each.outcome.first_failing or 0, each.rule))
        broken = [each for each in order if each.first_failing is not None]
        self.say(f"{stream} breaks {amount(len(broken), 'rule')} of {len(order)}.")
        for each in broken:
            self.say(f"  {each.rule}: {each.outcome.words()}")
        for each in order:
            if each.outcome.verdict == "raised":
                self.say(f"  {each.rule} went wrong at event {each.outcome.raised_at}: {each.outcome.error}")
        if found.suspect is not None:
            self.say(f"Look first at event {found.suspect.version}, the most suspect decision: {_why(found.suspect)}.")

    def _tell_run(self, found: Found, *, as_json: bool) -> None:
        outcome = found.outcome
        if outcome.verdict == "raised":
            raise RuleRaised(rule=found.rule, stream=found.stream, version=outcome.raised_at or 0, reason=outcome.error)
        if as_json:
            self.print_json(run_as_json(found))
            return
        self.say(f"{found.rule} on {found.stream}: {outcome.words()}")
        if found.first_failing is not None:
            self._tell_failing(found.first_failing)
        elif outcome.note:
            self.say(f"Note: {outcome.note}.")
        if outcome.method == "bisect":
            self.say(
                f"Asked about {outcome.evaluations} of {outcome.events:,} events; confirmed by reading"
                f" {outcome.checked:,}."
            )

    def _tell_range(self, found: OverRange, *, as_json: bool) -> None:
        for error in found.errors:
            self.stderr.write(f"{error.stream}: the rule went wrong at event {error.version}: {error.message}")
        if as_json:
            self.print_json(range_as_json(found))
            return
        scope = f"{amount(found.events, 'event')} of {amount(found.runs, 'run')}"
        if found.first_failing is None:
            self.say(f"{found.rule}: holds at all {scope}.")
            return
        self.say(f"{found.rule}: fails in {amount(found.failing_runs, 'run')}; {scope} were looked at. First of all:")
        self._tell_failing(found.first_failing)

    def _tell_failing(self, failing: Failing) -> None:
        self.say(f"{failing.stream} event {failing.version}, position {failing.position}: {failing.message}")
        if failing.versions:
            self.say(f"Evidence: events {', '.join(map(str, failing.versions))}.")


def _why(suspect: Suspect) -> str:
    if not suspect.rules:
        return "it stands in the midst of those that the failures lead back to"
    return f"failures of {', '.join(suspect.rules)} lead back to it"
