"""Two runs of a journal compared, and the comparison as the API and scripts have it."""

from __future__ import annotations

from typing import Any, Final

from journal.domain import aggregate
from journal.domain.aggregate import Repository, State
from journal.domain.comparing import Comparison, History, Step, compare, less
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from journal.domain.text import amount
from journal.errors import StreamNotFound, VersionNotFound
from journal.store import EventStore
from journal.store.snapshots import Kept

COMPARED: Final = 10_000
"""Events of each run that are looked at, from its first on."""

STEPS_TOLD: Final = 2_000
"""Pairs of steps in an answer; what both begin with is counted and left out first."""


def compare_streams(
    store: EventStore, left: str, right: str, *, left_at: int | None = None, right_at: int | None = None
) -> Comparison:
    """Return two runs of a project side by side; one run at two versions where the streams are the same.

    States are compared after the events `left_at` and `right_at`, else where the runs part.

    Raises:
        StreamNotFound: one of them has no events.
        VersionNotFound: one of them does not reach the version.
    """
    one = _history(store, left, left_at)
    other = _history(store, right, right_at) if right != left else _again(one, right_at)
    return compare(one, other)


def comparison_answer(store: EventStore, left: str, right: str) -> dict[str, Any]:
    """Return the answer to ``GET /runs/{stream}/compare?with=``; either may be ``stream@version``.

    Raises:
        StreamNotFound: one of them has no events.
        VersionNotFound: one of them does not reach the version.
    """
    (left, left_at), (right, right_at) = named(left), named(right)
    found = compare_streams(store, left, right, left_at=left_at, right_at=right_at)
    return told(found, _sentences(store, found))


def named(text: str) -> tuple[str, int | None]:
    """Return the stream and the version of ``stream@23``; None where no version is named."""
    stream, at, version = text.rpartition("@")
    if at and stream and version.isascii() and version.isdigit() and len(version) <= 18:  # noqa: PLR2004 - fits 64 bits
        return stream, int(version)
    return text, None


def told(found: Comparison, sentences: dict[tuple[str, int], str]) -> dict[str, Any]:
    """Return a comparison as plain JSON values."""
    first = max(0, found.parting.index - 3) if found.parting else max(0, len(found.pairs) - 3)
    shown = found.pairs[first : first + STEPS_TOLD]
    return {
        "summary": found.words(),
        "a": _side(found, "left"),
        "b": _side(found, "right"),
        "same_until": {"a": found.left.same, "b": found.right.same} if found.left.same and found.right.same else None,
        "first_divergence": {
            "a": found.parting.left,
            "b": found.parting.right,
            "kind": found.parting.kind,
            "words": found.parting.words,
        }
        if found.parting
        else None,
        "steps": [
            {
                "mark": {"left": "only_a", "right": "only_b"}.get(pair.mark, pair.mark),
                "a": _step(found, found.left_steps, pair.left, found.left.stream, sentences),
                "b": _step(found, found.right_steps, pair.right, found.right.stream, sentences),
                "elsewhere": found.elsewhere.get(index),
            }
            for index, pair in enumerate(shown, first)
        ],
        "steps_before": first,
        "steps_behind": len(found.pairs) - first - len(shown),
        "state_diff": {"a": found.left.at, "b": found.right.at, "changes": list(found.changes)},
        "since_divergence": {
            "a": found.left.since,
            "b": found.right.since,
            "a_less_b": less(found.left.since, found.right.since),
        },
        "totals": {
            "a": found.left.totals,
            "b": found.right.totals,
            "a_less_b": less(found.left.totals, found.right.totals),
        },
        "notes": notes(found),
    }


def notes(found: Comparison) -> list[str]:
    """Return what a reader must know of how much was looked at; nothing where it was all."""
    said = []
    for name, side in (("A", found.left), ("B", found.right)):
        if side.looked_at < side.newest:
            looked, newest = amount(side.looked_at, "event"), f"{side.newest:,}"
            said.append(f"Of {name} the first {looked} of {newest} are compared; totals are of the whole run.")
    if not found.is_cheapest:
        said.append(
            "These runs are too long and too different to try every pair of steps: what stands side by side was looked"
            " for near each other, and may not be the best match."
        )
    return said


def _side(found: Comparison, name: str) -> dict[str, Any]:
    side = found.left if name == "left" else found.right
    return {"stream": side.stream, "events": side.newest, "looked_at": side.looked_at, "at": side.at}


def _step(
    found: Comparison, steps: tuple[Step, ...], at: int | None, stream: str, sentences: dict[tuple[str, int], str]
) -> dict[str, Any] | None:
    if at is None:
        return None
    step = steps[at]
    return {"version": step.version, "type": step.type, "summary": sentences.get((stream, step.version), "")}


def _sentences(store: EventStore, found: Comparison) -> dict[tuple[str, int], str]:
    """Return what each event that is told says in words."""
    first = max(0, found.parting.index - 3) if found.parting else max(0, len(found.pairs) - 3)
    shown = found.pairs[first : first + STEPS_TOLD]
    said: dict[tuple[str, int], str] = {}
    for stream, steps, places in (
        (found.left.stream, found.left_steps, [pair.left for pair in shown if pair.left is not None]),
        (found.right.stream, found.right_steps, [pair.right for pair in shown if pair.right is not None]),
    ):
        if places:
            after, until = steps[places[0]].version - 1, steps[places[-1]].version
            for event in store.read_stream(stream, after=after, until=until):
                said[stream, event.version] = explain(event).summary
    return said


def _history(store: EventStore, stream: str, at: int | None) -> History:
    newest = store.stream_version(stream)
    if not newest:
        raise StreamNotFound(stream=stream, project=store.project)
    events = list(store.read_stream(stream, until=COMPARED))
    return _checked(
        History(stream=stream, events=events, newest=newest, at=at, state_at=_States(store, stream, events).at)
    )


def _again(history: History, at: int | None) -> History:
    return _checked(
        History(stream=history.stream, events=history.events, newest=history.newest, at=at, state_at=history.state_at)
    )


def _checked(history: History) -> History:
    if history.at is not None and not 0 <= history.at <= history.newest:
        raise VersionNotFound(stream=history.stream, version=history.at, newest=history.newest)
    return history


class _States:
    """States of one run, folded from the events that are at hand, or loaded where they lie behind those."""

    def __init__(self, store: EventStore, stream: str, events: list[RecordedEvent]) -> None:
        self._store = store
        self._stream = stream
        self._events = events
        self._timeline = aggregate.Timeline(stream)

    def at(self, version: int) -> State:
        """Return the state after an event, as the caller's own."""
        if version <= len(self._events):
            return self._timeline.at(version, lambda after, until: self._events[after:until])
        snapshots = Kept(self._store.project) if self._store.capabilities.durable else None
        return Repository(self._store, snapshots=snapshots).load_at_version(self._stream, version)
