"""Keeping an event within what the server takes: what a replay needs goes first, then the middle of long texts."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from journal.domain.codec import encode

MOST_BYTES: Final = 900_000
"""An event's data. The server refuses more than a megabyte, the event's other fields included."""

_SECONDARY: Final = ("raw", "request")
_LONGEST: Final = (200_000, 50_000, 10_000, 2_000)


def fitted(raw: bytes) -> bytes:
    """Return event data that is not too large; what was left out says so, with its size."""
    if len(raw) <= MOST_BYTES:
        return raw
    data = msgspec.json.decode(raw)
    for name in _SECONDARY:
        if data.get(name):
            data[name] = {"omitted": f"{len(encode(data[name]))} bytes"}
            if len(encode(data)) <= MOST_BYTES:
                return encode(data)
    for longest in _LONGEST:
        clipped = _clipped(data, longest)
        if len(encoded := encode(clipped)) <= MOST_BYTES:
            return encoded
    return encode({"omitted": f"{len(raw)} bytes"})


def _clipped(value: Any, longest: int) -> Any:
    if isinstance(value, str) and len(value) > longest:
        half = longest // 2
        return f"{value[:half]}[… {len(value) - 2 * half} characters left out …]{value[-half:]}"
    if isinstance(value, dict):
        return {name: _clipped(inner, longest) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clipped(inner, longest) for inner in value]
    return value
