"""A time as a place in a stream."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from journal.domain.moment import occurred_by
from tests.builders import NOON, recorded, responded

SECONDS = st.lists(st.one_of(st.none(), st.integers(0, 50)), max_size=12)


@given(seconds=SECONDS, asked=st.integers(0, 50))
def test_a_time_leads_to_the_last_event_by_then(seconds: list[int | None], asked: int) -> None:
    """Against the definition: the highest version whose time is known and not later, and what stands before it."""
    events = [
        replace(
            event,
            occurred_at=NOON + timedelta(seconds=at or 0),
            metadata=b"{}" if at is not None else b'{"time":"unknown"}',
        )
        for event, at in zip(recorded([responded() for _ in seconds]), seconds, strict=True)
    ]
    found = occurred_by(events, NOON + timedelta(seconds=asked))
    by_then = [version for version, at in enumerate(seconds, 1) if at is not None and at <= asked]
    version = max(by_then, default=0)
    before = seconds[: max(0, version - 1)]
    assert found.version == version
    assert found.ahead == sum(at is not None and at > asked for at in before)
    assert found.untimed == sum(at is None for at in before)
    known = [at for at in seconds if at is not None]
    assert found.begins == (NOON + timedelta(seconds=min(known)) if known else None)
