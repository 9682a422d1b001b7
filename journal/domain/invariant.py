"""Rules on runs: what one says of an event, what it is given to look at, and the registry of all of them.

A verdict is about one event and the state just after it. A rule that needs to remember what came before keeps that in
an `Evaluator` of its own, one for each run, so that a fold over n events asks n times and never looks back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, TypeVar

import msgspec

from journal.domain.aggregate import State
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.lazy import lazy
from journal.domain.run_parts import changed_by
from journal.domain.sieve import Sieve, of_events, of_state
from journal.domain.text import parsed
from journal.domain.withdrawn import mark_on

Lookup = Callable[[str, str], Any]
I = TypeVar("I", bound="type[Invariant]")  # noqa: E741 - reads as what it stands for


class Holds(msgspec.Struct, frozen=True):
    """Nothing breaks the rule here. `message` may say what the rule could not tell, and why."""

    message: str = ""


class Fails(msgspec.Struct, frozen=True):
    """The event breaks the rule: what was seen, in a sentence, and at which versions it can be checked."""

    message: str
    versions: tuple[int, ...] = ()


class Raised(msgspec.Struct, frozen=True):
    """The rule itself went wrong, so that nothing is known of the event."""

    message: str


Verdict = Holds | Fails
Judgement = Holds | Fails | Raised

HOLDS: Final = Holds()


class Call(msgspec.Struct, frozen=True, dict=True):
    """A call of a tool: the decision's version, and the arguments as text.

    `value` is set where somebody wrote them down as a value, which is against the form of the event.
    """

    version: int
    tool: str
    args_json: str
    call_id: str | None = None
    value: Any = msgspec.UNSET

    @lazy
    def arguments(self) -> Any:
        """The arguments as value; as text where they are no JSON."""
        return parsed(self.args_json) if self.value is msgspec.UNSET else self.value

    @property
    def key(self) -> tuple[str, str]:
        """Return what two calls have in common that ask for the same: the tool, and its arguments in one order."""
        return self.tool, canonical(self.arguments)


def canonical(value: Any) -> str:
    """Return a JSON value as text, keys in order, so that equal values are equal texts."""
    return msgspec.json.encode(value, order="sorted").decode()


def no_lookup(projection: str, key: str) -> Any:
    """Look nothing up: where a run is judged by itself, no read model is at hand.

    Raises:
        LookupError: always.
    """
    raise LookupError(f"projection {projection!r} cannot be looked into here, so there is no {key!r}")


class Context(msgspec.Struct, frozen=True, kw_only=True, dict=True, eq=False):
    """What a rule may look at: the event, the state after it and before it, and projections through `lookup`.

    `call` is the call that a `reasoned` event makes or that a result answers, where the journal has it. States are the
    fold's own: a rule reads them and keeps none.
    """

    event: RecordedEvent
    stream: str
    version: int
    call: Call | None = None
    lookup: Lookup = no_lookup
    state_after: State | None = None
    state_before: State | None = None

    @property
    def state(self) -> State:
        """Return the state after the event."""
        return _present(self.state_after, "uses_state")

    @property
    def previous(self) -> State:
        """Return the state before the event."""
        return _present(self.state_before, "uses_previous")

    @property
    def kind(self) -> str:
        """Return the event's type: to see without decoding whether there is anything to look at."""
        return self.event.type

    @lazy
    def data(self) -> Any:
        """The event's data as its Struct, `Unknown` where this code has none."""
        return catalog.decode(self.event)

    @lazy
    def result(self) -> Any:
        """The value that a `tool_returned` event carries; its text where that is no JSON, None for other events."""
        text = getattr(self.data, "response_json", None)
        return None if text is None else parsed(text)


def _present(state: State | None, declared: str) -> State:
    if state is None:
        raise LookupError(f"this state was not kept: no rule of the fold declares `{declared} = True`")
    return state


class Evaluator(Protocol):
    """One rule on its way along one run."""

    def step(self, ctx: Context) -> Verdict:
        """Return the verdict on the next event."""


@dataclass(frozen=True)
class _Stateless:
    """A rule that needs no memory of its own."""

    rule: Invariant

    def step(self, ctx: Context) -> Verdict:
        return self.rule.evaluate(ctx)


_JUDGING: Final = frozenset(("begin", "evaluate", "memory", "step"))


class Invariant:
    """A rule. Implement `evaluate`, or `begin` where the rule must remember earlier events itself.

    `monotone` claims that a run which broke the rule never keeps it again, so that the first failure may be searched
    for. `version` rises when the rule says something else. `uses_state` and `uses_previous` say what the fold has to
    keep for it: a rule that looks at events alone folds faster. `remembers` is how far an evaluator's memory reaches:
    over one run, or over the journal in the order of positions, for rules that compare runs.

    Two declarations say of which events a rule need not be told, which is most of what judging many runs costs; None
    is that it has to be told all. `looks_at` names the types of events that it looks at, by their data, result and
    call: on any other it says `HOLDS`, remembers nothing, and it never asks for `ctx.event`. `looks_into` names the
    parts of the state (`totals/cost_usd`, see `run_parts`) that its verdict depends on, and nothing else does.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    description: ClassVar[str] = ""
    theme: ClassVar[str] = ""
    monotone: ClassVar[bool] = False
    version: ClassVar[int] = 1
    uses_state: ClassVar[bool] = True
    uses_previous: ClassVar[bool] = True
    looks_at: ClassVar[tuple[type[msgspec.Struct], ...] | None] = None
    looks_into: ClassVar[frozenset[str] | None] = None
    remembers: ClassVar[Literal["run", "journal"]] = "run"

    def evaluate(self, ctx: Context) -> Verdict:
        """Return the verdict on an event, from nothing but `ctx`."""
        raise NotImplementedError(f"{type(self).__name__} can only be asked along a run, from its first event on")

    def begin(self, stream: str) -> Evaluator:
        """Return what judges a run from its first event on."""
        del stream
        return _Stateless(self)

    @property
    def can_be_probed(self) -> bool:
        """Whether an event can be judged without those before it."""
        return type(self).begin is Invariant.begin

    def sieve(self) -> Sieve | None:
        """Return which events of a run it has to be told; None where that is all of them, with their states."""
        if self.remembers == "journal":
            return None
        if looks_at := self._declared("looks_at"):
            return of_events(looks_at)
        looks_into = self._declared("looks_into")
        types = changed_by(looks_into) if looks_into is not None else None
        return of_state(looks_into, types) if types is not None else None

    def _declared(self, name: str) -> Any:
        """Return a declaration, None where a subclass judges otherwise than the class that made it."""
        for each in type(self).__mro__:
            if name in vars(each):
                return vars(each)[name]
            if vars(each).keys() & _JUDGING:
                return None
        return None


def raised(error: Exception) -> Raised:
    """Return the judgement of a rule that went wrong."""
    return Raised(f"{type(error).__name__}: {error}")


def withheld(event: RecordedEvent) -> Raised | None:
    """Return the judgement on an event whose payload is gone: that nothing can be said. None where it is there."""
    mark = mark_on(event)
    return None if mark is None else Raised(f"its payload was {mark.words}: nothing can be said of it")


def judge(evaluator: Evaluator, ctx: Context) -> Judgement:
    """Return the verdict; an error of the rule, or an answer that is no verdict, is told as such and is no failure."""
    return withheld(ctx.event) or judged(evaluator, ctx)


def judged(evaluator: Evaluator, ctx: Context) -> Judgement:
    """Return the verdict as `judge` does, on an event whose payload is there."""
    try:
        verdict: object = evaluator.step(ctx)
    except Exception as error:  # noqa: BLE001 - a rule of another app must not end the fold of all others
        return raised(error)
    return verdict if verdict is HOLDS else judgement_of(verdict)


def judgement_of(verdict: object) -> Judgement:
    """Return what a rule said, or that it is no verdict."""
    if isinstance(verdict, Holds | Fails | Raised):
        return verdict
    return Raised(f"returned {verdict!r:.80}, which is neither Holds() nor Fails(…)")


class DuplicateRule(ValueError):
    """Two rules have one name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a rule {name!r} already; names are how people and programs refer to rules")


_registered: dict[str, Invariant] = {}


def register(rule: Invariant) -> Invariant:
    """Add a rule to the registry, under its name.

    Raises:
        DuplicateRule: the name is taken by a rule of another class.
        ValueError: it has no name or no title.
    """
    if not rule.name or not rule.title:
        raise ValueError(f"{type(rule).__qualname__} needs a `name` to be referred by and a `title` to be shown by")
    known = _registered.get(rule.name)
    if known is not None and type(known).__qualname__ != type(rule).__qualname__:
        raise DuplicateRule(rule.name)
    _registered[rule.name] = rule
    return rule


def invariant(rule: I) -> I:
    """Register the decorated class, made without arguments."""
    register(rule())
    return rule


def find(name: str) -> Invariant | None:
    """Return the registered rule of a name."""
    return _registered.get(name)


def all_invariants() -> tuple[Invariant, ...]:
    """Return every registered rule, in the order of their names."""
    return tuple(_registered[name] for name in sorted(_registered))
