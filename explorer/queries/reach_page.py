"""The page of what rests on an event, or on several: its sentence, its counts, and one page of its list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from explorer import figures
from explorer.models import EventLine
from explorer.queries.blast import HOWS, MOST_ORIGINS, Blast, How, Suspect
from explorer.queries.blast_values import CHOSEN

PAGE: Final = 50
_WORDS: Final[dict[How, tuple[str, str]]] = {
    "recorded": ("By recorded causes", "each names its cause, back to this event"),
    "inferred": ("By inferred causes", "at least one link was worked out on import"),
    "value": ("By value", "a value of this event stands in it, or in what led to it; where it came from is a guess"),
}
_SHOWS: Final = ("answers", "all", *HOWS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Certainty:
    """One way by which events were reached, counted."""

    name: How
    words: str
    means: str
    events: int
    runs: int
    answers: int
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """A part of the list that can be looked at by itself."""

    words: str
    count: int
    href: str
    is_on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """One of several events that are asked about: as the address names it, and the page without it."""

    line: EventLine
    name: str
    without: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ReachPage:
    """What the page shows. `carried` is what a form of it sends along."""

    blast: Blast
    answer: str
    certainties: tuple[Certainty, ...]
    views: tuple[View, ...]
    show: str
    rows: tuple[Suspect, ...]
    first: int
    total: int
    before: str
    after: str
    exports: tuple[tuple[str, str], ...]
    path: str
    everything: str
    project: str
    typed: tuple[str, ...]
    origins: tuple[Origin, ...]
    most_values: int = CHOSEN
    most_origins: int = MOST_ORIGINS

    @property
    def is_of_several(self) -> bool:
        """Whether it is a page that more events can be added to."""
        return bool(self.origins)

    @property
    def last(self) -> int:
        """Return the place of the last row that is shown."""
        return self.first + len(self.rows) - 1


def name_of(stream: str, version: int) -> str:
    """Name an event as the address of several does."""
    return f"{stream}@{version}"


def address_of(events: Sequence[tuple[str, int]]) -> str:
    """Return the page of what rests on some events: on the first ones, where there are too many."""
    said = [("of", name_of(stream, version)) for stream, version in list(dict.fromkeys(events))[:MOST_ORIGINS]]
    return _with(reverse("explorer:reach_of"), said)


def page_of(  # noqa: PLR0913 - what the address says
    found: Blast,
    *,
    show: str = "",
    number: int = 1,
    chosen: Sequence[str] | None = None,
    project: str = "",
    is_of_several: bool = False,
) -> ReachPage:
    """Return a page of the list: of the `answers`, of `all` or of one certainty; without `show` of answers if any.

    `is_of_several` is whether the address names the events one by one, be it only one of them.
    """
    show = show if show in _SHOWS else "answers" if found.answers else "all"
    names = [name_of(line.run.stream, line.version) for line in found.origins] if is_of_several else []
    path = _path(found, is_of_several=is_of_several)
    values = _carried(chosen, project)
    carried = [*(("of", name) for name in names), *values]
    rows = _shown(found, show)
    pages = max(1, -(-len(rows) // PAGE))
    number = max(1, min(number, pages))
    start = (number - 1) * PAGE

    def to(part: str, page: int = 1) -> str:
        said = [*carried, ("show", part), *([("page", str(page))] if page > 1 else [])]
        return _with(path, said)

    known = {value.value.text for value in found.values}
    return ReachPage(
        blast=found,
        answer=_answer(found),
        certainties=tuple(
            Certainty(
                name=how,
                words=_WORDS[how][0],
                means=_WORDS[how][1],
                events=events,
                runs=runs,
                answers=answers,
                href=to(how),
            )
            for how, events, runs, answers in found.by_how()
        ),
        views=_views(found, show, to),
        show=show,
        rows=tuple(rows[start : start + PAGE]),
        first=start + 1,
        total=len(rows),
        before=to(show, number - 1) if number > 1 else "",
        after=to(show, number + 1) if number < pages else "",
        exports=tuple((form, _with(f"{path}{form}/", carried)) for form in ("csv", "jsonl")),
        path=path,
        everything=to("all"),
        project=project,
        typed=tuple(text for text in chosen or () if text not in known),
        origins=tuple(
            Origin(
                line=line,
                name=name,
                without=_with(path, [*(("of", other) for other in names if other != name), *values]),
            )
            for line, name in zip(found.origins, names, strict=False)
        ),
    )


def _path(found: Blast, *, is_of_several: bool) -> str:
    if is_of_several:
        return reverse("explorer:reach_of")
    return reverse("explorer:reach", args=[found.origin.run.stream, found.origin.version])


def _views(found: Blast, show: str, to: Callable[[str], str]) -> tuple[View, ...]:
    counts: dict[str, int] = {"answers": len(found.answers), "all": len(found.suspects)}
    words: dict[str, str] = {"answers": "answers to users", "all": "all"}
    for how, events, _runs, _answers in found.by_how():
        counts[how], words[how] = events, "by value" if how == "value" else how
    return tuple(
        View(words=words[name], count=counts[name], href=to(name), is_on=name == show)
        for name in _SHOWS
        if name in ("answers", "all") or counts[name] or name == show
    )


def _shown(found: Blast, show: str) -> Sequence[Suspect]:
    if show == "answers":
        return found.answers
    return [one for one in found.suspects if show in ("all", one.how)]


def _answer(found: Blast) -> str:
    several = len(found.origins)
    origin = f"event {found.origin.version:,}" if several == 1 else f"these {several} events"
    if not found.suspects:
        return f"Nothing that was looked at rests on {origin}."
    more = "At least " if found.is_cut else ""
    events = figures.counted(len(found.suspects), "later event")
    rest = "rests" if len(found.suspects) == 1 else "rest"
    answers = len(found.answers)
    suspect = "no answer to a user among them"
    if answers:
        suspect = f"{figures.counted(answers, 'answer')} to users {'is' if answers == 1 else 'are'} suspect"
    sentence = f"{more}{events} in {figures.counted(found.runs, 'run')} {rest} on {origin}: {suspect}."
    return sentence[0].upper() + sentence[1:]


def _carried(chosen: Sequence[str] | None, project: str) -> list[tuple[str, str]]:
    said = [] if chosen is None else [("chosen", "1"), *(("value", text) for text in chosen)]
    return [*said, *([("project", project)] if project else [])]


def _with(path: str, said: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(said, errors='replace')}" if said else path
