"""Leases: one holder at a time, by the database's clock, and a token that tells the later from the earlier."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db.models import F

from journal.models import Lease
from journal.runtime import checkpoint, lease
from journal.runtime.checkpoint import Fenced, Overtaken

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def expire(name: str) -> None:
    """Let the lease's time be over."""
    Lease.objects.filter(name=name).update(expires_at=F("acquired_at") - HOUR)


def taken(name: str, holder: str) -> lease.Held:
    """Take a lease that must be free."""
    held = lease.acquire(name, holder=holder, ttl=HOUR)
    assert held is not None
    return held


def test_a_lease_has_one_holder() -> None:
    """The second to come gets nothing until the first gives it back."""
    first = taken("outbox", "worker-1")
    assert lease.acquire("outbox", holder="worker-2") is None
    lease.release(first)
    assert taken("outbox", "worker-2").token == first.token + 1


def test_each_grant_raises_the_token_by_one() -> None:
    """Whoever is granted it, and however the grant before ended."""
    tokens = []
    for holder in ("worker-1", "worker-2", "worker-1"):
        tokens.append(taken("outbox", holder).token)
        expire("outbox")
    assert tokens == [1, 2, 3]


def test_leases_are_independent() -> None:
    """Another name is another lease."""
    assert taken("a", "worker-1").token == taken("b", "worker-2").token == 1


def test_an_expired_lease_is_taken_over_and_the_old_holder_cannot_renew_it() -> None:
    """Nor give it back: it is no longer theirs."""
    old = taken("outbox", "worker-1")
    expire("outbox")
    new = taken("outbox", "worker-2")
    assert lease.renew(old) is None
    lease.release(old)
    assert lease.renew(new) is not None


def test_an_expired_lease_that_nobody_took_is_still_its_holders() -> None:
    """No later token exists that a row could carry, so going on is safe."""
    old = taken("outbox", "worker-1")
    expire("outbox")
    renewed = lease.renew(old)
    assert renewed is not None
    assert renewed.token == old.token
    assert lease.acquire("outbox", holder="worker-2") is None


def test_the_clock_is_the_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose own clock is a year ahead takes nothing from anybody."""
    taken("outbox", "worker-1")
    monkeypatch.setattr("django.utils.timezone.now", lambda: pytest.fail("the machine's clock was asked"))
    assert lease.acquire("outbox", holder="worker-2") is None


def test_a_holder_that_was_replaced_can_move_no_checkpoint() -> None:
    """Once the new holder has stamped it, though the old one's position is still the right one."""
    old = taken("outbox", "worker-1")
    mark = checkpoint.take("sub", token=old.token)
    mark = checkpoint.advance(mark, to=10, token=old.token)
    expire("outbox")
    checkpoint.take("sub", token=taken("outbox", "worker-2").token)
    with pytest.raises(Fenced):
        checkpoint.advance(mark, to=20, token=old.token)
    with pytest.raises(Fenced):
        checkpoint.take("sub", token=old.token)
    assert checkpoint.read("sub").position == 10


def test_a_checkpoint_moves_only_from_where_it_was_read() -> None:
    """Of two that read the same position, the second is told that it was overtaken."""
    mark = checkpoint.read("sub")
    checkpoint.advance(mark, to=5)
    with pytest.raises(Overtaken):
        checkpoint.advance(mark, to=7)
    assert checkpoint.read("sub").position == 5


def test_a_guard_gives_the_lease_back_however_the_block_ends() -> None:
    """So that the next one need not wait for it to expire."""
    with pytest.raises(RuntimeError), lease.guard("outbox"):
        raise RuntimeError
    with lease.guard("outbox") as term:
        assert term is not None
        assert term.token == 2
        with lease.guard("outbox", holder="worker-2") as other:
            assert other is None


def test_a_term_ends_on_time_without_asking_anybody() -> None:
    """A process that was stopped past its lease knows on waking, before it has spoken to the database."""
    held = taken("outbox", "worker-1")
    term = lease.Term(held, since=-held.ttl.total_seconds() - 1)
    assert not term.holds()
    with pytest.raises(lease.LeaseLost):
        term.check()


@pytest.mark.django_db(transaction=True)
def test_a_guard_renews_while_the_work_goes_on() -> None:
    """Longer than the lease's time; a second holder that tries all the while gets nothing."""
    ttl = timedelta(seconds=1)
    with lease.guard("outbox", ttl=ttl) as term:
        assert term is not None
        until = threading.Event()
        for _ in range(8):
            until.wait(0.3)
            assert term.holds()
            assert lease.acquire("outbox", holder="worker-2", ttl=ttl) is None


def test_a_holder_is_named_by_role_host_and_process() -> None:
    """As pages show it."""
    assert lease.holder_name("outbox").startswith("outbox-")
