"""Text from outside is shown as it is, and cannot pass for something else."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from explorer.outside import clip, flat, shortened, visible

_TAGS = re.compile(r'</?bdi(?: class="outside" dir="auto")?>|<span class="odd" title="[^"<>]*">[^<>]*</span>')


def test_markup_is_text() -> None:
    """Nothing a payload holds becomes an element or an attribute."""
    assert visible("<b hx-get=/x onclick=y>&</b>") == (
        '<bdi class="outside" dir="auto">&lt;b hx-get=/x onclick=y&gt;&amp;&lt;/b&gt;</bdi>'
    )


def test_a_character_that_reorders_is_named() -> None:
    """An override shows as a box with its name, so that what follows reads in its true order."""
    shown = visible("report\u202efdp.exe")
    assert "\u202e" not in shown
    assert '<span class="odd" title="U+202E, right-to-left override">RLO</span>' in shown


def test_control_characters_are_named_but_line_ends_stay() -> None:
    """Tabs and line ends are layout; a NUL or a lone carriage return is not."""
    shown = visible("a\tb\r\nc\x00d\re")
    assert "a\tb\r\nc" in shown
    assert ">NUL<" in shown
    assert ">CR<" in shown


def test_terminal_colours_go_and_that_is_said() -> None:
    """The sequence is not shown, and not hidden silently."""
    shown = visible("\x1b[31mred\x1b[0m \x1b]0;title\x07")
    assert "red" in shown
    assert "[31m" not in shown
    assert "ESC codes cut" in shown


def test_invisible_letters_are_shown() -> None:
    """Tag characters, which models read and people cannot see, become boxes."""
    assert visible("ok" + "".join(chr(0xE0000 + ord(letter)) for letter in "rm")).count('class="odd"') == 2


def test_joiners_that_scripts_need_stay() -> None:
    """Persian and joined emoji are not taken apart."""
    text = "می\u200cخواهم 👩\u200d💻"
    assert text in visible(text)


def test_half_of_a_surrogate_pair_can_be_sent() -> None:
    """A lone surrogate cannot be encoded, so it is named."""
    assert ">U+D800<" in visible("x\ud800")
    assert visible("x\ud800").encode()


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_only_our_own_tags_come_out(text: str) -> None:
    """Whatever goes in, the tags are the isolation and the boxes, and the rest can be encoded."""
    rest = _TAGS.sub("", visible(text))
    assert "<" not in rest
    assert ">" not in rest
    rest.encode()


def test_a_tooltip_is_one_line() -> None:
    """In an attribute there are no boxes: names stand in brackets."""
    assert flat("a\n b\u202ec\x1b[1m") == "a b⟨RLO⟩c"


def test_cut_text_says_its_length() -> None:
    """The true size stands behind what is left out."""
    assert clip("x" * 1234, 10) == "xxxxxxxxxx… (10 of 1,234 characters)"
    assert clip("short", 10) == "short"


def test_a_long_id_keeps_its_ends() -> None:
    """Short ones are left alone."""
    assert shortened("b25638d7-b104-4f06-a797-70ac33d069ed") == "b25638d7-b10…33d069ed"
    assert shortened("run-7") == "run-7"
