"""Measurements of the pages, for `nagare bench`."""

from __future__ import annotations

from explorer.benches import ui
from journal.benches.registry import Bench, register

register(
    Bench(
        name="ui",
        about=(
            "the run page in a headless Chromium, on runs of three lengths and a server of its own, beside the budgets"
            " and the figures of other tools; it needs the development dependencies"
        ),
        run=lambda say, asked: ui.run(say, asked.sizes),
        sizes=ui.SIZES,
    )
)
