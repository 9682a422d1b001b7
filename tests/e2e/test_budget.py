"""What the debugger costs a browser: the same for 200, 2,000 and 100,000 events."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from tests.e2e.conftest import Browse

LENGTHS: Final = (200, 2_000, 100_000)
TABS: Final = ("explain", "context")
"""What comes with a page does not hang on its tab, and what the server sends of each is weighed without a browser."""

AT: Final = 151
TENTH: Final = 1.1
BUDGET: Final = {"document": 30_000, "stylesheet": 20_000, "script": 60_000}
"""Bytes, compressed; the script includes htmx."""

DATA: Final = ("fetch", "xhr")
"""What scripts ask for. The browser's own request for the site's icon comes whenever it likes and is not counted."""

ELEMENTS: Final = 1_500
ROWS: Final = 120
REQUESTS: Final = 24


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one page took: compressed bytes by kind, the page's own bytes as they are, requests by kind, elements."""

    bytes: dict[str, int]
    plain: int
    requests: dict[str, int]
    elements: int


def _answers(page: Page) -> list[Response]:
    """Return a list that grows by every answer from now on."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks the function it is given
    return answers


def _cost(page: Page, address: str) -> Cost:
    """Load a page with an empty cache and weigh what came."""
    answers = _answers(page)
    page.goto(address, wait_until="networkidle")
    came = [(answer.request.resource_type, answer.body()) for answer in list(answers)]
    kinds = [kind for kind, _ in came if kind in (*BUDGET, *DATA)]
    return Cost(
        bytes={kind: sum(len(gzip.compress(body, 6)) for own, body in came if own == kind) for kind in BUDGET},
        plain=next(len(body) for kind, body in came if kind == "document"),
        requests={kind: kinds.count(kind) for kind in sorted(set(kinds))},
        elements=page.evaluate("document.querySelectorAll('*').length"),
    )


@pytest.mark.parametrize("tab", TABS)
def test_a_page_costs_the_same_whatever_the_length(browse: Browse, tab: str) -> None:
    """Within a tenth in bytes and elements, in the same requests; and within the budget."""
    costs = [_cost(browse("patient"), f"/runs/agent_run-{events:06}/?v={AT}&tab={tab}") for events in LENGTHS]
    for cost in costs:
        over = {kind: size for kind, size in cost.bytes.items() if size > BUDGET[kind]}
        assert over == {}
        assert cost.elements <= ELEMENTS
        assert sum(cost.requests.values()) <= REQUESTS
        assert cost.requests == costs[0].requests
    for weighed in ([cost.plain for cost in costs], [cost.elements for cost in costs]):
        assert max(weighed) <= TENTH * min(weighed), weighed


def test_a_move_is_one_request_whatever_the_length(browse: Browse) -> None:
    """The inspector comes alone, with as many bytes in a long run as in a short one; then the next row's, once."""
    weighed = []
    for events in LENGTHS:
        page = browse("patient")
        page.goto(f"/runs/agent_run-{events:06}/?v={AT}", wait_until="networkidle")
        answers = _answers(page)
        with page.expect_response(lambda response: "part=cursor" in response.url):
            page.locator("#wins .row[aria-current] ~ .row").first.click()
        page.wait_for_load_state("networkidle")
        moves = [answer for answer in answers if answer.request.resource_type in DATA]
        assert {urlsplit(answer.url).path for answer in moves} == {f"/runs/agent_run-{events:06}/"}
        assert [parse_qs(urlsplit(answer.url).query)["part"] for answer in moves] in (
            [["cursor"]],
            [["cursor"], ["ahead"]],
        )
        weighed.append(len(moves[0].body()))
    assert max(weighed) <= TENTH * min(weighed), weighed


def test_a_long_run_is_scrolled_through_with_few_elements(browse: Browse) -> None:
    """Rows that come in at the end of the list push out those at its beginning, and the label says which are there."""
    page = browse("patient")
    page.goto("/runs/agent_run-100000/?v=1", wait_until="networkidle")
    for _ in range(6):
        shown = page.locator("#shown").inner_text()
        page.locator("#rows").evaluate("box => box.scrollTo(0, box.scrollHeight)")
        expect(page.locator("#shown")).not_to_have_text(shown)
        assert page.evaluate("document.querySelectorAll('*').length") <= ELEMENTS
        assert page.locator("#wins .row").count() <= ROWS
    first, last = (int(end.replace(",", "")) for end in page.locator("#shown").inner_text().split("–"))
    assert first > 1
    ends = page.eval_on_selector_all("#wins .win", "all => all.map(win => [+win.dataset.first, +win.dataset.last])")
    assert [ends[0][0], ends[-1][1]] == [first, last]
    assert all(before[1] + 1 == after[0] for before, after in pairwise(ends))
