"""Who is told at once that something was appended. A word for the impatient: it is not the way to miss nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_listeners: Final[list[Callable[[], None]]] = []


def on_append(listener: Callable[[], None]) -> None:
    """Call something after each append, in the appending thread: it must return at once and raise nothing."""
    _listeners.append(listener)


def tell() -> None:
    """Tell everybody; called once the append is committed."""
    for listener in _listeners:
        listener()
