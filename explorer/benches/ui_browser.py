"""Opens runs in a headless Chromium and measures; imported only where Playwright is installed."""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, CDPSession, Error, Page, Response, sync_playwright

from explorer.benches.ui import Measured, NoBrowser, Times, times
from explorer.benches.ui_site import Site
from journal.benches.registry import Say

_MOVES, _JUMPS, _LOADS, _WARM_UPS, _COLD = 60, 12, 40, 5, 5
_PAUSE_MS: Final = 120
"""Between two keys: longer than the page gathers moves for, so that each one asks the server."""

_PATIENCE_MS: Final = 30_000
_COUNTED: Final = ("document", "stylesheet", "script", "fetch", "xhr")
_ARGUMENTS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)

_WATCH: Final = """() => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const after = new MessageChannel();
    after.port1.onmessage = () => done(performance.now());
    after.port2.postMessage(0);
  }));
  window.watched = new Promise((done) => {
    const once = { once: true };
    let began = 0;
    let marked = 0;
    let drawn = 0;
    addEventListener("keydown", (event) => (began = event.timeStamp), { capture: true, once: true });
    addEventListener("keydown", () => {
      document.getElementById("wins").querySelector("[aria-current]")?.getBoundingClientRect();
      marked = performance.now() - began;
    }, once);
    document.addEventListener("nagare:cursor", async () => (drawn = (await painted()) - began), once);
    document.addEventListener("nagare:shown", async () => {
      done({ shown: (await painted()) - began, marked, drawn });
    }, once);
  });
}"""
"""From a key to the row marked, styled and laid out; to the frame with it; and to the frame with what the server sent.

The frame comes when the screen's turn comes, up to 16.7 ms later on a page without scripts too: the first figure is
what the page itself adds.
"""


def measure(site: Site, say: Say) -> list[Measured]:
    """Open each run in a browser of its own, once cold, then with everything that a reader does.

    Raises:
        NoBrowser: no Chromium starts.
    """
    with _chromium() as browser:
        signed_in = _signed_in(browser, site)
        found = []
        for size, stream in site.filled.streams.items():
            say(f"the page of a run of {size:,} events")
            with _context(browser, storage_state=signed_in) as context:
                found.append(_measured(context, site, size, reverse("explorer:run", args=[stream])))
        return found


@contextmanager
def _chromium() -> Iterator[Browser]:
    """Start the system's Chromium, or the one that Playwright brought; as root its sandbox cannot be had."""
    system = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    arguments = [*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=system, args=arguments)
        except Error as error:
            reason = error.message.splitlines()[0]
            raise NoBrowser(
                missing=f"no Chromium starts ({reason})",
                way_out="install the system's `chromium`, or run `playwright install chromium`",
            ) from error
        with browser:
            yield browser


@contextmanager
def _context(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    with browser.new_context(viewport={"width": 1440, "height": 900}, **options) as context:
        context.set_default_timeout(_PATIENCE_MS)
        yield context


def _signed_in(browser: Browser, site: Site) -> Any:
    with _context(browser) as context:
        page = context.new_page()
        page.goto(site.url + reverse("login"))
        page.fill("[name=username]", site.filled.user)
        page.fill("[name=password]", site.filled.password)
        with page.expect_navigation():
            page.press("[name=password]", "Enter")
        return context.storage_state()


def _measured(context: BrowserContext, site: Site, size: int, path: str) -> Measured:
    address = f"{site.url}{path}?v={size // 2}"
    cpu_s = median(_cold_cpu(context, address) for _ in range(_COLD))
    page = context.new_page()
    cold = _cold(page, address)
    # Down and up again: in the shortest run there are not as many rows below its middle.
    keys = ["j"] * ((_WARM_UPS + _MOVES) // 2) + ["k"] * (_MOVES // 2)
    moves = [_pressed(page, key) for key in keys][_WARM_UPS:]
    return Measured(
        events=size,
        renderer_cpu_s=round(cpu_s, 3),
        **cold,
        first_byte=_first_bytes(context, site, path, size),
        highlight=times([move["marked"] for move in moves]),
        highlight_drawn=times([move["drawn"] for move in moves]),
        cursor_move=times([move["shown"] for move in moves]),
        find=times([_find(page, word) for word in site.filled.words]),
        jump_to_last=times([_jump(page) for _ in range(_JUMPS)]),
    )


# --- Cold -------------------------------------------------------------------------------------------------------------


def _cold_cpu(context: BrowserContext, address: str) -> float:
    """Return the seconds that the renderer's process works for the page, with an empty cache and nobody listening.

    Each body that is handed to the measuring side costs that process too: bytes are weighed on another load. The
    process is warm: a page of the same server was there before.
    """
    page = context.new_page()
    page.goto(address.partition("/runs/")[0] + "/healthz")
    tools = context.new_cdp_session(page)
    tools.send("Network.enable")
    tools.send("Network.clearBrowserCache")
    tools.send("Network.disable")
    tools.send("Performance.enable")
    before = _metrics(tools)["ProcessTime"]
    page.goto(address, wait_until="networkidle")
    used = _metrics(tools)["ProcessTime"] - before
    page.close()
    return used


def _cold(page: Page, address: str) -> dict[str, Any]:
    """Load the page with an empty cache and weigh all that comes."""
    answers: list[Response] = []
    received: list[float] = []
    page.goto(address.partition("/runs/")[0] + "/healthz")
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks the function it is given
    tools = page.context.new_cdp_session(page)
    tools.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    for domain in ("Network", "Performance", "HeapProfiler"):
        tools.send(f"{domain}.enable")
    tools.send("Network.clearBrowserCache")
    page.goto(address, wait_until="networkidle")
    tools.send("HeapProfiler.collectGarbage")
    kinds = [answer.request.resource_type for answer in answers]
    weighed = {kind: _compressed(answers, kind) for kind in ("document", "stylesheet", "script")}
    return {
        "html_bytes": weighed["document"],
        "css_bytes": weighed["stylesheet"],
        "js_bytes": weighed["script"],
        "wire_bytes": int(sum(received)),
        "requests": sum(kind in _COUNTED for kind in kinds),
        "elements": page.evaluate("document.querySelectorAll('*').length"),
        "heap_bytes": int(_metrics(tools)["JSHeapUsedSize"]),
    }


def _metrics(tools: CDPSession) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}


def _compressed(answers: list[Response], kind: str) -> int:
    return sum(len(gzip.compress(answer.body(), 6)) for answer in answers if answer.request.resource_type == kind)


def _first_bytes(context: BrowserContext, site: Site, path: str, size: int) -> Times:
    """Ask for whole pages at places all over the run, on one connection, without a browser's own time."""
    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in context.cookies())
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=_PATIENCE_MS / 1000)
    took = []
    for number in range(_WARM_UPS + _LOADS):
        version = 1 + number * (size - 1) // (_WARM_UPS + _LOADS)
        began = time.perf_counter()
        connection.request("GET", f"{path}?{urlencode({'v': version})}", headers={"Cookie": cookies})
        answer = connection.getresponse()
        took.append(1_000 * (time.perf_counter() - began))
        answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"event {version} of {path} was answered with {answer.status}")
    connection.close()
    return times(took[_WARM_UPS:])


# --- What a reader does -----------------------------------------------------------------------------------------------


def _pressed(page: Page, key: str) -> dict[str, float]:
    """Press a key that moves the cursor; return the milliseconds until the row and until the inspector is painted."""
    page.wait_for_timeout(_PAUSE_MS)
    page.evaluate(_WATCH)
    page.keyboard.press(key)
    took: dict[str, float] = page.evaluate("window.watched")
    return took


def _find(page: Page, word: str) -> float:
    """Find a word that is in one event: from Enter to that event in the inspector."""
    page.keyboard.press("/")
    page.locator("#find").fill(word)
    took = _pressed(page, "Enter")["shown"]
    shown = page.locator("#find-count").inner_text()
    if not shown.startswith("1 of 1"):
        raise RuntimeError(f"the benchmark's word {word!r} was not found once: {shown}")
    page.locator("#find").blur()
    return took


def _jump(page: Page) -> float:
    _pressed(page, "Home")
    return _pressed(page, "End")["shown"]
