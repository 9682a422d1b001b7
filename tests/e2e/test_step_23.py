"""Why did it call edit_file at step 23, and what did it know? Asked in the browser, with a script and without one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from nagare_web.demo.stories import STORIES
from tests.e2e.conftest import Browse
from tests.e2e.shown_state import assert_shows, shown_state
from tests.e2e.site import Site, opened_console

RUN: Final = f"/runs/{STORIES['edit-unread'].streams[0]}/"
STREAM: Final = STORIES["edit-unread"].streams[0]
QUOTE: Final = (
    "The grep at the previous step already showed line 88 uses round(x, 2); I believe I have seen the file, so I will "
    "edit directly instead of reading."
)

StateAt = Callable[[int], dict[str, Any]]


@pytest.fixture(scope="module")
def state_at(site: Site) -> Iterator[StateAt]:
    """Return what asks the command line for the state after an event."""
    with opened_console(site) as console:
        yield cache(lambda version: console.nagare("state", STREAM, "--version", str(version)))


def _at(page: Page, version: int) -> None:
    """Wait until list, slider, number, address and inspector are at one event."""
    expect(page.locator("#at")).to_have_attribute("data-version", str(version))
    expect(page).to_have_url(re.compile(rf"[?&]v={version}(&|$)"))
    expect(page.locator("#number")).to_have_value(str(version))
    expect(page.locator("#slider")).to_have_value(str(version))
    expect(page.locator("#map-number")).to_have_text(str(version))
    row = page.locator(".row[aria-current]")
    expect(row).to_have_count(1)
    assert version in row.evaluate("row => [+row.id.slice(1), +row.dataset.first, +row.dataset.last]")


def _shows_state(page: Page, version: int, state_at: StateAt) -> None:
    _at(page, version)
    assert assert_shows(shown_state(page), state_at(version)) > 20


def _rows(page: Page) -> list[int]:
    """Return the events that have a row; model calls and tool results stand in that of a response or a call."""
    return [int(row[1:]) for row in page.eval_on_selector_all("#rows .row", "rows => rows.map(row => row.id)")]


def _part(page: Page, name: str) -> Any:
    """Return what stands beside a term of the Explain tab."""
    return page.locator("dl.why > div").filter(has=page.locator(f"> dt:text-is('{name}')")).locator("> dd")


def _answers(page: Page) -> None:
    """The Explain tab at 23 says why, what was known, what was done and what led to it."""
    expect(_part(page, "Because")).to_contain_text(QUOTE)
    expect(_part(page, "Because")).to_contain_text(re.compile(r"recorded in\s+event 22.*Not verified", re.DOTALL))
    file = _part(page, "Knew at 22").locator("li", has_text="billing/refunds.py")
    expect(file).to_have_count(1)
    expect(file).to_contain_text("seen in part")
    expect(file).not_to_contain_text("read whole")
    expect(file.locator(".vmark")).to_have_text("event 20")
    expect(_part(page, "Did")).to_contain_text("edit_file")
    expect(_part(page, "Did").locator(".edit-removed")).to_contain_text("return round(x, 2)")
    expect(_part(page, "Caused by").locator(".chain")).to_contain_text("22")
    expect(_part(page, "Caused by")).to_contain_text("All links recorded, none inferred.")


def test_the_whole_story_by_keyboard_alone(browse: Browse) -> None:
    """From the list to the cause and back, with no pointer: query, run, event, tabs, cause, effect, find, palette."""
    page = browse()
    page.goto("/runs/")
    keys = page.keyboard
    keys.press("/")
    keys.type("steps:200 rounding")
    keys.press("Enter")
    expect(page.locator("[data-run]")).to_have_count(1)
    keys.press("Tab")
    keys.press("j")
    keys.press("Enter")
    page.wait_for_url(f"**{RUN}*")
    expect(page.locator("#play")).to_be_visible()
    keys.press("2")
    keys.press("3")
    keys.press("Enter")
    keys.press("b")  # at once, before the event's causes are there
    expect(page.get_by_role("dialog", name="Causes of 23")).to_be_visible()
    keys.press("Escape")
    _at(page, 23)
    _answers(page)
    keys.press("b")
    keys.press("b")
    _at(page, 22)
    expect(page.locator("#panel")).to_contain_text(QUOTE)
    keys.press("[")
    _at(page, 23)
    for tab, key in (("state", "2"), ("context", "5"), ("causes", "6"), ("explain", "1")):
        keys.press(key)
        expect(page.locator(f".tab-{tab}")).to_have_attribute("aria-current", "page")
    keys.press("/")
    keys.type("ROUND_HALF_UP")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("q=ROUND_HALF_UP"))
    expect(page.locator("#at")).to_have_attribute("data-version", re.compile(r"^\d+$"))
    keys.press("Control+k")
    keys.type("23")
    keys.press("Enter")
    _at(page, 23)
    _answers(page)


def test_the_whole_story_by_names_alone(browse: Browse) -> None:
    """By what a screen reader says: roles and names, from the list to the reason, what was known, and the cause."""
    page = browse()
    page.goto("/runs/")
    row = page.get_by_role("row", name=re.compile("test_refund_rounding")).filter(
        has=page.get_by_role("cell", name="200", exact=True)
    )
    row.get_by_role("link", name=re.compile("^Fix the failing test")).click()
    expect(page.get_by_role("listbox", name=re.compile("of 200"))).to_be_visible()
    number = page.get_by_role("textbox", name=re.compile("^Event number"))
    number.fill("23")
    number.press("Enter")
    expect(page.get_by_role("status").filter(has_text="23 of 200, Decided to call edit_file")).to_be_attached()
    event = page.get_by_role("region", name="Event", exact=True)
    expect(event.get_by_role("heading", name="Decided to call edit_file")).to_be_visible()
    assert event.get_by_role("term").all_inner_texts()[:3] == ["Because", "Knew at 22", "Did"]
    because, knew, did = (event.get_by_role("definition").nth(at) for at in range(3))
    expect(because).to_contain_text(QUOTE)
    expect(because.get_by_role("link", name="event 22")).to_be_visible()
    seen = knew.get_by_role("listitem").filter(has_text="billing/refunds.py")
    expect(seen).to_contain_text("seen in part")
    expect(seen.get_by_role("link", name="event 20")).to_be_visible()
    expect(did).to_contain_text("edit_file billing/refunds.py")
    parts = page.get_by_role("navigation", name="Parts of the event")
    parts.get_by_role("link", name="State").click()
    expect(
        event.get_by_role("group", name="State", exact=True).get_by_role("link", name="changed at 23").first
    ).to_be_visible()
    parts.get_by_role("link", name=re.compile("^Causes")).click()
    expect(event.get_by_role("heading", name="What led to 23")).to_be_visible()
    expect(event.get_by_role("listitem").filter(has_text="quoted").first).to_be_attached()
    page.get_by_role("navigation", name="Go from here").get_by_role("link", name="cause 22").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("^22 of 200"))).to_be_attached()
    expect(page.get_by_role("slider", name="Event")).to_have_attribute("aria-valuetext", re.compile("^event 22 of 200"))


def test_every_way_of_moving_shows_the_state_of_that_event(browse: Browse, state_at: StateAt) -> None:
    """By row, slider, mouse, address, j and k: each leaf is the one that the command line prints."""
    page = browse(viewport={"width": 1440, "height": 900})
    page.goto(f"{RUN}?v=23&tab=state")
    _shows_state(page, 23, state_at)
    page.locator("#e19").click()
    _shows_state(page, 19, state_at)
    page.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    _shows_state(page, 20, state_at)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    _shows_state(page, 22, state_at)
    box = page.locator("#slider").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    expect(page.locator("#at")).to_have_attribute("data-version", re.compile(r"1[56]\d"))
    far = int(page.locator("#slider").input_value())
    _shows_state(page, far, state_at)
    rows = _rows(page)
    row = next(at for at, version in enumerate(rows) if version > far)
    page.locator("#wins").focus()
    page.keyboard.press("j")
    _at(page, rows[row])
    page.keyboard.press("k")
    page.keyboard.press("k")
    _shows_state(page, rows[row - 2], state_at)
    for key in "jjjjjkkjjk":  # as quick as they come: what stands there in the end is the event of the last one
        page.keyboard.press(key)
    _shows_state(page, rows[row + 2], state_at)
    page.goto(f"{RUN}?v=200&tab=state")
    _shows_state(page, 200, state_at)
    page.goto(f"{RUN}?v=1&tab=state")
    _shows_state(page, 1, state_at)


def test_back_and_forward_go_through_the_jumps(browse: Browse) -> None:
    """Each jump is a place to come back to, with the tab it had; single steps are none."""
    page = browse()
    page.goto(f"{RUN}?v=23")
    rows = _rows(page)
    there = next(version for version in rows if version > 34)
    page.locator(f"#e{there}").click()
    _at(page, there)
    page.keyboard.press("j")
    page.keyboard.press("j")
    stepped = rows[rows.index(there) + 2]
    _at(page, stepped)
    page.locator(".tab-state").click()
    expect(page.locator("#panel .tree")).to_be_visible()
    page.keyboard.press("End")
    _at(page, 200)
    page.go_back()
    _at(page, stepped)
    expect(page.locator("#panel .tree")).to_be_visible()
    page.go_back()
    _at(page, stepped)
    expect(page.locator("#panel .why")).to_be_visible()
    page.go_back()
    _at(page, 23)
    _answers(page)
    page.go_forward()
    _at(page, stepped)


def test_without_a_script_the_same_is_there_by_links(browse: Browse, state_at: StateAt) -> None:
    """List, run, the number's form, next links, tabs: plain pages that say the same."""
    page = browse(java_script_enabled=False)
    page.goto("/runs/")
    page.locator(f"a.runs-open[href='{RUN}']").click()
    page.locator("#number").fill("21")
    page.locator("#number").press("Enter")
    page.wait_for_url("**v=21*")  # neither a key nor a click waits for the page it leads to
    for version in (22, 23):
        page.locator("#step-next").click()
        page.wait_for_url(f"**v={version}*")
    _answers(page)
    page.locator(".tab-state").click()
    page.wait_for_url("**tab=state*")
    assert assert_shows(shown_state(page), state_at(23)) > 20
    page.locator("#step-previous").click()
    page.wait_for_url("**v=22*")
    assert assert_shows(shown_state(page), state_at(22)) > 20
    page.locator(".tab-causes").click()
    expect(page.locator(".graph-rows")).to_contain_text("quotes 20")
    page.locator(".tab-diff").click()
    expect(page.locator("#panel")).to_contain_text("At 22")
    page.locator(".tab-payload").click()
    expect(page.locator("#panel")).to_contain_text("I believe I have seen the file")
