"""What an installation has one of, said once when an app is loaded and asked for everywhere else."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class InUse(Generic[T]):
    """One value. `owner` says it as its app is loaded; tests put another in its place, and then the first back."""

    def __init__(self, owner: str, value: T | None = None) -> None:
        """Nothing is in use before somebody says so, unless there is a `value` to begin with."""
        self._owner = owner
        self._value = value

    def use(self, value: T) -> None:
        """Say what is in use here."""
        self._value = value

    def in_use(self) -> T:
        """Return what is in use here.

        Raises:
            RuntimeError: nobody said so: the app that owns it was not loaded.
        """
        if self._value is None:
            raise RuntimeError(f"the {self._owner} app was not loaded")
        return self._value
