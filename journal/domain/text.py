"""Short, honest forms of long values: previews with their true size, JSON contents as text."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from journal.domain.codec import encode

PREVIEW_CHARACTERS = 160

_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""What a terminal obeys or a reader does not see; line breaks and tabs are left."""
_KILO, _MEGA = 1_000, 1_000_000


def plain(content: Any) -> str:
    """Return what a message's content says as text: text as it is, blocks joined by line, other values as JSON."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part for part in map(_block, content) if part)
    if isinstance(content, dict):
        return _block(content)
    return encode(content).decode()


def _block(block: Any) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, dict):
        for key in ("text", "content", "thinking"):
            if isinstance(block.get(key), str):
                return str(block[key])
        if isinstance(block.get("content"), list):
            return plain(block["content"])
        kind = block.get("type")
        if isinstance(kind, str) and kind != "text":
            return f"[{kind}]"
    return encode(block).decode()


def parsed(json_text: str) -> Any:
    """Return the value of JSON text, or the text itself where it is not JSON (a model's malformed arguments)."""
    try:
        return msgspec.json.decode(json_text)
    except (msgspec.DecodeError, RecursionError):
        return json_text


def clip(text: str, characters: int = PREVIEW_CHARACTERS) -> str:
    """Return one line of at most `characters`, white space folded, an ellipsis where something is left out."""
    head = " ".join(text[: characters * 4].split())
    if len(head) > characters:
        return head[: characters - 1].rstrip() + "…"
    return head + "…" if len(text) > characters * 4 else head


def first_sentence(text: str, characters: int = PREVIEW_CHARACTERS) -> str:
    """Return the first sentence, or as much of it as fits."""
    folded = clip(text, characters * 2)
    for mark in (". ", "? ", "! ", "。"):
        at = folded.find(mark)
        if 0 < at < characters:
            return folded[: at + 1]
    return clip(text, characters)


def size_bytes(content: Any) -> int:
    """Return how many bytes a value takes: text in UTF-8, anything else as compact JSON."""
    if isinstance(content, str):
        return len(content.encode(errors="surrogatepass"))
    return len(encode(content))


def printable(text: str) -> str:
    """Return text for a terminal: what it would obey, or nobody would see, stands as its escape in Python."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def amount(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 line`, `1,204 lines`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def in_bytes(size: int) -> str:
    """Return a size as people read it: `312 bytes`, `2.4 kB`, `12.4 MB`."""
    if size < _KILO:
        return amount(size, "byte")
    return f"{size / _KILO:.1f} kB" if size < _MEGA else f"{size / _MEGA:.1f} MB"
