"""What passes between the agent loop and its model: what the model sees, and what it says in a turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["message", "response", "call", "result", "failure", "summary"]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One item of the context: an event the model can see. `value` is a result as data."""

    version: int
    event_id: str
    kind: Kind
    text: str
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Call:
    """The wish to call a tool. `because` is the stated reason where it is not what the turn says."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    because: str | None = None
    uses: tuple[Seen, ...] = ()
    allowed_by: Seen | None = None


@dataclass(frozen=True, kw_only=True)
class HandOff:
    """The wish to let another agent do a part."""

    to_agent: str
    instruction: str


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What the model says at once: text, and calls, or an answer, or that it gives up, or work for another agent.

    `uses` are the items whose values it takes over word for word; `rereads` those it goes back to. `summary` asks for
    the context to be compacted once the results are in; `remembers` is written to the agent's memory.
    """

    says: str
    calls: tuple[Call, ...] = ()
    answer: str | None = None
    gives_up: str | None = None
    hand_off: HandOff | None = None
    uses: tuple[Seen, ...] = ()
    rereads: tuple[Seen, ...] = ()
    remembers: Mapping[str, Any] = field(default_factory=dict)
    summary: str | None = None
    thinking: str | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """What the stand-in decides by: the context, the request, and how often it has spoken so far."""

    request: str
    turns: int
    items: Sequence[Seen]

    def results(self, tool: str) -> list[Seen]:
        """Return what a tool has returned, oldest first, as far as it is still in the context."""
        return [item for item in self.items if item.kind == "result" and item.tool == tool]

    def result(self, tool: str) -> Seen:
        """Return what a tool returned last.

        Raises:
            LookupError: nothing of it is in the context; the script asks for what its own turns never made.
        """
        found = self.results(tool)
        if not found:
            raise LookupError(f"no result of {tool} in the context of {self.request!r}")
        return found[-1]

    def newest(self, kind: Kind) -> Seen | None:
        """Return the newest item of a kind."""
        return next((item for item in reversed(self.items) if item.kind == kind), None)

    @property
    def has_failed(self) -> bool:
        """Whether the newest result is a failure."""
        return bool(self.items) and self.items[-1].kind == "failure"


Policy = Callable[[View], Turn]
"""A stand-in for a model: a pure function from what it sees to what it says."""

Step = Turn | Policy


def script(*steps: Step) -> Policy:
    """Return the policy that takes one step after the other; a step is a turn, or a function of the view by then."""

    def policy(view: View) -> Turn:
        step = steps[min(view.turns, len(steps) - 1)]
        return step if isinstance(step, Turn) else step(view)

    return policy


def calling(says: str, tool: str, **arguments: Any) -> Turn:
    """Return the turn that says something and calls one tool."""
    return Turn(says=says, calls=(Call(tool=tool, arguments=arguments),))


def answering(answer: str, *uses: Seen) -> Turn:
    """Return the turn that answers, and says which results its values come from."""
    return Turn(says=answer, answer=answer, uses=uses)
