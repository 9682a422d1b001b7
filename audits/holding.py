"""Where incidents ask that runs be kept: whatever purges and erases registers itself here, and obeys.

An incident's own stream says what is held whether or not anybody registered; what it says then is that nobody obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

KIND: Final = "incident"
"""The kind of the holds that incidents set, beside legal ones."""


class Keeper(Protocol):
    """What keeps runs from purge and erasure. Both calls may come again for the same run and incident."""

    def hold(self, project: str, streams: Sequence[str], *, incident: str, reason: str, by: str) -> None:
        """Keep runs for an incident, which is named by its stream."""

    def release(self, project: str, streams: Sequence[str], *, incident: str, reason: str, by: str) -> None:
        """Let them go, as far as this incident is concerned."""


_keepers: list[Keeper] = []


def keeps(keeper: Keeper) -> Keeper:
    """Register what keeps runs."""
    _keepers.append(keeper)
    return keeper


def is_kept() -> bool:
    """Return whether anything obeys a hold."""
    return bool(_keepers)


def hold(project: str, streams: Sequence[str], *, incident: str, reason: str, by: str) -> None:
    """Keep runs for an incident."""
    for keeper in _keepers:
        keeper.hold(project, streams, incident=incident, reason=reason, by=by)


def release(project: str, streams: Sequence[str], *, incident: str, reason: str, by: str) -> None:
    """Let them go."""
    for keeper in _keepers:
        keeper.release(project, streams, incident=incident, reason=reason, by=by)
