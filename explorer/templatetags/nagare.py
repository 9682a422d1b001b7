"""Template tags and filters that every page uses: drawings, version marks, numbers, times, text from outside.

What they return is safe to put in a page: arguments are escaped, and none of them makes a link from data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from explorer import figures, outside
from explorer.preferences import Preferences, preferences_of
from journal.access import Permission, may, projects_of

register = template.Library()

_RUN_PATH: Final = re.compile(r"/runs/(?P<stream>[^/]+)/(?:events/(?P<version>\d+)/)?")

KIND_NAMES: Final = {
    "started": "run started",
    "message_received": "message",
    "model_called": "model call",
    "model_responded": "model response",
    "reasoned": "decision",
    "tool_returned": "tool result",
    "tool_failed": "tool failure",
    "handed_off": "hand-off",
    "context_compacted": "context compacted",
    "memory_written": "memory written",
    "answered": "answer",
    "aborted": "run aborted",
    "graded": "verdict",
    "graded-fails": "failing verdict",
    "annotated": "note",
    "event": "event",
    "unknown": "event of an unknown type",
}
"""What a screen reader says for each kind of event, before its sentence."""


# --- Drawings ---------------------------------------------------------------------------------------------------------


@register.simple_tag
@lru_cache(maxsize=256)
def icon(name: str, size: int = 16) -> SafeString:
    """Draw an icon of `_icons.html`. It is decoration: a word stands beside it, or its control has a name."""
    return format_html(
        '<svg class="icon icon-{}" width="{}" height="{}" aria-hidden="true"><use href="#i-{}"/></svg>',
        name, size, size, name,
    )  # fmt: skip


@register.simple_tag
@lru_cache(maxsize=256)
def glyph(kind: str, size: int = 16, verdict: str = "", *, decorative: bool = False) -> SafeString:
    """Draw the sign of an event's kind. A failing verdict has its own; kinds we do not know share one.

    It says the kind to a screen reader, unless `decorative`, for places where the kind is also a word.
    """
    name = _glyph_name(kind, verdict)
    if decorative:
        return format_html(
            '<svg class="glyph glyph-{}" width="{}" height="{}" aria-hidden="true"><use href="#g-{}"/></svg>',
            name, size, size, name,
        )  # fmt: skip
    return format_html(
        '<svg class="glyph glyph-{}" width="{}" height="{}" role="img" aria-label="{}"><use href="#g-{}"/></svg>',
        name, size, size, KIND_NAMES[name], name,
    )  # fmt: skip


def _glyph_name(kind: str, verdict: str) -> str:
    if kind == "graded" and verdict == "fails":
        return "graded-fails"
    return kind if kind in KIND_NAMES else "unknown"


@register.simple_tag
def brandmark(width: int = 20) -> SafeString:
    """Draw the product's mark, in the colours of the theme."""
    return format_html(
        '<svg width="{}" height="{}" viewBox="0 0 26 20" fill="none" aria-hidden="true">'
        '<path class="brand-lines" d="M1 2h24M1 10h7M18 10h7M1 18h24" stroke-width="2" stroke-linecap="round"/>'
        '<path class="brand-mark" d="M13 5.5 17.5 10 13 14.5 8.5 10z"/></svg>',
        width, round(width * 20 / 26),
    )  # fmt: skip


@register.simple_tag
def vmark(version: int, href: str = "", title: str = "", *, fails: bool = False) -> SafeString:
    """Print an event's number; a link where `href` is given. `title` is the event's sentence, shown on hover."""
    look = "vmark vmark-fails" if fails else "vmark"
    tip = format_html(' title="{}"', outside.flat(title)) if title else ""
    if not href:
        return format_html('<span class="{}"{}>{}</span>', look, tip, version)
    return format_html('<a class="{}" href="{}"{}><span class="sr">event </span>{}</a>', look, href, tip, version)


# --- Numbers and times ------------------------------------------------------------------------------------------------

register.filter("thousands", figures.thousands)
register.filter("counted", figures.counted)
register.filter("duration", figures.duration)
register.filter("relative", figures.relative)
register.filter("cost", figures.cost)
register.filter("tokens", figures.tokens)
register.filter("size", figures.size)
register.filter("iso", figures.iso)


@register.filter
def exact(us: int | None) -> str:
    """Return a time to the millisecond, in the reader's zone, which it names."""
    return figures.exact(us, timezone.get_current_timezone())


@register.filter
def started(us: int | None) -> str:
    """Return as much of a time as tells it apart from others today."""
    return figures.started(us, timezone.now(), timezone.get_current_timezone())


@register.simple_tag
def zone_name() -> str:
    """Return the name of the zone that the page's times are in."""
    return str(timezone.get_current_timezone())


# --- Text from outside ------------------------------------------------------------------------------------------------


@register.filter
def visible(text: object) -> SafeString:
    """Show other people's text: escaped, direction isolated, odd characters boxed, terminal colours left out."""
    return outside.visible(_as_text(text))


@register.filter
def brief(text: object) -> SafeString:
    """Show other people's text as a table's cell, which is what isolates it."""
    return outside.brief(_as_text(text))


@register.filter
def flat(text: object) -> str:
    """Return other people's text for an attribute: one line, odd characters named."""
    return outside.flat(_as_text(text))


@register.filter
def shortened(text: object) -> str:
    """Shorten an id in the middle."""
    return outside.shortened(_as_text(text))


@register.filter
def clip(text: object, length: int) -> str:
    """Cut text by characters and say its true length."""
    return outside.clip(_as_text(text), length)


def _as_text(value: object) -> str:
    return "" if value is None else str(value)


# --- What stands around each page -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PageLink:
    """A page in the top bar."""

    name: str
    href: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class ProjectLink:
    """A project the reader may turn to."""

    slug: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class Chrome:
    """What the top bar shows."""

    pages: list[PageLink]
    projects: list[ProjectLink]
    project: str
    role: str
    user: str

    @property
    def has_choice(self) -> bool:
        """Whether there is more than one project to be in."""
        return len(self.projects) > 1

    @property
    def initials(self) -> str:
        """At most two letters of the user's name: of its parts where it has some."""
        parts = [part for part in self.user.replace("@", ".").replace("_", ".").replace("-", ".").split(".") if part]
        return "".join(part[0] for part in parts[:2]).upper() if len(parts) > 1 else self.user[:2].upper()


@register.simple_tag(takes_context=True)
def chrome(context: Context) -> Chrome:
    """Return what the top bar shows to this request's user; nearly nothing where nobody is signed in."""
    request: HttpRequest | None = context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not user.is_authenticated:
        return Chrome(pages=[], projects=[], project="", role="", user="")
    project, role = getattr(request, "project", None), getattr(request, "role", None)
    slug = project.slug if project is not None else ""
    return Chrome(
        pages=_pages(request, role),
        projects=[ProjectLink(slug=found.slug, is_here=found.slug == slug) for found in projects_of(request)],
        project=slug,
        role=str(role or ""),
        user=user.get_username(),
    )


def _pages(request: HttpRequest, role: Any) -> list[PageLink]:
    targets = [("Runs", reverse("explorer:runs"))]
    if role is not None:
        targets.append(("Live", reverse("explorer:live")))
    if role is not None and may(role, Permission.IMPORT):
        targets.append(("Import", reverse("explorer:import")))
    if role is not None:
        targets += [("Rules", reverse("explorer:rules")), ("Jobs", reverse("explorer:regrades"))]
    if role is not None and may(role, Permission.AUDIT):
        targets.append(("Audits", reverse("audits:audits")))
    elif role is not None:
        targets.append(("Duties", reverse("audits:duties")))
    if role is not None:
        targets.append(("Ops", reverse("explorer:ops")))
    return [PageLink(name=name, href=href, is_here=_is_under(request.path, name, href)) for name, href in targets]


_EVIDENCE: Final = ("audits:incidents", "audits:duties")
_BELONG: Final = {
    "Jobs": ("explorer:regrades", "explorer:bisects", "explorer:schedules"),
    "Audits": (*_EVIDENCE, "audits:access"),
    "Duties": _EVIDENCE,
}
"""Pages with addresses of their own that stand under one name of the top bar."""


def _is_under(path: str, name: str, href: str) -> bool:
    """Tell whether a page belongs to one of the top bar: jobs are of three kinds, each with pages of its own."""
    return path.startswith((href, *map(reverse, _BELONG.get(name, ()))))


@register.simple_tag(takes_context=True)
def allowed(context: Context, permission: str) -> bool:
    """Tell whether the reader may do something in the project of the page."""
    role = getattr(context.get("request"), "role", None)
    return role is not None and may(role, Permission(permission))


@register.simple_tag(takes_context=True)
def preferred(context: Context) -> Preferences:
    """Return how the reader likes the pages."""
    request: HttpRequest | None = context.get("request")
    return preferences_of(request) if request is not None else Preferences()


@register.simple_tag
def product_version() -> str:
    """Return the version of the installed package; of a checkout that is not installed, nothing."""
    try:
        return metadata.version("nagare-web")
    except metadata.PackageNotFoundError:
        return ""


@register.simple_tag
def landing(address: str | None) -> str:
    """Return in words where an address of ours leads, for the sign-in page; empty for the first page."""
    if not address or address == "/":
        return ""
    path, _, query = address.partition("?")
    found = _RUN_PATH.fullmatch(path)
    if found is None:
        return address
    version = found["version"] or next(iter(parse_qs(query).get("v", [])), "")
    return f"run {outside.shortened(unquote(found['stream']))}" + (f", event {version}" if version.isdecimal() else "")
