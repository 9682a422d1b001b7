"""How far a rule agrees with what people say: the grades that people gave runs, beside the rule's own verdicts.

A person says of a run, up to an event or as a whole, that a rule holds or fails. The rule's verdict up to the same
event is taken from its newest re-grade. A failure that both see is a hit; so the figures speak of finding failures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

from explorer.models import NoteRow
from journal.runtime import verdicts
from journal.runtime.verdicts import Verdict

MOST: Final = 5_000
"""Grades of one rule that are compared, the newest."""

Side = Literal["holds", "fails"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """What one person says of one run; `at_version` is 0 for the whole of it."""

    run: str
    by: str
    at_version: int
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A grade that the rule does not share."""

    label: Label
    rule_says: Side


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """The counts, and what follows from them. A share is None where nothing is divided.

    `hits` are failures that both see, `false_alarms` those of the rule alone, `missed` those of the person alone.
    `ungraded` are labels on runs that the rule was not asked about yet, or not as far; `errors` those where it went
    wrong. Neither counts as either side. `contested` are events on which people disagree with each other.
    """

    rule: str
    rule_version: int | None
    labels: int
    people: int
    hits: int
    false_alarms: int
    missed: int
    both_hold: int
    ungraded: int
    errors: int
    contested: int
    disagreements: tuple[Disagreement, ...]
    is_all: bool

    @property
    def compared(self) -> int:
        """Return how many labels the figures rest on: their n."""
        return self.hits + self.false_alarms + self.missed + self.both_hold

    @property
    def precision(self) -> float | None:
        """Return how many of the rule's failures people see too."""
        return _share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> float | None:
        """Return how many of people's failures the rule sees."""
        return _share(self.hits, self.hits + self.missed)

    @property
    def agreement(self) -> float | None:
        """Return how often both say the same."""
        return _share(self.hits + self.both_hold, self.compared)

    @property
    def words(self) -> str:
        """Say it in a sentence."""
        if not self.labels:
            return "No labels: nobody has graded a run by this rule yet."
        if not self.compared:
            return f"{self.labels:,} labels, none of them on a run that the rule was asked about: re-grade those runs."
        found = f"{self.hits} of the {self.hits + self.missed} failures that people see"
        alarms = f"{self.false_alarms} of its {self.hits + self.false_alarms} failures {_are(self.false_alarms)} none"
        return f"The rule finds {found}; {alarms} to them (n = {self.compared:,})."


def agreement(project: str, rule: str, *, rule_version: int | None = None) -> Agreement:
    """Return how far a rule, in one of its versions where that is given, agrees with people. Two queries.

    Grades that came with imported data are not among the labels.
    """
    rows = NoteRow.objects.filter(project=project, rule=rule, is_own=False, is_retracted=False)
    found = list(rows.order_by("-changed_us", "-id").values_list("run", "by", "at_version", "verdict")[: MOST + 1])
    labels = newest_of([Label(run=run, by=by, at_version=at, verdict=says) for run, by, at, says in found[:MOST]])
    known = verdicts.newest(project, rule, {label.run for label in labels}, rule_version=rule_version)
    return compared(rule, labels, known, rule_version=rule_version, is_all=len(found) <= MOST)


def newest_of(labels: Iterable[Label]) -> list[Label]:
    """Return the newest label of each person on each event, given newest first: who thinks again counts once."""
    kept: dict[tuple[str, str, int], Label] = {}
    for label in labels:
        kept.setdefault((label.run, label.by, label.at_version), label)
    return list(kept.values())


def compared(
    rule: str,
    labels: Iterable[Label],
    known: dict[str, Verdict],
    *,
    rule_version: int | None = None,
    is_all: bool = True,
) -> Agreement:
    """Put labels beside verdicts. Pure."""
    given = list(labels)
    counts = {"hits": 0, "false_alarms": 0, "missed": 0, "both_hold": 0, "ungraded": 0, "errors": 0}
    apart = []
    for label in given:
        says = says_at(known.get(label.run), label.at_version)
        name = _cell(label.verdict, says)
        counts[name] += 1
        if name in ("false_alarms", "missed"):
            apart.append(Disagreement(label=label, rule_says="fails" if name == "false_alarms" else "holds"))
    sides: dict[tuple[str, int], set[str]] = {}
    for label in given:
        sides.setdefault((label.run, label.at_version), set()).add(label.verdict)
    return Agreement(
        rule=rule,
        rule_version=rule_version,
        labels=len(given),
        people=len({label.by for label in given}),
        contested=sum(len(said) > 1 for said in sides.values()),
        disagreements=tuple(apart),
        is_all=is_all,
        **counts,
    )


def says_at(verdict: Verdict | None, version: int) -> str:
    """Return what a verdict on a run says of it up to an event: `holds`, `fails`, `error`, or `` where it does not.

    A failure behind the event is none yet. One who held up to an earlier event than this says nothing of it.
    """
    if verdict is None:
        return ""
    if verdict.says == "fails":
        return "fails" if not version or (verdict.at_version or 1) <= version else "holds"
    if verdict.says == "error":
        return "error"
    return verdict.says if version <= verdict.run_version else ""


def _cell(person: str, rule: str) -> str:
    if rule not in ("holds", "fails"):
        return "errors" if rule == "error" else "ungraded"
    if rule == "fails":
        return "hits" if person == "fails" else "false_alarms"
    return "missed" if person == "fails" else "both_hold"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def as_json(found: Agreement) -> dict[str, Any]:
    """Return it as plain values: what the API gives."""
    return {
        "rule": found.rule,
        "rule_version": found.rule_version,
        "labels": found.labels,
        "people": found.people,
        "n": found.compared,
        "hits": found.hits,
        "false_alarms": found.false_alarms,
        "missed": found.missed,
        "both_hold": found.both_hold,
        "ungraded": found.ungraded,
        "errors": found.errors,
        "contested": found.contested,
        "precision": found.precision,
        "recall": found.recall,
        "agreement": found.agreement,
        "words": found.words,
        "disagreements": [
            {
                "run": one.label.run,
                "at_version": one.label.at_version or None,
                "by": one.label.by,
                "person_says": one.label.verdict,
                "rule_says": one.rule_says,
            }
            for one in found.disagreements
        ],
    }
