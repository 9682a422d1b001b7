"""From a poisoned tool result to every suspect answer, and from a complaint back to the input that was wrong."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from playwright.sync_api import expect

from nagare_web.demo.stories import STORIES
from tests.e2e.conftest import Browse
from tests.e2e.site import Site, opened_console

RATES: Final = STORIES["poisoned-rates"].streams
RESULT_AT: Final = 11
COMPLAINT: Final = STORIES["complaint"].streams[0]
ANSWER_AT: Final = 14
FEED: Final = "northbank v2"


def told_by_the_bad_feed(site: Site) -> set[tuple[str, int]]:
    """Return every answer of a run that read the bad feed, from the journal's own export."""
    answers = set()
    with opened_console(site) as console:
        for known in console.nagare("runs", "--limit", "10000", "--json")["runs"]:
            events: list[dict[str, Any]] = console.nagare("explain", known["stream"], "--json")["events"]
            said = [json.dumps(event) for event in events]
            if any(f"feed {FEED}" in line for line in said):
                answers |= {(known["stream"], e["version"]) for e in events if e["type"] == "agent_run.answered"}
    return answers


def test_every_poisoned_answer_is_found_from_one_poisoned_result(browse: Browse, site: Site) -> None:
    """Three clicks from the result; the answers are those of all runs that read the bad feed, and of no other."""
    page = browse("engineer")
    page.goto(f"/runs/{RATES[0]}/?v={RESULT_AT}")
    page.get_by_role("link", name=f"What rests on {RESULT_AT}").click()
    expect(page.locator("h1")).to_contain_text("answers to users are suspect")
    feed = page.get_by_role("checkbox", name=re.compile(FEED))
    expect(feed).to_be_checked()
    shown = {_place(str(link.get_attribute("href"))) for link in page.locator(".reach-list .vmark").all()}
    assert shown == told_by_the_bad_feed(site)
    assert {stream for stream, _version in shown} >= set(RATES)
    expect(page.locator("h1")).to_contain_text(f"{len(shown)} answers")
    feed.uncheck()
    page.get_by_role("button", name="Follow these values").click()
    expect(page.locator("h1")).not_to_contain_text(f"{len(shown)} answers")
    page.go_back()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as JSONL").click()
    head, *rows = map(json.loads, download.value.path().read_text().splitlines())
    assert head["answers"] == len(shown)
    assert {(row["stream"], row["version"]) for row in rows if row["answer"]} == shown
    assert all(row["event"]["id"] == row["id"] for row in rows)


def _place(href: str) -> tuple[str, int]:
    found = re.fullmatch(r"/runs/([^/]+)/\?v=(\d+)", href)
    assert found is not None
    return found[1], int(found[2])


def test_a_complaint_is_walked_to_its_input_and_judged(browse: Browse) -> None:
    """From the answer's page to where its figure came from; a person says what was wrong, and the run says so too."""
    page = browse("engineer")
    page.goto(f"/runs/{COMPLAINT}/?v={ANSWER_AT}")
    page.get_by_role("link", name="Walk this answer to its input").click()
    page.locator(".walk-figures tr", has_text=re.compile(r"^\s*14")).get_by_role("link").click()
    step = page.locator(".walk-step:target")
    expect(step).to_contain_text("Goods may be returned within 14 days")
    page.get_by_role("radio", name=re.compile("The input was wrong")).check()
    page.get_by_label("Why").fill("The index still had version 3 of the policy <b>by then</b>.")
    page.get_by_role("button", name="Record the verdict").click()
    expect(page.locator("#verdict-words")).to_have_text(re.compile(r"engineer\s+decided: input wrong"))
    page.get_by_role("link", name="Event 14 in its run").click()
    page.get_by_role("link", name="Explain").click()
    expect(page.locator("#notes-here")).to_contain_text("version 3 of the policy <b>by then</b>.")
    expect(page.locator(f"#e{ANSWER_AT}.is-noted")).to_be_visible()
    page.keyboard.press("k")
    expect(page.locator("#notes-here")).not_to_contain_text("version 3")
    page.keyboard.press("a")
    page.get_by_label("Text").fill("Here the figure came in.")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator(".notes-list")).to_contain_text("Here the figure came in.")
