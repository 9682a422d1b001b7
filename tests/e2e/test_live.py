"""What happens now, while somebody looks: rows come in by themselves, and leave alone whoever reads further up."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.e2e.conftest import PATIENCE_MS, Browse
from tests.e2e.site import Console, Site, opened_console

pytestmark = pytest.mark.xdist_group("writing")  # what comes into the one project that tests write to is counted

MANY: Final = 5_000 if os.environ.get("FULL") else 1_000


def _say(console: Console, folder: Path, *said: str) -> None:
    """Let another process append a run in which a person says these things."""
    file = folder / f"{said[0].replace(' ', '-')}.json"
    file.write_text(json.dumps({"messages": [{"role": "user", "content": text} for text in said]}))
    assert console.nagare("import", str(file), "--project", "imports")


def test_rows_come_in_and_wait_while_somebody_reads(browse: Browse, site: Site, tmp_path: Path) -> None:
    """Another process appends: a row without a reload. Scrolled up it waits, counted; `l` follows again."""
    page = browse("importer", viewport={"width": 1000, "height": 420})
    page.goto("/live/")
    chip = page.get_by_role("button", name="Following")
    expect(chip).to_be_visible()
    loaded = page.evaluate("performance.timeOrigin")
    rows = page.locator("#live-rows")
    with opened_console(site) as console:
        _say(console, tmp_path, "First of all", *(f"Then {at}" for at in range(30)), "<b>Here</b> we are")
        expect(rows).to_contain_text("<b>Here</b> we are")
        expect(rows.get_by_text("<b>Here</b> we are")).to_be_in_viewport()

        rows.hover()
        page.mouse.wheel(0, -400)
        paused = page.get_by_role("button", name="Paused")
        expect(paused).to_be_visible()
        _say(console, tmp_path, "And now something else")
        expect(paused).to_contain_text(re.compile(r"[1-9][\d,]* new"))
        expect(rows).not_to_contain_text("And now something else")

        page.keyboard.press("l")
        expect(rows.get_by_text("And now something else")).to_be_in_viewport()
        expect(chip).to_be_visible()
    assert page.evaluate("performance.timeOrigin") == loaded

    rows.get_by_role("link").filter(has_text="And now something else").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("And now something else")


def _writer(page: Page, console: Console) -> Callable[..., None]:
    """Return what appends to a run over HTTP, as an agent elsewhere does."""
    asked = ("--user", "importer", "--project", "imports", "--scope", "ingest")
    token = console.nagare("token", "create", *asked)["token"]

    def write(*events: dict[str, Any]) -> None:
        for at in range(0, len(events), 500):
            answer = page.request.post(
                "/api/v1/streams/agent_run-grows/events",
                headers={"Authorization": f"Bearer {token}"},
                data={"expected_version": "any", "events": events[at : at + 500]},
            )
            assert answer.ok, answer.text()

    return write


def _open(page: Page, events: int) -> None:
    """Open the run at its newest event, once the list has all of them."""
    deadline = monotonic() + PATIENCE_MS / 1000
    while page.goto(f"/runs/agent_run-grows/?v={events}") and page.locator("#run-of").count() == 0:
        assert monotonic() < deadline, "the run is not listed"
    expect(page.locator("#run-of")).to_have_text(f"of {events}")


def _versions(page: Page) -> list[int]:
    """Return the versions that the rows in the page stand for."""
    ends: list[list[int]] = page.eval_on_selector_all(
        "#wins .row",
        "all => all.map(row => [+(row.dataset.first || row.id.slice(1)), +(row.dataset.last || row.id.slice(1))])",
    )
    return [version for first, last in ends for version in range(first, last + 1)]


def _walked_up(page: Page) -> list[int]:
    """Scroll from the end of the list to its beginning and return every version that came by, each window whole."""
    seen: list[int] = []
    while not seen or seen[0] > 1:
        versions = _versions(page)
        assert all(after == before + 1 for before, after in pairwise(versions)), versions
        assert not seen or versions[-1] >= seen[0] - 1
        seen = [version for version in versions if not seen or version < seen[0]] + seen
        page.locator("#rows").evaluate("box => box.scrollTo(0, 0)")
        if seen[0] > 1:
            page.wait_for_function("first => +document.querySelector('#wins .win').dataset.first < first", arg=seen[0])
    return seen


def _event(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": f"agent_run.{kind}", "data": data}


def _said(number: int) -> list[dict[str, Any]]:
    return [_event("model_responded", content=f"Thought {at}") for at in range(number)]


def test_a_run_grows_while_somebody_looks(browse: Browse, site: Site) -> None:
    """Rows come in and leave the cursor alone; cut off and put to sleep, the page has every event in the end."""
    page = browse("importer", viewport={"width": 1280, "height": 640})
    cut: list[WebSocketRoute] = []
    is_cut = False

    def route(socket: WebSocketRoute) -> None:
        if is_cut:
            socket.close()
            return
        cut.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/ws/live/**", route)
    chip, rows = page.locator("#live-chip"), page.locator("#wins .row")
    with opened_console(site) as console:
        write = _writer(page, console)
        write(_event("started", prompt="Grow"), *_said(59))
        _open(page, 60)
        loaded, address = page.evaluate("performance.timeOrigin"), page.url
        expect(chip).to_contain_text("Following")

        write(_event("reasoned", toolName="sql", argsJson="{}", callId="c1"))
        expect(rows.last).to_contain_text("running")
        expect(rows.last).to_be_in_viewport()
        write(_event("tool_returned", toolName="sql", callId="c1", responseJson="{}"))
        expect(rows.last.locator(".no")).to_have_text("61–62")
        expect(page.locator("#slider")).to_have_attribute("max", "62")

        page.locator("#rows").hover()
        page.mouse.wheel(0, -400)
        expect(chip).to_contain_text("Paused")
        write(*_said(2))
        expect(chip).to_contain_text("Paused, 2 new")
        assert rows.last.locator(".no").inner_text() == "61–62"
        page.keyboard.press("l")
        expect(rows.last.locator(".no")).to_have_text("64")
        expect(page.locator("#wins .row[aria-current] .no")).to_have_text("60")

        is_cut = True
        page.context.set_offline(True)
        cut[-1].close()
        write(*_said(MANY - 64))
        expect(page.locator("#live-banner")).to_contain_text("Not live. No news for")
        is_cut = False
        page.context.set_offline(False)
        expect(rows.last.locator(".no")).to_have_text(str(MANY))
        expect(page.locator("#live-banner")).to_be_hidden()

        debugger = page.context.new_cdp_session(page)
        debugger.send("Page.setWebLifecycleState", {"state": "frozen"})
        write(*_said(200))
        debugger.send("Page.setWebLifecycleState", {"state": "active"})
        expect(rows.last.locator(".no")).to_have_text(str(MANY + 200))
    assert page.evaluate("performance.timeOrigin") == loaded
    assert page.url == address
    assert rows.count() <= 500
    assert _walked_up(page) == list(range(1, MANY + 201))
