"""What happens now, while somebody looks: rows come in by themselves, and leave alone whoever reads further up."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Browse
from tests.e2e.site import Console, Site, opened_console


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
        expect(paused).to_contain_text("2 new")
        expect(rows).not_to_contain_text("And now something else")

        page.keyboard.press("l")
        expect(rows.get_by_text("And now something else")).to_be_in_viewport()
        expect(chip).to_be_visible()
    assert page.evaluate("performance.timeOrigin") == loaded

    rows.get_by_role("link").filter(has_text="And now something else").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("And now something else")
