"""Events as Markdown, to be pasted where people discuss them: each with its number, its explanation and what it holds.

Recorded text is other people's: it stands in fences longer than any it contains, and what stands in a line has its
Markdown taken from it. So nothing an agent wrote becomes a heading, a link or an image of the page it is pasted into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from explorer import figures, outside
from explorer.models import RunSummary
from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent, instant
from journal.domain.explain import explain
from journal.domain.text import parsed, plain

MOST_EVENTS: Final = 500
MOST_CHARACTERS: Final = 400_000
_TEXT: Final = 4_000
_SIGNS: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^])")
_TICKS: Final = re.compile(r"`+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Events by version, `after` exclusive and `until` inclusive, and where the run's pages are."""

    after: int
    until: int
    address: str


def markdown(summary: RunSummary, events: Iterable[RecordedEvent], asked: Range) -> Iterator[str]:
    """Yield the text, a piece an event. It ends at `MOST_EVENTS` or `MOST_CHARACTERS`, and says so."""
    yield _head(summary, asked)
    written, last = 0, asked.after
    for event in events:
        if event.version - asked.after > MOST_EVENTS or written > MOST_CHARACTERS:
            break
        piece = _event(event, asked)
        written, last = written + len(piece), event.version
        yield piece
    if last < asked.until:
        rest = f"events {last + 1:,} to {asked.until:,}"
        yield f"\n---\n\nThis text ends here; {rest} are not in it. They begin at {asked.address}?v={last + 1}\n"


def _head(summary: RunSummary, asked: Range) -> str:
    facts = [summary.status, figures.counted(summary.events, "event")]
    facts += [one_line(name) for name in (summary.agent, summary.model) if name]
    facts += [figures.duration(summary.duration_ms)] if summary.duration_ms is not None else []
    facts += [figures.cost(summary.cost_usd).replace("$", r"\$")] if summary.cost_usd is not None else []
    facts += ["synthetic data"] if summary.synthetic else []
    link = asked.address if asked.after == 0 else f"{asked.address}?v={asked.after + 1}"
    return f"# {one_line(summary.title)}\n\n{', '.join(facts)}. <{link}>\n"


def _event(event: RecordedEvent, asked: Range) -> str:
    said = explain(event)
    at = f" · {instant(event.occurred_at)}" if event.meta.time == "recorded" else ""
    parts = [f"\n## {event.version} · {one_line(said.title)}\n", f"{one_line(said.summary)}{at}\n"]
    for name, text, language in _texts(event):
        parts.append(f"{name}:\n\n{fenced(text, language)}\n")
    parts.append(f"<{asked.address}events/{event.version}/>\n")
    return "\n".join(parts)


def _texts(event: RecordedEvent) -> Iterator[tuple[str, str, str]]:
    """Yield what an event holds in full: a name, the text, and its language."""
    match catalog.decode(event):
        case run.Started(prompt=prompt) if prompt:
            yield "Prompt", plain(prompt), ""
        case run.MessageReceived(content=content):
            yield "Message", plain(content), ""
        case run.ModelResponded(content=content, reasoning=reasoning):
            yield from (("Reasoning, not verified", reasoning, ""),) if reasoning else ()
            yield from (("Response", plain(content), ""),) if content else ()
        case run.Reasoned(thought=thought, args_json=arguments):
            yield from (("The model's own stated reason, not verified", thought, ""),) if thought else ()
            yield "Arguments", _pretty(arguments), "json"
        case run.ToolReturned(response_json=response):
            value = parsed(response)
            yield ("Result", value, "") if isinstance(value, str) else ("Result", _pretty(response), "json")
        case run.ToolFailed(message=message) if message:
            yield "Message", message, ""
        case run.Answered(response=answer) if answer:
            yield "Answer", plain(answer), ""
        case _:
            return


def _pretty(text: str) -> str:
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        return text


def fenced(text: str, language: str) -> str:
    """Return text in a fence that none of its own lines can close, cut with its true length said."""
    shown = outside.clip(text.replace("\r\n", "\n"), _TEXT)
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(shown)), default=0))
    return f"{fence}{language}\n{shown}\n{fence}"


def one_line(text: str) -> str:
    """Return other people's text as one line that is only text."""
    return _SIGNS.sub(r"\\\1", outside.flat(text))
