"""Measurements of the signed log, for `nagare bench`."""

from __future__ import annotations

from audits.benches import sealing
from journal.benches.registry import Asked, Bench, Report, Say, register


def _seal(say: Say, asked: Asked) -> Report:
    found = sealing.run(say=say)
    return Report(document=found, lines=tuple(sealing.lines(found)))


register(
    Bench(
        name="seal",
        about=(
            "appends of ten events, fifty a second, without and with a sealer beside them; how long an event waits for"
            " its checkpoint; and the offline check of 10,000 events. In a scratch journal on SQLite; the floor of the"
            " check parses and hashes the same lines"
        ),
        run=_seal,
    )
)
