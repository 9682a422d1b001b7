"""An answer walked back to the input it came from: a numbered story of explainers, for whoever looks into a complaint.

The story tells the events that led to the answer, in their order. What the answer states is looked up in them: a figure
that an input already had was passed on, and one that stands in none of them is the model's own. Which of the two was
wrong, a person says; their verdict is a note on the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from explorer import figures
from explorer.markdown import fenced, one_line
from explorer.models import EventLine, NoteRow
from explorer.queries import notes
from explorer.queries.lineage import lines_of
from explorer.values import Value, figures_in, holds, said_by
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.lineage import Walk
from journal.domain.text import parsed, plain
from journal.store import get_store, lineage

MOST: Final = 500
"""Events above the answer that are looked at."""

TOLD: Final = 40
"""Of those, how many are told: inputs, and the nearest."""

QUOTED: Final = 900
FIGURES: Final = 12
_SPAN: Final = 400
_INPUTS: Final = ("started", "message_received")
_SKIPPED: Final = ("model_called", "graded", "annotated", "memory_written")
_ROLES: Final = {
    "started": "The run began",
    "reasoned": "The agent decided",
    "tool_returned": "A tool answered",
    "tool_failed": "A tool failed",
    "model_responded": "The model said",
    "handed_off": "Work was handed on",
    "context_compacted": "Earlier events were summed up",
    "answered": "The answer",
    "aborted": "The run was given up",
}
_SPEAKERS: Final = {"user": "The user said", "system": "The instructions said", "assistant": "The agent said"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One event of the story. `quote` is what it says itself, cut; `states` are figures of the answer that it has."""

    number: int
    line: EventLine
    role: str
    summary: str
    quote: str
    links: str
    is_input: bool
    is_answer: bool
    is_elsewhere: bool
    states: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """Something that the answer states, and the step that had it first; None where none of them had it."""

    text: str
    step: Step | None
    also: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """One judgement that a person may come to."""

    label: str
    words: str
    means: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """The walk from an answer to its input. `untold` events led to it too and are not told."""

    line: EventLine
    steps: tuple[Step, ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[NoteRow, ...]
    untold: int
    is_cut: bool
    broken: int
    inferred: int

    @property
    def asked(self) -> Step | None:
        """Return what the user asked: the last message of a user before the answer, else where the run began."""
        said = [step for step in self.steps if step.is_input and step.role == _SPEAKERS["user"]]
        return said[-1] if said else next((step for step in self.steps if step.is_input), None)

    @property
    def answer(self) -> str:
        """Return the sentence that opens the page."""
        of_input = [figure for figure in self.figures if figure.step is not None]
        alone = len(self.figures) - len(of_input)
        if not self.figures:
            return f"The answer at {self.line.version:,} states no figure that could be looked up."
        if not alone:
            return f"Everything that {self.line.version:,} states as a figure stood in what it was given."
        return (
            f"Of {figures.counted(len(self.figures), 'figure')} in {self.line.version:,}, {alone:,}"
            f" {'stands' if alone == 1 else 'stand'} in nothing that led to it."
        )

    @property
    def verdict(self) -> NoteRow | None:
        """Return the newest verdict that stands."""
        return self.verdicts[-1] if self.verdicts else None


CHOICES: Final = (
    Verdict(label="input wrong", words=notes.VERDICTS["input wrong"], means="The model passed on what it was given."),
    Verdict(
        label="model wrong",
        words=notes.VERDICTS["model wrong"],
        means="What it was given was right; what it made of it was not.",
    ),
    Verdict(label="not decided", words=notes.VERDICTS["not decided"], means="The record does not settle it."),
)


def story(project: str, stream: str, version: int) -> Story | None:
    """Return the walk from an event to its inputs, None where there is no such event. A bounded number of queries."""
    found = EventLine.objects.filter(run__project=project, run__stream=stream, version=version).select_related("run")
    line = found.first()
    if line is None:
        return None
    walk = lineage.walk(project, line.event_id, direction="up", most=MOST)
    lines = lines_of(project, walk.depths.keys() - {line.event_id}) | {line.event_id: line}
    told = _told(line, lines, walk)
    events = _events(project, [*told, line])
    stated = figures_in(_said(events.get(line.event_id)), most=FIGURES)
    steps = tuple(_Steps(line, lines, walk, events, tuple(value.text for value in stated)).of([*told, line]))
    known = [note for note in notes.at_event(project, line.run.stream, line.version) if note.label in notes.VERDICTS]
    others = sum(known.kind not in _SKIPPED for known in lines.values()) - 1
    return Story(
        line=line,
        steps=steps,
        figures=tuple(_figure(value.text, steps) for value in stated),
        verdicts=tuple(known),
        untold=max(0, others - len(told)),
        is_cut=walk.cut,
        broken=len(walk.missing),
        inferred=sum(link.certainty == "inferred" for link in walk.links),
    )


def _told(line: EventLine, lines: Mapping[str, EventLine], walk: Walk) -> list[EventLine]:
    """Return the causes that are told: all that came in from outside, then the nearest, in the journal's order.

    What the model said is left out where it says the answer's or a decision's own words: those tell it.
    """
    above = [known for known in lines.values() if known.event_id != line.event_id and known.kind not in _SKIPPED]
    by_depth = sorted(
        above, key=lambda known: (known.kind not in _INPUTS, walk.depths[known.event_id], -known.position)
    )
    return sorted(by_depth[:TOLD], key=lambda known: known.position)


def _events(project: str, lines: Sequence[EventLine]) -> dict[str, RecordedEvent]:
    """Read some events, run by run, in as few reads as they lie near each other."""
    store = get_store(project)
    found: dict[str, RecordedEvent] = {}
    by_run: dict[str, list[int]] = {}
    for line in lines:
        by_run.setdefault(line.run.stream, []).append(line.version)
    for stream, versions in by_run.items():
        wanted = set(versions)
        for first, last in _spans(sorted(wanted)):
            read = store.read_stream(stream, after=first - 1, until=last)
            found.update((event.id, event) for event in read if event.version in wanted)
    return found


def _spans(versions: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = last = versions[0]
    for version in versions[1:]:
        if version - first >= _SPAN:
            yield first, last
            first = version
        last = version
    yield first, last


class _Steps:
    """Makes steps of lines."""

    def __init__(
        self,
        line: EventLine,
        lines: Mapping[str, EventLine],
        walk: Walk,
        events: Mapping[str, RecordedEvent],
        stated: tuple[str, ...],
    ) -> None:
        self._line, self._lines, self._walk, self._events, self._stated = line, lines, walk, events, stated

    def of(self, told: Sequence[EventLine]) -> Iterator[Step]:
        """Yield a step for each."""
        numbers = {known.event_id: at for at, known in enumerate(told, 1)}
        for number, known in enumerate(told, 1):
            event = self._events.get(known.event_id)
            text = _said(event)
            is_answer = known.event_id == self._line.event_id
            yield Step(
                number=number,
                line=known,
                role=_role(known, event),
                summary=explain(event).summary if event is not None else known.summary,
                quote=_quote(event)[:QUOTED],
                links=self._links(known, numbers),
                is_input=known.kind in _INPUTS,
                is_answer=is_answer,
                is_elsewhere=known.run_id != self._line.run_id,
                states=() if is_answer else tuple(said for said in self._stated if holds(text, Value(text=said))),
            )

    def _links(self, known: EventLine, numbers: Mapping[str, int]) -> str:
        """Say which steps it came from. A request that is not told stands for what was read with it."""
        causes: dict[int, str] = {}
        for link in self._walk.links:
            if link.effect != known.event_id:
                continue
            through = [link] if link.cause in numbers else [one for one in self._walk.links if one.effect == link.cause]
            for one in through:
                if one.cause in numbers:
                    is_sure = one.certainty == link.certainty == "recorded"
                    causes.setdefault(numbers[one.cause], "" if is_sure else " (inferred)")
        return ", ".join(f"{number}{sure}" for number, sure in sorted(causes.items()))


def _figure(text: str, steps: Sequence[Step]) -> Figure:
    having = [step for step in steps if text in step.states and step.line.kind not in ("model_responded", "reasoned")]
    return Figure(text=text, step=having[0] if having else None, also=max(0, len(having) - 1))


def _role(line: EventLine, event: RecordedEvent | None) -> str:
    if line.kind == "message_received" and event is not None:
        decoded = catalog.decode(event)
        role = decoded.role if isinstance(decoded, run.MessageReceived) else ""
        return _SPEAKERS.get(role, "A message came in")
    return _ROLES.get(line.kind, line.title)


def _said(event: RecordedEvent | None) -> str:
    return said_by(event.type, event.payload) if event is not None else ""


def _quote(event: RecordedEvent | None) -> str:
    """Return what an event says in full where its sentence cannot."""
    match catalog.decode(event) if event is not None else None:
        case run.Started(prompt=text) | run.MessageReceived(content=text) | run.ModelResponded(content=text):
            return plain(text)
        case run.Answered(response=text):
            return plain(text)
        case run.ToolReturned(response_json=text):
            value = parsed(text)
            return value if isinstance(value, str) else text
        case (
            run.Reasoned(thought=text)
            | run.ToolFailed(message=text)
            | run.Aborted(reason=text)
            | run.ContextCompacted(summary=text)
        ):
            return text or ""
        case _:
            return ""


# --- Taken elsewhere --------------------------------------------------------------------------------------------------


def markdown(told: Story, address: str) -> Iterator[str]:
    """Yield the story as Markdown. Recorded text stands in fences, and nothing of it becomes markup."""
    yield f"# How event {told.line.version} of “{one_line(told.line.run.title)}” came about\n\n"
    yield f"<{address}>\n\n{told.answer}\n"
    for figure in told.figures:
        where = f"in step {figure.step.number}" if figure.step else "in nothing that led to it"
        yield f"- {one_line(figure.text)}: {where}\n"
    for step in told.steps:
        other = f", in the run {one_line(step.line.run.stream)}" if step.is_elsewhere else ""
        rests = f" Rests on {step.links}." if step.links else ""
        yield f"\n## {step.number}. {one_line(step.role)} (event {step.line.version}{other})\n\n"
        yield f"{one_line(step.summary)}.{rests}\n"
        if step.quote:
            yield f"\n{fenced(step.quote, '')}\n"
    if told.untold or told.is_cut:
        more = f"{told.untold:,} more events" if told.untold else "More events than were looked at"
        yield f"\n{more} led to it and are not told here.\n"
    if told.verdict is not None:
        said = f": {one_line(told.verdict.text)}" if told.verdict.text else ""
        yield f"\nVerdict of {one_line(told.verdict.by)}: {notes.VERDICTS[told.verdict.label].lower()}{said}\n"
    else:
        yield "\nNobody has given a verdict yet.\n"
