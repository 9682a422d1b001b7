"""Rules on what a run may cost. A subclass with another `most` and `name` is another rule."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

from journal.domain import agent_run as run
from journal.domain.invariant import HOLDS, Context, Fails, Holds, Invariant, Verdict, invariant
from journal.domain.run_parts import changed_by
from journal.domain.sieve import Sieve, of_events, of_state
from journal.domain.text import amount
from journal.invariants.base import EventRule

_MINUTE_MS: Final = 60_000


class TotalBudget(Invariant):
    """A bound on a running total. Totals only rise, so that once broken it stays broken and can be searched for."""

    theme = "budgets"
    monotone = True
    uses_previous = False
    most: ClassVar[float]
    totals: ClassVar[tuple[str, ...]]

    def sieve(self) -> Sieve | None:
        """Return the events that change the totals, where few do."""
        if type(self).evaluate is not TotalBudget.evaluate:
            return None
        parts = frozenset(f"totals/{name}" for name in self.totals)
        types = changed_by(parts)
        return None if types is None else of_state(parts, types)

    def evaluate(self, ctx: Context) -> Verdict:
        """Compare the total after the event with the most it may be."""
        total = getattr(ctx.state, "total", None)
        found = [spent for name in self.totals if (spent := total(name)) is not None] if total else []
        if not found:
            return Holds("this source records none of it up to here")
        spent = sum(found)
        return Fails(self.message(spent), (ctx.version,)) if spent > self.most else HOLDS

    def message(self, spent: float) -> str:
        """Return what is wrong, in the unit of the total."""
        raise NotImplementedError


@invariant
class CostBudget(TotalBudget):
    """Fails once a run has cost too much."""

    name = "cost-budget"
    title = "A run costs at most 5 US dollars"
    description = (
        "Fails from the response on with which the recorded cost passes 5 US dollars. Unrecorded cost counts as none."
    )
    most = 5.0
    totals = ("cost_usd",)

    def message(self, spent: float) -> str:
        """Return it in dollars."""
        return f"the run has cost {spent:.2f} USD, more than {self.most:.2f}"


@invariant
class TokenBudget(TotalBudget):
    """Fails once a run has used too many tokens."""

    name = "token-budget"
    title = "A run uses at most 2,000,000 tokens"
    description = "Fails from the response on with which input and output tokens together pass 2,000,000."
    most = 2_000_000
    totals = ("input_tokens", "output_tokens")

    def message(self, spent: float) -> str:
        """Return it in tokens."""
        return f"the run has used {amount(int(spent), 'token')}, more than {int(self.most):,}"


@invariant
class StepBudget(TotalBudget):
    """Fails once a run has taken too many decisions."""

    name = "step-budget"
    title = "A run takes at most 100 decisions"
    description = "Fails from the 101st response of the model on."
    most = 100
    totals = ("decisions",)

    def message(self, spent: float) -> str:
        """Return it in decisions."""
        return f"the run has taken {amount(int(spent), 'decision')}, more than {int(self.most):,}"


@invariant
class TimeBudget(TotalBudget):
    """Fails while a run has taken too long."""

    name = "time-budget"
    title = "A run takes at most an hour"
    description = (
        "Fails at events an hour or more after the run's first, by the times the source recorded. Recorded"
        " clocks may go"
        " backwards, so it is not searched for. A run that a person goes on with a day later fails too."
    )
    monotone = False
    most = 60 * _MINUTE_MS
    totals = ("duration_ms",)

    def message(self, spent: float) -> str:
        """Return it in minutes."""
        return f"the run has taken {spent / _MINUTE_MS:,.0f} minutes, more than {self.most / _MINUTE_MS:,.0f}"


class Latency(EventRule):
    """A bound on how long one event took."""

    theme = "budgets"
    most_ms: ClassVar[float]
    of: ClassVar[tuple[type[msgspec.Struct], ...]]

    def sieve(self) -> Sieve | None:
        """Return the events that may say how long they took."""
        return of_events(self.of) if type(self).step is Latency.step else None

    def step(self, ctx: Context) -> Verdict:
        """Compare what the event says it took."""
        took = getattr(ctx.data, "latency_ms", None) if isinstance(ctx.data, self.of) else None
        if took is None or took <= self.most_ms:
            return HOLDS
        who = getattr(ctx.data, "tool_name", "") or (ctx.call.tool if ctx.call else "the model")
        return Fails(f"{who} took {took / 1000:.1f} s, more than {self.most_ms / 1000:.0f} s", (ctx.version,))


@invariant
class ToolLatency(Latency):
    """Fails at a tool that took too long."""

    name = "tool-latency"
    title = "A tool answers within a minute"
    description = "Fails at a result or failure that took more than 60 seconds. Holds where no latency is recorded."
    most_ms = 60_000
    of = (run.ToolReturned, run.ToolFailed)


@invariant
class ModelLatency(Latency):
    """Fails at a model that took too long."""

    name = "model-latency"
    title = "A model responds within two minutes"
    description = "Fails at a response that took more than 120 seconds. Holds where no latency is recorded."
    most_ms = 120_000
    of = (run.ModelResponded,)
