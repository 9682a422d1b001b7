"""JSON in and out: one encoder for what we make, one check for what others send."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from journal.domain.event import RecordedEvent, instant
from journal.errors import PayloadRefused

MAX_DEPTH = 200
"""How deep JSON may nest, in objects and lists; deeper is refused, here and at import."""

_EXACT = 2**53
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
_STRING = re.compile(rb'"[^"]*"')

encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder().decode


def text(value: object) -> str:
    """Return `value` as compact JSON text, as `argsJson` and `responseJson` hold it."""
    return encode(value).decode()


def check_object(raw: bytes, *, what: str) -> None:
    """Refuse bytes that are not one JSON object every backend can give back byte for byte.

    Raises:
        PayloadRefused: not UTF-8, not JSON, not an object, a NUL, a lone surrogate, NaN or Infinity, a number too long
            to be read, a key twice in one object, or nested deeper than `MAX_DEPTH`.
    """
    if not is_plain(raw):
        _examine(raw, what)


def is_shallow(raw: bytes) -> bool:
    """Return whether JSON text is sure to nest no deeper than `MAX_DEPTH`. Broken text may be shallow and not be sure.

    Takes the innermost pairs of brackets away, a level at a time, each in one pass that Python does not see: a token at
    a time takes longer than decoding the whole.
    """
    if len(raw) <= MAX_DEPTH or raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return True
    unescaped = raw.replace(rb"\\", b"").replace(rb"\"", b"")
    # An empty string, or a string's end and the next one's beginning: without both, what is in a string stays in one.
    bare = unescaped.translate(_AS_BRACKETS, _ALL_BUT_BRACKETS).replace(b'""', b"")
    brackets = _STRING.sub(b"", bare)
    for _ in range(MAX_DEPTH):
        outer = brackets.replace(b"[]", b"")
        if len(outer) == len(brackets):
            break
        brackets = outer
    return not brackets


def is_plain(raw: bytes) -> bool:
    """Return whether the bytes are an object as `encode` writes it, so that `check_object` has nothing against it."""
    if raw[:1] != b"{" or rb"\u0000" in raw or not is_shallow(raw):
        return False
    try:
        return encode(_decode(raw)) == raw
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _examine(raw: bytes, what: str) -> None:
    try:
        value = json.loads(raw, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise PayloadRefused(
            what=what, reason=f"byte {error.start} is not UTF-8", way_out="send it as UTF-8, or as base64 text"
        ) from error
    except RecursionError as error:
        raise _too_deep(what) from error
    except _Found as error:
        raise PayloadRefused(
            what=what, reason=str(error), way_out="write it so that every reader reads the same"
        ) from error
    except ValueError as error:
        raise PayloadRefused(what=what, reason=f"it is not JSON ({error})", way_out="send one JSON object") from error
    if not isinstance(value, dict):
        raise PayloadRefused(what=what, reason=f"it is a JSON {type(value).__name__}", way_out="send one JSON object")
    check_value(value, what=what)
    _check_numbers(raw, what)


def _check_numbers(raw: bytes, what: str) -> None:
    """What is let in here is read by msgspec ever after, which takes no number past its range, such as 1e999."""
    try:
        msgspec.json.decode(raw)
    except msgspec.MsgspecError as error:
        raise PayloadRefused(what=what, reason=f"{error}", way_out="send that number as text") from error


def check_value(value: Any, *, what: str) -> None:
    """Refuse decoded JSON that holds a NUL or a lone surrogate, or nests deeper than `MAX_DEPTH`.

    Raises:
        PayloadRefused: it does; the message names the place as a JSON Pointer.
    """
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(MAX_DEPTH):
        deeper: list[tuple[str, Any]] = []
        for pointer, item in level:
            if isinstance(item, str):
                _check_text(item, pointer, what)
            elif isinstance(item, dict):
                for key, inner in item.items():
                    _check_text(key, pointer, what)
                    deeper.append((f"{pointer}/{key}", inner))
            elif isinstance(item, list):
                deeper.extend((f"{pointer}/{at}", inner) for at, inner in enumerate(item))
        if not deeper:
            return
        level = deeper
    raise _too_deep(what)


def on_the_wire(event: RecordedEvent) -> dict[str, Any]:
    """Return the event as contract §2 writes it; integers past 2^53 as strings, everything else as it was stored."""
    return {
        "position": event.position,
        "project": event.project,
        "stream": event.stream,
        "version": event.version,
        "id": event.id,
        "type": event.type,
        "schema": event.schema,
        "data": exact(event.payload),
        "metadata": exact(msgspec.json.decode(event.metadata)),
        "occurred_at": instant(event.occurred_at),
        "recorded_at": instant(event.recorded_at),
    }


def line(event: RecordedEvent) -> bytes:
    """Return the event on the wire as one line of JSON that loses nothing.

    `data` and `metadata` are the stored bytes themselves. Where those hold a line break, or an integer that the wire
    writes as text, `data_raw` (`metadata_raw`) beside it holds them as text.
    """
    wire = on_the_wire(event)
    for name, stored in (("data", event.data), ("metadata", event.metadata)):
        written = encode(wire[name])
        if written != stored and (b"\n" in stored or b"\r" in stored or wire[name] != msgspec.json.decode(stored)):
            wire[f"{name}_raw"] = stored.decode()
        else:
            wire[name] = msgspec.Raw(stored)
    return encode(wire)


def exact(value: Any) -> Any:
    """Return JSON as the wire has it: integers past 2^53 as text."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return value


class _Found(Exception):
    """Something in the JSON that readers disagree about."""


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Found(f"the key {twice[:80]!r} stands twice in one object")
    return found


def _no_constant(name: str) -> Any:
    raise _Found(f"{name} is not JSON")


def _check_text(value: str, pointer: str, what: str) -> None:
    if "\x00" in value:
        raise PayloadRefused(
            what=what, reason=f"NUL character at {pointer or '/'}", way_out="remove it, or send the text as base64"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise PayloadRefused(
            what=what, reason=f"lone surrogate at {pointer or '/'}", way_out="remove it, or send the text as base64"
        ) from error


def _too_deep(what: str) -> PayloadRefused:
    return PayloadRefused(
        what=what, reason=f"nested deeper than {MAX_DEPTH} levels", way_out="send the inner part as JSON text"
    )
