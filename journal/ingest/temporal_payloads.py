"""Temporal's payloads and failures as plain data.

A payload is `{"metadata": {"encoding": …}, "data": …}`, both in base64, or the value itself where the export writes it
so. What a codec has encrypted stays shut, with the name of its encoding.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any, Final

from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest.lenient import as_dict, as_text
from journal.ingest.source import decode

_JSON: Final = ("json/plain", "json/protobuf")
_NOTHING: Final = "binary/null"
_LONGEST_CHAIN: Final = 20


def value_of(payloads: object) -> Any:
    """Return what payloads hold: the value of a single one, a list of several, or None."""
    values = values_of(payloads)
    return values[0] if len(values) == 1 else values or None


def values_of(payloads: object) -> list[Any]:
    """Return the value of each payload, however the export has written them."""
    if payloads is None or payloads == {}:
        return []
    held = payloads.get("payloads", payloads) if isinstance(payloads, dict) else payloads
    return [plain(payload) for payload in (held if isinstance(held, list) else [held])]


def plain(value: Any) -> Any:
    """Return data with every payload in it, and every list of payloads, as what it holds."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if _is_payload(value):
        return _payload(value)
    if value.keys() == {"payloads"}:
        return value_of(value)
    return {name: plain(item) for name, item in value.items()}


def _is_payload(value: dict[str, Any]) -> bool:
    metadata = as_dict(value.get("metadata"))
    return "encoding" in metadata and value.keys() <= {"metadata", "data", "externalPayloads"}


def _payload(payload: dict[str, Any]) -> Any:
    metadata, data = as_dict(payload.get("metadata")), payload.get("data")
    if "encodingDecoded" in metadata or not isinstance(data, str):
        return data
    encoding = _unpacked(metadata.get("encoding"))
    if encoding == _NOTHING:
        return None
    if encoding in _JSON:
        try:
            return decode(b64decode(data, validate=True))
        except (ImportRefused, ValueError):
            return data
    return {"$encoding": encoding, "$base64": data}


def _unpacked(encoding: object) -> str:
    """Return the name of an encoding, which is in base64 in most exports and plain in some."""
    written = as_text(encoding) or ""
    if "/" in written:
        return written
    try:
        return b64decode(written, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return written


def failure_code(failure: dict[str, Any]) -> str | None:
    """Return what kind of failure it was: the application's own name for it, else Temporal's."""
    for one in _chain(failure):
        if kind := as_text(as_dict(one.get("applicationFailureInfo")).get("type")):
            return kind
        if kind := as_text(as_dict(one.get("timeoutFailureInfo")).get("timeoutType")):
            return f"timeout: {kind.removeprefix('TIMEOUT_TYPE_').lower()}"
        if "canceledFailureInfo" in one:
            return "cancelled"
        if "terminatedFailureInfo" in one:
            return "terminated"
    return None


def failure_message(failure: dict[str, Any]) -> str:
    """Return all that a failure says: its words and those of its causes, details, and where it was raised."""
    parts: list[str] = []
    for one in _chain(failure):
        said = [as_text(one.get("message")) or ""]
        details = values_of(as_dict(one.get("applicationFailureInfo")).get("details"))
        said += [text(details)] if details else []
        said += [as_text(one.get("stackTrace")) or ""]
        parts.append("\n".join(part for part in said if part))
    return "\ncaused by: ".join(part for part in parts if part)


def _chain(failure: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while failure and len(found) < _LONGEST_CHAIN:
        found.append(failure)
        failure = as_dict(failure.get("cause"))
    return found
