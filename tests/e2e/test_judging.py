"""Two stories in the browser: the moment a tool went bad, and the runs that newly fail a changed rule."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, expect

from nagare_web.demo.stories import STORIES
from tests.e2e.conftest import Browse

FIRST_BAD: Final = STORIES["poisoned-rates"].streams[0]
NAME: Final = "rates-in-reach"
LOOSE: Final = 'event.type != "agent_run.tool_returned" || event.data.latencyMs < 60000'
CALLS: Final = '!(event.type == "agent_run.reasoned" && event.data.toolName == "edit_file")'


def _choose_rule(page: Page, name: str) -> None:
    page.locator("select[name=rule]").select_option(name)


def test_the_moment_the_tool_went_bad(browse: Browse) -> None:
    """A bisect of the journal names the first event that a bad feed poisoned, with the runs before and after it."""
    page = browse()
    page.goto("/runs/")
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page).to_have_url(re.compile(r"/bisects/$"))
    _choose_rule(page, "steady-results")
    page.get_by_label("Only calls and results of this tool").fill("exchange_rate")
    page.get_by_role("button", name="Bisect the journal").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("First fails on ")
    expect(page.locator(".judge-lead")).to_contain_text("what exchange_rate returns changed")
    rows = page.locator(".around tbody tr")
    first = page.locator(".around-first")
    expect(first).to_contain_text("fails")
    verdicts = [row.split("\t")[1].strip() for row in rows.all_inner_texts()]
    at = verdicts.index("fails")
    assert verdicts == ["holds"] * at + ["fails"] * (len(verdicts) - at)
    assert at >= 5
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/runs/{FIRST_BAD}/\?v=\d+$"))
    expect(page.locator("#panel")).to_contain_text("northbank v2")


def test_the_runs_that_newly_fail_a_changed_rule(browse: Browse) -> None:
    """A rule is written, mended, tried, saved, graded; changed, graded again: what newly fails opens at its event."""
    page = browse()
    page.goto("/rules/")
    page.get_by_role("link", name="Write a rule").click()
    page.get_by_label("Name, as people").fill(NAME)
    page.get_by_label("In one sentence").fill("Tools answer within a minute.")
    text = page.get_by_label("Condition that must hold")
    text.press_sequentially("state.tot")
    expect(page.get_by_role("option", name="totals")).to_be_visible()
    text.press("ArrowDown")
    text.press("Enter")
    expect(text).to_have_value("state.totals")
    text.fill(LOOSE.replace("latencyMs", "latencyMS"))
    expect(page.locator("#problems")).to_contain_text("event.data has no field latencyMS")
    page.get_by_role("button", name="latencyMs").click()
    expect(text).to_have_value(LOOSE)
    expect(page.locator("#problems")).not_to_contain_text("Line")
    text.press("Control+Enter")
    expect(page.locator("#tried-head")).to_contain_text("Tried on 20 recent runs")
    page.get_by_role("button", name="Save and re-grade").click()
    _regrade_the_coder(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"All [\d,]+ runs hold"))

    page.goto(f"/rules/{NAME}/edit/")
    page.get_by_label("Condition that must hold").fill(CALLS)
    page.get_by_role("button", name="Save as version 2").click()
    expect(page.locator(".sides")).to_contain_text("latencyMs")
    page.get_by_role("link", name="Re-grade runs").click()
    expect(page.locator("#preview")).to_contain_text("What changed since version 1")
    _regrade_the_coder(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"[\d,]+ runs newly fail under version 2"))
    expect(page.locator("#trend[data-drawn] .main-svg").first).to_be_visible()
    expect(page.locator(".matrix .cell-fails")).to_contain_text("newly failing")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs/[^/]+/\?v=\d+$"))
    expect(page.locator(".event-title")).to_contain_text("edit_file")


def _regrade_the_coder(page: Page) -> None:
    """Choose the runs, see how many there are before anything starts, and start."""
    page.get_by_label("Only runs that match").fill("tool:edit_file")
    page.get_by_label("Only runs that match").press("Tab")
    expect(page.locator("#preview")).to_contain_text(re.compile(r"\d+ runs, [\d,]+ events, "))
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page).to_have_url(re.compile(r"/regrades/[^/?]+/$"))
