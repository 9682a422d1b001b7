"""Given, when, then: tests of aggregates and process managers, in memory, with any test runner.

    given([Placed(...)]).when(Ship(...)).then([Shipped(...)])
    given([Placed(...), Shipped(...)]).when(Cancel(...)).then_rejected("shipped already")
    given_process(Refunds()).when(event).then([Command(effect="refund.pay", target="order-1")])

A step that does not hold raises AssertionError with what was expected and what came.
"""

from __future__ import annotations

from journal.testing.aggregates import Given, Outcome, given
from journal.testing.events import NOON, recorded
from journal.testing.processes import GivenProcess, ProcessOutcome, given_process

__all__ = ["NOON", "Given", "GivenProcess", "Outcome", "ProcessOutcome", "given", "given_process", "recorded"]
