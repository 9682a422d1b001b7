"""A LangGraph thread to runs: which checkpoints belong to one run, and where another one branches off.

A thread's checkpoints are a tree. The first child of a checkpoint, by the order of ids, goes on with its run; every
later one is a fork, by time travel or an edit, and a run of its own with the other as its parent. The checkpoints of a
subgraph have a namespace, and are a run that the checkpoint around them handed to. All of it depends on what came
before only, so a thread that grew tells the same events under the same keys, then more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from journal.domain.agent_run import Started
from journal.domain.codec import text
from journal.ingest.draft import EventDraft, Outcome, RunDraft
from journal.ingest.langgraph_messages import is_message, role_of
from journal.ingest.langgraph_saved import Saved
from journal.ingest.langgraph_step import Telling, Told, checkpoint_key
from journal.ingest.lenient import as_dict, as_list, as_text, plain_text

SOURCE = "langgraph"
_OURS = ("source", "step", "parents", "writes", "counters_since_delta_snapshot")
_PEOPLE = ("user", "human")

Place = tuple[str, str]
"""A checkpoint: its namespace and its id."""


def runs_of(checkpoints: Iterable[Saved]) -> list[RunDraft]:
    """Return the runs of one thread, each after those it branched off."""
    return _Thread(_filled(sorted(checkpoints, key=lambda one: (one.id, one.namespace)))).runs()


def _filled(checkpoints: list[Saved]) -> list[Saved]:
    """Put in the values of delta channels: a checkpoint leaves them out, and the writes before it hold what is new."""
    found: dict[Place, Saved] = {}
    for one in checkpoints:
        before = found.get((one.namespace, one.parent or ""))
        deltas = as_dict(one.metadata.get("counters_since_delta_snapshot"))
        more = {name: _added(before, name) for name in deltas if name not in one.values and before is not None}
        found[one.namespace, one.id] = replace(one, values={**one.values, **more}) if more else one
    return list(found.values())


def _added(before: Saved | None, channel: str) -> list[Any]:
    """Return a channel's value before a step, with what the step wrote to it."""
    if before is None:
        return []
    held = as_list(before.values.get(channel))
    writes = [write.value for write in before.writes if write.channel == channel]
    news = chain.from_iterable(value if isinstance(value, list) else [value] for value in writes)
    value: dict[int, Any] = {}
    named: defaultdict[str | float, list[int]] = defaultdict(list)  # where the items of an id are
    for place, item in enumerate(chain(held, news)):
        name = as_dict(item).get("id")
        known = named[name] if isinstance(name, (str, int, float)) else []
        if place >= len(held):
            for old in known:
                del value[old]
            known.clear()
            if as_dict(item).get("type") == "remove":
                continue
        value[place] = item
        known.append(place)
    return list(value.values())


@dataclass(slots=True)
class _Branch:
    """The checkpoints of one run, and where it came from: the source id of another run and a key in it."""

    source_id: str
    parent: tuple[str, str] | None
    checkpoints: list[Saved] = field(default_factory=list)


class _Thread:
    """All checkpoints of a thread, by place."""

    def __init__(self, checkpoints: list[Saved]) -> None:
        self._checkpoints = checkpoints
        self._at: dict[Place, Saved] = {(one.namespace, one.id): one for one in checkpoints}
        self._branch_at: dict[Place, _Branch] = {}
        self._branches: list[_Branch] = []
        self._called: dict[Place, list[tuple[str, str, _Branch]]] = {}

    def runs(self) -> list[RunDraft]:
        """Find the branches, then tell all checkpoints in their order: a message is its first teller's."""
        self._grow()
        told = Told()
        tellings = {branch.source_id: Telling(branch.source_id, told) for branch in self._branches}
        for one in self._checkpoints:
            place = (one.namespace, one.id)
            branch = self._branch_at[place]
            telling = tellings[branch.source_id]
            if one is branch.checkpoints[0]:
                telling.begin(_started(branch, one))
            telling.step(one, self._before(branch, one), is_first=one is branch.checkpoints[0])
            for key, name, child in self._called.get(place, ()):
                telling.hand_over(key, name, child.source_id, caller=one.id, at=one.at)
            telling.pending(one)
        first = self._branches[0].source_id if self._branches else None
        return [_draft(branch, tellings[branch.source_id], first) for branch in self._branches]

    def _grow(self) -> None:
        taken: set[Place] = set()
        for one in self._checkpoints:
            before = (one.namespace, one.parent or "")
            around = self._branch_at.get(before)
            if around is not None and before not in taken:
                taken.add(before)
                branch = around
            else:
                branch = self._sprout(one, around)
            branch.checkpoints.append(one)
            self._branch_at[one.namespace, one.id] = branch
            self._note_call(one, branch)

    def _sprout(self, one: Saved, around: _Branch | None) -> _Branch:
        """Return a new branch: a fork of the run around its parent checkpoint, a subgraph's, or the thread's own."""
        parent = (around.source_id, checkpoint_key(one.parent or "")) if around is not None else None
        caller = self._caller(one)
        if parent is None and caller is not None and (outer := self._branch_at.get(caller)) is not None:
            parent = (outer.source_id, _call_key(one))
        branch = _Branch(source_id=f"{one.thread}#{one.id}", parent=parent)
        self._branches.append(branch)
        return branch

    def _note_call(self, one: Saved, branch: _Branch) -> None:
        """Remember under the checkpoint around it that a subgraph was called, each time its input was saved."""
        caller = self._caller(one)
        if caller is not None and (one.source == "input" or one is branch.checkpoints[0]):
            name = one.namespace.rpartition("|")[2].partition(":")[0]
            self._called.setdefault(caller, []).append((_call_key(one), name, branch))

    def _caller(self, one: Saved) -> Place | None:
        """Return the checkpoint of the graph around a subgraph, from which it was called."""
        if not one.namespace:
            return None
        outer = one.namespace.rpartition("|")[0]
        known = as_text(as_dict(one.metadata.get("parents")).get(outer))
        return (outer, known) if known and (outer, known) in self._at else None

    def _before(self, branch: _Branch, one: Saved) -> Saved | None:
        return self._at.get((one.namespace, one.parent)) if one.parent else None


def _call_key(one: Saved) -> str:
    return f"handoff.{one.namespace}.{one.id}"


def _started(branch: _Branch, first: Saved) -> EventDraft:
    context = {
        "threadId": first.thread,
        "checkpointNs": first.namespace,
        "checkpointId": first.id,
        "metadata": {name: value for name, value in first.metadata.items() if name not in _OURS},
    }
    started = Started(
        prompt=_prompt(first),
        agent=_agent(first),
        source=SOURCE,
        source_id=branch.source_id,
        context={name: value for name, value in context.items() if value not in ("", {})},
    )
    return EventDraft(key="start", event=started, at=first.at)


def _prompt(first: Saved) -> str | None:
    """Return the last words of a person in what the run began with, else the only words there are, else all of it."""
    given = first.values.get("__start__", first.values)
    channels = list(given.values()) if isinstance(given, dict) else [given]
    spoken = [said for value in channels for item in as_list(value) if (said := _words(item))]
    said = next(iter(reversed(spoken)), None) or next((said for value in channels if (said := as_text(value))), None)
    return said or (text(given) if first.values.get("__start__") is not None else None)


def _words(item: object) -> str | None:
    """Return what a person says in a message, which an input may also give as (role, words) or as an object."""
    if isinstance(item, list) and len(item) == 2 and item[0] in _PEOPLE:  # noqa: PLR2004 - (role, words)
        return plain_text(item[1])
    known = as_dict(item)
    speaks = is_message(known) and role_of(known) == "user"
    return plain_text(known.get("content")) if speaks or known.get("role") in _PEOPLE else None


def _agent(first: Saved) -> str | None:
    named = (as_text(first.metadata.get(name)) for name in ("lc_agent_name", "graph_id", "assistant_id"))
    return next((name for name in named if name), first.namespace.rpartition("|")[2].partition(":")[0] or None)


def _draft(branch: _Branch, telling: Telling, first: str | None) -> RunDraft:
    return RunDraft(
        source_id=branch.source_id,
        events=telling.drafts,
        recorded=telling.recorded,
        outcome=Outcome(status="error", raw=telling.error) if telling.error else Outcome(status=telling.status),
        parent=branch.parent,
        correlation=first,
    )
