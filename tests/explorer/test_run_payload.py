"""A payload for reading: indented, in pages, exact, and without what is no text."""

from __future__ import annotations

import base64
import json
import random

import pytest

from explorer.payload import PAGE, blob_of, laid_out, sheet
from journal.domain.codec import text as json_text

PNG = b"\x89PNG\r\n\x1a\n" + bytes(random.Random(4).randrange(256) for _ in range(3_000))
ENCODED = base64.b64encode(PNG).decode()


def _text(raw: bytes, start: int = 0, **how: int) -> str:
    return "".join(piece.text for piece in sheet(raw, start, **how).pieces)


def _blobs(raw: bytes) -> list[tuple[str, int]]:
    return [(piece.blob.media_type, piece.blob.size_bytes) for piece in sheet(raw).pieces if piece.blob]


def test_nothing_is_changed_but_white_space() -> None:
    """Numbers of any length, keys in any order or twice, and escapes are as they were stored."""
    raw = b'{"b":12345678901234567890123,"a":1.10,"b":1e5,"s":"\\u00e9\\ud83d\\ude00\\/","n":-0.0}'
    assert "".join(_text(raw).split()) == raw.decode()
    assert _text(raw).count("\n") == 6


@pytest.mark.parametrize("raw", [b"", b"not json", b"\xff\xfe", b'{"a":'])
def test_what_is_no_json_is_shown_as_it_is(raw: bytes) -> None:
    """No payload fails to be shown."""
    assert laid_out(raw) == raw.decode(errors="replace")


@pytest.mark.parametrize("most", [50, 1_000, PAGE])
def test_the_pages_together_are_the_whole(most: int) -> None:
    """Pages join without a gap and without cutting a character, and each is about as long as it may be."""
    raw = json.dumps({f"key {at}": "日本語 العربية 🙂" * (at % 7) for at in range(300)}, ensure_ascii=False).encode()
    start, pages = 0, []
    while True:
        page = sheet(raw, start, most=most)
        pages.append("".join(piece.text for piece in page.pieces))
        assert page.start == start
        assert page.end - page.start <= most + 3
        if page.end == page.total:
            break
        start = page.end
    assert "".join(pages) == laid_out(raw)


def test_a_page_can_begin_anywhere() -> None:
    """A place within a character, or past the end, leads to one that is there."""
    raw = json.dumps({"a": "日本語" * 100}, ensure_ascii=False).encode()
    assert sheet(raw, 12).start in (12, 13, 14)
    assert "\ufffd" not in _text(raw, 12)
    assert sheet(raw, 10**9).start == 0


@pytest.mark.parametrize(
    "value",
    [
        {"image": {"url": f"data:image/png;base64,{ENCODED}"}},
        {"source": {"type": "base64", "media_type": "image/png", "data": ENCODED}},
        {"source": {"data": ENCODED, "mimeType": "image/png"}},
        {"screenshot": ENCODED},
        {"responseJson": json_text({"mime_type": "image/png", "data": ENCODED})},
        {"wrapped": base64.encodebytes(PNG).decode()},
    ],
)
def test_a_picture_is_left_out_with_its_kind_and_size(value: dict[str, object]) -> None:
    """Base64 becomes a blob wherever it stands: as an address of its own, beside its type, in JSON within a string."""
    raw = json.dumps(value).encode()
    assert _blobs(raw) == [("image/png", len(PNG))]
    assert ENCODED[:40] not in _text(raw)
    found = blob_of(raw, 0)
    assert found is not None
    assert found[1] == PNG
    assert blob_of(raw, 1) is None


@pytest.mark.parametrize("text", ["x" * 5_000, "0123456789abcdef" * 100, "1" * 2_000, "word " * 1_000, ENCODED[:700]])
def test_text_is_not_taken_for_bytes(text: str) -> None:
    """Long words, digits, hexadecimal and what is short stay in the text."""
    assert _blobs(json.dumps({"text": text}).encode()) == []


def test_a_megabyte_of_pictures_is_a_short_page() -> None:
    """What is left out takes no room of a page, and a page has an end also where there is nothing else."""
    raw = json.dumps({"images": [f"data:image/png;base64,{ENCODED}"] * 250}).encode()
    first = sheet(raw)
    assert (first.blobs, first.blob_bytes) == (250, 250 * len(PNG))
    assert sum(piece.blob is not None for piece in first.pieces) == 100
    second = sheet(raw, first.end)
    numbers = [piece.blob.number for piece in second.pieces if piece.blob]
    assert numbers == list(range(100, 200))


def test_text_from_right_to_left_stands_apart() -> None:
    """A string that runs the other way is a piece of its own, so that the JSON around it keeps its order."""
    raw = json.dumps({"a": "שלום, world", "b": "plain"}, ensure_ascii=False).encode()
    assert '"שלום, world"' in [piece.text for piece in sheet(raw).pieces]
    assert _text(raw) == laid_out(raw)
