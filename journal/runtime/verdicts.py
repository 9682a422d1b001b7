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
