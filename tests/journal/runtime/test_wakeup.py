"""Wake-ups: polling is the truth, notifications only make it sooner, and a broken one costs no event."""

from __future__ import annotations

import threading
import time
from itertools import islice

import pytest

from journal.runtime import wakeup
from journal.runtime.wakeup import Nudges, nudge, wakeups


class Broken:
    """A bell whose connection breaks at once."""

    closed = False

    def wait(self, seconds: float) -> None:
        """Break."""
        raise ConnectionError

    def close(self) -> None:
        """Be closed."""
        Broken.closed = True


def test_the_first_look_is_at_once_and_the_others_by_the_clock() -> None:
    """Whoever starts late has something to read already."""
    stop = threading.Event()
    began = time.monotonic()
    looks = wakeups(poll_s=0.05, stop=stop)
    next(looks)
    assert time.monotonic() - began < 0.05
    list(islice(looks, 3))
    assert time.monotonic() - began >= 0.15


def test_stopping_ends_the_waiting() -> None:
    """A long poll does not hold the end of a process up."""
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert len(list(wakeups(poll_s=60, stop=stop))) == 1


def test_a_broken_bell_is_replaced_by_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """The looks go on."""
    monkeypatch.setattr(wakeup, "_bell", lambda *_: Broken())
    assert len(list(islice(wakeups(poll_s=0.01, stop=threading.Event()), 4))) == 4
    assert Broken.closed


def test_a_bell_that_broke_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was away for a while is heard again; between two tries the poll does."""
    hung: list[Broken] = []

    def hang_up(*_: object) -> Broken:
        hung.append(Broken())
        return hung[-1]

    monkeypatch.setattr(wakeup, "_bell", hang_up)
    looks = wakeups(poll_s=0.001, stop=threading.Event(), mended_every_s=0)
    list(islice(looks, 5))
    assert len(hung) > 1
    hung.clear()
    list(islice(wakeups(poll_s=0.001, stop=threading.Event()), 5))
    assert len(hung) == 1


def test_many_appends_share_a_nudge(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is appended while one goes out gets one more, and no append waits for either."""
    going_out, may_go = threading.Semaphore(0), threading.Semaphore(0)

    def slow(*, redis_url: str) -> bool:
        assert redis_url == "redis://nowhere"
        going_out.release()
        return may_go.acquire(timeout=30)

    monkeypatch.setattr(wakeup, "nudge", slow)
    nudges = Nudges(redis_url="redis://nowhere")
    nudges.ring()
    assert going_out.acquire(timeout=30)
    for _ in range(100):
        nudges.ring()
    may_go.release()
    assert going_out.acquire(timeout=30)
    may_go.release()
    assert not going_out.acquire(timeout=4 * wakeup.NUDGE_EVERY_S)


def test_a_nudge_that_nobody_took_does_not_silence_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread could be had for it, the next append asks again."""
    sent = threading.Event()

    def send(**_url: str) -> bool:
        sent.set()
        return True

    monkeypatch.setattr(wakeup, "nudge", send)
    nudges = Nudges()
    with monkeypatch.context() as patch:
        patch.setattr(nudges._aside, "do", lambda _what: False)
        nudges.ring()
    nudges.ring()
    assert sent.wait(30)


def test_an_unreachable_redis_is_no_reason_to_stand_still() -> None:
    """Neither for who listens nor for who nudges."""
    nowhere = "redis://127.0.0.1:1/0"
    nudge(redis_url=nowhere)
    assert len(list(islice(wakeups(poll_s=0.01, stop=threading.Event(), redis_url=nowhere), 3))) == 3
