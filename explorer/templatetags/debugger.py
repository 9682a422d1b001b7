"""Filters of the debugger's templates alone: links from an address, and what the drawings need in words or widths."""

from __future__ import annotations

import time
from urllib.parse import quote

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from explorer import figures
from explorer.cause_graph import Node
from explorer.models import EventLine, RunSummary
from explorer.queries.run import Inspector
from explorer.queries.run_address import Address
from explorer.queries.run_lines import Window
from explorer.templatetags.nagare import KIND_NAMES
from explorer.verdicts import RulesAt, Verdicts, rules_at, verdicts_of

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
def with_rows(address: Address, version: int) -> str:
    """Return the same view with events that belong together in one row."""
    return address.with_rows("", version)


@register.filter
def with_raw_rows(address: Address, version: int) -> str:
    """Return the same view with a row for every event."""
    return address.with_rows("raw", version)


@register.filter
def folded_words(window: Window) -> str:
    """Return what has no row of its own: hidden events are counted where they are hidden."""
    folded = f"{figures.counted(window.folded, 'event')} folded" if window.folded else ""
    quiet = f"{figures.counted(window.quiet, 'quiet event')} hidden" if window.quiet else ""
    return " · ".join(filter(None, (folded, quiet)))


@register.filter
def lasting(us: int) -> str:
    """Return how long a pause was."""
    return figures.duration(us / 1000)


@register.filter
def verdicts(run: RunSummary) -> Verdicts:
    """Return what rules, benchmarks and people said of a run, as the journal has it."""
    return verdicts_of(run.verdicts)


@register.filter
def rules_said(run: RunSummary, version: int) -> RulesAt:
    """Return what rules say of an event of a run, as far as the journal holds verdicts."""
    return rules_at(verdicts_of(run.verdicts), version)


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
def carried(address: Address, but: str) -> list[tuple[str, object]]:
    """Return the names and values that a form of the page sends along, but for those of its own fields."""
    return list(address.carried(*but.split()).items())


@register.filter
def history_of(inspector: Inspector, pointer: str) -> str:
    """Return where a value of the state stands in whole, with the events that changed it."""
    return inspector.address.with_key(pointer, inspector.version)


@register.simple_tag
def now_us() -> int:
    """Return the server's clock: what counts on in a browser counts from it, whatever the browser's own says."""
    return time.time_ns() // 1_000


@register.simple_tag
def graph_glyph(kind: str, node: Node) -> SafeString:
    """Draw the sign of an event's kind in the graph of causes, on a field wide enough to be pointed at."""
    name = kind if kind in KIND_NAMES else "unknown"
    return format_html(
        '<rect class="graph-hit" x="{}" y="{}" width="28" height="28"/>'
        '<use class="glyph-{}" href="#g-{}" x="{}" y="{}" width="16" height="16"/>',
        node.x - 14, node.y - 14, name, name, node.x - 8, node.y - 8,
    )  # fmt: skip


@register.filter
def encoded(pointer: str) -> str:
    """Return a pointer for a script's attribute: what its keys are made of stands in no page as it is."""
    return quote(pointer, errors="replace")
