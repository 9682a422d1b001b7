"""What a rule may look up beside its run: `ctx.lookup(projection, key)`, a row of a read model as plain values.

An app offers its read model by registering a function here. What is looked up is as of now, not as of the event, so a
rule that looks something up says of the same run another thing when that has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from journal.domain.invariant import Lookup
from journal.models import GradeRow, RuleRow
from journal.runtime.read_model import live_generation

Look = Callable[[str, str], dict[str, Any] | None]
"""Project and key to the row, None where there is none."""

L = TypeVar("L", bound=Look)
_looks: dict[str, Look] = {}
_GRADE: Final = ("run", "run_version", "rule", "rule_version", "verdict", "at_version", "message", "tool", "flips")
_RULE: Final = ("name", "version", "description", "expression", "monotone")


def looks_into(projection: str) -> Callable[[L], L]:
    """Register the decorated function as what looks into a projection."""

    def register(look: L) -> L:
        _looks[projection] = look
        return look

    return register


def names() -> tuple[str, ...]:
    """Return the projections that can be looked into."""
    return tuple(sorted(_looks))


def of(project: str) -> Lookup:
    """Return what looks into the read models of one project."""
    return partial(_look, project)


def _look(project: str, projection: str, key: str) -> Any:
    look = _looks.get(projection)
    if look is None:
        raise LookupError(f"projection {projection!r} cannot be looked into; there are {', '.join(names())}")
    return look(project, key)


@looks_into("grades")
def newest_grade(project: str, key: str) -> dict[str, Any] | None:
    """Return the newest verdict of a rule on a run; the key is `<rule> <stream>`."""
    rule, _, run = key.partition(" ")
    rows = GradeRow.objects.filter(generation=live_generation("grades"), project=project, run=run, rule=rule)
    row: dict[str, Any] | None = rows.order_by("-position").values(*_GRADE).first()
    return row


@looks_into("rules")
def newest_rule(project: str, key: str) -> dict[str, Any] | None:
    """Return the newest version of a saved rule by its name."""
    rows = RuleRow.objects.filter(generation=live_generation("rules"), project=project, name=key)
    row: dict[str, Any] | None = rows.order_by("-version").values(*_RULE).first()
    return row
