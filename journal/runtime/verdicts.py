"""The verdicts that re-grades came to, by run: what somebody reads who has runs and asks what a rule said of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from journal.models import GradeRow
from journal.runtime.read_model import live_generation

_PAGE: Final = 500


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a rule said of a whole run up to `run_version`: `fails` first at `at_version`."""

    rule_version: int
    run_version: int
    says: str
    at_version: int | None


class Regraded(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that a re-grade came to on a run, with its own place in the journal.

    `grade` is the id of the event that tells it and `position` that event's; `at_version` is that of the event of the
    run which it is about. Not `is_whole` where only a part of the run was judged.
    """

    grade: str
    position: int
    run: str
    rule: str
    rule_version: int
    run_version: int
    is_whole: bool
    says: str
    at_version: int | None
    message: str


def recorded(project: str, runs: Collection[str], *, up_to: int) -> list[Regraded]:
    """Return the newest verdict of each rule on each of some runs, of those told at positions up to `up_to`.

    The newest is that of the highest version of the rule, on most of the run, and of two such the one told last; a
    verdict on the whole of the run goes before one on a part. In order of run and rule. A query for each 500 runs.
    """
    wanted: list[str] = sorted(runs)
    found: dict[tuple[str, str], Regraded] = {}
    for start in range(0, len(wanted), _PAGE):
        rows = GradeRow.objects.filter(
            generation=live_generation("grades"),
            project=project,
            run__in=wanted[start : start + _PAGE],
            position__lte=up_to,
        )
        for row in rows.order_by("rule_version", "run_version", "is_whole", "position").iterator():
            found[row.run, row.rule] = Regraded(
                grade=row.grade,
                position=row.position,
                run=row.run,
                rule=row.rule,
                rule_version=row.rule_version,
                run_version=row.run_version,
                is_whole=row.is_whole,
                says=row.verdict,
                at_version=row.at_version,
                message=row.message,
            )
    return [found[key] for key in sorted(found)]


def newest(project: str, rule: str, runs: Collection[str], *, rule_version: int | None = None) -> dict[str, Verdict]:
    """Return the newest verdict of a rule on each of some runs, of one of its versions where that is given.

    Verdicts on a part of a run are left out. A query for each 500 runs.
    """
    wanted, found = sorted(runs), {}
    for start in range(0, len(wanted), _PAGE):
        rows = GradeRow.objects.filter(
            generation=live_generation("grades"),
            project=project,
            rule=rule,
            is_whole=True,
            run__in=wanted[start : start + _PAGE],
        )
        if rule_version is not None:
            rows = rows.filter(rule_version=rule_version)
        for row in rows.order_by("rule_version", "run_version", "position").iterator():
            found[row.run] = Verdict(
                rule_version=row.rule_version, run_version=row.run_version, says=row.verdict, at_version=row.at_version
            )
    return found
