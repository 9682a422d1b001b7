"""The page's keys as data: what `keys.js` reads, in a script element that runs nothing."""

from __future__ import annotations

import json
from typing import Any, Final

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from explorer import keymap
from explorer.templatetags.nagare import KIND_NAMES
from journal.access import Permission, may

register = template.Library()

_OPEN_TO_ALL: Final = ("runs", "live", "rules", "regrades", "bisects", "schedules", "ops", "settings")
_ESCAPES: Final = {ord("<"): "\\u003C", ord(">"): "\\u003E", ord("&"): "\\u0026"}


@register.simple_tag(takes_context=True)
def key_data(context: Context) -> SafeString:
    """Put the keys, and the pages that keys and palette lead to, into the page; nothing where nobody is signed in."""
    request: HttpRequest | None = context.get("request")
    if request is None or getattr(request, "role", None) is None:
        return mark_safe("")
    route = request.resolver_match.url_name if request.resolver_match else ""
    data: dict[str, Any] = {"keys": keymap.for_browser(route or ""), "pages": _pages(request)}
    data["palette"] = reverse("explorer:palette")
    if route == "run":
        data["kinds"] = KIND_NAMES
    written = json.dumps(data, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPES)
    return format_html(
        '<script type="application/json" id="nagare-keys" data-letters="{}">{}</script>',
        "off" if request.COOKIES.get(keymap.LETTERS_COOKIE) == "off" else "on",
        mark_safe(written),  # noqa: S308 - JSON whose angle brackets and ampersands are escaped, as json_script does
    )


def _pages(request: HttpRequest) -> dict[str, str]:
    """Return where `page.*` actions lead, those that the reader may open."""
    pages = {f"page.{name}": reverse(f"explorer:{name}") for name in _OPEN_TO_ALL}
    if may(request.role, Permission.IMPORT):  # type: ignore[attr-defined]
        pages["page.import"] = reverse("explorer:import")
    if may(request.role, Permission.AUDIT):  # type: ignore[attr-defined]
        pages["page.audits"] = reverse("audits:audits")
    return pages
