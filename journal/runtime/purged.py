"""Whether nothing is left of a run, and by which policy: what its page and its addresses in the API answer."""

from __future__ import annotations

from typing import Any

from journal.domain.retention import PurgeOrdered, order_of, policy_name
from journal.domain.text import amount
from journal.domain.withdrawn import mark_on
from journal.errors import RunPurged
from journal.store import get_store


def purge_of(project: str, stream: str) -> RunPurged | None:
    """Return what to say of a run that was purged, None of one that was not. A purge takes a run whole, or not at all.

    It looks at the newest event: a run that went on after its purge is one again.
    """
    store = get_store(project)
    version = store.stream_version(stream)
    event = next(iter(store.read_stream(stream, after=version - 1)), None) if version else None
    mark = mark_on(event) if event is not None else None
    if mark is None or mark.kind != "purged":
        return None
    order = store.events([mark.act]).get(mark.act)
    said: Any = order_of(order) if order is not None else None
    policy = said.policy if isinstance(said, PurgeOrdered) else 0
    ceiling = said.ceiling_days if isinstance(said, PurgeOrdered) else None
    floor = said.floor_days if isinstance(said, PurgeOrdered) else 0
    kept = f"payloads are kept for {amount(floor, 'day')} at least"
    most = f"{kept} and {amount(ceiling, 'day')} at most" if ceiling else kept
    return RunPurged(stream=stream, policy=policy_name(policy), order=mark.act, purged_at=mark.at, means=most)


def check_standing(project: str, stream: str) -> None:
    """Do nothing where something is left of a run.

    Raises:
        RunPurged: nothing is.
    """
    if (gone := purge_of(project, stream)) is not None:
        raise gone
