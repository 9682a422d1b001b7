"""One cursor, however it is moved: quick keys, Back and Forward, two tabs, the palette, names that are read out."""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, Request, expect

from nagare_web.demo.stories import STORIES
from tests.e2e.conftest import Browse

RUN: Final = f"/runs/{STORIES['edit-unread'].streams[0]}/"
LONG: Final = "/runs/agent_run-100000/"
MOVES: Final = 40
FEWER: Final = 25
"""Answers asked for during 40 moves in a second: no more than one in 80 ms, and those of the end."""

ROWS: Final = 120

_PRESS: Final = """async ([key, times]) => {
  for (let at = 0; at < times; at += 1) {
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await new Promise((done) => setTimeout(done, 25));
  }
}"""


def _open(page: Page, address: str) -> None:
    page.goto(address)
    _is_ready(page)


def _is_ready(page: Page) -> None:
    """Wait for the scripts, which show the button for playing."""
    expect(page.locator("#play")).to_be_visible()


def _settled(page: Page, version: int) -> None:
    """Wait until everything that shows the cursor shows one event."""
    expect(page.locator("#at")).to_have_attribute("data-version", str(version))
    expect(page).to_have_url(re.compile(rf"[?&]v={version}(&|$)"))
    expect(page.locator("#number")).to_have_value(str(version))
    expect(page.locator("#slider")).to_have_value(str(version))
    expect(page.locator("#map-number")).to_have_text(str(version))
    expect(page.locator(".row[aria-current]")).to_have_count(1)
    expect(page.locator("#wins")).to_have_attribute("aria-activedescendant", re.compile(r"e\d+"))


def test_forty_moves_a_second_lose_none_and_end_on_the_last(browse: Browse) -> None:
    """Rows move with each key; of the answers only some are asked for, and the last one stands there in the end."""
    page = browse("patient")
    _open(page, f"{LONG}?v=1&rows=raw")
    rows = page.eval_on_selector_all("#wins .row", "rows => rows.map(row => Number(row.id.slice(1)))")
    asked: list[str] = []

    def note(request: Request) -> None:
        if "part=cursor" in request.url or "part=list" in request.url:
            asked.append(request.url)

    page.on("request", note)
    page.evaluate(_PRESS, ["j", MOVES])
    _settled(page, rows[MOVES])
    assert len(asked) <= FEWER
    assert f"v={rows[MOVES]}&" in asked[-1]


def test_steps_beyond_the_rows_of_the_page_are_kept_in_their_order(browse: Browse) -> None:
    """Forty decisions on are further than the list reaches: each is counted all the same."""
    page = browse("patient")
    _open(page, f"{LONG}?v=1&rows=raw")
    first = page.locator("#wins .row-reasoned").first.evaluate("row => Number(row.id.slice(1))")
    page.evaluate(_PRESS, ["J", MOVES])
    page.evaluate(_PRESS, ["K", MOVES - 1])
    _settled(page, first)
    assert page.locator("#wins .row").count() <= ROWS


def test_jumps_can_be_gone_back_and_steps_cannot(browse: Browse) -> None:
    """`[` and `]` are Back and Forward, but do not lead out of the page."""
    page = browse()
    _open(page, f"{RUN}?v=23")
    page.keyboard.press("j")
    _settled(page, 26)  # 24 is in the row of its call, 25 in that of its response
    page.keyboard.press("End")
    _settled(page, 200)
    page.keyboard.press("k")
    page.keyboard.press("[")
    _settled(page, 26)
    page.keyboard.press("[")
    _settled(page, 26)
    page.keyboard.press("]")
    expect(page.locator("#at")).not_to_have_attribute("data-version", "26")
    page.go_back()
    _settled(page, 26)


def test_an_event_in_the_row_of_another_is_reached_by_its_number(browse: Browse) -> None:
    """Its row is marked, it is what the inspector shows, and steps go on from there; raw, it has a row of its own."""
    page = browse()
    _open(page, f"{RUN}?v=1")
    page.keyboard.type("24")
    page.keyboard.press("Enter")
    _settled(page, 24)
    expect(page.locator(".row[aria-current]")).to_have_attribute("id", "e23")
    page.keyboard.press("k")
    _settled(page, 23)
    page.keyboard.type("24")
    page.keyboard.press("Enter")
    _settled(page, 24)
    page.keyboard.press("j")
    _settled(page, 26)
    page.keyboard.press("z")
    page.keyboard.press("k")
    page.keyboard.press("k")
    _settled(page, 24)
    expect(page.locator(".row[aria-current]")).to_have_attribute("id", "e24")
    expect(page.locator("#folded")).to_be_empty()


def test_two_tabs_of_one_browser_do_not_disturb_each_other(browse: Browse) -> None:
    """What a page shows stands in its own address alone."""
    one = browse()
    _open(one, f"{RUN}?v=23&tab=state")
    two = one.context.new_page()
    _open(two, f"{RUN}?v=40")
    two.keyboard.press("End")
    _settled(two, 200)
    two.keyboard.press("m")
    one.keyboard.press("Home")
    _settled(one, 1)
    expect(one.locator(".tab-state")).to_have_attribute("aria-current", "page")
    one.reload()
    _is_ready(one)
    _settled(one, 1)
    _settled(two, 200)


def test_a_row_is_an_option_with_its_place_and_its_name(browse: Browse) -> None:
    """By names alone: the list, the 23rd of 200, what it is; and the slider tells the same event."""
    page = browse()
    _open(page, f"{RUN}?v=1")
    box = page.get_by_role("listbox", name=re.compile(r"^Events 1–\d+ of 200$"))
    row = box.get_by_role("option", name=re.compile("^23–24 decision Call edit_file"))
    expect(row).to_have_attribute("aria-posinset", "23")
    expect(row).to_have_attribute("aria-setsize", "200")
    row.click()
    _settled(page, 23)
    expect(box).to_be_focused()
    expect(row).to_have_attribute("aria-selected", "true")
    told = page.get_by_role("slider", name="Event")
    expect(told).to_have_attribute("aria-valuetext", "event 23 of 200, Decided to call edit_file")
    expect(page.locator("#said")).to_have_text("23 of 200, Decided to call edit_file")
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_focused()


def test_the_palette_leads_to_actions_events_and_runs(browse: Browse) -> None:
    """Opened by Ctrl and K, chosen from by arrows and Enter, closed by Escape."""
    page = browse()
    _open(page, f"{RUN}?v=1")
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox")
    expect(field).to_be_focused()
    page.keyboard.type("23")
    expect(page.locator("#palette").get_by_role("option", selected=True)).to_contain_text("Go to event 23")
    page.keyboard.press("Enter")
    _settled(page, 23)
    page.keyboard.press("Control+k")
    page.keyboard.type("next error")
    page.keyboard.press("Enter")
    _settled(page, 28)
    page.keyboard.press("Control+k")
    field.fill(RUN.removeprefix("/runs/").removesuffix("/"))
    expect(page.locator("#palette").get_by_role("option", name=re.compile("200 events"))).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_keys_are_the_pages_again_after_a_choice_from_within_a_field(browse: Browse) -> None:
    """Chosen from the palette, an event is what the next key goes on from; closed without a choice, one types on."""
    page = browse()
    _open(page, f"{RUN}?v=1")
    page.keyboard.press("/")
    page.keyboard.type("round")
    page.keyboard.press("Control+k")
    page.keyboard.type("23")
    page.keyboard.press("Enter")
    _settled(page, 23)
    page.keyboard.press("j")
    _settled(page, 26)
    expect(page.locator("#find")).to_have_value("round")
    page.keyboard.press("/")
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(page.locator("#find")).to_be_focused()


def test_letters_can_be_switched_off(browse: Browse) -> None:
    """On the sheet of all keys, for every page and for later; arrows still step."""
    page = browse()
    _open(page, f"{RUN}?v=23")
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="All keys")
    expect(sheet).to_contain_text("next error")
    sheet.get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.keyboard.press("ArrowDown")
    _settled(page, 26)
    page.reload()
    _is_ready(page)
    page.keyboard.press("e")
    page.keyboard.press("ArrowUp")
    _settled(page, 23)
