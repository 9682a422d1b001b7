"""Bisecting one run: where it first breaks a rule, how that was found, and what it takes to find it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from explorer import figures, probes, timelines
from explorer.layout import Minimap, minimap
from explorer.models import EventLine, RunSummary
from explorer.numbers import whole
from explorer.queries import rule_choice, run_lines, run_steps
from explorer.queries import run as debugger
from explorer.queries.run_address import Address
from explorer.queries.run_diff import DiffPanel, diff_panel
from journal.domain.agent_run import CATEGORY
from journal.domain.bisect import Outcome, bisect_run, read_run
from journal.domain.invariant import Fails, Invariant
from journal.domain.judging import Recorded
from journal.domain.rule import SavedRule
from journal.domain.run_state import CODE_VERSION
from journal.domain.suspect import Suspect
from journal.runtime import saved_rules
from journal.runtime.suspecting import judged
from journal.store import get_store

METHODS: Final = ("scan", "bisect")
EVERY: Final = "*"
"""In place of a rule's name: all rules, in one reading."""

_LONGEST: Final = 200
_CHANGES: Final = 8
_DIGITS: Final = 18


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What an address asks for. `code`, `head` and `rule_version` are what a permanent link was made with."""

    stream: str
    rule: str = ""
    rule_version: int | None = None
    method: str = "scan"
    after: int = 0
    until: int | None = None
    code: int | None = None
    head: int | None = None
    project: str = ""

    @classmethod
    def of(cls, stream: str, query: Mapping[str, str]) -> Ask:
        """Read an address; what makes no sense was not said."""
        query = {name: value.replace("\x00", "").strip()[:_LONGEST] for name, value in query.items()}
        first = _number(query, "from")
        return cls(
            stream=stream.replace("\x00", ""),
            rule=query.get("rule", ""),
            rule_version=_number(query, "version"),
            method=query.get("method", "") if query.get("method") in METHODS else "scan",
            after=max(0, (first or 1) - 1),
            until=_number(query, "until"),
            code=_number(query, "code"),
            head=_number(query, "head"),
            project=query.get("project", ""),
        )

    @property
    def path(self) -> str:
        """Return the page's address without its query."""
        return reverse("explorer:run_bisect", args=[self.stream])

    def href(self, **changed: object) -> str:
        """Return the page's address with some of the question changed."""
        asked = replace(self, **changed)  # type: ignore[arg-type]
        said = {
            "rule": asked.rule, "version": asked.rule_version, "from": asked.after + 1 if asked.after else None,
            "until": asked.until, "method": None if asked.method == "scan" else asked.method, "code": asked.code,
            "head": asked.head, "project": asked.project,
        }  # fmt: skip
        query = urlencode({name: value for name, value in said.items() if value not in (None, "")})
        return f"{self.path}?{query}" if query else self.path


def _number(query: Mapping[str, str], name: str) -> int | None:
    return whole(query.get(name, ""), digits=_DIGITS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An event with the verdict on it. `verdict` is `holds`, `fails` or `raised`."""

    line: EventLine
    verdict: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """An outcome and everything that proves it."""

    rule: Invariant
    outcome: Outcome
    answer: str
    lead: str
    later: str
    said: str
    at: debugger.Inspector | None
    before: Place | None
    here: Place | None
    diff: DiffPanel | None
    map: Minimap
    drawing: probes.Drawing
    method: str
    assumes: str
    checked: str
    took: str
    permalink: str
    head: int

    @property
    def code(self) -> int:
        """The version of the code that makes states of events."""
        return CODE_VERSION

    @property
    def changes(self) -> int:
        """How many changes of the state are shown; the rest are on the debugger's page."""
        return _CHANGES


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleLine:
    """What one of all rules says of the run."""

    name: str
    title: str
    verdict: str
    version: int | None
    message: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """Every rule on the run, those that fail first, from one reading; `suspect` is the event to look at first."""

    lines: tuple[RuleLine, ...]
    fails: int
    raised: int
    events: int
    suspect: Suspect | None = None

    @property
    def charging(self) -> tuple[RuleLine, ...]:
        """The rules whose failures lead back to the suspect, the most telling first."""
        by_name = {line.name: line for line in self.lines}
        return tuple(by_name[name] for name in (self.suspect.rules if self.suspect else ()))

    @property
    def holds(self) -> int:
        """How many rules the run keeps."""
        return len(self.lines) - self.fails - self.raised


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The whole page: the question, and the answer where one was asked."""

    run: RunSummary
    ask: Ask
    after: int
    until: int
    address: Address
    groups: tuple[rule_choice.Group, ...]
    notices: tuple[str, ...]
    result: Result | None
    overview: Overview | None

    @property
    def cost_of_scan(self) -> str:
        """What reading costs, in words."""
        return f"1 pass over {figures.counted(self.until, 'event')}"

    @property
    def cost_of_search(self) -> str:
        """What searching costs, in words."""
        return f"about {max(1, (self.until - self.after).bit_length())} states, then checked by a pass"

    @property
    def manual_href(self) -> str:
        """Return where a person searches."""
        path = reverse("explorer:run_manual", args=[self.run.stream])
        said = {"from": self.after + 1 if self.after else None, "until": self.ask.until}
        query = urlencode({name: value for name, value in said.items() if value})
        return f"{path}?{query}" if query else path

    @property
    def journal_href(self) -> str:
        """Return where the same rule is put to the whole journal."""
        return f"{reverse('explorer:bisects')}?{urlencode({'rule': self.ask.rule})}"

    @property
    def regrade_href(self) -> str:
        """Return where the same rule is put to many runs."""
        return f"{reverse('explorer:regrades')}?{urlencode({'rule': self.ask.rule})}"

    @property
    def rule_href(self) -> str:
        """Return the rule's own page."""
        return reverse("explorer:rule", args=[self.ask.rule])


def bisect_page(project: str, ask: Ask) -> Page | None:
    """Answer what was asked of a run; None where the project has no such run."""
    run = run_steps.run_of(project, ask.stream)
    if run is None:
        return None
    until = min(ask.until or run.events, run.events)
    after = min(ask.after, max(0, until - 1))
    notices = list(_clamped(ask, run, after))
    result = overview = None
    if ask.rule == EVERY and run.category == CATEGORY:
        overview = _overview(project, ask, until)
    elif ask.rule and run.category == CATEGORY:
        with rule_choice.rule_of(project, ask.rule, ask.rule_version) as rule:
            if rule is None:
                notices.append(_unknown(ask))
            else:
                notices += _stale(ask, rule)
                result = _result(run, ask, rule, after=after, until=until)
    return Page(
        run=run,
        ask=ask,
        after=after,
        until=until,
        address=Address(stream=run.stream, project=ask.project),
        groups=rule_choice.groups(project, ask.rule),
        notices=tuple(notices),
        result=result,
        overview=overview,
    )


# --- Words about the question -----------------------------------------------------------------------------------------


def _clamped(ask: Ask, run: RunSummary, after: int) -> list[str]:
    if ask.until is not None and ask.until > run.events:
        return [f"You asked for events up to {ask.until:,}. The run ends at {run.events:,}, so it was read to there."]
    if after != ask.after:
        return [f"The range begins behind its end, so it begins at {after + 1:,}."]
    return []


def _unknown(ask: Ask) -> str:
    of = f" in version {ask.rule_version}" if ask.rule_version else ""
    return f"There is no rule {ask.rule}{of} here. Choose one below."


def _stale(ask: Ask, rule: Invariant) -> list[str]:
    """Say where this code is not that with which a permanent link was made: it may answer otherwise."""
    found = []
    if ask.rule_version not in (None, rule.version):
        found.append(f"The link is about version {ask.rule_version} of the rule; this is version {rule.version}.")
    if ask.code not in (None, CODE_VERSION):
        found.append(f"The link was made with states by reducer v{ask.code}; these are by v{CODE_VERSION}.")
    if found:
        found.append("The answer may be another one.")
    return [" ".join(found)] if found else []


# --- The answer -------------------------------------------------------------------------------------------------------


def _result(run: RunSummary, ask: Ask, rule: Invariant, *, after: int, until: int) -> Result:
    store = get_store(run.project)
    began = perf_counter()
    recorded = Recorded(run.stream, store.read_stream(run.stream, until=until), rule)
    asked = bisect_run if ask.method == "bisect" else read_run
    outcome = asked(rule, recorded, after=after)
    took_ms = (perf_counter() - began) * 1000
    version = outcome.first_failing or outcome.raised_at
    at = _at(run, ask, version) if version is not None else None
    failures = [outcome.first_failing] if outcome.first_failing is not None else []
    return Result(
        rule=rule,
        outcome=outcome,
        answer=_answer(outcome, after),
        lead=_lead(outcome, after),
        later=probes.changes(outcome.flips),
        said=_said(rule, outcome),
        at=at,
        before=_before(run, outcome, after, version),
        here=Place(line=at.line, verdict=outcome.verdict) if at is not None else None,
        diff=_diff(run, ask, version) if at is not None else None,
        map=minimap(
            run_lines.marks_of(run.pk, run.events), events=run.events, cursor=version or until, failures=failures
        ),
        drawing=probes.drawing(outcome, events=run.events, after=after),
        method=_method(outcome),
        assumes=_assumes(rule, outcome),
        checked=_checked(outcome),
        took=figures.duration(took_ms),
        permalink=ask.href(rule_version=rule.version, until=until, after=after, code=CODE_VERSION, head=run.position),
        head=run.position,
    )


def _at(run: RunSummary, ask: Ask, version: int) -> debugger.Inspector | None:
    """Explain an event with the causes that lead to it. The lists may be a moment behind the journal."""
    shown = debugger.find(run.project, Address(stream=run.stream, asked=version, project=ask.project, dir="back"))
    return shown[0] if shown is not None and shown[0].version == version else None


def _answer(outcome: Outcome, after: int) -> str:
    if outcome.verdict == "raised":
        return f"Not known: the rule itself went wrong at event {outcome.raised_at:,}"
    if outcome.first_failing is None:
        return "Holds at every event" if outcome.events else "Holds: there are no events"
    if outcome.first_failing == after + 1 and len(outcome.flips) == 1 and outcome.raised_at is None:
        return "Never held" if not after else f"Fails at every event from {after + 1:,} on"
    if outcome.first_failing == after + 1:
        return f"Fails at event {outcome.first_failing:,}, the first" + (" of the range" if after else "")
    return f"First fails at event {outcome.first_failing:,}"


def _lead(outcome: Outcome, after: int) -> str:
    first, last = outcome.first_failing, outcome.events
    if outcome.verdict == "raised":
        before = (outcome.raised_at or 1) - 1
        held = f"It held at every event up to {before:,}. " if before > after and outcome.method == "scan" else ""
        return f"{held}An error of the rule is no failure of the run: nothing is known from there on."
    if first is None:
        return f"Asked about {figures.counted(outcome.evaluations, 'event')} of {last - after:,}."
    words = [] if first == after + 1 else [f"Held at {first - 1:,}."]
    if changes := probes.changes(outcome.flips):
        words.append(f"It {changes}.")
    elif outcome.raised_at is None:
        words.append(f"Fails at every event from {first:,} to {last:,}." if first < last else "It is the last event.")
    if outcome.raised_at is not None:
        words.append(f"At {outcome.raised_at:,} the rule itself went wrong; nothing is known from there on.")
    return " ".join(words)


def _said(rule: Invariant, outcome: Outcome) -> str:
    """Return what the rule says of the event; an expression says no more than that it is not true there."""
    if not isinstance(outcome.failure, Fails):
        return outcome.error or outcome.note
    return "The condition is not true here." if isinstance(rule, SavedRule) else outcome.failure.message


def _before(run: RunSummary, outcome: Outcome, after: int, version: int | None) -> Place | None:
    if version is None or version <= after + 1:
        return None
    line = EventLine.objects.filter(run=run, version=version - 1).first()
    is_held = outcome.method == "scan" or outcome.verdict == "fails"
    return Place(line=line, verdict="holds" if is_held else "") if line is not None else None


def _diff(run: RunSummary, ask: Ask, version: int | None) -> DiffPanel | None:
    moment = timelines.moment(run.project, run.stream, version or 1, back=0)
    if moment is None:
        return None
    address = Address(stream=run.stream, asked=version, tab="diff", project=ask.project)
    return diff_panel(run, address, version or 1, moment, moment.after())


def _method(outcome: Outcome) -> str:
    if outcome.probes and outcome.method == "scan":
        return f"Read, after a search of {figures.counted(outcome.checked, 'state')} that did not hold up"
    if outcome.method == "bisect":
        return f"Binary, {figures.counted(outcome.evaluations, 'state')}"
    return f"Scan, 1 pass over {figures.counted(outcome.events, 'event')}"


def _assumes(rule: Invariant, outcome: Outcome) -> str:
    if outcome.is_claim_broken:
        return "The rule claims that once broken it stays broken. This run shows that it does not."
    if outcome.method == "bisect":
        return "Once broken it stays broken (the rule is declared so)"
    return "Nothing: every event was asked about"


def _checked(outcome: Outcome) -> str:
    if outcome.method == "bisect" and outcome.checked:
        return f"a scan of {outcome.checked:,} of {figures.counted(outcome.events, 'event')}: same answer"
    return ""


# --- Every rule -------------------------------------------------------------------------------------------------------


def _overview(project: str, ask: Ask, until: int) -> Overview:
    """Put every rule to the run. Rules are asked about all events: a range does not matter to one that remembers."""
    with saved_rules.every(project) as rules:
        all_said = judged(ask.stream, get_store(project).read_stream(ask.stream, until=until), rules)
    titles = {rule.name: rule.title for rule in rules}
    lines = [
        RuleLine(
            name=name,
            title=titles[name],
            verdict=graded.outcome.verdict,
            version=graded.outcome.first_failing or graded.outcome.raised_at,
            message=graded.first_failing.message if graded.first_failing else graded.outcome.error,
            href=ask.href(rule=name),
        )
        for name, graded in all_said.found.items()
    ]
    rank = {"fails": 0, "raised": 1, "holds": 2}
    return Overview(
        lines=tuple(sorted(lines, key=lambda line: (rank[line.verdict], line.version or 0, line.name))),
        fails=sum(line.verdict == "fails" for line in lines),
        raised=sum(line.verdict == "raised" for line in lines),
        events=until,
        suspect=all_said.suspect,
    )
