"""A report as HTML, and that as PDF/A-3a: the same bytes for the same report.

Nothing is fetched while a page is laid out: whatever a payload names, by any scheme, is refused before it is asked for.
The evidence files are attached, so that the PDF alone can be checked.
"""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.utils.html import escape

from audits.report import Report
from journal.errors import JournalError

STYLESHEET: Final = "audits/report.css"
_MIME: Final = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".txt": "text/plain",
    ".py": "text/x-python",
}


OnPage = Callable[[int], None]
_LAYOUT: Final = re.compile(r"Creating layout - Page (\d+)")


class PdfUnavailable(JournalError):
    """The machine lacks what pages are laid out with; everything but the PDF works."""

    def __init__(self, *, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"PDFs cannot be made here: {reason}. On Debian and Ubuntu install libpango-1.0-0 and libpangoft2-1.0-0"
            " (apt install libpangoft2-1.0-0); the bundle (.zip) holds the same evidence and needs nothing"
        )


def html(report: Report) -> str:
    """Return the report as a page of its own: what the browser shows and what becomes the PDF."""
    return render_to_string("audits/report/page.html", shown(report) | {"styles": styles()})


def shown(report: Report) -> dict[str, Any]:
    """Return what the report's template is given; without `styles` it links to them, as a page in a browser has to."""
    return {"report": report, "chart": chart(report)}


@cache
def styles() -> str:
    """Return the report's style sheet, which stands in the page: it loads nothing."""
    found = finders.find(STYLESHEET)
    if not isinstance(found, str):
        raise FileNotFoundError(STYLESHEET)
    return Path(found).read_text()


def pdf(report: Report, files: Mapping[str, bytes], *, on_page: OnPage | None = None) -> bytes:
    """Return the report as PDF/A-3a, tagged, with the evidence attached.

    `on_page` is told each page as it is laid out; what it raises stops the work.

    Raises:
        PdfUnavailable: Pango is not installed.
    """
    weasyprint = _weasyprint()
    fetcher = _denying(weasyprint)
    text = html(report)
    document = _lean(weasyprint)(string=_printable(weasyprint, text), url_fetcher=fetcher, base_url=None)
    with warnings.catch_warnings(), _telling(on_page):
        warnings.simplefilter("ignore", ResourceWarning)  # the library leaves its own colour profile open
        made: bytes = document.write_pdf(
            **_VARIANT,
            pdf_identifier=hashlib.sha256(files["manifest.json"]).digest()[:16],
            attachments=[
                _attached(weasyprint, name, content, report.as_of, fetcher) for name, content in files.items()
            ],
        )
    return made


_VARIANT: Final = {"pdf_variant": "pdf/a-3a", "pdf_tags": True}
_ASCII: Final = "\x7e"
_NOTDEF: Final = re.compile(r"\(U\+([0-9A-F]{4,6})\)")


def _printable(weasyprint: Any, text: str) -> str:
    """Put its code in the place of each character that no installed font has: an empty box would say nothing of it."""
    marks = sorted({mark for mark in text if mark > _ASCII})
    with _warnings() as said, _telling(None):
        page = f"<style>{styles()}</style>{''.join(f'<p>{escape(mark)}</p>' for mark in marks)}"
        weasyprint.HTML(string=page, url_fetcher=_denying(weasyprint), base_url=None).write_pdf()
    missing = {int(code, 16) for message in said for code in _NOTDEF.findall(message)}
    return text.translate({code: f"[U+{code:04X}]" for code in missing})


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect what the layout warns of, in place of logging it."""
    said: list[str] = []

    class Collector(logging.Handler):
        """Keeps the messages."""

        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, collector = logging.getLogger("weasyprint"), Collector()
    before = logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(collector)
        logger.propagate = before


@contextmanager
def _telling(on_page: OnPage | None) -> Iterator[None]:
    """Hand on what the layout says of its progress, in place of logging it."""

    class Teller(logging.Handler):
        """Reads the page's number out of the message."""

        def emit(self, record: logging.LogRecord) -> None:
            found = _LAYOUT.search(record.getMessage())
            if found and on_page is not None:
                on_page(int(found[1]))

    logger, teller = logging.getLogger("weasyprint.progress"), Teller()
    before = (logger.level, logger.propagate)
    logger.addHandler(teller)
    logger.setLevel(logging.INFO if on_page else logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(teller)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def available() -> str:
    """Return why PDFs cannot be made here; empty where they can."""
    try:
        _weasyprint()
    except PdfUnavailable as missing:
        return str(missing)
    return ""


def _weasyprint() -> Any:
    try:
        import weasyprint  # noqa: PLC0415 - loads libraries of the system, which may be missing
    except (ImportError, OSError) as error:
        raise PdfUnavailable(reason=str(error).splitlines()[0][:200]) from error
    return weasyprint


_OF_ANY_ELEMENT: Final = re.compile(r"^::(?:footnote|note)-[^{]*\{[^}]*\}$", re.MULTILINE)
"""Rules for the notes that any element could have: a style of its own for each of them, six times an element."""


def _lean(weasyprint: Any) -> Any:
    """Return the library's documents without what they hold ready for notes: a third of the memory of a long report."""
    own = Path(weasyprint.__file__).with_name("css") / "html5_ua.css"
    rules = _OF_ANY_ELEMENT.sub("", own.read_text()).replace("\n::marker", "\nli::marker") if own.is_file() else ""

    class Lean(weasyprint.HTML):  # type: ignore[misc]
        """A document under these rules; where the library has others to give, under its own."""

        def _ua_stylesheets(self, forms: bool = False) -> Any:  # noqa: FBT001, FBT002 - as the library has it
            return [weasyprint.CSS(string=rules)] if rules else super()._ua_stylesheets(forms)

    return Lean


def _denying(weasyprint: Any) -> Any:
    class Denying(weasyprint.urls.URLFetcher):  # type: ignore[misc]
        """Fetches nothing at all."""

        def fetch(self, url: str, headers: Any = None) -> NoReturn:
            raise ValueError(f"a report loads nothing: {url[:80]!r}")

    return Denying(allowed_protocols=[], allow_redirects=False)


def _attached(weasyprint: Any, name: str, content: bytes, at: datetime, fetcher: Any) -> Any:
    return weasyprint.Attachment(
        string=content,
        name=name,
        description=_DESCRIPTIONS.get(name, ""),
        created=at.replace(tzinfo=None),
        modified=at.replace(tzinfo=None),
        relationship="Source" if name == "events.jsonl" else "Supplement",
        url_fetcher=fetcher,
    )


_DESCRIPTIONS: Final = {
    "manifest.json": "What was asked, the account of it, and the digest of every other file",
    "events.jsonl": "The events, an event a line, with the bytes that were recorded",
    "proofs.json": "For each event, that it stands in the log under the checkpoint",
    "checkpoint.txt": "The signed head of the log",
    "previous-checkpoint.txt": "An earlier signed head that the log goes on from",
    "keys.txt": "The log's public keys, for comparison",
    "verify.py": "The program that checks all of it offline",
    "README.txt": "How to check it",
}


# --- The drawing of page 2 ------------------------------------------------------------------------------------------

_WIDTH, _LANE, _LEFT, _MOST_LANES = 520.0, 34.0, 64.0, 8


def chart(report: Report) -> dict[str, Any]:
    """Return where each run stands: a lane an agent, a circle a run whose area is the number of its actions."""
    runs = report.runs
    if not runs:
        return {}
    begin, end = min(one.started for one in runs), max(one.started for one in runs)
    span = (end - begin).total_seconds() or 1.0
    agents = list(dict.fromkeys(one.agent or "no agent" for one in runs))[:_MOST_LANES]
    most = max(one.actions_in_all for one in runs) or 1
    marks = [
        {
            "x": round(_LEFT + 12 + (one.started - begin).total_seconds() / span * (_WIDTH - _LEFT - 24), 1),
            "y": round(_LANE * (agents.index(one.agent or "no agent") + 0.5), 1),
            "text": round(_LANE * (agents.index(one.agent or "no agent") + 0.5) + 3, 1),
            "r": round(2.5 + 7.5 * (one.actions_in_all / most) ** 0.5, 1),
            "fails": bool(one.failing),
        }
        for one in runs
        if (one.agent or "no agent") in agents
    ]
    lanes = [
        {"name": agent[:14], "y": round(_LANE * (at + 0.5), 1), "text": round(_LANE * (at + 0.5) + 3, 1)}
        for at, agent in enumerate(agents)
    ]
    return {
        "width": _WIDTH,
        "height": _LANE * len(agents) + 18,
        "left": _LEFT,
        "lanes": lanes,
        "marks": marks,
        "begin": begin,
        "end": end,
        "axis": _LANE * len(agents) + 12,
    }
