"""Answers of `journal.runtime.grading` as programs read them (contract §1)."""

from __future__ import annotations

from typing import Any

import msgspec

from journal.runtime.grading import Found, OverRange
from journal.runtime.suspecting import Judged


def run_as_json(found: Found) -> dict[str, Any]:
    """Return the answer for one run as programs read it."""
    outcome = found.outcome
    return {
        "rule": found.rule,
        "rule_version": found.rule_version,
        "scope": {"stream": found.stream},
        "verdict": outcome.verdict,
        "monotone": outcome.monotone,
        "first_failing": found.first_failing,
        "flips": [{"stream": found.stream, "version": flip.version, "to": flip.to} for flip in outcome.flips],
        "evaluations": outcome.evaluations,
        "events": outcome.events,
        "method": outcome.method,
        "checked": outcome.checked,
        "claim_broken_at": outcome.recovered_at,
        "raised_at": outcome.raised_at,
        "words": outcome.words(),
    }


def range_as_json(found: OverRange) -> dict[str, Any]:
    """Return the answer for a range as programs read it."""
    return {
        "rule": found.rule,
        "rule_version": found.rule_version,
        "scope": msgspec.to_builtins(found.range),
        "verdict": found.verdict,
        "monotone": found.monotone,
        "first_failing": found.first_failing,
        "flips": found.flips,
        "evaluations": found.evaluations,
        "events": found.events,
        "method": "scan",
        "runs": found.runs,
        "failing_runs": found.failing_runs,
        "errors": found.errors,
    }


def every_as_json(stream: str, found: Judged) -> dict[str, Any]:
    """Return what every rule says of one run as programs read it; `suspect` is the decision to look at first."""
    return {
        "rule": "*",
        "scope": {"stream": stream},
        "suspect": found.suspect,
        "rules": [run_as_json(each) for each in found.found.values()],
    }
