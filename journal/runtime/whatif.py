"""A what-if on a run of the journal, and its answer as the API has it. Nothing is ever written to the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from journal.domain.aggregate import FAR, Repository, State, initial
from journal.domain.bisect import Outcome
from journal.domain.invariant import Invariant, all_invariants
from journal.domain.look import MISSING, Look, builtin
from journal.domain.whatif import Verdicts, WhatIf, what_if
from journal.domain.whatif_edits import Edit, EditsRefused, Problem, check_places, read_edits
from journal.errors import StreamNotFound, VersionNotFound
from journal.runtime import saved_rules
from journal.runtime.rule_process import rule_process
from journal.store import EventStore
from journal.store.snapshots import Kept

FOLLOWED: Final = 20_000
"""Events behind the first edit through which the other history is followed."""

JUDGED: Final = 5_000
"""Events of a run up to which rules are asked: each is asked about every event of both histories."""

MOST_SAVED: Final = 20
"""Saved rules that are asked where none are named: each evaluation is a word to another process."""

REPLAY_ONLY: Final = (
    "State replay only: the model was not run again. Events behind the first edit are those of the recorded run, as"
    " they happened without it."
)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A what-if on a stored run. `newest` is the run's own end; `until` how far the other history was followed.

    `left_out` says in a sentence which rules were not asked, and why.
    """

    found: WhatIf
    newest: int
    until: int
    left_out: str = ""

    @property
    def notes(self) -> list[str]:
        """Return what a reader must know of what was done and what was not."""
        said = [REPLAY_ONLY]
        if self.until < self.newest:
            said.append(
                f"Followed up to event {self.until:,} of {self.newest:,}: {FOLLOWED:,} events behind the first edit are"
                " the most."
            )
        return [*said, self.left_out] if self.left_out else said


def answer_what_if(
    store: EventStore, stream: str, edits: Sequence[Edit], *, rules: Sequence[Invariant], at: int | None = None
) -> Answered:
    """Return what a run's state and rules would be with edits, after event `at`; its newest where none is given.

    A long run is folded from the snapshot before the first edit. Rules that compare runs with each other are not asked.

    Raises:
        EditsRefused: no such history can be made of the run.
        StreamNotFound: the stream has no events.
        VersionNotFound: it does not reach `at`.
    """
    newest = store.stream_version(stream)
    if not newest:
        raise StreamNotFound(stream=stream, project=store.project)
    if at is not None and not 0 <= at <= newest:
        raise VersionNotFound(stream=stream, version=at, newest=newest)
    check_places(edits, newest)
    first = max(1, min((edit.version for edit in edits), default=1))
    until = min(newest, first + FOLLOWED)
    asked = [rule for rule in rules if rule.remembers == "run"]
    left_out = _left_out(rules, asked, until)
    asked = asked if until <= JUDGED else []
    before = None if asked or first <= FAR else _state_before(store, stream, first)
    found = what_if(
        stream,
        list(store.read_stream(stream, after=before.version if before else 0, until=until)),
        edits,
        before=before,
        newest=newest,
        at=at,
        rules=asked,
    )
    return Answered(found=found, newest=newest, until=until, left_out=left_out)


def _state_before(store: EventStore, stream: str, first: int) -> State:
    snapshots = Kept(store.project) if store.capabilities.durable else None
    version = first - 1
    return Repository(store, snapshots=snapshots).load_at_version(stream, version) if version else initial(stream)


def _left_out(rules: Sequence[Invariant], asked: Sequence[Invariant], until: int) -> str:
    if asked and until > JUDGED:
        return (
            f"No rule was asked: it would be asked about each of {until:,} events twice, and {JUDGED:,} are the most."
        )
    others = [rule.name for rule in rules if rule.remembers != "run"]
    if not others:
        return ""
    return f"Not asked, since they compare runs with each other: {', '.join(others)}."


@contextmanager
def rules_called(project: str, names: Sequence[str] = ()) -> Iterator[tuple[Invariant, ...]]:
    """Give rules by their names, and end what saved ones are evaluated in.

    Where none are named: the built-in ones, and the saved ones of the project by name as far as they are not too many.

    Raises:
        RuleNotFound: there is none of a name.
    """
    with rule_process() as process:
        if names:
            yield tuple(saved_rules.invariant_of(saved_rules.find_rule(project, name), process) for name in names)
            return
        saved = [record for record in saved_rules.listing(project) if record.kind == "saved"]
        own = [saved_rules.invariant_of(record, process) for record in saved[:MOST_SAVED]]
        yield (*own, *all_invariants())


def what_if_answer(store: EventStore, stream: str, request: object) -> dict[str, Any]:
    """Return the answer to ``POST /runs/{stream}/whatif``: state, diff and verdicts of the other history.

    `request` is ``{"edits": […], "rules": [names], "at": version}``; without rules every rule of the project is asked.

    Raises:
        EditsRefused: the request has the wrong shape, or no such history can be made.
        RuleNotFound: there is no rule of a name.
        StreamNotFound: the stream has no events.
        VersionNotFound: it does not reach `at`.
    """
    if not isinstance(request, Mapping):
        raise EditsRefused([Problem(edit=0, message="the request must be an object with edits")])
    if odd := sorted(set(map(str, request)) - {"edits", "rules", "at"}):
        message = f"there is nothing called {odd[0][:40]!r} in a what-if; there are edits, rules and at"
        raise EditsRefused([Problem(edit=0, message=message)])
    edits = read_edits(request.get("edits", []))
    names, at = _names(request.get("rules")), request.get("at")
    if at is not None and (not isinstance(at, int) or isinstance(at, bool)):
        raise EditsRefused([Problem(edit=0, message=f"at must be the number of an event, not {at!r:.40}")])
    with rules_called(store.project, names) as rules:
        return told(answer_what_if(store, stream, edits, rules=rules, at=at))


def _names(value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise EditsRefused([Problem(edit=0, message="rules must be a list of names")])
    return list(dict.fromkeys(value))


def told(answered: Answered) -> dict[str, Any]:
    """Return an answer as plain JSON values. Versions are the other history's own, `recorded_version` the run's."""
    found = answered.found
    other = Look(found.other)
    divergence = found.divergence
    return {
        "stream": found.stream,
        "summary": found.words(),
        "at": found.at,
        "recorded_events": answered.newest,
        "events": answered.newest + sum(_adds(edit) for edit in found.edits),
        "followed_until": answered.until,
        "edited": [
            {
                "op": {"inserted": "insert", "replaced": "replace"}[place.how],
                "version": place.event.version,
                "recorded_version": place.recorded,
                "label": place.label,
                "type": place.event.type,
            }
            for place in found.places
            if place.how != "recorded"
        ]
        + [
            {"op": "drop", "version": None, "recorded_version": gone.event.version, "label": gone.label,
             "type": gone.event.type}
            for gone in found.dropped
        ],
        "first_divergence": {
            "label": divergence.label,
            "how": divergence.how,
            "version": divergence.version or None,
            "recorded_version": divergence.after,
        }
        if divergence
        else None,
        "state": found.other.to_json(),
        "diff": [
            {
                "path": change.path,
                **({} if change.before is MISSING else {"before": change.before}),
                **({} if change.after is MISSING else {"after": builtin(other.at(change.path).value)}),
                "version": found.own_version(change.version),
                "recorded_version": change.version if change.version is not None and change.version >= 0 else None,
            }
            for change in found.changes
        ],
        "verdicts": [_verdict(one) for one in found.verdicts],
        "notes": answered.notes,
    }  # fmt: skip


def _adds(edit: Edit) -> int:
    return {"insert": 1, "replace": 0, "drop": -1}[edit.op]


def _verdict(found: Verdicts) -> dict[str, Any]:
    return {
        "rule": found.rule,
        "rule_version": found.rule_version,
        "changed": found.is_changed,
        "recorded": _outcome(found.recorded, found.recorded_at),
        "other": _outcome(found.other, found.at),
    }


def _outcome(outcome: Outcome, label: str) -> dict[str, Any]:
    failure = outcome.failure if outcome.verdict == "fails" else None
    return {
        "verdict": outcome.verdict,
        "first_failing": outcome.first_failing,
        "label": label or None,
        "message": failure.message if failure else outcome.error or None,
    }
