"""`nagare invariants`: the rules there are."""

from __future__ import annotations

from typing import Any

import msgspec
from django.core.management.base import CommandParser

from journal.management.base import Command as Base
from journal.management.base import add_project_argument, store_of
from journal.runtime.saved_rules import RuleRecord, listing


class Command(Base):
    """List rules."""

    help = "List the rules that `nagare bisect` and `nagare regrade` take: the built-in and a project's saved ones."
    example = "nagare invariants --json"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Print them by name."""
        rules = listing(store_of(options["project"]).project)
        if options["json"]:
            self.print_json({"invariants": [_as_json(rule) for rule in rules]})
            return
        for rule in rules:
            notes = (
                f"{' monotone' if rule.monotone else '':<10}{f'saved, v{rule.version}' if rule.expression else '':<12}"
            )
            self.say(f"{rule.name:<28}{notes}{rule.title}")


def _as_json(rule: RuleRecord) -> dict[str, Any]:
    saved = msgspec.to_builtins(rule)
    return {name: saved[name] for name in (*_ALWAYS, *(_OF_SAVED if rule.kind == "saved" else ()))}


_ALWAYS = ("name", "title", "description", "theme", "monotone", "version", "remembers", "kind")
_OF_SAVED = ("expression", "saved_at", "saved_by")
