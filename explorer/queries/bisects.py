"""Bisecting the journal: the first event of all runs that breaks a rule, and the runs around that moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse

from explorer import figures
from explorer.models import RunSummary
from explorer.moments import MomentRefused, in_form, moment
from explorer.numbers import whole
from explorer.queries import rule_choice
from explorer.queries import run as debugger
from explorer.queries.reach_page import address_of
from explorer.queries.regrade_report import ENDED
from explorer.queries.regrade_scope import us_of
from explorer.queries.run_address import Address
from explorer.queries.run_values import known_values
from journal.domain.agent_run import CATEGORY
from journal.runtime import bisects
from journal.runtime.bisects import Definition, Result

_JOBS: Final = 50
_AROUND: Final = 8
_TOOLS: Final = 40
_DIGITS: Final = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """What a form asks for. `problem` says what could not be understood."""

    rule: str = ""
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    tool: str = ""
    problem: str = ""

    @classmethod
    def of(cls, said: Mapping[str, str], zone: tzinfo) -> Ask:
        """Read a form or an address."""
        said = {name: value.replace("\x00", "").strip()[:200] for name, value in said.items()}
        since = until = None
        problem = ""
        try:
            since = moment(said.get("since", ""), zone)
            until = moment(said.get("until", ""), zone, is_end=True)
        except MomentRefused as refused:
            problem = str(refused)
        if since and until and since > until:
            problem = "It ends before it begins."
        version = whole(said.get("version", ""), digits=_DIGITS)
        return cls(
            rule=said.get("rule", ""), version=version, since=since, until=until, tool=said.get("tool", ""),
            problem=problem,
        )  # fmt: skip

    @property
    def asked(self) -> dict[str, Any]:
        """Return it as the journal takes it."""
        return {
            "rule": self.rule, "version": self.version, "since": self.since, "until": self.until,
            "tool": self.tool or None,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """A bisect in the list."""

    id: str
    rule: str
    rule_version: int
    scope: str
    state: str
    outcome: str
    begun_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BisectsPage:
    """The form, and the bisects there were."""

    ask: Ask
    groups: tuple[rule_choice.Group, ...]
    tools: tuple[str, ...]
    jobs: tuple[JobLine, ...]
    since: str
    until: str


def bisects_page(project: str, ask: Ask, zone: tzinfo) -> BisectsPage:
    """Return the page."""
    tools = known_values(project, ("tool",))["tool"].most_common(_TOOLS)
    return BisectsPage(
        ask=ask,
        groups=rule_choice.groups(project, ask.rule),
        tools=tuple(sorted(name for name, _ in tools)),
        jobs=tuple(_job_line(job, zone) for job in bisects.newest(project, limit=_JOBS)),
        since=in_form(ask.since, zone),
        until=in_form(ask.until, zone),
    )


def _job_line(job: Any, zone: tzinfo) -> JobLine:
    asked, found = bisects.definition(job), bisects.result(job)
    return JobLine(
        id=job.id,
        rule=asked.rule,
        rule_version=asked.rule_version,
        scope=scope_words(asked, zone),
        state=job.status,
        outcome=_outcome(found) if found is not None else job.error or "",
        begun_us=us_of(job.created_at),
    )


def _outcome(found: Result) -> str:
    first = found.answer.get("first_failing")
    if first is None:
        return f"Holds at all {figures.counted(found.answer['events'], 'event')}."
    return f"First fails at position {first['position']:,}: event {first['version']:,} of {first['stream']}."


def scope_words(asked: Definition, zone: tzinfo) -> str:
    """Return in words what was looked at."""
    if asked.stream:
        return f"the run {asked.stream}"
    words = f"calls and results of {asked.tool}" if asked.tool else "all events"
    if asked.since is not None:
        words += f" from {_when(asked.since, zone)}"
    if asked.until is not None:
        words += f" to {_when(asked.until, zone)}"
    return words


def _when(at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y %H:%M}"


# --- One bisect -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Around:
    """A run that began near the moment. `version` is where it first fails."""

    run: RunSummary
    verdict: str
    version: int | None
    href: str
    is_first: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class BisectPage:
    """A bisect, as far as it is; `at` is the first failing event explained, where the lists know it."""

    id: str
    asked: Definition
    scope: str
    state: str
    error: str
    done: int
    total: int | None
    unit: str
    found: Result | None
    first: dict[str, Any] | None
    at: debugger.Inspector | None
    answer: str
    lead: str
    around: tuple[Around, ...]
    href: str
    again: str
    begun_us: int

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ENDED

    @property
    def announcement(self) -> str:
        """What a screen reader is told: the answer when there is one, and every tenth of the way before."""
        if self.has_ended or not self.total:
            return self.answer
        return f"{self.answer}, {self.done * 10 // self.total * 10} percent"

    @property
    def flips(self) -> int:
        """How many changes of the verdict there are beside the first failure."""
        return max(0, len(self.found.answer.get("flips", ())) - 1) if self.found is not None else 0

    @property
    def failing(self) -> tuple[tuple[str, int], ...]:
        """The event of each run at which it first fails, in the journal's order."""
        return tuple(_failing(self.found).items()) if self.found is not None else ()

    @property
    def reach(self) -> str:
        """The page of what rests on those, empty where there is one at most."""
        return address_of(self.failing) if len(self.failing) > 1 else ""


def bisect_page(project: str, job_id: str, zone: tzinfo) -> BisectPage | None:
    """Return a bisect of a project; None where there is none of this id."""
    job = bisects.find(job_id.replace("\x00", ""), project=project)
    if job is None:
        return None
    asked, found = bisects.definition(job), bisects.result(job)
    first = found.answer.get("first_failing") if found is not None else None
    at = _explained(project, first) if first else None
    return BisectPage(
        id=job.id,
        asked=asked,
        scope=scope_words(asked, zone),
        state=job.status,
        error=job.error,
        done=job.done,
        total=job.total,
        unit=job.unit,
        found=found,
        first=first,
        at=at,
        answer=_answer(job.status, found, first, at, zone),
        lead=_lead(asked, found, first) if found is not None else "",
        around=tuple(_around(project, asked, found, first, at)) if found is not None and first else (),
        href=f"{reverse('explorer:run', args=[first['stream']])}?v={first['version']}" if first else "",
        again=f"{reverse('explorer:bisects')}?{_written(asked)}",
        begun_us=us_of(job.created_at),
    )


def _written(asked: Definition) -> str:
    said: dict[str, Any] = {
        "rule": asked.rule, "tool": asked.tool, "since": asked.since.isoformat() if asked.since else None,
        "until": asked.until.isoformat() if asked.until else None,
    }  # fmt: skip
    return urlencode({name: value for name, value in said.items() if value})


def _explained(project: str, first: Mapping[str, Any]) -> debugger.Inspector | None:
    found = debugger.find(project, Address(stream=first["stream"], asked=first["version"], dir="back"))
    return found[0] if found is not None and found[0].version == first["version"] else None


def _answer(
    state: str, found: Result | None, first: Mapping[str, Any] | None, at: debugger.Inspector | None, zone: tzinfo
) -> str:
    if found is None:
        return {
            "queued": "Waiting for a worker", "failed": "The bisect stopped before its end", "cancelled": "Cancelled",
        }.get(state, "Reading the journal")  # fmt: skip
    if first is None:
        return (
            "Not known: the rule itself went wrong" if found.answer.get("verdict") == "raised" else "Holds everywhere"
        )
    when = figures.exact(at.line.occurred_us, zone) if at is not None and at.line.time_known else ""
    return f"First fails on {_minute(when)}" if when else f"First fails at position {first['position']:,}"


def _minute(when: str) -> str:
    """Return a time without its seconds: "8 Nov 2026 02:14 UTC"."""
    day, clock, zone = when.rsplit(" ", 2)
    return f"{day} {clock[:5]} {zone}"


def _lead(asked: Definition, found: Result, first: Mapping[str, Any] | None) -> str:
    answer = found.answer
    looked = f"{figures.counted(answer.get('events', 0), 'event')}"
    if "runs" in answer:
        looked += f" of {figures.counted(answer['runs'], 'run')}"
    if first is None:
        return f"{looked} were looked at, in the order in which they were recorded."
    what = f"what {asked.tool} returns" if asked.tool else "things"
    between = "changed between the event before it and this one"
    words = [f"This is the moment from which {asked.rule} no longer holds: {what} {between}."]
    if "failing_runs" in answer:
        verb = "fails" if answer["failing_runs"] == 1 else "fail"
        words.append(f"{answer['failing_runs']:,} of {figures.counted(answer['runs'], 'run')} {verb}.")
    words.append(f"{looked} were looked at.")
    return " ".join(words)


def _around(
    project: str,
    asked: Definition,
    found: Result,
    first: Mapping[str, Any],
    at: debugger.Inspector | None,
) -> Iterator[Around]:
    """Yield the runs that were recorded just before and after the moment, with what the rule says of each."""
    if asked.stream:
        return
    failing = _failing(found)
    wrong = {error["stream"] for error in found.answer.get("errors", ())}
    here = at.run if at is not None else RunSummary.objects.filter(project=project, stream=first["stream"]).first()
    if here is None:
        return
    for run in _neighbours(project, asked, here):
        verdict = "error" if run.stream in wrong else "fails" if run.stream in failing else "holds"
        version = failing.get(run.stream)
        path = reverse("explorer:run", args=[run.stream])
        yield Around(
            run=run,
            verdict=verdict,
            version=version,
            href=f"{path}?v={version}" if version else path,
            is_first=run.stream == first["stream"],
        )


def _failing(found: Result) -> dict[str, int]:
    """Return where each run first fails, by stream."""
    failing: dict[str, int] = {}
    for flip in found.answer.get("flips", ()):
        if flip["to"] == "fails":
            failing.setdefault(flip["stream"], flip["version"])
    return failing


def _neighbours(project: str, asked: Definition, here: RunSummary) -> list[RunSummary]:
    """Return the runs that began before and after, those alone that used the tool where one was asked about."""
    runs = RunSummary.objects.filter(project=project, category=CATEGORY)
    before = runs.filter(started_us__lt=here.started_us).order_by("-started_us", "-id")
    after = runs.filter(started_us__gte=here.started_us).exclude(pk=here.pk).order_by("started_us", "id")
    earlier = [run for run in before[:200] if _used(run, asked.tool)][:_AROUND]
    later = [run for run in after[:200] if _used(run, asked.tool)][:_AROUND]
    return [*reversed(earlier), here, *later]


def _used(run: RunSummary, tool: str | None) -> bool:
    return tool is None or tool in run.tools
