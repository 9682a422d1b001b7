"""Telling the person at the agent that something is not recorded, once, and never stopping the agent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from journal.recorder.errors import RecordingFailed

log: Final = logging.getLogger("nagare.recorder")
"""Where nothing is configured, Python writes its warnings to standard error."""

_QUIET_S: Final = 60.0

P = ParamSpec("P")
T = TypeVar("T")

_told: dict[str, float] = {}
_is_strict = False


def set_strict(is_strict: bool) -> None:  # noqa: FBT001 - there is no other way to call it
    """Say whether what cannot be recorded raises `RecordingFailed` in the agent, or is a warning."""
    global _is_strict  # noqa: PLW0603 - one setting of the process
    _is_strict = is_strict


def warn(kind: str, message: str) -> None:
    """Warn, at most once a minute for each kind of trouble."""
    now = time.monotonic()
    if now - _told.get(kind, -_QUIET_S) >= _QUIET_S:
        _told[kind] = now
        log.warning("%s", message)


def failed(what: str, error: Exception) -> None:
    """Warn that something was not recorded.

    Raises:
        RecordingFailed: recording is strict.
    """
    if _is_strict:
        raise RecordingFailed(f"{what}: {error}") from error
    warn(f"{what}/{type(error).__name__}", f"{what} was not recorded: {type(error).__name__}: {error}")


D = TypeVar("D")


def guarded(what: str, default: D) -> Callable[[Callable[P, T]], Callable[P, T | D]]:
    """Keep whatever goes wrong in recording away from the agent: a warning and `default` in place of an exception."""

    def decorate(function: Callable[P, T]) -> Callable[P, T | D]:
        @wraps(function)
        def safe(*args: P.args, **kwargs: P.kwargs) -> T | D:
            try:
                return function(*args, **kwargs)
            except RecordingFailed:
                raise
            except Exception as error:  # noqa: BLE001 - recording never breaks the agent
                failed(what, error)
                return default

        return safe

    return decorate
