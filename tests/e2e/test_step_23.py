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
    assert version in (int(row.get_attribute("id")[1:]), int(row.get_attribute("data-first") or 0))  # type: ignore[index]


def _shows_state(page: Page, version: int, state_at: StateAt) -> None:
    _at(page, version)
    assert assert_shows(shown_state(page), state_at(version)) > 20


def _rows(page: Page) -> list[int]:
    """Return the events that have a row; a model call is folded into its response."""
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


def test_one_click_and_a_number_answer_why(browse: Browse) -> None:
    """Open the run from the list, type 23, press Enter: reason, knowledge, deed and causes are there."""
    page = browse()
    page.goto("/runs/")
    page.locator(f"a.runs-open[href='{RUN}']").click()
    page.wait_for_url(f"**{RUN}*")  # loaded, so that the script listens
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    _at(page, 23)
    _answers(page)


def test_every_way_of_moving_shows_the_state_of_that_event(browse: Browse, state_at: StateAt) -> None:
    """By row, slider, mouse, address, j and k: each leaf is the one that the command line prints."""
    page = browse(viewport={"width": 1440, "height": 900})
    page.goto(f"{RUN}?v=23&tab=state")
    _shows_state(page, 23, state_at)
    page.locator("#e20").click()
    _shows_state(page, 20, state_at)
    page.locator("#slider").focus()
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
    row = next(at for at, version in enumerate(rows) if version >= far)
    page.locator("#wins").focus()
    page.keyboard.press("j")
    _at(page, rows[row + 1])
    page.keyboard.press("k")
    page.keyboard.press("k")
    _shows_state(page, rows[row - 1], state_at)
    page.goto(f"{RUN}?v=200&tab=state")
    _shows_state(page, 200, state_at)
    page.goto(f"{RUN}?v=1&tab=state")
    _shows_state(page, 1, state_at)


def test_back_and_forward_go_through_the_jumps(browse: Browse) -> None:
    """Each jump is a place to come back to, with the tab it had; single steps are none."""
    page = browse()
    page.goto(f"{RUN}?v=23")
    page.locator("#e35").click()
    _at(page, 35)
    page.keyboard.press("j")
    page.keyboard.press("j")
    stepped = _rows(page)[_rows(page).index(35) + 2]
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


def test_quick_steps_end_where_the_last_one_led(browse: Browse, state_at: StateAt) -> None:
    """However fast somebody steps, what stands there in the end is of one event."""
    page = browse()
    page.goto(f"{RUN}?v=102&tab=state")
    rows = _rows(page)
    first = next(version for version in rows if version >= 102)
    _at(page, 102)
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    expect(page.locator("#panel")).not_to_have_class(re.compile("is-old"))
    version = int(page.locator("#number").input_value())
    assert version == rows[rows.index(first) + 8]
    _shows_state(page, version, state_at)


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
