"""The run list, as a person uses it: with keys, with a query, in either theme."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Browse
from tests.e2e.corpus import LISTED


@pytest.fixture
def runs(browse: Browse) -> Page:
    """Return the run list of a project with more runs than a page holds."""
    page = browse("lister")
    page.goto("/runs/")
    return page


def test_keys_walk_the_list(runs: Page) -> None:
    """The letters move from run to run, / goes to the query; in the query they are letters again."""
    runs.keyboard.press("j")
    runs.keyboard.press("j")
    expect(runs.locator("[data-run] .runs-open").nth(1)).to_be_focused()
    runs.keyboard.press("k")
    expect(runs.locator("[data-run] .runs-open").first).to_be_focused()
    runs.keyboard.press("/")
    runs.keyboard.type("jk")
    expect(runs.get_by_role("combobox", name="Query")).to_have_value("jk")


def test_the_query_line_says_how_to_go_on(runs: Page) -> None:
    """By keys: typed, chosen, taken; Escape closes what is offered and leaves what was typed."""
    query = runs.get_by_role("combobox", name="Query")
    query.press_sequentially("ag")
    expect(runs.get_by_role("option").first).to_contain_text("agent:")
    expect(query).to_have_attribute("aria-expanded", "true")
    query.press("ArrowDown")
    query.press("Enter")
    expect(query).to_have_value("agent:")
    expect(runs.get_by_role("option")).to_have_count(2)
    query.press("Escape")
    expect(runs.get_by_role("option")).to_have_count(0)
    expect(query).to_have_value("agent:")


def test_a_glance_follows_the_keys_and_stands_in_the_address(runs: Page) -> None:
    """Space opens it beside the list, j takes it to the next run, Escape closes it and gives the focus back."""
    runs.keyboard.press("j")
    runs.keyboard.press("Space")
    glance = runs.get_by_role("complementary", name="The run at a glance")
    expect(glance).to_contain_text("أضف قالب الفاتورة")
    runs.keyboard.press("j")
    expect(glance).to_contain_text("Message 1")
    expect(runs).to_have_url(re.compile("peek=agent_run-1$"))
    runs.keyboard.press("Escape")
    expect(glance).to_be_hidden()
    expect(runs.locator("[data-run] .runs-open").nth(1)).to_be_focused()


def test_a_query_changes_the_rows_the_address_and_the_tab(runs: Page) -> None:
    """Without loading the page anew; going back undoes it."""
    runs.evaluate("window.isTheSamePage = true")
    runs.get_by_label("Query", exact=True).fill("status:aborted")
    runs.keyboard.press("Enter")
    expect(runs.locator("[data-run]")).to_have_count(LISTED // 5)
    expect(runs).to_have_url(re.compile("q=status%3Aaborted"))
    expect(runs.locator("#tabs [aria-current]")).to_contain_text("Aborted")
    assert runs.evaluate("window.isTheSamePage") is True
    runs.go_back()
    expect(runs.locator("[data-run]")).to_have_count(50)
    expect(runs.get_by_label("Query", exact=True)).to_have_value("")


def test_older_runs_come_by_a_link(runs: Page) -> None:
    """And newer ones again."""
    runs.get_by_role("link", name="Older", exact=True).click()
    expect(runs.locator("[data-run]")).to_have_count(LISTED - 50)
    runs.get_by_role("link", name="Newer", exact=True).click()
    expect(runs.locator("[data-run]")).to_have_count(50)


def test_the_menu_writes_into_the_query(runs: Page) -> None:
    """What is chosen there can be read, changed and shared."""
    runs.get_by_text("Add filter").click()
    runs.locator("#filters").get_by_role("link", name="ops").click()
    expect(runs.get_by_label("Query", exact=True)).to_have_value("agent:ops")


def test_the_chosen_theme_is_kept(runs: Page) -> None:
    """It is there before the first paint of the next page, and gone where it equals the system's again."""
    runs.emulate_media(color_scheme="light")
    runs.get_by_role("button", name="Switch to the dark theme").click()
    runs.reload()
    assert runs.evaluate("document.documentElement.dataset.theme") == "dark"
    runs.get_by_role("button", name="Switch to the light theme").click()
    assert "nagare-theme" not in {cookie.get("name") for cookie in runs.context.cookies()}
