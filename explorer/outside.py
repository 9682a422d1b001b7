"""Text from outside, made safe to look at: what an agent, a tool or a person wrote.

Escaping keeps such text from being markup. This keeps it from lying by other means: characters that cannot be seen or
that reorder what is seen become boxed names, terminal colours go, and its direction stays inside it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_TERMINAL: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor moves
    r"|\x1b\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)"  # titles and links
    r"|\x1b[()*+][0-~]|\x1b[=>78cDEHMNOZ]"  # character sets, single-character commands
)

# Characters that show nothing or change the order of others. The joiners U+200C and U+200D stay, since Persian and
# emoji need them, as do variation selectors behind a character that has variants.
_ODD: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e00ff]"
    "|\r(?!\n)"
    "|(?<![\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"
)
_SHORT: Final = {
    "\u00ad": "SHY", "\u061c": "ALM", "\u200b": "ZWSP", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE",
    "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2060": "WJ", "\u2066": "LRI",
    "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
}  # fmt: skip
_CONTROLS: Final = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL",
    "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI",
    "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB",
    "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)  # fmt: skip
_DELETE: Final = 0x7F
_ID_SHOWN: Final = 24
_STRIPPED: Final = (
    '<span class="odd" title="Terminal control sequences, such as colours, were left out">ESC codes cut</span>'
)


def visible(text: str) -> SafeString:
    """Return HTML in which every character of `text` can be seen, its direction isolated from what stands around it."""
    plain, stripped = _TERMINAL.subn("", text)
    shown = "".join(_pieces(plain))
    return mark_safe(f'<bdi class="outside" dir="auto">{shown}{_STRIPPED if stripped else ""}</bdi>')  # noqa: S308


def brief(text: str) -> SafeString:
    """Return HTML as `visible` does, without an element around it: for one that isolates itself by `dir="auto"`.

    A list has hundreds of such texts, and its budget is counted in elements.
    """
    return mark_safe("".join(_pieces(_TERMINAL.sub("", text))))  # noqa: S308 - each piece is escaped


def oddities(text: str) -> int:
    """Return how many characters of a text are shown by name, or left out as a terminal's commands."""
    plain, stripped = _TERMINAL.subn("", text)
    return stripped + sum(1 for _ in _ODD.finditer(plain))


def flat(text: str) -> str:
    """Return plain text for an attribute or a title: odd characters as ⟨names⟩, terminal colours and line ends gone."""
    plain = _TERMINAL.sub("", text)
    return " ".join(_ODD.sub(lambda match: f"⟨{short_name(match.group())}⟩", plain).split())


def clip(text: str, length: int) -> str:
    """Return the first `length` characters, with the true length said where some are missing."""
    if len(text) <= length:
        return text
    return f"{text[:length].rstrip()}… ({length:,} of {len(text):,} characters)"


def shortened(identifier: str) -> str:
    """Return an id without its middle where it is long: its ends are what people compare."""
    return identifier if len(identifier) <= _ID_SHOWN else f"{identifier[:12]}…{identifier[-8:]}"


@lru_cache(maxsize=1024)
def short_name(character: str) -> str:
    """Return what the box of an odd character says: "RLO", "ESC", "U+206A"."""
    number = ord(character)
    if number < len(_CONTROLS):
        return _CONTROLS[number]
    if number == _DELETE:
        return "DEL"
    return _SHORT.get(character) or f"U+{number:04X}"


def _pieces(text: str) -> list[str]:
    pieces, end = [], 0
    for match in _ODD.finditer(text):
        pieces += [escape(text[end : match.start()]), _box(match.group())]
        end = match.end()
    pieces.append(escape(text[end:]))
    return pieces


@lru_cache(maxsize=1024)
def _box(character: str) -> str:
    name = unicodedata.name(character, "control character").lower()
    return f'<span class="odd" title="U+{ord(character):04X}, {name}">{short_name(character)}</span>'
