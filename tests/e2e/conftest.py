"""Browser tests: the system's Chromium, a server with a journal worth looking at, an ear for what should not happen.

The server is `nagare serve` as an operator starts it, worker and scheduler included, over the journal of `fill.py`. It
is there once for all tests, which run side by side: they read it, and write only where no other looks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request, expect

from tests.e2e.site import Site, shared_site

PATIENCE_MS: Final = 20_000
"""How long to wait for what must come; machines differ and are shared."""

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

NOT_LOOKED_AT: Final = (
    # A window's address bar is a web page too: it took each new context more than a second of a processor.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    # Chromium listens to the last such list only, so those that Playwright switches off have to stand here again.
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "MediaRouter",
    "OptimizationHints",
    "PaintHolding",
)
"""Parts of Chromium that no test looks at."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder, and skip it by name where there is no browser."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
            _keep_together(item)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="there is no Chromium here"))


def _keep_together(item: pytest.Item) -> None:
    """Give one process the tests that look at the same page, since it is opened once for all of them."""
    known = getattr(item, "callspec", None)
    if known is not None and "wanted" in known.params:
        item.add_marker(pytest.mark.xdist_group(known.id))


@pytest.fixture(scope="session", autouse=True)
def _django_beside_playwrights_loop() -> Iterator[None]:
    """Let Django use the database although Playwright's event loop runs on the same thread; nothing here is async."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    expect.set_options(timeout=PATIENCE_MS)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the system's Chromium; as root, as in containers, its sandbox cannot be had."""
    arguments = [f"--disable-features={','.join(NOT_LOOKED_AT)}", "--disable-gpu"]
    arguments += ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": arguments}


# --- What must not happen on any page ---------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Ear:
    """Hears what a page should not do: errors, dialogs, what the policy had to stop, requests to other origins."""

    complaints: list[str]
    requests: list[str]

    def listen(self, page: Page) -> None:
        """Listen from the page's first request on."""
        page.on("pageerror", lambda error: self.complaints.append(f"script error: {error}"))
        page.on("console", self._hear)
        page.on("dialog", self._close)
        page.on("request", self._see)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not _is_own_status(message):
            self.complaints.append(f"console {message.type}: {message.text}")

    def _close(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _see(self, request: Request) -> None:
        self.requests.append(request.url)
        if urlsplit(request.url).hostname not in ("127.0.0.1", "localhost"):
            self.complaints.append(f"request to {request.url}")


def _is_own_status(message: ConsoleMessage) -> bool:
    """Tell whether Chromium reports only that the page itself came with a status such as 404, which may be right."""
    page = message.page
    return page is not None and message.text.startswith("Failed to load") and message.location["url"] == page.url


@pytest.fixture
def ear() -> Iterator[Ear]:
    """Return what listens to the pages of a test, which fails where there was something to hear."""
    heard = Ear(complaints=[], requests=[])
    yield heard
    assert heard.complaints == []


# --- The server -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Site]:
    """Give the server over a filled journal, which all test processes share."""
    own = tmp_path_factory.getbasetemp()
    with shared_site(own if worker_id == "master" else own.parent) as site:
        yield site


Browse = Callable[..., Page]


@pytest.fixture
def browse(new_context: Callable[..., BrowserContext], site: Site, ear: Ear) -> Browse:
    """Return what opens a browser of its own for somebody who is signed in; None is a stranger."""

    def opened(person: str | None = "engineer", **options: Any) -> Page:
        return signed_in(new_context(base_url=site.url, **options), site, ear, person)

    return opened


def signed_in(context: BrowserContext, site: Site, ear: Ear, person: str | None) -> Page:
    """Return a new page of a browser, listened to, with the session of a person."""
    context.set_default_timeout(PATIENCE_MS)
    if person is not None:
        context.add_cookies([{"name": "sessionid", "value": site.sessions[person], "url": site.url}])
    page = context.new_page()
    ear.listen(page)
    return page
