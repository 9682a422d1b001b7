"""Filters of the debugger's templates alone: links from an address, and what the drawings need in words or widths."""

from __future__ import annotations

from django import template

from explorer import figures
from explorer.layout import GraphNode
from explorer.models import EventLine, RunSummary
from explorer.queries.run_address import Address
from explorer.queries.run_causes import CauseRow, Causes

register = template.Library()

_DIGIT_WIDTH = 6.4
_SMALLEST_BOX = 24.0


@register.filter
def at(address: Address, version: int) -> str:
    """Return the same view at another event."""
    return address.at(version)


@register.filter
def at_line(address: Address, line: EventLine) -> str:
    """Return the address of an event that may be of another run of the project."""
    same = line.run.stream == address.stream
    return address.at(line.version) if same else address.elsewhere(line.run.stream, line.version)


@register.filter
def elsewhere(address: Address, stream: str) -> str:
    """Return another run of the project."""
    return address.elsewhere(stream)


@register.filter
def since(line: EventLine, run: RunSummary) -> str:
    """Return when an event happened, counted from the run's start; a dash where no time was recorded."""
    return figures.relative(line.occurred_us - run.started_us) if line.time_known and run.time_known else "–"


@register.filter
def all_tokens(run: RunSummary) -> int:
    """Return the tokens of a run, in and out together."""
    return (run.input_tokens or 0) + (run.output_tokens or 0)


@register.filter
def map_text(run: RunSummary) -> str:
    """Return what the minimap shows, in words."""
    parts = [figures.counted(run.events, "event")]
    if run.category == "agent_run":
        parts += [figures.counted(run.decisions, "decision"), figures.counted(run.tool_calls, "tool call")]
        parts.append(
            figures.counted(run.tool_errors, "tool failure") if run.tool_errors else "no tool failures recorded"
        )
    if run.first_error:
        parts.append(f"first failure at {run.first_error}")
    return ", ".join(parts)


@register.filter
def full_width(version: int) -> float:
    """Return how wide the box of a number on the minimap is."""
    return round(max(_SMALLEST_BOX, len(str(version)) * _DIGIT_WIDTH + 8), 1)


@register.filter
def half_width(version: int) -> float:
    """Return half of it: boxes stand in the middle of their line."""
    return round(full_width(version) / 2, 1)


@register.filter
def nodes(causes: Causes) -> list[tuple[GraphNode, CauseRow]]:
    """Return each node of the drawing with its row."""
    return list(zip(causes.graph.nodes, causes.rows, strict=True))
