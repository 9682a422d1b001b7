"""A value that is worked out when it is first asked for, and kept: without the lock that `cached_property` takes.

Before Python 3.12 that lock takes longer than what it guards here. Two threads that ask at once both work the value
out, and come to the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):  # noqa: N801 - it is used as `property` is
    """Decorates a method of an object that has a `__dict__`; the value stands there from then on."""

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self.__doc__ = work_out.__doc__
        self._name = work_out.__name__

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name it has in the class."""
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Work the value out; the next look finds it and does not come here."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._work_out(instance)
        return value
