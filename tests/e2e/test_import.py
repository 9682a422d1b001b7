"""Files dropped or chosen in the browser become runs: the worker imports them, and the page says how far it is."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.e2e.conftest import Browse
from tests.e2e.corpus import atif

WORKER_MS: Final = 30_000
"""How long the worker may take; it shares its machine with the browser."""

DROP: Final = """
([name, text]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([text], name, { type: "application/json" }));
  const over = document.querySelector("[data-drop-over]");
  document.body.dispatchEvent(new DragEvent("dragenter", { dataTransfer: transfer, bubbles: true, cancelable: true }));
  const said = over.hidden ? "" : over.textContent;
  for (const name of ["dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(name, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
  return said;
}
"""

pytestmark = pytest.mark.xdist_group("writing")  # what comes into the one project that tests write to is counted


@pytest.fixture
def importer(browse: Browse) -> Page:
    """Return the import page, as somebody who may use it sees it."""
    page = browse("importer")
    page.goto("/import/")
    return page


def _payload(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/json", "buffer": data}


def _wait(page: Page, headline: str) -> None:
    """Wait until the worker is done; the page asks for itself and must not be loaded again."""
    expect(page).to_have_url(re.compile(r"/import/[0-9a-f-]{36}/$"))
    expect(page.locator("h1")).to_have_text(re.compile(headline), timeout=WORKER_MS)


def test_a_dropped_file_becomes_a_run(importer: Page) -> None:
    """The page says what letting go will do, shows the progress, and leads to the run."""
    text = atif("dropped", "Plot the sales of May").decode()
    assert importer.evaluate(DROP, ["dropped.json", text]) == "Let go to add 1 file"
    _wait(importer, "^Imported 1 file")
    expect(importer.locator("td", has_text="1 run, 7 events")).to_be_visible()
    importer.get_by_role("link", name="Open the run").click()
    expect(importer.locator("h1")).to_have_text("Plot the sales of May")
    expect(importer.locator("#at")).to_be_visible()


def test_files_can_be_chosen_by_keyboard(importer: Page) -> None:
    """The field behind the button is in the order of Tab and takes several files."""
    field = importer.get_by_label("Choose files")
    field.focus()
    expect(field).to_be_focused()
    with importer.expect_file_chooser() as chooser:
        importer.keyboard.press("Space")
    assert chooser.value.is_multiple()
    files = (("one.json", "First of two"), ("two.json", "Second of two"))
    chooser.value.set_files([_payload(name, atif(name, text)) for name, text in files])
    _wait(importer, "^Imported 2 files")
    importer.get_by_role("link", name="Open the 2 runs").click()
    expect(importer.get_by_role("link", name="Second of two")).to_be_visible()


def test_without_a_script_the_form_imports(browse: Browse, tmp_path: Path) -> None:
    """Choose, press the button, follow the page of the job by loading it again."""
    file = tmp_path / "plain.json"
    file.write_bytes(atif("plain", "Sent by a plain form"))
    page = browse("importer", java_script_enabled=False)
    page.goto("/import/")
    page.get_by_label("Choose files").set_input_files(file)
    page.get_by_role("button", name="Import what was chosen").click()
    done, deadline = page.locator("h1", has_text=re.compile("^Imported 1 file")), time.monotonic() + WORKER_MS / 1_000
    while not done.count() and time.monotonic() < deadline:
        page.reload()
    expect(done).to_be_visible()
    page.get_by_role("link", name="Open the run").click()
    expect(page.locator("h1")).to_have_text("Sent by a plain form")
