"""The events audits leave in the journal: each one that was made, in a stream a project, category `audit`."""

from __future__ import annotations

from typing import Any

import msgspec

from journal.domain.catalog import catalog
from journal.domain.sealing import AUDITS


@catalog.event("audit.made")
class AuditMade(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Somebody was given an audit.

    `query` is as in its manifest, `events` how many it covers, `checkpoint` the signed head it rests on, `sha256` of
    the file that was handed over, `by` who asked, `purpose` what for, as they typed it.
    """

    query: dict[str, Any] = {}
    events: int = 0
    checkpoint: str = ""
    file: str = ""
    sha256: str = ""
    by: str = ""
    purpose: str = ""


def stream_of(project: str) -> str:
    """Return the stream that a project's audits are told in."""
    return f"{AUDITS}-{project}"
