"""The verdicts on a run that the journal holds, rule by rule: what the chips of a run's head and row say.

The rule `outcome` is none of them: it is how the source itself says that the run ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from journal.domain.agent_run import Graded
from journal.domain.text import clip

_MOST: Final = 24
_MOST_BESIDE: Final = 48
_RULE: Final = 120
_MESSAGE: Final = 240
_BESIDE: Final = 0
"""Where a verdict of a re-grade stands: in none of the run's own events."""

_OUTCOME: Final = "outcome"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a rule says of a run: `says` is `holds`, `fails` or another word; `version` is the event it is about.

    `at` is the event of the run that it stands in, 0 for one of a re-grade, which alone has a `message`.
    """

    rule: str
    says: str
    version: int
    at: int
    message: str = ""

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
    own = [kept for kept in before if kept[3] != _BESIDE and (kept[0], kept[2]) != (rule, about)]
    return [*own, [rule, clip(graded.verdict, 16), about, version]][:_MOST] + beside(before)


def regraded(before: list[Any], graded: Graded) -> list[Any]:
    """Return the kept verdicts after one that a re-grade came to, which replaces what one said of that rule before.

    They stand behind the run's own, failures first and then by rule: the same whatever batches the journal is read in.
    """
    if graded.run is None or not graded.rule or not graded.verdict:
        return before
    rule = clip(graded.rule, _RULE)
    own = [kept for kept in before if kept[3] != _BESIDE]
    beside = [kept for kept in before if kept[3] == _BESIDE and kept[0] != rule]
    about = graded.at_version or graded.run.version
    beside.append([rule, clip(graded.verdict, 16), about, _BESIDE, clip(graded.message or "", _MESSAGE)])
    return own + sorted(beside, key=lambda kept: (kept[1] != "fails", kept[0]))[:_MOST_BESIDE]


def beside(kept: list[Any]) -> list[Any]:
    """Return those of re-grades: they are not in the run's stream, so whoever reads that again has to keep them."""
    return [one for one in kept if one[3] == _BESIDE]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdicts:
    """Those of one run: failing ones by the event they fail at, the rest counted."""

    fails: tuple[Verdict, ...]
    holding: tuple[str, ...]
    others: int

    @property
    def holds(self) -> int:
        """Return how many rules hold."""
        return len(self.holding)

    @property
    def first(self) -> Verdict | None:
        """Return the earliest failure."""
        return self.fails[0] if self.fails else None

    @property
    def later(self) -> int:
        """Return how many failures there are beside the earliest."""
        return max(0, len(self.fails) - 1)

    @property
    def is_any(self) -> bool:
        """Whether any rule said anything."""
        return bool(self.fails or self.holding or self.others)

    def at(self, version: int) -> Verdict | None:
        """Return the failure at an event."""
        return next((verdict for verdict in self.fails if verdict.version == version), None)

    def is_first(self, verdict: Verdict) -> bool:
        """Whether a rule fails nowhere before this."""
        return all(other.version >= verdict.version for other in self.fails if other.rule == verdict.rule)


@dataclass(frozen=True, kw_only=True, slots=True)
class RulesAt:
    """What the verdicts on a run say of one event: rules that first fail there, failed before, or hold up to it."""

    here: tuple[Verdict, ...]
    before: tuple[Verdict, ...]
    holding: tuple[str, ...]


def rules_at(verdicts: Verdicts, version: int) -> RulesAt:
    """Return what is known of an event. Only the first failure of a rule says anything of the events before it."""
    first = {verdict.rule: verdict for verdict in reversed(verdicts.fails)}
    later = tuple(rule for rule, verdict in first.items() if verdict.version > version)
    return RulesAt(
        here=tuple(verdict for verdict in verdicts.fails if verdict.version == version),
        before=tuple(verdict for verdict in first.values() if verdict.version < version),
        holding=tuple(sorted(later + verdicts.holding)),
    )


def verdicts_of(kept: list[Any]) -> Verdicts:
    """Read kept verdicts. A rule that failed anywhere does not count as holding; what is said twice counts once."""
    known: dict[tuple[str, str, int], Verdict] = {}
    for rule, says, about, at, *message in kept:
        known[rule, says, about] = Verdict(rule=rule, says=says, version=about, at=at, message="".join(message))
    fails = tuple(sorted((one for one in known.values() if one.fails), key=lambda verdict: verdict.version))
    failing = {verdict.rule for verdict in fails}
    holding = sorted({verdict.rule for verdict in known.values() if verdict.says == "holds"} - failing)
    others = {verdict.rule for verdict in known.values()} - failing - set(holding)
    return Verdicts(fails=fails, holding=tuple(holding), others=len(others))


def graded_key(kept: list[Any]) -> str:
    """Return what is another word after each verdict that changes what rows and chips show; no verdict's own words."""
    return sha256(repr([(about, says) for _, says, about, *_ in kept]).encode()).hexdigest()[:16]
