"""The rules that a page offers to choose from, and the one that an address names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from journal.domain.invariant import Invariant
from journal.errors import RuleNotFound
from journal.runtime import saved_rules
from journal.runtime.saved_rules import RuleRecord

SAVED: Final = "saved here"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A rule to choose."""

    name: str
    title: str
    version: int
    is_monotone: bool
    is_on: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Rules of one theme; those that people saved come first."""

    name: str
    choices: tuple[Choice, ...]


def groups(project: str, chosen: str = "") -> tuple[Group, ...]:
    """Return the rules of a project: those that people saved, then the built-in ones by theme. One query.

    The list may be a moment behind: a rule that was saved just now is among them where it is the chosen one.
    """
    by_theme: dict[str, list[Choice]] = {}
    known = saved_rules.listing(project)
    for rule in (*known, *_just_saved(project, chosen, known)):
        theme = SAVED if rule.kind == "saved" else rule.theme
        by_theme.setdefault(theme, []).append(_choice(rule, chosen))
    ordered = sorted(by_theme.items(), key=lambda found: (found[0] != SAVED, found[0]))
    return tuple(Group(name=theme, choices=tuple(found)) for theme, found in ordered)


def _just_saved(project: str, chosen: str, known: Iterable[RuleRecord]) -> Iterator[RuleRecord]:
    if chosen and all(rule.name != chosen for rule in known):
        with suppress(RuleNotFound):
            yield saved_rules.find_rule(project, chosen)


def _choice(rule: RuleRecord, chosen: str) -> Choice:
    return Choice(
        name=rule.name, title=rule.title, version=rule.version, is_monotone=rule.monotone, is_on=rule.name == chosen
    )


@contextmanager
def rule_of(project: str, name: str, version: int | None = None) -> Iterator[Invariant | None]:
    """Give the rule of a name, ready to be asked; None where the project has none of it, or not in that version."""
    with ExitStack() as stack:
        try:
            rule = stack.enter_context(saved_rules.opened(project, name, version))
        except RuleNotFound:
            yield None
        else:
            yield rule
