"""What agents, tools and files say stays text: in a browser nothing of it runs, loads, swaps, reorders or hides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Browse, Ear
from tests.e2e.corpus import BOXES, PAYLOADS, everywhere
from tests.e2e.site import Site

EVERYWHERE: Final = "/runs/agent_run-everywhere/"
TABS: Final = ("explain", "state", "diff", "payload", "context", "causes")
KINDS: Final = len(everywhere()) // len(PAYLOADS)
OURS: Final = re.compile(r"/(runs|import|static)(/|$)")
"""Addresses that our own pages load while these tests look at them."""

_FOREIGN: Final = """() => {
  const ours = ["hx-get", "hx-trigger", "hx-swap", "hx-target", "hx-push-url", "hx-indicator"];
  const anywhere = ["hx-disable", "hx-swap-oob"];
  const foreign = "iframe, object, embed, base, style, img, image, math, meta[http-equiv]";
  const scripts = "script:not([nonce], [src^='/static/'], [type='application/json'])";
  const leads = ["href", "src", "action", "hx-get", "xlink:href", "data"];
  const found = [];
  const isBad = (element, name, value) => {
    if (name.startsWith("on") || ["ping", "srcdoc", "autofocus"].includes(name)) return true;
    if (name === "style") return !element.matches("#split, #slider");
    if (/^(data-)?hx-/.test(name) && !anywhere.includes(name)) {
      return !ours.includes(name) || Boolean(element.closest("[hx-disable]")) || isAway(name, value);
    }
    return isAway(name, value);
  };
  const isAway = (name, value) => leads.includes(name) && (value.startsWith("//") || !/^[/#?]/.test(value));
  for (const element of document.querySelectorAll("*")) {
    const outside = element.parentElement?.closest("bdi.outside");
    if ((outside && !element.matches("span.odd")) || element.matches(foreign) || element.matches(scripts)) {
      found.push(element.outerHTML.slice(0, 300));
    }
    for (const { name, value } of element.attributes) {
      if (isBad(element, name, value)) found.push(`${element.tagName} ${name}=${value}`.slice(0, 300));
    }
  }
  return found;
}"""
"""Returns elements in other people's text, elements no page of ours has, and attributes that run, load or lead away."""

_UNSEEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def _assert_is_text(page: Page, ear: Ear) -> None:
    """No element, attribute, address or request of the page comes from the data, and every character can be seen."""
    assert page.evaluate(_FOREIGN) == []
    assert _UNSEEN.findall(page.evaluate("document.documentElement.outerHTML")) == []
    _assert_asked_for_nothing(ear)


def _assert_asked_for_nothing(ear: Ear) -> None:
    assert [url for url in ear.requests if not OURS.match(urlsplit(url).path)] == []


@pytest.fixture
def victim(browse: Browse, ear: Ear) -> Iterator[Page]:
    """Return the browser of somebody who reads the runs; what it asks for is looked at once more in the end."""
    yield browse("victim", viewport={"width": 1440, "height": 900})
    _assert_asked_for_nothing(ear)


def test_the_list_shows_titles_as_text(victim: Page, ear: Ear) -> None:
    """Each payload is the title, agent, model and first message of a run, and stands there in full."""
    victim.goto("/runs/")
    expect(victim.locator("[data-run]")).to_have_count(len(PAYLOADS) + 3)
    expect(victim.get_by_role("link", name=PAYLOADS["image"], exact=True)).to_be_visible()
    victim.locator("#filters > summary").click()
    _assert_is_text(victim, ear)
    for name in ("RLO", "ZWSP"):
        expect(victim.locator(".odd", has_text=name).first).to_be_attached()


def test_a_filter_of_hostile_text_stays_text(victim: Page, ear: Ear) -> None:
    """Searching for a payload echoes it; a filter of it narrows the list to its run."""
    victim.goto("/runs/")
    victim.locator("#q").fill(f'"{PAYLOADS["post"]}" errors:x')
    victim.locator("#q").press("Enter")
    expect(victim.get_by_role("alert")).to_be_visible()
    _assert_is_text(victim, ear)


@pytest.mark.parametrize("tab", TABS)
def test_events_of_every_kind_stay_text(victim: Page, ear: Ear, tab: str) -> None:
    """Moved through as a person does, so that what htmx swaps in is looked at: each kind, with another payload each."""
    victim.goto(f"{EVERYWHERE}?v=1&tab={tab}")
    for kind in range(1, KINDS + 1):
        payload = (kind * 4 + TABS.index(tab)) % len(PAYLOADS)
        _type_number(victim, KINDS * payload + kind)
        assert victim.evaluate(_FOREIGN) == [], (kind, payload)
    _assert_is_text(victim, ear)


def _type_number(page: Page, version: int) -> None:
    page.locator("#number").fill(str(version))
    page.locator("#number").press("Enter")
    expect(page.locator("#at")).to_have_attribute("data-version", str(version))


@pytest.mark.parametrize("tab", ["explain", "context"])
def test_imported_runs_stay_text(victim: Page, ear: Ear, site: Site, tab: str) -> None:
    """Trajectory files whose agent, model, prompt, tool, arguments and results are a payload, each another."""
    for name in PAYLOADS:
        victim.goto(f"/runs/{site.hostile_runs[f'{name}.json']}/?v=4&tab={tab}")
        _assert_is_text(victim, ear)


def test_record_types_become_plain_names(victim: Page, ear: Ear, site: Site) -> None:
    """A session whose record types are payloads opens, and its events of unknown types are shown raw, as text."""
    victim.goto(f"/runs/{site.hostile_runs['session.jsonl']}/")
    for version in range(len(PAYLOADS) + 2, len(PAYLOADS) * 2, 4):
        _type_number(victim, version)
        _assert_is_text(victim, ear)


def test_a_stream_of_another_kind_stays_text(victim: Page, ear: Ear) -> None:
    """Names of its fields are payloads too."""
    for tab in TABS:
        victim.goto(f"/runs/order-1/?tab={tab}")
        _assert_is_text(victim, ear)


def test_the_import_report_shows_names_as_text(victim: Page, ear: Ear, site: Site) -> None:
    """Names of files and titles of runs."""
    victim.goto(f"/import/{site.hostile_report}/")
    expect(victim.locator(".odd", has_text="RLO").first).to_be_visible()
    _assert_is_text(victim, ear)
    victim.goto("/import/")
    _assert_is_text(victim, ear)


def test_characters_that_cannot_be_seen_are_named(victim: Page) -> None:
    """Each stands in a box with its name, where it was; terminal colours are said to be left out."""
    for name in ("bidi", "terminal"):
        at = list(PAYLOADS).index(name) * KINDS + 2
        victim.goto(f"{EVERYWHERE}?v={at}")
        boxes = set(victim.locator("#panel .odd").all_text_contents())
        expected = {box for box in BOXES if (box in ("SOH", "BS", "DEL")) == (name == "terminal")}
        assert expected <= boxes
    assert "ESC codes cut" in boxes
