"""Names that are worked out, never drawn: the same demo run has the same address on every machine."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

_NAMESPACE: Final = UUID("6f0b1f0e-6d0c-5c1d-9a57-1d1f3f6a9c42")


def stream_of(key: str) -> str:
    """Return the stream of the demo run called `key`."""
    return f"agent_run-{uuid5(_NAMESPACE, key)}"


def event_id(stream: str, version: int) -> str:
    """Return the id of an event; the store takes the same id again as the same event."""
    return str(uuid5(_NAMESPACE, f"{stream}/{version}"))


def conversation_id(name: str) -> str:
    """Return the correlation id of a conversation, which may go over several runs."""
    return str(uuid5(_NAMESPACE, f"conversation {name}"))


def traceparent(trace: str, span: str) -> str:
    """Return a W3C trace context for a step of a run."""
    return f"00-{_hex(trace, 32)}-{_hex(f'{trace}/{span}', 16)}-01"


def _hex(name: str, digits: int) -> str:
    return sha256(name.encode()).hexdigest()[:digits]
