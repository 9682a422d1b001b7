"""The rows of the debugger's list.

A page has dozens of them, each with a dozen values, and a move out of the window brings as many: as a template they
took longer than all the rest of the page. Texts go through `outside` as everywhere, which escapes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from explorer import figures
from explorer.models import RunSummary
from explorer.outside import brief
from explorer.queries.run_lines import Row
from explorer.templatetags.debugger import since
from explorer.templatetags.nagare import glyph, icon
from explorer.templatetags.search import passage

_WAITED_FOR_S = 3_600

register = template.Library()


@register.simple_tag
def event_rows(rows: Iterable[Row], run: RunSummary) -> SafeString:
    """Draw rows of the list: number, sign, sentence, failing rule, how long it took, when."""
    return mark_safe("".join(piece for row in rows for piece in _pieces(row, run)))  # noqa: S308 - made of safe pieces


def _pieces(row: Row, run: RunSummary) -> Iterator[str]:
    line = row.line
    if row.idle_us:
        yield f'<p class="idle label">idle {figures.duration(row.idle_us / 1000)}</p>'
    yield f'<a class="{_look(row)}" id="e{line.version}" href="{escape(row.href)}"{_marks(row)}>'
    yield f'<span class="no">{row.numbers}</span>'
    if row.quiet:
        yield f'<span class="say">{figures.counted(row.quiet, "quiet event")} folded</span>'
    else:
        yield f"{glyph(line.kind, 16)}{_sentence(row)}"
    if row.verdict:
        yield f'<span class="chip chip-fails row-chip">{icon("cross", 12)}<span class="clip" dir="auto">'
        yield f'{brief(row.verdict.rule)}</span><span class="sr"> fails</span></span>'
    if row.waits_since_us is not None:
        yield waiting(row.waits_since_us)
    elif row.took_ms is not None:
        yield f'<span class="took">{figures.duration(row.took_ms)}</span>'
    yield f'<span class="at">{since(line, run)}</span></a>'


def waiting(since_us: int) -> str:
    """Say for how long a call has been running; after an hour that is no news, and is not said."""
    waited = int(time.time()) - since_us // 1_000_000
    if not 0 <= waited < _WAITED_FOR_S:
        return ""
    return f'<span class="waiting" data-since="{since_us}">{icon("half", 12)}running {figures.seconds(waited)}</span>'


def _look(row: Row) -> str:
    kind = "row-quiet" if row.quiet else f"row-{escape(row.line.kind)}"
    return f"row {kind}{' row-ancestor' if row.is_ancestor else ''}{' row-rail' if row.is_rail else ''}"


def _marks(row: Row) -> str:
    """Return the attributes that scripts read: the cursor, and the versions that stand in the row beside its own."""
    cursor = ' aria-current="true"' if row.is_cursor else ""
    first = f' data-first="{row.first}"' if row.first != row.line.version else ""
    last = f' data-last="{row.last}"' if row.last != row.line.version else ""
    return cursor + first + last


def _sentence(row: Row) -> str:
    if not row.result or row.hit:
        return f'<span class="say" dir="auto">{_said(row)}</span>'
    gave = f'<span class="gave clip" dir="auto">{brief(row.result)}</span>'
    return f'<span class="say say-both"><span class="clip" dir="auto">{_said(row)}</span>{gave}</span>'


def _said(row: Row) -> str:
    if row.hit:
        return passage(row.hit)
    if row.lead and row.line.kind == "reasoned":
        return f'Call <b dir="auto">{brief(row.lead)}</b> {brief(row.rest)}'
    if row.lead:
        return f'{brief(row.lead)} <span class="failing" dir="auto">{brief(row.rest)}</span>'
    return brief(row.rest)
