"""The rules of a project: the list, and one rule with its versions and what it was last used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from explorer.line_diff import Row, side_by_side
from explorer.numbers import whole
from journal.errors import RuleNotFound
from journal.runtime import saved_rules
from journal.runtime.saved_rules import RuleRecord, SavedVersion

_DIGITS: Final = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Theme:
    """The rules of one theme."""

    name: str
    rules: tuple[RuleRecord, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RulesPage:
    """Every rule of a project: those that people saved first, then the built-in ones by theme."""

    saved: tuple[RuleRecord, ...]
    retired: tuple[RuleRecord, ...]
    themes: tuple[Theme, ...]

    @property
    def built_in(self) -> int:
        """How many rules are built in."""
        return sum(len(theme.rules) for theme in self.themes)


def rules_page(project: str) -> RulesPage:
    """Return the list. One query."""
    found = saved_rules.listing(project, with_retired=True)
    saved = [rule for rule in found if rule.kind == "saved"]
    by_theme: dict[str, list[RuleRecord]] = {}
    for rule in found:
        if rule.kind != "saved":
            by_theme.setdefault(rule.theme, []).append(rule)
    return RulesPage(
        saved=tuple(rule for rule in saved if not rule.is_retired),
        retired=tuple(rule for rule in saved if rule.is_retired),
        themes=tuple(Theme(name=name, rules=tuple(rules)) for name, rules in sorted(by_theme.items())),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionLine:
    """A version of a saved rule in the list of them."""

    saved: SavedVersion
    href: str
    is_shown: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RulePage:
    """One rule in one version. `older` is the version that the text is compared with, None where there is none."""

    rule: RuleRecord
    newest: int
    versions: tuple[VersionLine, ...]
    older: SavedVersion | None
    rows: tuple[Row, ...]
    notice: str

    @property
    def is_newest(self) -> bool:
        """Whether the version that is shown is the newest."""
        return self.rule.version == self.newest

    @property
    def has_changes(self) -> bool:
        """Whether the two texts differ; else it was the sentence or the claim that changed."""
        return any(row.mark != "=" for row in self.rows)

    @property
    def asked(self) -> str:
        """Return what an address carries so that this version is used, and not a later one."""
        said: dict[str, str | int] = {"rule": self.rule.name}
        return urlencode(said if self.is_newest else {**said, "version": self.rule.version})


def rule_page(project: str, name: str, query: Mapping[str, str]) -> RulePage | None:
    """Return a rule in the version that is asked for, else the newest, beside the one before or another.

    None where the project has no rule of this name. Two queries.
    """
    known = {version.version: version for version in saved_rules.history(project, name)}
    if not known:
        return _built_in(project, name)
    newest = known[max(known)]
    asked = whole(query.get("version", ""), digits=_DIGITS)
    shown = known.get(asked or newest.version, newest)
    against = whole(query.get("against", ""), digits=_DIGITS)
    earlier = [version for version in known if version < shown.version]
    older = known.get(against if against in known else max(earlier, default=0))
    return RulePage(
        rule=as_record(shown, is_retired=newest.is_retired),
        newest=newest.version,
        versions=tuple(_line(name, version, shown) for version in sorted(known.values(), key=lambda one: -one.version)),
        older=older,
        rows=side_by_side(older.expression, shown.expression) if older is not None else (),
        notice=""
        if asked in (None, shown.version)
        else f"There is no version {asked}; this is version {shown.version}.",
    )


def _built_in(project: str, name: str) -> RulePage | None:
    try:
        rule = saved_rules.find_rule(project, name)
    except RuleNotFound:
        return None
    return RulePage(rule=rule, newest=rule.version, versions=(), older=None, rows=(), notice="")


def as_record(saved: SavedVersion, *, is_retired: bool = False) -> RuleRecord:
    """Return a version of a saved rule as lists show rules."""
    return RuleRecord(
        name=saved.name,
        version=saved.version,
        title=saved.name,
        description=saved.description,
        monotone=saved.monotone,
        kind="saved",
        theme="saved",
        remembers="run",
        expression=saved.expression,
        saved_at=saved.saved_at,
        saved_by=saved.saved_by,
        is_retired=is_retired,
    )


def _line(name: str, version: SavedVersion, shown: SavedVersion) -> VersionLine:
    href = f"{reverse('explorer:rule', args=[name])}?version={version.version}"
    return VersionLine(saved=version, href=href, is_shown=version.version == shown.version)
