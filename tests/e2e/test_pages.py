"""What holds for every page, in light and dark, on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect

from nagare_web.demo.stories import STORIES
from tests.e2e.conftest import Ear, signed_in
from tests.e2e.corpus import TRACE
from tests.e2e.site import Site

RUN: Final = f"/runs/{STORIES['edit-unread'].streams[0]}/"
LIVE: Final = f"/runs/{STORIES['still-running'].streams[0]}/"
PARENT: Final = f"/runs/{STORIES['hand-off'].streams[0]}/"
RATES: Final = f"/runs/{STORIES['poisoned-rates'].streams[0]}/"
COMPLAINT: Final = f"/runs/{STORIES['complaint'].streams[0]}/"
TABS: Final = ("explain", "state", "diff", "payload", "context", "causes", "events")
_OF_THE_SIZE: Final = (
    "aria-hidden-focus",
    "bypass",
    "button-name",
    "color-contrast",
    "empty-heading",
    "heading-order",
    "label",
    "landmark-one-main",
    "link-in-text-block",
    "link-name",
    "page-has-heading-one",
    "region",
    "scrollable-region-focusable",
    "select-name",
    "summary-name",
    "target-size",
)
"""What may be otherwise on a phone, where some things are hidden and others shown."""

RULES: Final = {
    "all": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "size": {"type": "rule", "values": _OF_THE_SIZE},
    "colours": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}
"""All rules once, and what depends on the size or on colours again in the other one."""

SIZES: Final[tuple[ViewportSize, ...]] = ({"width": 1440, "height": 900}, {"width": 390, "height": 844})
AXE: Final = Axe().axe_script
NARROWEST: Final = 320
"""CSS pixels: 1,280 at a zoom of 400 %, which WCAG 1.4.10 asks for."""

ELEMENTS: Final = 1_500
API_ELEMENTS: Final = 5_200
"""Every address stands on the one page, with all its fields, so that a browser's own search finds them."""

LINEAGE_ELEMENTS: Final = 4_200
"""At most 300 nodes, each drawn and told."""

LIST_ELEMENTS: Final = 2_100
"""Fifty rows of twelve cells."""


@dataclass(frozen=True, kw_only=True)
class Visited:
    """A page to look at: its address, whose, which status, what to open first, and what axe looks at then.

    A menu lies over the page, whose targets it halves, so that with one open only what stands around it counts. A
    dialog is opened by the key that it `presses`.
    """

    path: str
    person: str | None = "engineer"
    status: int = 200
    opens: str = ""
    presses: str = ""
    within: str = "html"
    elements: int = ELEMENTS


PAGES: Final = {
    "list": Visited(path="/runs/", elements=LIST_ELEMENTS),
    "list, filters open": Visited(path="/runs/", opens="#filters > summary", elements=LIST_ELEMENTS),
    "list, query not understood": Visited(path="/runs/?q=errors:many"),
    "list, nothing found": Visited(path="/runs/?q=agent:nobody"),
    "list, a run at a glance": Visited(path="/runs/?peek={run}", elements=LIST_ELEMENTS),
    "list, what was said": Visited(path="/runs/?q=text:rounding"),
    "first run": Visited(path="/runs/", person="newcomer"),
    "menu of the account": Visited(path="/runs/", opens=".top-user", within=".top", elements=LIST_ELEMENTS),
    **{f"run, {tab}": Visited(path=f"{RUN}?v=23&tab={tab}") for tab in TABS},
    "run, a failure": Visited(path=f"{RUN}?v=28"),
    "run, the end": Visited(path=f"{RUN}?v=200&tab=state"),
    "run, no such event": Visited(path=f"{RUN}?v=999"),
    "run, its keys": Visited(path=RUN, presses="?", within="#keys-dialog"),
    "a new view": Visited(path="/runs/views/?q=agent:coder"),
    "events of a trace": Visited(path=f"/by-trace/{TRACE}/0000000000000001/", person="victim"),
    "no such trace": Visited(path=f"/by-trace/{TRACE[::-1]}/0000000000000001/", status=404),
    "run, every event": Visited(path=f"{RUN}?v=24&rows=raw"),
    "run, the palette": Visited(path=RUN, presses="Control+k", within="#palette"),
    "run, what was found": Visited(path=f"{RUN}?v=23&q=round"),
    "run, a value and its history": Visited(path=f"{RUN}?v=23&tab=state&path=/totals/decisions&pin=/status"),
    "run, running": Visited(path=LIVE),
    "run, lineage of an event": Visited(path=f"{RUN}events/23/lineage/", elements=LINEAGE_ELEMENTS),
    "run, what rests on an event": Visited(path=f"{RATES}events/11/reach/"),
    "what rests on several events": Visited(path=f"/reach/?of={RATES[6:-1]}@11&of={COMPLAINT[6:-1]}@4"),
    "what rests on several events, which": Visited(path="/reach/?of=nothing"),
    "run, walk to the input": Visited(path=f"{COMPLAINT}events/14/walk/"),
    "run, notes": Visited(path=f"{COMPLAINT}notes/?v=14"),
    "run, hand-off": Visited(path=PARENT),
    "run, links to it": Visited(path=f"{RUN}embed/"),
    "run, embedded": Visited(path="{embedded}", person=None),
    "run, embedded no more": Visited(path="{revoked}", person=None, status=404),
    "run, what if": Visited(path=f"{RUN}whatif/?v=24"),
    "run, a what-if": Visited(path="{what_if}?v=23"),
    "run, a what-if of one's own": Visited(path="{what_if}?v=23", person="admin"),
    "compare, which": Visited(path="/compare/"),
    "compare": Visited(path=f"/compare/?a={{run}}&b={STORIES['edit-after-reading'].streams[0]}"),
    "bisect of a run, the question": Visited(path=f"{RUN}bisect/"),
    "bisect of a run": Visited(path=f"{RUN}bisect/?rule=edit-after-reading"),
    "bisect of a run, searched": Visited(path=f"{RUN}bisect/?rule=token-budget&method=bisect"),
    "bisect of a run, every rule": Visited(path=f"{RUN}bisect/?rule=*"),
    "bisect by eye": Visited(path=f"{RUN}bisect/by-eye/?said=100b,50g"),
    "live": Visited(path="/live/"),
    "live, a query not understood": Visited(path="/live/?q=cost:1"),
    "live, the open runs": Visited(path="/live/?show=runs"),
    "rules": Visited(path="/rules/"),
    "rule": Visited(path="/rules/quick-rates/"),
    "rule, built in": Visited(path="/rules/no-loop/", person="viewer"),
    "rule, edited": Visited(path="/rules/quick-rates/edit/"),
    "rule, new": Visited(path="/rules/new/"),
    "bisects": Visited(path="/bisects/"),
    "bisect of the journal": Visited(path="{bisected}"),
    "re-grades": Visited(path="/regrades/?rule=quick-rates&sample=20"),
    "re-grade": Visited(path="{regraded}"),
    "re-grade, no run": Visited(path="{matched_none}"),
    "schedules": Visited(path="/schedules/"),
    "audits": Visited(path="/audits/?subject=user-42", person="admin"),
    "access log": Visited(path="/access/", person="admin"),
    "access log, not understood": Visited(path="/access/?since=yesterday", person="admin", status=400),
    "audits, check a report": Visited(path="/audits/verify/"),
    "run, as it was sealed": Visited(path=f"{RUN}intact/"),
    "duties": Visited(path="/duties/"),
    "duties, of one regime, to a viewer": Visited(path="/duties/?regime=ai-act&role=deployer", person="viewer"),
    "log inventory": Visited(path="/duties/inventory/", person="admin"),
    "incidents": Visited(path="/incidents/", person="admin"),
    "incident": Visited(path="{incident}", person="admin"),
    "incident, to a viewer": Visited(path="{incident}", person="viewer"),
    "incident, new": Visited(path="/incidents/new/?run=agent_run-1@2", person="admin"),
    "import": Visited(path="/import/"),
    "import report": Visited(path="/import/{report}/"),
    "settings": Visited(path="/settings/"),
    "settings of the project": Visited(path="/settings/", person="admin"),
    "settings, redaction": Visited(path="/settings/redaction/", person="admin"),
    "retention": Visited(path="/settings/retention/?before=2026-11-20", person="admin"),
    "the API": Visited(path="/api/docs/", person=None, elements=API_ELEMENTS),
    "ops": Visited(path="/ops/"),
    "ops, outbox": Visited(path="/ops/outbox/"),
    "ops, received spans": Visited(path="/ops/spans/"),
    "ops, processes": Visited(path="/ops/processes/"),
    "ops, a subscription": Visited(path="/ops/subscriptions/explorer/", person="admin"),
    "ops, a projection": Visited(path="/ops/projections/explorer/", person="admin"),
    "sign in": Visited(path="/accounts/login/?next=/runs/", person=None),
    "not there": Visited(path="/nothing/", status=404),
    "not there, to a stranger": Visited(path="/nothing/", person=None, status=404),
    "not allowed": Visited(path="/import/", person="viewer", status=403),
}


@pytest.fixture(scope="module", params=PAGES)
def wanted(request: pytest.FixtureRequest) -> Visited:
    """Return each of the pages in turn."""
    return PAGES[request.param]


@pytest.fixture(scope="module")
def visited(wanted: Visited, browser: Browser, site: Site) -> Iterator[Page]:
    """Open a page once for all tests of this module. None complains, asks another origin or stops something."""
    ear = Ear(complaints=[], requests=[])
    context = browser.new_context(base_url=site.url, viewport=SIZES[0], reduced_motion="reduce")
    page = signed_in(context, site, ear, wanted.person)
    found = {"report": site.report, "embedded": site.embedded, "revoked": site.revoked, "what_if": site.what_if}
    found["incident"] = site.incident
    found |= {"regraded": site.regraded, "matched_none": site.matched_none, "bisected": site.bisected}
    response = page.goto(wanted.path.format(run=STORIES["edit-unread"].streams[0], **found))
    assert response is not None
    assert response.status == wanted.status
    if wanted.opens:
        page.locator(wanted.opens).click()
    if wanted.presses:
        page.keyboard.press(wanted.presses)
        expect(page.locator(wanted.within)).to_be_visible()
    yield page
    context.close()
    assert ear.complaints == []


_ALIKE: Final = ("[data-run]:nth-of-type(n+9)", ".row:nth-of-type(n+25)", ".graph-rows li:nth-of-type(n+25)")
"""Rows that look like the ones before them: with them axe needs minutes and finds no more."""


LOOKS: Final[tuple[tuple[Literal["light", "dark"], ViewportSize, str], ...]] = (
    ("light", SIZES[0], "all"),
    ("light", SIZES[1], "size"),
    ("dark", SIZES[0], "colours"),
)
"""A colour scheme, a size, and the rules that this look is for: what the look before cannot have told."""


def _said(violation: Any) -> str:
    """Return a finding of axe with the elements it is about."""
    places = "; ".join(
        f"{' '.join(map(str, node['target']))} {node['html'][:160]} {_because(node)}" for node in violation["nodes"][:6]
    )
    return f"{violation['id']} ({len(violation['nodes'])}): {violation['help']}: {places}"


def _because(node: Any) -> str:
    """Return what axe measured at an element, and which others it blames."""
    checks = [*node["any"], *node["all"], *node["none"]]
    return "; ".join(
        f"{check['message']} {[other['html'][:160] for other in check['relatedNodes']]}" for check in checks
    )


def test_axe_finds_nothing(wanted: Visited, visited: Page) -> None:
    """WCAG 2.2 AA and good practice, in both colour schemes and at both sizes."""
    visited.evaluate(AXE)
    where = {"include": [[wanted.within]], "exclude": [[rows] for rows in _ALIKE]}
    found = []
    for scheme, size, rules in LOOKS:
        visited.emulate_media(color_scheme=scheme)
        visited.set_viewport_size(size)
        visited.evaluate("document.activeElement.blur()")  # with the focus, the way past the top bar lies over it
        visited.wait_for_function(_LAID_OUT, arg=size["width"])
        options = {"runOnly": RULES[rules], "resultTypes": ["violations"], "preload": False}
        violations = visited.evaluate(_VIOLATIONS, [where, options])
        if violations:  # what was seen between two layouts is gone at a second look; what is wrong stays
            visited.wait_for_function(_LAID_OUT, arg=size["width"])
            violations = visited.evaluate(_VIOLATIONS, [where, options])
        found += [f"{scheme}, {size['width']}: {_said(violation)}" for violation in violations]
    assert found == []


_LAID_OUT: Final = """(width) => innerWidth === width && new Promise(
  (done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""
"""Comes true when the page is laid out at a new width: until then things of both widths lie over each other."""

_VIOLATIONS: Final = "([where, options]) => axe.run(where, options).then((results) => results.violations)"


def test_a_page_has_one_heading_and_few_elements(wanted: Visited, visited: Page) -> None:
    """One h1, a title, a language; and no more elements than a slow machine lays out at once."""
    assert visited.locator("h1").count() == 1
    assert visited.locator("html").get_attribute("lang") == "en"
    assert visited.title().endswith("· nagare")
    assert visited.evaluate(_ELEMENTS_SENT) <= wanted.elements


_ELEMENTS_SENT: Final = """async () => {
  const html = await (await fetch(location.href)).text();
  return new DOMParser().parseFromString(html, "text/html").querySelectorAll("*").length;
}"""
"""Returns how many elements come with the page, whatever was scrolled in since."""


def test_a_phone_scrolls_in_one_direction(visited: Page) -> None:
    """The page is as wide as the screen, at 390 pixels and at the narrowest that counts."""
    for width in (SIZES[1]["width"], NARROWEST):
        visited.set_viewport_size({"width": width, "height": 844})
        wide = visited.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
        assert max(wide) <= width, (width, _widest(visited, width))


def _widest(page: Page, width: int) -> Any:
    """Return which elements stand out, for whoever has to mend it."""
    return page.evaluate(
        """(width) => [...document.querySelectorAll("main *, header *, footer *")]
            .filter((element) => element.getBoundingClientRect().right > width + 0.5).slice(0, 8)
            .map((element) => `${element.tagName}.${element.getAttribute("class")}`)""",
        width,
    )


def test_the_focus_can_be_seen(visited: Page) -> None:
    """Whatever Tab reaches has a ring of two pixels, or its frame or row has; its colour is a token of either theme."""
    visited.evaluate("document.activeElement.blur()")
    for _ in range(12):
        visited.keyboard.press("Tab")
        assert visited.evaluate(_IS_RINGED) == ""


_IS_RINGED: Final = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return "";
  const frame = element.closest(".field-frame, .drop-choose, .palette-field") ?? element;
  const isRinged = ({ outlineStyle, outlineWidth }) => outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  const drawn = [[element], [element, "::after"], [frame]].map((of) => getComputedStyle(...of));
  return drawn.some(isRinged) ? "" : element.outerHTML.slice(0, 200);
}"""
