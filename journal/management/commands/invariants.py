"""`nagare invariants`: the rules there are."""

from __future__ import annotations

from typing import Any

from journal.domain.invariant import Invariant, all_invariants
from journal.management.base import Command as Base


class Command(Base):
    """List rules."""

    help = "List the rules that `nagare bisect` and `nagare regrade` take."
    example = "nagare invariants --json"

    def run(self, **options: Any) -> None:
        """Print them by name."""
        rules = all_invariants()
        if options["json"]:
            self.print_json({"invariants": [_as_json(rule) for rule in rules]})
            return
        for rule in rules:
            self.say(f"{rule.name:<28}{' monotone' if rule.monotone else '':<10}{rule.title}")


def _as_json(rule: Invariant) -> dict[str, Any]:
    return {
        "name": rule.name,
        "title": rule.title,
        "description": rule.description,
        "theme": rule.theme,
        "monotone": rule.monotone,
        "version": rule.version,
        "remembers": rule.remembers,
    }
