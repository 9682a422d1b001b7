"""Which run, which tool call and which replay the running code belongs to.

Context variables say it in nested code and in tasks of asyncio. A thread begins with an empty context. One that was
started while exactly one run was open in the process belongs to that; `carry` takes the run along where there are
several, or where the threads of a pool were there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token, copy_context
from functools import wraps
from threading import Lock, get_ident
from threading import enumerate as enumerate_threads
from typing import TYPE_CHECKING, Final, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from journal.recorder.replaying import Replay
    from journal.recorder.running import Run

P = ParamSpec("P")
T = TypeVar("T")


class _Current(Generic[T]):
    """One kind of thing code can belong to."""

    def __init__(self, name: str) -> None:
        self._variable: ContextVar[T | None] = ContextVar(name, default=None)
        self._open: list[tuple[T, frozenset[int | None]]] = []
        self._lock = Lock()

    def get(self) -> T | None:
        """Return what the context says, else the only one that is open, in a thread that was started since."""
        found = self._variable.get()
        if found is not None:
            return found
        with self._lock:
            if len(self._open) != 1:
                return None
            one, threads_before = self._open[0]
            return None if get_ident() in threads_before else one

    def here(self) -> T | None:
        """Return what the context says, and nothing else: who opens a run in another thread opens one of its own."""
        return self._variable.get()

    def enter(self, one: T, *, is_outermost: bool) -> Token[T | None]:
        """Make `one` current; whoever opened it also leaves."""
        if is_outermost:
            threads = frozenset(thread.ident for thread in enumerate_threads()) - {get_ident()}
            with self._lock:
                self._open.append((one, threads))
        return self._variable.set(one)

    def leave(self, one: T, token: Token[T | None]) -> None:
        """Make current again what was so before."""
        with self._lock:
            self._open = [known for known in self._open if known[0] is not one]
        try:
            self._variable.reset(token)
        except ValueError:  # left in another context than entered, as a generator's clean-up is
            self._variable.set(None)

    def forget_lock(self) -> None:
        """Take a new lock: the old one may have been held by a thread that this process does not have."""
        self._lock = Lock()


_runs: Final[_Current[Run]] = _Current("nagare_run")
_replays: Final[_Current[Replay]] = _Current("nagare_replay")
_call: Final[ContextVar[str | None]] = ContextVar("nagare_call", default=None)
_muted: Final[ContextVar[bool]] = ContextVar("nagare_muted", default=False)

runs = _runs
replays = _replays


def current() -> Run | None:
    """Return the run that the calling code belongs to, or None."""
    return _runs.get()


def current_replay() -> Replay | None:
    """Return the replay that the calling code runs in, or None."""
    return _replays.get()


def current_call() -> str | None:
    """Return the id of the event that decided to call the tool whose code is running, or None."""
    return _call.get()


@contextmanager
def inside_call(decision: str | None) -> Iterator[None]:
    """Say that what happens in the block is the work of one tool call."""
    token = _call.set(decision)
    try:
        yield
    finally:
        _call.reset(token)


@contextmanager
def muted() -> Iterator[None]:
    """Keep the transport from recording what a block sends: somebody else records it."""
    token = _muted.set(True)
    try:
        yield
    finally:
        _muted.reset(token)


def is_muted() -> bool:
    """Return whether somebody else records what is sent here."""
    return _muted.get()


def carry(function: Callable[P, T]) -> Callable[P, T]:
    """Return the function bound to the calling code's run, for a thread or a pool.

    `asyncio.to_thread` does this by itself; `threading.Thread` and executors do not.
    """
    context = copy_context()

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return carried
