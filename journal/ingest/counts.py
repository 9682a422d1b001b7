"""The counts of a run, as `nagare import` reports them and as the sources' own numbers are compared with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from journal.domain.agent_run import ModelResponded, Reasoned, ToolFailed
from journal.domain.catalog import catalog
from journal.domain.event import EventData
from journal.ingest.draft import Count, EventDraft, RunDraft


def counts(events: Iterable[object]) -> dict[Count, int | float]:
    """Return what the events add up to.

    A decision is one `ModelResponded`, a call one `Reasoned`, an error one `ToolFailed`; tokens and cost add up
    `ModelResponded` only.
    """
    found: dict[Count, int | float] = {
        "decisions": 0,
        "tool_calls": 0,
        "tool_errors": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": 0.0,
    }
    for event in events:
        match event:
            case ModelResponded() as response:
                found["decisions"] += 1
                found["input_tokens"] += response.input_tokens or 0
                found["output_tokens"] += response.output_tokens or 0
                found["cost_usd"] += response.cost_usd or 0.0
            case Reasoned():
                found["tool_calls"] += 1
            case ToolFailed():
                found["tool_errors"] += 1
            case _:
                pass
    return found


def reported(run: RunDraft, events: Iterable[EventDraft]) -> dict[str, Any]:
    """Return the run's counts for the import report: null where the format does not record one.

    They are those of `run.counted` where the draft names it, else those of `events`.
    """
    counted = events if run.counted is None else run.counted
    found = {**counts(draft.event for draft in counted), **run.totals}
    return {name: value if name in run.recorded or name in run.totals else None for name, value in found.items()}


def counts_of(events: Iterable[EventData]) -> dict[str, Any]:
    """Return the counts of events as a journal exported them."""
    found = counts(catalog.read(event.type, event.schema, event.data) for event in events)
    return {str(name): value for name, value in found.items()}
