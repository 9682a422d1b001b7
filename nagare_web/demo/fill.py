"""Fill a journal with the demo runs, once."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from journal.store import EventStore
from nagare_web.demo.agent import Workplace, perform
from nagare_web.demo.clock import Clock
from nagare_web.demo.ids import stream_of
from nagare_web.demo.plan import ORDINARY, plan
from nagare_web.demo.shop import Shop
from nagare_web.demo.stories import NEWEST

SEED: Final = 7


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What a fill led to: how many runs it made or went on with, sub-runs too, and how many events of them were new."""

    runs: int
    added_events: int

    @property
    def was_full(self) -> bool:
        """Whether the journal held everything before."""
        return not self.added_events


def fill(store: EventStore, *, until: datetime, seed: int = SEED, ordinary: int = ORDINARY) -> Filled:
    """Append the demo runs that the journal does not hold yet, each in one go, in the order of their beginning.

    The same `until`, `seed` and number of ordinary runs give the same bytes. A journal that holds the newest run holds
    all of them, since it is appended last; a fill that was cut short goes on where it stopped.
    """
    if store.stream_version(stream_of(NEWEST)):
        return Filled(runs=0, added_events=0)
    with tempfile.TemporaryDirectory(prefix="nagare-demo-") as folder:
        shop = Shop(Path(folder) / "shop.sqlite3", until=until, seed=seed)
        try:
            place = Workplace(store=store, shop=shop, clock=Clock(at=until, until=until), folder=Path(folder))
            for job in plan(shop, until=until, seed=seed, ordinary=ordinary):
                perform(job, place, seed=seed)
            return Filled(runs=place.runs, added_events=place.added)
        finally:
            shop.close()
