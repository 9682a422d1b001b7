"""The editor of saved rules: what is wrong with a text and where, what it says of recent runs, and what decided it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from explorer import timelines
from explorer.line_diff import Row, side_by_side
from explorer.models import RunSummary
from explorer.outside import clip
from explorer.queries.rule_choice import SAVED
from journal.domain import codec, rule_text
from journal.domain.rule import LONGEST, Problem, check
from journal.errors import JournalError
from journal.runtime import saved_rules
from journal.runtime.saved_rules import SavedVersion, Tried, TriedRun
from journal.store import get_store

__all__ = ["LONGEST", "SAVED", "Draft", "EditorPage", "editor_page", "marked", "tried"]

SAMPLE: Final = 20
_VALUE: Final = 400
_ABOVE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What stands in the form."""

    name: str = ""
    description: str = ""
    expression: str = ""
    monotone: bool = False

    @classmethod
    def of(cls, posted: Mapping[str, str], name: str) -> Draft:
        """Read a form; browsers send line ends their own way."""
        said = {field: posted.get(field, "").replace("\x00", "") for field in ("name", "description", "expression")}
        return cls(
            name=name or said["name"].strip()[:200],
            description=" ".join(said["description"].split())[:1000],
            expression=said["expression"].replace("\r\n", "\n").replace("\r", "\n")[: 2 * LONGEST],
            monotone=posted.get("monotone", "") == "yes",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A part of a line of code; `is_wrong` marks what a problem is about."""

    text: str
    is_wrong: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Marked:
    """A problem with the line it stands in, cut where it begins and ends, and the text with the suggestion in place."""

    problem: Problem
    pieces: tuple[Piece, ...]
    mended: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """Something that a rule can name, and what it is."""

    name: str
    words: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedLine:
    """What the draft says of one run; `is_new` where the newest version says otherwise."""

    run: TriedRun
    title: str
    is_new: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """What stood at a name that the rule looks at."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedPanel:
    """The draft on recent runs. `values` are what the first failure was decided by."""

    tried: Tried
    lines: tuple[TriedLine, ...]
    newly: int
    against: int | None
    first: TriedRun | None
    values: tuple[Value, ...]
    said: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EditorPage:
    """The whole editor. `base` is the version that is edited, None for a new rule."""

    draft: Draft
    base: SavedVersion | None
    problems: tuple[Marked, ...]
    names: tuple[Name, ...]
    versions: tuple[SavedVersion, ...]
    rows: tuple[Row, ...]
    tried: TriedPanel | None
    refusal: str
    field: str

    @property
    def next_version(self) -> int:
        """The version that saving makes."""
        return self.base.version + 1 if self.base is not None else 1

    @property
    def not_now(self) -> str:
        """Why it cannot be saved as it stands; empty where it can."""
        if not self.problems:
            return ""
        line = self.problems[0].problem.line
        stays = f" Version {self.base.version} stays as it is." if self.base is not None else ""
        return f"Fix line {line} to save.{stays}"


def editor_page(  # noqa: PLR0913 - what came of the form
    project: str, name: str, draft: Draft | None, *, with_trial: bool = False, refusal: str = "", field: str = ""
) -> EditorPage | None:
    """Return the editor of a rule, or of a new one where `name` is empty; None where there is no saved rule of it."""
    versions = saved_rules.history(project, name) if name else []
    if name and not versions:
        return None
    base = versions[-1] if versions else None
    shown = draft or (_draft_of(base) if base is not None else Draft())
    problems = marked(shown.expression) if shown.expression.strip() or draft is not None else ()
    return EditorPage(
        draft=shown,
        base=base,
        problems=problems,
        names=_NAMES,
        versions=tuple(reversed(versions)),
        rows=side_by_side(base.expression, shown.expression) if base is not None else (),
        tried=tried(project, shown, base) if with_trial and not problems else None,
        refusal=refusal,
        field=field,
    )


def _draft_of(base: SavedVersion) -> Draft:
    return Draft(name=base.name, description=base.description, expression=base.expression, monotone=base.monotone)


# --- What is wrong ----------------------------------------------------------------------------------------------------


def marked(expression: str) -> tuple[Marked, ...]:
    """Return what is wrong with an expression, each with its line."""
    return tuple(_marked(expression, problem) for problem in check(expression))


def _marked(expression: str, problem: Problem) -> Marked:
    lines = expression.split("\n")
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    begin = min(problem.column - 1, len(line))
    end = min(begin + max(1, problem.length), len(line))
    pieces = (line[:begin], line[begin:end] or " ", line[end:])
    mended = ""
    if problem.suggestion is not None and problem.line <= len(lines):
        is_quoted = line[begin : begin + 1] in ("'", '"')
        word = f"{line[begin]}{problem.suggestion}{line[begin]}" if is_quoted else problem.suggestion
        mended = "\n".join([*lines[: problem.line - 1], line[:begin] + word + line[end:], *lines[problem.line :]])
    return Marked(
        problem=problem,
        pieces=tuple(Piece(text=text, is_wrong=at == 1) for at, text in enumerate(pieces) if text),
        mended=mended,
    )


_NAMES: Final = (
    Name(name="state.failures[tool].in_a_row", words="failures of a tool since its last success", kind="number"),
    Name(name="state.totals.cost_usd", words="cost up to and with this event", kind="number"),
    Name(name="state.totals.decisions", words="responses of the model so far", kind="number"),
    Name(name="state.known.results", words="latest result per tool and arguments", kind="list"),
    Name(name="state.known.memory", words="what was written to memory", kind="map"),
    Name(name="state.open_calls", words="calls without a result yet", kind="list"),
    Name(name="state.last_decision.tool", words="the tool that was last called", kind="text"),
    Name(name="state.context", words="what the model would see next", kind="list"),
    Name(name="previous", words="the same, before the event", kind="map"),
    Name(name="event.type", words="such as agent_run.tool_failed", kind="text"),
    Name(name="event.data", words="the event’s own data", kind="map"),
    Name(name="version", words="the event’s number", kind="number"),
)


# --- What it says of runs ---------------------------------------------------------------------------------------------


def tried(project: str, draft: Draft, base: SavedVersion | None) -> TriedPanel:
    """Put a draft to the newest runs, and the version it is made from too: what differs is marked."""
    try:
        now = saved_rules.try_on(project, draft.expression, sample=SAMPLE, monotone=draft.monotone)
        before = _before(project, base, [run.stream for run in now.runs])
    except JournalError as error:
        return TriedPanel(tried=Tried(runs=(), events=0, holds=0, fails=0, raised=0, seconds=0), lines=(), newly=0,
                          against=None, first=None, values=(), said=str(error))  # fmt: skip
    titles = dict(
        RunSummary.objects.filter(project=project, stream__in=[run.stream for run in now.runs]).values_list(
            "stream", "title"
        )
    )
    lines = tuple(
        TriedLine(
            run=run,
            title=titles.get(run.stream, run.stream),
            is_new=run.verdict == "fails" and before.get(run.stream) == "holds",
        )
        for run in now.runs
    )
    first = next((line.run for line in lines if line.run.verdict == "fails"), None)
    return TriedPanel(
        tried=now,
        lines=lines,
        newly=sum(line.is_new for line in lines),
        against=base.version if base is not None else None,
        first=first,
        values=tuple(_values(project, draft.expression, first)) if first is not None else (),
    )


def _before(project: str, base: SavedVersion | None, streams: Sequence[str]) -> dict[str, str]:
    if base is None or not streams:
        return {}
    found = saved_rules.try_on(project, base.expression, streams=streams, monotone=base.monotone)
    return {run.stream: run.verdict for run in found.runs}


def _values(project: str, expression: str, run: TriedRun) -> Iterator[Value]:
    """Yield what stood at each name of the expression at the event that broke it."""
    version = run.first_failing or 1
    documents: dict[str, Any] = {}
    for names in dict.fromkeys(path.names for path in rule_text.paths(expression)):
        if names[0] not in documents:
            documents[names[0]] = _document(project, run.stream, version, names[0])
        value = documents[names[0]]
        for name in names[1:]:
            value = value.get(name) if isinstance(value, dict) else None
        text = "absent" if value is None else codec.text(value)
        yield Value(name=".".join(names), text=clip(text, _VALUE))


def _document(project: str, stream: str, version: int, variable: str) -> Any:
    match variable:
        case "state":
            return timelines.state_at(project, stream, version).to_json()
        case "previous":
            return timelines.state_at(project, stream, version - 1).to_json()
        case _:
            event = next(iter(get_store(project).read_stream(stream, after=version - 1, until=version)), None)
            return codec.on_the_wire(event) if event is not None else {}
