"""The memory store keeps the promises."""

from __future__ import annotations

import pytest

from journal.store.memory import MemoryStore
from tests.journal.store.contract import NewStore, StoreContract


class TestMemoryStore(StoreContract):
    """On a list."""

    @pytest.fixture
    def new_store(self) -> NewStore:
        """A new journal per project."""
        return MemoryStore
