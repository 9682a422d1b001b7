"""Journals on real servers, beside the test run's own database: a migrated Django alias each, made when first asked."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from django.core.management import call_command
from django.db import connections, transaction

from journal.runtime import pulse
from nagare_web import databases
from tests import servers

SEARCHES: Final = pytest.mark.django_db(transaction=os.environ.get("NAGARE_TEST_DATABASE") == "mariadb")
"""Marks tests that search texts: the full-text index of InnoDB finds what is committed, and nothing before."""


@functools.cache
def alias(name: str) -> str:
    """Return the alias of a migrated database on the named server.

    Raises:
        servers.Missing: there is no such server here.
    """
    register(name, servers.URLS[name]())
    call_command("migrate", database=name, verbosity=0)
    return name


@contextmanager
def around_tests(blocker: Any) -> Iterator[None]:
    """Let several tests find what is written in the block, and undo it in the end.

    For a fixture of a module, whose tests each have a transaction of their own inside of this one: what takes long to
    make is made once.
    """
    with blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pulse, "_beat_until", lambda *_arguments: None)  # it would wait for this transaction's lock
        around = transaction.atomic()
        vars(around)["_from_testcase"] = True  # as Django marks its own, so that appends may be durable in it
        with around:
            yield
            transaction.set_rollback(True)


def register(name: str, url: str) -> None:
    """Add a database to those Django knows."""
    connections.settings.update(connections.configure_settings({**connections.settings, name: databases.parsed(url)}))


@pytest.fixture
def server(request: Any, django_db_blocker: Any) -> Iterator[str]:
    """Give the alias of the server that `request.param` names; skip where it is missing."""
    with django_db_blocker.unblock():
        try:
            yield alias(request.param)
        except servers.Missing as missing:
            pytest.skip(f"no {request.param}: {missing}")
        finally:
            if request.param in connections.settings:
                connections[request.param].close()
