"""Charts as plain data that Plotly draws in the browser. Colours are names of tokens, which the script puts in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_TICKS: Final = 4
_STEPS: Final = (1, 2, 5, 10, 20, 25, 50, 100)


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """A day with its share of failing runs, in percent, under two versions of a rule; None where nothing is known."""

    name: str
    runs: int
    fails: int
    share: float | None
    before: float | None


def trend(days: Sequence[Day], *, now: str, before: str, first: str, first_words: str) -> dict[str, Any]:
    """Return the share of failing runs a day: one line for this version, a dashed one for the version before.

    `first` is the day of the first newly failing run, empty where there is none. Lines are named at their end, gaps
    stay gaps, and zero is on the axis.
    """
    names = [day.name for day in days]
    lines = [_line(names, [day.share for day in days], now, "vermilion", 2, "solid")]
    if any(day.before is not None for day in days):
        lines.append(_line(names, [day.before for day in days], before, "ink-3", 1.6, "dash"))
    top = max([share for day in days for share in (day.share, day.before) if share is not None], default=0)
    step = next((step for step in _STEPS if step * _TICKS >= top), 25)
    layout: dict[str, Any] = {
        "xaxis": {"type": "date", "showgrid": False, "tickformat": "%-d %b", "fixedrange": True, "nticks": 6},
        "yaxis": {
            "range": [0, max(step * _TICKS, 1)], "dtick": step, "ticksuffix": " %", "fixedrange": True,
            "zeroline": False,
        },
        "shapes": [],
        "annotations": _ends(lines),
    }  # fmt: skip
    if first and first in names:
        layout["shapes"].append(
            {"type": "line", "x0": first, "x1": first, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"color": "ink-2", "width": 1, "dash": "dot"}}
        )  # fmt: skip
        is_late = names.index(first) > len(names) / 2
        layout["annotations"].append(
            {"x": first, "y": 1, "yref": "paper", "text": first_words, "showarrow": False, "yanchor": "bottom",
             "xanchor": "right" if is_late else "left", "font": {"color": "ink-2", "size": 11}}
        )  # fmt: skip
    return {"data": lines, "layout": layout}


def _line(  # noqa: PLR0913, PLR0917 - what a line is
    days: Sequence[str], shares: Sequence[float | None], name: str, color: str, width: float, dash: str
) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "x": list(days), "y": list(shares), "name": name,
        "line": {"color": color, "width": width, "dash": dash, "shape": "linear"},
        "marker": {"color": color, "size": 4}, "connectgaps": False,
        "hovertemplate": "%{x|%-d %b}: %{y:.1f} %<extra>" + name + "</extra>",
    }  # fmt: skip


def _ends(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Name each line at its last point; names that would touch are put apart."""
    ends = []
    for line in lines:
        points = [(x, y) for x, y in zip(line["x"], line["y"], strict=True) if y is not None]
        if points:
            ends.append((points[-1], line))
    ordered = sorted(ends, key=lambda end: end[0][1])
    close = len(ordered) == 2 and abs(ordered[0][0][1] - ordered[1][0][1]) < 2  # noqa: PLR2004 - two lines, two percent
    return [
        {"x": x, "y": y, "text": line["name"], "showarrow": False, "xanchor": "left", "xshift": 8,
         "yshift": (8 if at else -8) if close else 0, "font": {"color": line["line"]["color"], "size": 11}}
        for at, ((x, y), line) in enumerate(ordered)
    ]  # fmt: skip
