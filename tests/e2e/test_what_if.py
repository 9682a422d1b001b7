"""What if the agent had read the file first? And how does another run of the same request differ?"""

from __future__ import annotations

import re
from typing import Final

from playwright.sync_api import Page, expect

from nagare_web.demo.stories import STORIES
from tests.e2e.conftest import Browse

EDITS: Final = STORIES["edit-unread"].streams[0]
READS: Final = STORIES["edit-after-reading"].streams[0]


def _form(page: Page, name: str) -> Page:
    return page.locator("form").filter(has=page.get_by_role("heading", name=name))  # type: ignore[return-value]


def test_a_rule_no_longer_fails_and_a_second_person_sees_it(browse: Browse) -> None:
    """Asked from the event by a key, answered beside the record, kept, and opened by its link without a script."""
    page = browse()
    page.goto(f"/runs/{EDITS}/?v=20")
    page.keyboard.press("w")
    expect(page.get_by_role("heading", level=1)).to_have_text("What if it had gone otherwise at 20?")
    _form(page, "What if grep had answered otherwise?").get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^The state is another|^Nothing changes"))
    page.get_by_role("button", name="Take out edit 1").click()
    page.get_by_role("link", name="Change 20, or add behind it").click()
    page.get_by_label("Event", exact=True).fill("22")
    page.get_by_role("button", name="Go").click()
    call = _form(page, "What if the agent had called a tool after 22?")
    call.get_by_label("Tool").fill("read_file")
    call.get_by_label("Arguments, a JSON object").fill('{"path": "billing/refunds.py"}')
    call.get_by_label("What it returned").fill("def refund(amount): …")
    call.get_by_role("button", name="Put the call in").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("edit-after-reading holds; as recorded it fails at 23")
    verdict = page.get_by_role("row").filter(has_text="edit-after-reading")
    expect(verdict).to_have_text(re.compile(r"fails at 23\s*holds\s*changed"))
    rows = page.get_by_role("navigation", name="Events of the other history")
    expect(rows.locator(".row-inserted .no")).to_have_text(["22a", "22b"])
    rows.get_by_text("edit_file").first.click()
    expect(page).to_have_url(re.compile(r"v=23$"))
    expect(page.get_by_role("heading", name="State after 23")).to_be_visible()

    page.get_by_label("Name").fill("It reads the file first")
    page.get_by_role("button", name="Keep the what-if").click()
    expect(page.get_by_role("heading", name="Kept as It reads the file first")).to_be_visible()

    second = browse("viewer", java_script_enabled=False)
    second.goto(page.url)
    expect(second.get_by_role("heading", level=1)).to_have_text("edit-after-reading holds; as recorded it fails at 23")
    expect(second.get_by_text("State replay only; the model was not run again.")).to_be_visible()
    expect(second.get_by_role("button", name="Take out")).to_have_count(0)


def test_two_runs_of_one_request_part_where_the_list_finds_them(browse: Browse) -> None:
    """Two ticked rows are compared; the first difference is said, shown, and reached by a key."""
    page = browse()
    page.goto("/runs/?q=text:%22test_refund_rounding%22")
    for stream in (EDITS, READS):
        page.locator(f"[data-run='{stream}'] .runs-tick").check()
    page.get_by_role("link", name="Compare two runs").click()
    answer = page.get_by_role("heading", level=1)
    expect(answer).to_have_text(re.compile(r"^Same until 20, then the model answered differently at 22$"))
    page.wait_for_load_state()  # a key before the page's scripts are there is nobody's
    page.keyboard.press("n")
    expect(page.locator("[data-differences]")).to_have_text(re.compile(r"^difference 1 of \d+$"))
    parted = page.locator(".pair.is-cursor")
    expect(parted).to_contain_text("I believe I have seen the file")
    expect(parted).to_contain_text("I have not read the file yet")
    page.get_by_label("A after event").fill("23")
    page.get_by_role("button", name="Compare there").click()
    expect(page.get_by_role("heading", name="State of A after 23")).to_be_visible()
    page.get_by_role("link", name="Swap").click()
    expect(page.locator("#side-A")).to_contain_text("test_refund_rounding")
    assert f"a={READS}" in page.url
