"""The run list, as a person uses it: with keys, with a query, in either theme."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from explorer.models import RunSummary
from journal.models import Membership, Project

RUNS = 60


@pytest.fixture
def runs(page: Page, live_server: LiveServer) -> Page:
    """Return a browser in which an engineer with some runs is signed in, on the run list."""
    project, _ = Project.objects.get_or_create(slug="default", defaults={"name": "Default"})
    user = User.objects.create_user("m.kato")
    Membership.objects.create(project=project, user=user, role="engineer")
    now = int(datetime.now(UTC).timestamp()) * 1_000_000
    RunSummary.objects.bulk_create(_run(number, now) for number in range(RUNS))
    client = Client()
    client.force_login(user)
    session = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
    page.goto(f"{live_server.url}/runs/")
    return page


def _run(number: int, now: int) -> RunSummary:
    is_bad = number % 5 == 0
    return RunSummary(
        project="default",
        stream=f"agent_run-{number}",
        category="agent_run",
        title=f"Message {number}" if number % 7 else "أضف قالب الفاتورة",
        status="aborted" if is_bad else "answered",
        agent="coder" if number % 2 else "ops",
        tools=["read_file"],
        events=20 + number,
        tool_errors=number % 3,
        first_error=4 if number % 3 else None,
        shape={"every": 1, "bars": [number * 10 + at for at in range(20)], "failures": [4], "aborted": is_bad},
        started_us=now - number * 60_000_000,
        newest_us=now,
        synthetic=number == 2,
        position=number,
    )


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
    expect(runs.locator("[data-run]")).to_have_count(RUNS // 5)
    expect(runs).to_have_url(re.compile("q=status%3Aaborted"))
    expect(runs.locator("#tabs [aria-current]")).to_contain_text("Aborted")
    assert runs.evaluate("window.isTheSamePage") is True
    runs.go_back()
    expect(runs.locator("[data-run]")).to_have_count(50)
    expect(runs.get_by_label("Query", exact=True)).to_have_value("")


def test_older_runs_come_by_a_link(runs: Page) -> None:
    """And newer ones again."""
    runs.get_by_role("link", name="Older", exact=True).click()
    expect(runs.locator("[data-run]")).to_have_count(RUNS - 50)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390, 320])
def test_the_list_is_accessible_at_every_width(runs: Page, scheme: str, width: int) -> None:
    """Axe finds nothing, the menu open or not, and nothing lies beside the page."""
    runs.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    runs.set_viewport_size({"width": width, "height": 844})
    for _ in range(2):
        results = Axe().run(runs)
        assert results.violations_count == 0, results.generate_report()
        runs.locator("#filters summary").click()
    assert runs.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("address", ["/runs/?q=agnt:x", "/runs/?q=agent:codr", "/import/"])
def test_what_is_said_beside_the_list_is_accessible(runs: Page, live_server: LiveServer, address: str) -> None:
    """A query that is not understood, one that finds nothing, and the way in."""
    runs.goto(live_server.url + address)
    results = Axe().run(runs)
    assert results.violations_count == 0, results.generate_report()
