"""What is said on the side: nobody waits for it, one failure is not the next one's, and too much is dropped."""

from __future__ import annotations

import threading

import pytest

from journal.runtime.aside import Aside

PATIENCE_S = 30


def test_it_is_done_in_turn_on_another_thread_also_after_a_failure() -> None:
    """A server that refuses one word may take the next."""
    said: list[str] = []
    done = threading.Event()

    def refused() -> None:
        said.append(threading.current_thread().name)
        raise ConnectionError

    aside = Aside("words")
    assert aside.do(refused)
    assert aside.do(lambda: said.append("second"))
    assert aside.do(done.set)
    assert done.wait(PATIENCE_S)
    assert said == ["words", "second"]


def test_where_nothing_is_answered_what_comes_is_dropped_and_nobody_waits() -> None:
    """The one that hangs and so many behind it are kept."""
    hangs, hung = threading.Event(), threading.Event()

    def hang() -> None:
        hung.set()
        hangs.wait(PATIENCE_S)

    aside = Aside("words", most=2)
    aside.do(hang)
    assert hung.wait(PATIENCE_S)
    assert [aside.do(hung.clear) for _ in range(3)] == [True, True, False]
    hangs.set()


def test_without_a_thread_nothing_is_raised_and_the_next_word_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it would be said for is done and stored: a system out of threads must not make that look failed."""

    def none_left(_thread: threading.Thread) -> None:
        reason = "can't start new thread"
        raise RuntimeError(reason)

    aside, done = Aside("words"), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        assert not aside.do(done.set)
    assert aside.do(done.set)
    assert done.wait(PATIENCE_S)
