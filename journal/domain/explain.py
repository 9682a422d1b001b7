"""Events in English: an explanation per event type, and their registry.

An explainer is a pure function of the event: the numbers and names it uses stand in the event, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from journal.domain.catalog import Unknown, catalog
from journal.domain.event import RecordedEvent

E = TypeVar("E", bound=msgspec.Struct)


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """An event for people: `title` heads a panel, `summary` is one sentence for a list, `detail` is more and rare.

    `actor` is who caused it; `tags` are a few categorical facts, such as the tool.
    """

    title: str
    summary: str
    detail: str | None = None
    actor: str | None = None
    tags: dict[str, str] = {}


Explainer = Callable[[Any], Explanation]

_explainers: dict[type[msgspec.Struct], Explainer] = {}


def explains(struct: type[E]) -> Callable[[Callable[[E], Explanation]], Callable[[E], Explanation]]:
    """Register the decorated function as the explainer of an event Struct."""

    def register(explainer: Callable[[E], Explanation]) -> Callable[[E], Explanation]:
        _explainers[struct] = explainer
        return explainer

    return register


def explain(event: RecordedEvent) -> Explanation:
    """Return the event's explanation; one without an explainer, or whose explainer fails, is said to be shown raw."""
    decoded = catalog.decode(event)
    explainer = _explainers.get(type(decoded))
    if explainer is None:
        return _raw(event, decoded.reason if isinstance(decoded, Unknown) else "no explainer is registered for it")
    try:
        explanation = explainer(decoded)
    except Exception as error:  # noqa: BLE001 - an explainer of another app must not take the page down
        return _raw(event, f"its explainer failed ({type(error).__name__}: {error})")
    if explanation.actor is None and event.meta.actor:
        return msgspec.structs.replace(explanation, actor=event.meta.actor)
    return explanation


def _raw(event: RecordedEvent, reason: str) -> Explanation:
    return Explanation(
        title=event.type,
        summary=f"{event.type}, kept raw",
        detail=f"Shown raw: {reason}.",
        actor=event.meta.actor,
    )
