"""What a re-grade would look at, before it starts: which runs, how long it takes, what a rule says of some of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from explorer import figures
from explorer.line_diff import Row, side_by_side
from explorer.models import RunSummary
from explorer.moments import MomentRefused, moment
from explorer.numbers import whole
from explorer.query_language import MAX_LENGTH
from explorer.templatetags.nagare import KIND_NAMES
from journal.errors import JournalError, RuleNotFound
from journal.runtime import regrade, saved_rules
from journal.runtime.regrade import Definition, Estimate, Grade, Sample
from journal.runtime.saved_rules import RuleRecord

SAMPLE: Final = 20
_DIGITS: Final = 9
_NO_RUNS: Final = "the project has no runs"
_TOGETHER: Final = "all clauses together"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What a form asks for, as it was typed, and as it was understood. `problem` says what could not be."""

    rule: str = ""
    version: int | None = None
    query: str = ""
    since: datetime | None = None
    until: datetime | None = None
    force: bool = False
    problem: str = ""

    @classmethod
    def of(cls, said: Mapping[str, str], zone: tzinfo) -> Scope:
        """Read a form or an address."""
        said = {name: value.replace("\x00", "").strip() for name, value in said.items()}
        since = until = None
        problem = ""
        try:
            since = moment(said.get("since", ""), zone)
            until = moment(said.get("until", ""), zone, is_end=True)
        except MomentRefused as refused:
            problem = str(refused)
        if since and until and since > until:
            problem = "It ends before it begins."
        return cls(
            rule=said.get("rule", "")[:200],
            version=whole(said.get("version", ""), digits=_DIGITS),
            query=said.get("query", "")[:MAX_LENGTH],
            since=since,
            until=until,
            force=said.get("force", "") == "yes",
            problem=problem,
        )

    @property
    def asked(self) -> dict[str, Any]:
        """Return it as the journal takes it."""
        return {
            "rule": self.rule, "version": self.version, "since": self.since, "until": self.until, "query": self.query,
        }  # fmt: skip

    def written(self) -> str:
        """Return it for an address."""
        said: dict[str, Any] = {
            "rule": self.rule, "version": self.version, "query": self.query,
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "", "force": "yes" if self.force else "",
        }  # fmt: skip
        return urlencode({name: value for name, value in said.items() if value})


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleLine:
    """What a dry run says of one run."""

    grade: Grade
    title: str
    href: str
    says: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What a re-grade would look at, before it is started. `problem` is why it cannot be."""

    rule: RuleRecord | None = None
    older: int | None = None
    rows: tuple[Row, ...] = ()
    estimate: Estimate | None = None
    without: str = ""
    sample: Sample | None = None
    lines: tuple[SampleLine, ...] = ()
    problem: str = ""

    @property
    def excluded_by(self) -> str:
        """What leaves no run over, in words; empty where there are no runs at all."""
        clause = self.estimate.excluded_by if self.estimate is not None else None
        if not clause or clause == _NO_RUNS:
            return ""
        return {"since": "the beginning of the range", "until": "the end of the range"}.get(
            clause.partition(" ")[0], clause
        )

    @property
    def has_changes(self) -> bool:
        """Whether the rule's text differs from that of the version before."""
        return any(row.mark != "=" for row in self.rows)

    @property
    def time(self) -> str:
        """How long it would take, in words."""
        if self.estimate is None:
            return ""
        if self.estimate.seconds < 1:
            return "under a second"
        return f"about {figures.duration(round(self.estimate.seconds) * 1000)}"

    @property
    def left(self) -> int:
        """How many runs are to be graded."""
        return max(0, self.estimate.runs - self.estimate.graded) if self.estimate is not None else 0


def preview(project: str, scope: Scope, *, with_sample: bool = False) -> Preview:
    """Say what a re-grade would look at; with a sample, also what the rule says of some of the runs."""
    if not scope.rule or scope.problem:
        return Preview(problem=scope.problem)
    try:
        rule = saved_rules.find_rule(project, scope.rule, scope.version)
        estimate = regrade.estimate(project=project, force=scope.force, **scope.asked)
        sample = regrade.sample(project=project, most=SAMPLE, **scope.asked) if with_sample else None
    except RuleNotFound:
        return Preview(problem=f"There is no rule {scope.rule} here.")
    except JournalError as error:
        return Preview(problem=str(error))
    older, rows = _changed(project, rule)
    return Preview(
        rule=rule,
        older=older,
        rows=rows,
        estimate=estimate,
        without=_without(scope, estimate),
        sample=sample,
        lines=tuple(_sampled(project, sample.grades, rule)) if sample is not None else (),
    )


def _changed(project: str, rule: RuleRecord) -> tuple[int | None, tuple[Row, ...]]:
    if rule.kind != "saved":
        return None, ()
    older = next((one for one in reversed(saved_rules.history(project, rule.name)) if one.version < rule.version), None)
    if older is None:
        return None, ()
    return older.version, side_by_side(older.expression, rule.expression)


def _without(scope: Scope, estimate: Estimate) -> str:
    """Return the address of the same form without the clause that excludes every run."""
    clause = estimate.excluded_by
    if not clause or clause == _NO_RUNS:
        return ""
    if clause == _TOGETHER:
        return replace(scope, query="", since=None, until=None).written()
    name = clause.partition(" ")[0]
    if name == "since":
        return replace(scope, since=None).written()
    if name == "until":
        return replace(scope, until=None).written()
    rest = " ".join(scope.query.replace(clause, " ", 1).split())
    return replace(scope, query=rest).written()


def _sampled(project: str, grades: Sequence[Grade], rule: RuleRecord) -> Iterator[SampleLine]:
    """Yield the failing ones first, the rest in their order."""
    titles = titles_of(project, grades)
    for grade in sorted(grades, key=lambda grade: grade.verdict != "fails"):
        title = titles.get(grade.stream, grade.stream)
        yield SampleLine(grade=grade, title=title, href=href_of(grade), says=says_of(grade, rule))


def titles_of(project: str, grades: Sequence[Grade]) -> dict[str, str]:
    """Return the titles of the runs that verdicts are about, by stream. One query."""
    streams = {grade.stream for grade in grades}
    found = RunSummary.objects.filter(project=project, stream__in=streams).values_list("stream", "title")
    return dict(found) if streams else {}


def href_of(grade: Grade) -> str:
    """Return where a run is, at the event that its verdict is about."""
    path = reverse("explorer:run", args=[grade.stream])
    return f"{path}?v={grade.version}" if grade.version else path


def says_of(grade: Grade, asked: Definition | RuleRecord) -> str:
    """Return what the rule says; of an expression, which says the same everywhere, what kind of event it fails at."""
    if asked.kind != "saved" or grade.verdict != "fails":
        return grade.message
    kind = KIND_NAMES.get((grade.event_type or "").partition(".")[2], "event")
    return f"{kind} of {grade.tool}" if grade.tool else kind


def scope_words(asked: Definition, zone: tzinfo) -> str:
    """Return in words which of the runs were asked for; empty where all were."""
    words = ""
    if asked.query:
        words += f" matching {asked.query}"
    if asked.since is not None:
        words += f" from {day_of(asked.since, zone)}"
    if asked.until is not None:
        words += f" to {day_of(asked.until, zone)}"
    return words


def day_of(at: datetime, zone: tzinfo) -> str:
    """Return "8 Nov 2026"."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y}"


def us_of(at: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return int(at.timestamp()) * 1_000_000 + at.microsecond
