"""Filters of the pages of rules, bisects, re-grades and schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from django import template

from explorer import figures
from explorer.queries.run_address import Address
from explorer.verdicts import Verdicts
from journal.domain.invariant import Invariant, find
from journal.domain.rule import SavedRule

register = template.Library()
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of code with its number."""

    number: int
    text: str


@register.filter
def first_of(items: Sequence[T], count: int) -> Sequence[T]:
    """Return the first items."""
    return items[:count]


@register.filter
def diff_of(address: Address, version: int) -> str:
    """Return the diff of an event against the one before it, in the debugger."""
    return replace(address, dir="").with_against("previous", version)


@register.filter
def causes_of(address: Address, version: int) -> str:
    """Return the causes of an event, in the debugger."""
    return address.with_tab("causes", version)


@register.filter
def expression_of(rule: Invariant) -> str:
    """Return the expression of a saved rule; empty for one that is code."""
    return rule.expression if isinstance(rule, SavedRule) else ""


@register.filter
def numbered(text: str) -> list[Line]:
    """Return the lines of a text, numbered from 1."""
    return [Line(number=number, text=line) for number, line in enumerate(text.splitlines(), 1)]


@register.filter
def add_text(before: str, after: object) -> str:
    """Return both, one after the other."""
    return f"{before}{after}"


@register.filter
def person(actor: str) -> str:
    """Return an actor as people call them: `user:mara` is mara."""
    return actor.removeprefix("user:")


@register.filter
def at_version(href: str, version: int) -> str:
    """Return a run's address at an event."""
    return f"{href}?v={version}"


@register.filter
def in_seconds(seconds: float | None) -> str:
    """Return a number of seconds as a length of time."""
    return figures.duration(seconds * 1000 if seconds is not None else None)


@register.filter
def unlocalized(number: float) -> str:
    """Return a number as an attribute takes it."""
    return f"{number:g}"


@register.filter
def rule_to_ask(graded: Verdicts) -> str:
    """Return the rule that a run is known to break first, if it is one that can be asked here."""
    return graded.first.rule if graded.first is not None and find(graded.first.rule) is not None else ""


@register.filter
def percent(share: float | None) -> str:
    """Return a share as people read it: "62 %"."""
    return figures.NOT_RECORDED if share is None else f"{share:.0%}".replace("%", " %")
