"""The events of a project's transparency log: a stream a project, category `log`, itself sealed in that log."""

from __future__ import annotations

from typing import Final

import msgspec

from journal.domain.catalog import catalog

CATEGORY: Final = "log"
AUDITS: Final = "audit"
"""The category of the streams that audits are told in, by the app that makes them."""
INCIDENTS: Final = "incident"
"""That of incidents, a stream each."""


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire."""


@catalog.event("log.key_rotated")
class KeyRotated(_Data, frozen=True, kw_only=True):
    """Checkpoints are signed by another key from here on.

    `vkey` and `previous_vkey` are the public keys as lines; `signature` is the previous key's of the new line, in
    base64. `size` is how many leaves were sealed under the previous one.
    """

    vkey: str = ""
    previous_vkey: str = ""
    signature: str = ""
    size: int = 0


@catalog.event("log.reopened")
class LogReopened(_Data, frozen=True, kw_only=True):
    """The project's log could not go on, and another one began; `checkpoint` is the last that was signed of it."""

    origin: str = ""
    checkpoint: str = ""
    reason: str = ""
    by: str = ""


def stream_of(project: str) -> str:
    """Return the stream that a project's log is told in."""
    return f"{CATEGORY}-{project}"
