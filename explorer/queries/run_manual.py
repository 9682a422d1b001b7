"""A run bisected by a person: the event to look at next, explained, and where each word about it leads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.urls import reverse

from explorer import manual_bisect
from explorer.layout import percent
from explorer.manual_bisect import SAID, Search
from explorer.models import RunSummary
from explorer.queries import run as debugger
from explorer.queries import run_steps
from explorer.queries.run_address import Address
from explorer.queries.run_bisect import Ask


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a person may say, the key that says it, and where that leads."""

    word: str
    key: str
    href: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What was said of an event, its place on the run's axis, and what was possible before."""

    order: int
    version: int
    word: str
    at: float
    band_at: float
    band_width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ManualPage:
    """The whole page. `at` is the event to look at, or the first bad one where the search is over."""

    run: RunSummary
    search: Search
    at: debugger.Inspector | None
    answer: str
    lead: str
    answers: tuple[Answer, ...]
    undo: str
    restart: str
    steps: tuple[Step, ...]
    address: Address
    rule_href: str

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to look at."""
        return self.search.next is None


def manual_page(project: str, ask: Ask, said: str) -> ManualPage | None:
    """Return the state of a search; None where the project has no such run."""
    run = run_steps.run_of(project, ask.stream)
    if run is None:
        return None
    until = min(ask.until or run.events, run.events)
    after = min(ask.after, max(0, until - 1))
    search = manual_bisect.read(said, after=after, until=until)
    wanted = search.next or search.bad
    address = Address(stream=run.stream, asked=wanted, project=ask.project, dir="back")
    found = debugger.find(project, address)
    asked = replace(ask, after=after, until=until)
    return ManualPage(
        run=run,
        search=search,
        at=found[0] if found is not None else None,
        answer=_answer(search),
        lead=_lead(search),
        answers=_answers(search, asked) if search.next is not None else (),
        undo=_href(asked, search.back()) if search.said else "",
        restart=_href(asked, replace(search, said=())) if search.said else "",
        steps=tuple(_steps(search, run.events)),
        address=replace(address, dir=""),
        rule_href=replace(ask, rule="").href(),
    )


def _answer(search: Search) -> str:
    if search.next is not None:
        return f"Is the run still good at event {search.next:,}?"
    first, *more = search.suspects
    return f"First bad at event {first:,}" if not more else f"First bad at one of {first:,} to {more[-1]:,}"


def _lead(search: Search) -> str:
    good = f"good at {search.good:,}" if search.good > search.after else "nothing said to be good"
    is_said = any(version == search.bad and word == "bad" for version, word in search.said)
    bad = f"bad at {search.bad:,}" if is_said else f"taken to be bad at {search.bad:,}, the end"
    left = search.bad - search.good - 1
    words = f"{good}, {bad}".capitalize() + "."
    if search.next is not None:
        steps = max(1, left.bit_length())
        words += f" {left:,} {'event lies' if left == 1 else 'events lie'} between: about {steps} more to look at."
    elif len(search.suspects) > 1:
        words += " Those between were skipped."
    if search.contradicts:
        words += (
            " Something behind a bad event was said to be good: the run went bad more than once, or a word is wrong."
        )
    return words


def _answers(search: Search, ask: Ask) -> tuple[Answer, ...]:
    keys = {"good": "g", "bad": "x", "skip": "s"}
    version = search.next or 0
    return tuple(Answer(word=word, key=keys[word], href=_href(ask, search.saying(version, word))) for word in SAID)


def _href(ask: Ask, search: Search) -> str:
    said = {"said": search.written(), "from": ask.after + 1 if ask.after else None, "until": ask.until,
            "project": ask.project}  # fmt: skip
    query = urlencode({name: value for name, value in said.items() if value}, safe=",")
    return f"{reverse('explorer:run_manual', args=[ask.stream])}?{query}"


def _steps(search: Search, events: int) -> list[Step]:
    found = []
    now = replace(search, said=())
    for order, (version, word) in enumerate(search.said, 1):
        left, right = percent(now.good + 1, events), percent(max(now.good + 1, now.bad), events)
        found.append(
            Step(order=order, version=version, word=word, at=percent(version, events), band_at=left,
                 band_width=round(max(0.25, right - left), 3))
        )  # fmt: skip
        now = now.saying(version, word)
    return found
