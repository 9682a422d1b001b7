"""The triggers that keep stored events as they are: taken away, as the database's owner can, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.db import connection

_append_only = import_module("journal.migrations.0002_append_only")
_withdrawn = import_module("journal.migrations.0110_withdrawn")


def take_away(on: Any = connection) -> None:
    """Let rows be changed and deleted."""
    with on.schema_editor() as editor:
        _append_only._drop(None, editor)


def put_back(on: Any = connection) -> None:
    """Let all stand as the migrations left it: also the one change that is let through."""
    with on.schema_editor() as editor:
        _append_only._add(None, editor)
        _withdrawn._apply(None, editor)


@contextmanager
def taken_away(on: Any = connection) -> Iterator[None]:
    """Do without them meanwhile."""
    take_away(on)
    try:
        yield
    finally:
        put_back(on)
