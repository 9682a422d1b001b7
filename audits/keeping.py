"""What incidents ask to be kept is held: purge and erasure refuse it until each incident has let it go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audits import holding
from journal.domain.retention import Hold
from journal.runtime import retention

_KIND: Final = "incident"


class Holds:
    """Keeps runs by holds, one for each run and incident. The incident's stream begins the reason, which is public."""

    def hold(self, project: str, streams: Sequence[str], *, incident: str, reason: str, by: str) -> None:
        """Hold those that this incident does not hold yet."""
        held = {hold.stream for hold in _of(project, incident)}
        for stream in streams:
            if stream not in held:
                retention.add_hold(project, stream=stream, kind=_KIND, reason=f"{incident}: {reason}", by=by)

    def release(self, project: str, streams: Sequence[str], *, incident: str, reason: str, by: str) -> None:
        """Release this incident's holds; what others hold stays held."""
        for hold in _of(project, incident):
            if hold.stream in streams:
                retention.release_hold(project, hold_id=hold.id, reason=f"{incident}: {reason}", by=by)


def _of(project: str, incident: str) -> list[Hold]:
    """Return the holds that bind for an incident."""
    active = retention.active_holds(project)
    return [hold for hold in active if hold.kind == _KIND and hold.reason.startswith(f"{incident}: ")]


holding.keeps(Holds())
