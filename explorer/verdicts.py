"""The verdicts on a run that the journal holds, rule by rule: what the chips of a run's head and row say.

The rule `outcome` is none of them: it is how the source itself says that the run ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from journal.domain.agent_run import Graded
from journal.domain.text import clip

_MOST: Final = 24
_RULE: Final = 120
_OUTCOME: Final = "outcome"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a rule says of a run: `says` is `holds`, `fails` or another word; `version` is the event it is about."""

    rule: str
    says: str
    version: int
    at: int

    @property
    def fails(self) -> bool:
        """Whether it is a failure, and not one of the evaluation."""
        return self.says == "fails"


def noted(before: list[Any], graded: Graded, version: int) -> list[Any]:
    """Return the kept verdicts after one more: ``[rule, verdict, event it is about, event it stands in]``.

    A later verdict of a rule on the same event replaces the earlier one. Beyond `_MOST` of them, the first stay.
    """
    if not graded.rule or graded.rule == _OUTCOME or not graded.verdict:
        return before
    rule, about = clip(graded.rule, _RULE), graded.at_version or version
    others = [kept for kept in before if (kept[0], kept[2]) != (rule, about)]
    return [*others, [rule, clip(graded.verdict, 16), about, version]][:_MOST]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdicts:
    """Those of one run: failing ones by the event they fail at, the rest counted."""

    fails: tuple[Verdict, ...]
    holds: int
    others: int

    @property
    def first(self) -> Verdict | None:
        """Return the earliest failure."""
        return self.fails[0] if self.fails else None

    @property
    def later(self) -> int:
        """Return how many failures there are beside the earliest."""
        return max(0, len(self.fails) - 1)

    def at(self, version: int) -> Verdict | None:
        """Return the failure at an event."""
        return next((verdict for verdict in self.fails if verdict.version == version), None)


def verdicts_of(kept: list[Any]) -> Verdicts:
    """Read kept verdicts. A rule that failed anywhere does not count as holding."""
    known = [Verdict(rule=rule, says=says, version=about, at=at) for rule, says, about, at in kept]
    fails = tuple(sorted((verdict for verdict in known if verdict.fails), key=lambda verdict: verdict.version))
    failing = {verdict.rule for verdict in fails}
    holding = {verdict.rule for verdict in known if verdict.says == "holds"} - failing
    others = {verdict.rule for verdict in known} - failing - holding
    return Verdicts(fails=fails, holds=len(holding), others=len(others))


def graded_key(kept: list[Any]) -> str:
    """Return what is another word after each verdict that changes what rows and chips show."""
    return ",".join(f"{about}:{says}" for _, says, about, _ in kept)
