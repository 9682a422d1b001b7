"""The newest state of a stream that need not exist yet, from its nearest snapshot on where the store keeps any."""

from __future__ import annotations

from journal.domain.aggregate import Repository, State, initial
from journal.errors import StreamNotFound
from journal.store import EventStore
from journal.store.snapshots import Kept


def newest(store: EventStore, stream: str) -> State:
    """Return it; the empty state where the stream has no events."""
    snapshots = Kept(store.project) if store.capabilities.durable else None
    try:
        return Repository(store, snapshots=snapshots).load(stream)
    except StreamNotFound:
        return initial(stream)
