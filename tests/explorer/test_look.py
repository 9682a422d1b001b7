"""What every page shares: colours that can be read, drawings that exist, and nothing inline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from explorer.templatetags.nagare import KIND_NAMES, glyph, icon, landing, vmark

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = Path(settings.BASE_DIR) / "templates"
TOKENS = (STATIC / "explorer" / "tokens.css").read_text()
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", TOKENS)
}
GROUNDS = ("bg", "surface", "sunken", "raised", "indigo-tint", "vermilion-tint", "gold-tint", "added", "removed")
TEXTS = ("ink", "ink-2", "ink-3", "indigo", "vermilion", "pine", "plum", "gold")


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str, theme: int) -> float:
    """Return the contrast of two tokens in a theme, from 1 to 21."""
    lighter, darker = sorted((luminance(COLOURS[name][theme]) for name in (first, second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read_on_every_ground(text: str, ground: str, theme: int) -> None:
    """4.5 to 1 at least, in both themes."""
    assert contrast(text, ground, theme) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        ("on-indigo", "indigo", 4.5), ("on-vermilion", "vermilion", 4.5), ("surface", "plum", 4.5),
        ("surface", "ink-2", 4.5), ("surface", "ink", 4.5), ("indigo", "indigo-band", 4.5), ("ink", "indigo-band", 4.5),
        *((name, ground, 3) for name in ("control", "focus") for ground in ("bg", "surface", "sunken", "raised")),
    ],
)  # fmt: skip
def test_marks_and_controls_can_be_seen(front: str, back: str, least: float, theme: int) -> None:
    """Letters in solid glyphs and on buttons as text; outlines and the focus ring 3 to 1."""
    assert contrast(front, back, theme) >= least


@pytest.mark.parametrize("sheet", sorted(STATIC.rglob("*.css")), ids=lambda path: path.name)
def test_colours_are_only_spelled_in_the_tokens(sheet: Path) -> None:
    """A sheet that spells one would miss a theme; shadows are black in both."""
    if sheet.name not in ("tokens.css", "report.css", "screen.css"):  # paper has one theme
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgb\((?!0 0 0 /)|\bhsl\(", sheet.read_text()) == []


@pytest.mark.parametrize("sheet", sorted(STATIC.rglob("*.css")), ids=lambda path: path.name)
def test_every_token_that_is_used_exists(sheet: Path) -> None:
    """A mistyped name would silently be no colour."""
    known = set(re.findall(r"(--[\w-]+):", TOKENS + sheet.read_text()))
    assert set(re.findall(r"var\((--[\w-]+)\)", sheet.read_text())) <= known


@pytest.mark.parametrize("page", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_nothing_is_inline(page: Path) -> None:
    """The policy would stop it: no style, no handler, no script without a nonce, nothing that htmx would evaluate."""
    text = page.read_text().replace("<style>{{ styles|safe }}</style>", "")  # what becomes a PDF, in no browser
    assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:|hx-on|hx-vars|\bjs:", text)
    assert all("nonce=" in tag and "src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_every_icon_that_is_asked_for_is_drawn() -> None:
    """In templates by name."""
    drawn = set(re.findall(r'id="i-([\w-]+)"', (TEMPLATES / "explorer" / "_icons.html").read_text()))
    asked = {name for page in TEMPLATES.rglob("*.html") for name in re.findall(r'{% icon "([\w-]+)"', page.read_text())}
    assert asked <= drawn


def test_every_kind_of_event_is_drawn_and_named() -> None:
    """The shape, its colour, and what a screen reader says."""
    drawn = set(re.findall(r'id="g-([\w-]+)"', (TEMPLATES / "explorer" / "_icons.html").read_text()))
    coloured = set(re.findall(r"\.glyph-([\w-]+)", (STATIC / "explorer" / "base.css").read_text()))
    assert set(KIND_NAMES) == drawn
    assert set(KIND_NAMES) <= coloured


def test_a_kind_we_do_not_know_has_a_sign() -> None:
    """And a failing verdict has its own."""
    assert 'href="#g-unknown"' in glyph("test.made_up")
    assert 'aria-label="failing verdict"' in glyph("graded", verdict="fails")
    assert 'aria-hidden="true"' in glyph("reasoned", decorative=True)
    assert 'href="#i-check"' in icon("check")


def test_a_version_mark_is_a_link_that_says_its_event() -> None:
    """Text from outside in its tooltip is text."""
    assert vmark(23, "/runs/agent_run-1/?v=23", 'Call "x"\n<b>') == (
        '<a class="vmark" href="/runs/agent_run-1/?v=23" title="Call &quot;x&quot; &lt;b&gt;">'
        '<span class="sr">event </span>23</a>'
    )
    assert vmark(5, fails=True) == '<span class="vmark vmark-fails">5</span>'


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/", ""), (None, ""), ("/runs/", "/runs/"), ("/runs/agent_run-7/?v=23", "run agent_run-7, event 23"),
        ("/runs/agent_run-7/events/4/", "run agent_run-7, event 4"), ("/runs/agent_run-7/?v=<b>", "run agent_run-7"),
        ("//[", "//["),
    ],
)  # fmt: skip
def test_the_sign_in_page_says_where_one_lands(address: str | None, words: str) -> None:
    """An address that somebody made up is no error."""
    assert landing(address) == words
