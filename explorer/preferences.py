"""How a reader likes the pages: theme, time zone, height of rows, letters as keys.

Kept in cookies of the browser: each page needs them before it asks the database for anything, they are as right on the
sign-in page as behind it, and none of them says who somebody is. What a cookie says is checked like any input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from explorer.keymap import LETTERS_COOKIE

THEMES: Final = ("system", "light", "dark")
DENSITIES: Final = ("compact", "comfortable")
LETTERS: Final = ("on", "off")
DEFAULT_ZONE: Final = "UTC"
_YEAR_S: Final = 365 * 24 * 3600
_COOKIES: Final = {
    "theme": "nagare-theme",
    "density": "nagare-density",
    "zone": "nagare-zone",
    "letters": LETTERS_COOKIE,
}
_CHOICES: Final = {"theme": THEMES, "density": DENSITIES, "letters": LETTERS}
_LEGACY: Final = ("Etc/", "US/", "Canada/", "Brazil/", "Chile/", "Mexico/", "SystemV/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferences:
    """What one browser was told; each field holds one of its known values."""

    theme: str = "system"
    density: str = "compact"
    zone: str = DEFAULT_ZONE
    letters: str = "on"


def preferences_of(request: HttpRequest) -> Preferences:
    """Return what the browser was told; what is unknown or missing is as it comes."""
    return read({name: request.COOKIES.get(cookie, "") for name, cookie in _COOKIES.items()})


def zone_of(cookies: Mapping[str, str]) -> str:
    """Return the name of the zone that a browser was told, which comes with its sockets too."""
    return read({"zone": cookies.get(_COOKIES["zone"], "")}).zone


def read(said: Mapping[str, str], before: Preferences | None = None) -> Preferences:
    """Return preferences with what is said put in the place of `before`; values that are none are left out."""
    known = before or Preferences()
    kept = {field.name: getattr(known, field.name) for field in fields(Preferences)}
    return Preferences(**{**kept, **{name: value for name, value in said.items() if _is_known(name, value)}})


def keep(response: HttpResponseBase, preferences: Preferences) -> None:
    """Tell the browser. Scripts may read these: the theme is there before the first paint."""
    for field in fields(Preferences):
        cookie, value = _COOKIES[field.name], getattr(preferences, field.name)
        if value == field.default:
            response.delete_cookie(cookie, samesite="Lax")
        else:
            response.set_cookie(
                cookie, value, max_age=_YEAR_S, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE or False
            )


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """Return the names of time zones to choose from: UTC, then places; names kept for old files only are left out."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(_LEGACY))
    return (DEFAULT_ZONE, *sorted(places))


def _is_known(name: str, value: str) -> bool:
    return value in (zones() if name == "zone" else _CHOICES.get(name, ()))


class ReadersTimeZone:
    """Show times in the reader's zone for the length of a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer within the zone, and leave none behind for the thread's next request."""
        zone = preferences_of(request).zone
        if zone == DEFAULT_ZONE:
            return self.get_response(request)
        with timezone.override(ZoneInfo(zone)):
            return self.get_response(request)
