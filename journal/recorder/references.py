"""References from one event of a run to another, while nobody knows their versions yet.

An event is made, and written to the spool, before the journal has given its predecessors their versions. Until it is
sent it names them `{"event": id}`; what is sent says `{"version": n}` in messages and `n` where a field is a version.
The versions are facts of the journal, so that the same event sent twice has the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from journal.domain.codec import encode

_NUMBERS: Final = ("droppedVersions", "keptVersions")


def reference(event_id: str) -> dict[str, Any]:
    """Return what stands for an earlier event until it is sent."""
    return {"event": event_id}


def resolved(data: bytes, versions: Mapping[str, int]) -> bytes:
    """Return event data with the versions of what it refers to; one that is unknown keeps its id."""
    decoded = msgspec.json.decode(data)
    if "messages" in decoded:
        decoded["messages"] = [_resolved(entry, versions) for entry in decoded["messages"]]
    for name in _NUMBERS:
        if name in decoded:
            found = (_resolved(entry, versions) for entry in decoded[name])
            decoded[name] = [entry["version"] for entry in found if isinstance(entry, dict) and "version" in entry]
    return encode(decoded)


def _resolved(entry: Any, versions: Mapping[str, int]) -> Any:
    if isinstance(entry, dict) and set(entry) == {"event"} and entry["event"] in versions:
        return {"version": versions[entry["event"]]}
    return entry
