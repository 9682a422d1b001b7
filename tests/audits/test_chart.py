"""The drawing of a report's second page, and the glyphs of its actions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isclose

import pytest

from audits import render
from audits.report import Action, Report, Run

DAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


def ran(number: int, *, agent: str = "support", hours: float = 0, actions: int = 1, fails: bool = False) -> Run:
    """Return a run that began so many hours after the first."""
    at = DAY + timedelta(hours=hours)
    return Run(
        number=number, stream=f"agent_run-{number}", title="a run", agent=agent, model="", started=at, ended_at=at,
        ended="answered", events=actions, note="", failing=("a-rule, version 1",) if fails else (), elsewhere=(),
        actions=(), actions_in_all=actions,
    )  # fmt: skip


def reported(*runs: Run) -> Report:
    """Return a report of these runs and nothing else."""
    return Report(
        id="1-a", title="Every action", about="user-42", period="", project="default", agents="", as_of=DAY, root="",
        actions=0, failing=0, checks=(), asked=(), complete=(), runs=runs, earlier=(), files=(), keys=(), made_with="",
        cut="",
    )  # fmt: skip


def test_runs_stand_by_time_in_their_agents_lane() -> None:
    """From the first to the last across the width, a lane an agent in the order in which they come."""
    found = render.chart(
        reported(ran(1), ran(2, agent="billing", hours=5), ran(3, hours=10), ran(4, agent="", hours=10))
    )
    first, second, third, fourth = found["marks"]
    assert [lane["name"] for lane in found["lanes"]] == ["support", "billing", "no agent"]
    assert [one["y"] for one in found["marks"]] == [found["lanes"][at]["y"] for at in (0, 1, 0, 2)]
    assert first["x"] < second["x"] < third["x"] == fourth["x"]
    assert isclose(second["x"], (first["x"] + third["x"]) / 2, abs_tol=0.1)
    assert first["x"] - first["r"] >= found["left"]
    assert third["x"] + third["r"] <= found["width"]
    assert (found["begin"], found["end"]) == (DAY, DAY + timedelta(hours=10))


def test_a_circles_area_is_its_number_of_actions() -> None:
    """Beyond the smallest that can be seen: four times the actions are twice the radius."""
    found = render.chart(reported(ran(1, actions=25), ran(2, actions=100, hours=1), ran(3, actions=0, hours=2)))
    some, most, none = (one["r"] for one in found["marks"])
    assert none > 0
    assert isclose(most - none, 2 * (some - none), abs_tol=0.1)


def test_a_cross_and_words_mark_a_run_in_which_a_rule_failed() -> None:
    """In the drawing and in the table that says the same."""
    page = render.html(reported(ran(1), ran(2, hours=1, fails=True)))
    drawing = page.partition('class="chart"')[2].partition("</svg>")[0]
    assert (drawing.count("<circle"), drawing.count("×")) == (2, 1)
    assert drawing.count('stroke="#a3260d"') == 1
    assert "× a-rule, version 1" in page
    assert "2 runs from 22 November 2026 to 22 November 2026" in drawing


@pytest.mark.parametrize("runs", [(), (ran(1),)])
def test_nothing_and_a_single_run_can_be_drawn(runs: tuple[Run, ...]) -> None:
    """Without runs there is no drawing; one run stands where its time begins."""
    found = render.chart(reported(*runs))
    assert len(found.get("marks", [])) == len(runs)


def test_only_so_many_lanes_are_drawn() -> None:
    """Runs of further agents stand in the table alone."""
    found = render.chart(reported(*(ran(at, agent=f"agent {at}", hours=at) for at in range(12))))
    assert len(found["lanes"]) == len(found["marks"]) == 8


def test_decisions_alone_are_diamonds() -> None:
    """Each with its name for those who do not see it; and an action's number is set bold."""
    acts = [
        Action(
            number=number, event_id="", at=DAY, kind=kind, letter=letter, sentence=kind, version=number, reason="",
            reason_at=0, reason_note="", facts=(), fails=(), index=0, leaf="",
        )
        for number, (kind, letter) in enumerate((("message", "M"), ("decision", "D"), ("answer", "A")), 1)
    ]  # fmt: skip
    page = render.html(reported(replace(ran(1, actions=3), actions=tuple(acts))))
    assert page.count('class="decision" role="img" aria-label="Decision"') == 1
    assert [f'<span class="glyph glyph-{letter}">' in page for letter in "MDA"] == [True, False, True]
    assert page.count('<span class="when"><b>') == 3
