"""The shape of a run in 104 by 18 pixels, for the run list: path data, so that a row costs a handful of elements.

Grey bars are the size of the context along the run. The width grows with the logarithm of the number of events. Crosses
are tool failures, a triangle on a stem is where a rule first fails, an upright at the end an abort: only those have
colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 104
_BASE: Final = 15.5
_PITCH: Final = 4
_BAR: Final = 3
_TALLEST: Final = 12.0
_LOWEST: Final = 1.5
_FULL_WIDTH_EVENTS: Final = 5000
_CROSS: Final = 2.25


@dataclass(frozen=True, kw_only=True)
class Sparkline:
    """Path data: bars, crosses of tool failures, a broken rule, the upright of an abort; empty where there is none."""

    bars: str
    failures: str
    rule: str
    end: str

    @property
    def alarms(self) -> str:
        """Return what has colour, as one path."""
        return self.failures + self.rule + self.end


def sparkline(shape: dict[str, Any], *, events: int, peak: int, rule_failure: int | None = None) -> Sparkline:
    """Return the drawing of a run's shape (`explorer.shape`).

    `peak` is the largest context of the rows beside it, `rule_failure` the first event at which a rule fails.
    """
    width = width_of(events)
    heights = _heights(shape.get("bars") or [], count=max(1, width // _PITCH), peak=peak)
    bars = "".join(
        f"M{at * _PITCH} {_BASE}v{-height:g}h{_BAR}v{height:g}z" for at, height in enumerate(heights) if height
    )
    places = sorted({round(_place(version, events, width), 1) for version in shape.get("failures") or []})
    return Sparkline(
        bars=bars,
        failures="".join(_cross(x) for x in places),
        rule=_flag(_place(rule_failure, events, width)) if rule_failure else "",
        end=f"M{width + 1} 3V{_BASE}" if shape.get("aborted") else "",
    )


def width_of(events: int) -> int:
    """Return how many pixels wide a run of that many events is."""
    grown = math.log10(max(events, 1)) / math.log10(_FULL_WIDTH_EVENTS)
    return max(_PITCH, min(WIDTH - _PITCH, round(grown * (WIDTH - _PITCH) / _PITCH) * _PITCH))


def peak_of(shapes: Sequence[dict[str, Any]]) -> int:
    """Return the largest context of some shapes, so that their bars share one scale."""
    return max((size for shape in shapes for size in shape.get("bars") or []), default=0)


def _heights(sizes: Sequence[int], *, count: int, peak: int) -> list[float]:
    """Take `count` of the sizes, evenly. The square root keeps a small run readable beside a large one."""
    if not sizes or peak <= 0:
        return []
    taken = [sizes[min(len(sizes) - 1, (at * len(sizes) + len(sizes) // 2) // count)] for at in range(count)]
    return [round(_LOWEST + (_TALLEST - _LOWEST) * math.sqrt(max(size, 0) / peak), 1) for size in taken]


def _place(version: int, events: int, width: int) -> float:
    return min(max(version / max(events, 1) * width, _CROSS), width)


def _cross(x: float) -> str:
    size = _CROSS * 2
    return f"M{x - _CROSS:g} {_BASE - size:g}l{size:g} {size:g}M{x + _CROSS:g} {_BASE - size:g}l{-size:g} {size:g}"


def _flag(x: float) -> str:
    """Return a triangle on a stem. It is drawn with a line, as all that has colour, so a second one fills it."""
    return f"M{x - 2.6:g} 1.2h5.2l-2.6 3.6zM{x - 1:g} 2.2h2M{x:g} 2V{_BASE}"
