"""Which decision of a run the failures of many rules point at together.

A rule fails where something shows; what led to it was decided earlier. So a failure is charged to the decisions among
the events it cites, and else to the newest decision before it. Each rule is a witness that is right half of the time:
it may point at the mistake, at one of the decisions it charges, the earlier the likelier, and may as well have seen
something else. A rule that charges many decisions says little of each, and nothing here is fitted to anybody's labels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from journal.domain.event import RecordedEvent

TRUST: Final = 0.5
"""How likely a rule that fails has seen the mistake. Nobody knows; a half says so."""

AGAIN: Final = 0.5
"""What a rule's next failure counts, of the one before: what is broken once is often broken again by what follows."""

NEAR: Final = (1.0, 2 / 3, 1 / 3, 1 / 3)
"""What a guess 0, 1, 2, 3 steps off is worth, where being there, within one step and within three count the same."""

_HEARD: Final = 50
"""Failures of a rule that are weighed; those after them count for nothing that could be seen."""

_SPEAKING: Final = frozenset(("model_responded", "tool_returned", "tool_failed", "message_received"))
_AFTERWARDS: Final = frozenset(("graded", "annotated"))


class Decision(msgspec.Struct, frozen=True):
    """An event in which the agent decided something, and the step of the conversation it belongs to."""

    version: int
    step: int


class Charge(msgspec.Struct, frozen=True):
    """An event that breaks a rule, and the events at which that can be seen."""

    version: int
    versions: tuple[int, ...] = ()


class Suspect(msgspec.Struct, frozen=True):
    """The decision to look at first. `rules` charge it, those that charge the fewest others first."""

    version: int
    step: int
    rules: tuple[str, ...] = ()


class Course:
    """A run on its way: at which step it is, and what was decided. Told every event, keeps none of them."""

    def __init__(self) -> None:
        self._step = -1
        self._responses: list[Decision] = []
        self._calls: list[Decision] = []

    @property
    def decisions(self) -> list[Decision]:
        """The responses of the model, in order; where the source records none, the calls that were decided on."""
        return self._responses or self._calls

    def take(self, event: RecordedEvent) -> int | None:
        """Return the step, from 0, of the conversation's next event; None for what belongs to none."""
        name = event.type.removeprefix("agent_run.")
        if name in _SPEAKING and (name != "message_received" or event.payload.get("role") != "system"):
            self._step += 1
        if self._step < 0 or name in _AFTERWARDS:
            return None
        if name == "model_responded":
            self._responses.append(Decision(event.version, self._step))
        elif name == "reasoned":
            self._calls.append(Decision(event.version, self._step))
        return self._step


def suspect(decisions: Sequence[Decision], charges: Mapping[str, Sequence[Charge]]) -> Suspect | None:
    """Return the decision near which the mistake most likely is; None where nothing was decided.

    `charges` has all failures of each rule. Without any, what is left is that the mistake that decides a run tends to
    come early: of n decisions each is taken to be it with one chance in n, unless an earlier one was.
    """
    if not decisions:
        return None
    shares = {rule: _shares(decisions, each) for rule, each in charges.items() if each}
    chance = _chances(decisions, shares.values())
    by_step: dict[int, float] = {}
    for decision in decisions:
        by_step[decision.step] = by_step.get(decision.step, 0.0) + chance[decision.version]
    near = {step: sum(worth * _at(by_step, step, off) for off, worth in enumerate(NEAR)) for step in by_step}
    step = max(near, key=lambda step: (near[step], -step))
    most = max((each for each in decisions if each.step == step), key=lambda each: chance[each.version])
    rules = {rule: share[most.version] for rule, share in shares.items() if most.version in share}
    return Suspect(most.version, step, tuple(sorted(rules, key=lambda rule: (-rules[rule], rule))))


def _at(by_step: Mapping[int, float], step: int, off: int) -> float:
    return by_step.get(step - off, 0.0) + (by_step.get(step + off, 0.0) if off else 0.0)


def _chances(decisions: Sequence[Decision], shares: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """Return how likely each decision is the mistake, up to a factor common to all."""
    many = len(decisions)
    chance = {each.version: (1 - 1 / many) ** place for place, each in enumerate(decisions)}
    for share in shares:
        for version in chance:
            chance[version] *= 1 - TRUST + TRUST * many * share.get(version, 0.0)
    return chance


def _shares(decisions: Sequence[Decision], charges: Sequence[Charge]) -> dict[int, float]:
    """Return what share of a rule's failures each decision is charged with; each counts half of the one before."""
    versions = [each.version for each in decisions]
    heard = charges[:_HEARD]
    whole = sum(AGAIN**place for place in range(len(heard)))
    found: dict[int, float] = {}
    for place, charge in enumerate(heard):
        charged = _charged(versions, charge)
        for version in charged:
            found[version] = found.get(version, 0.0) + AGAIN**place / whole / len(charged)
    return found


def _charged(versions: Sequence[int], charge: Charge) -> list[int]:
    """Return the decisions a failure cites, else the newest one up to it; none where nothing was decided before."""
    cited = [version for version in dict.fromkeys(charge.versions) if _is_among(versions, version)]
    if cited:
        return cited
    at = bisect_right(versions, charge.version)
    return [versions[at - 1]] if at else []


def _is_among(versions: Sequence[int], version: int) -> bool:
    at = bisect_left(versions, version)
    return at < len(versions) and versions[at] == version
