"""Conformance test number one: no committed event is missed, on any database. And the proof itself can fail."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from journal.store import get_store
from tests.databases import register
from tests.journal.store.delivery import prove
from tests.servers import URLS

FULL = bool(os.environ.get("FULL"))
EVENTS = 100_000 if FULL else 8_000
ROUNDS = 10 if FULL else 1

pytestmark = pytest.mark.slow

on_servers = pytest.mark.parametrize(
    "server",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("postgresql", "mariadb", "mssql")],
    indirect=True,
)


@on_servers
def test_every_committed_event_is_delivered_once_and_in_order(server: str) -> None:
    """With pauses in transactions, transactions held open, rollbacks and writers killed: none missed, none twice."""
    for at in range(ROUNDS):
        proof = prove(server, URLS[server](), events=EVENTS, seed=1000 * at)
        assert proof.committed >= EVENTS
        assert proof.killed
        assert proof.rolled_back
        assert proof.holds, proof


def test_every_committed_event_is_delivered_on_sqlite(tmp_path: Path, django_db_blocker: Any) -> None:
    """The same, where one writer at a time makes the order free."""
    url = f"sqlite:///{tmp_path}/journal.sqlite3"
    with django_db_blocker.unblock():
        register("proof", url)
        call_command("migrate", database="proof", verbosity=0)
        for at in range(ROUNDS):
            proof = prove("proof", url, events=EVENTS, seed=1000 * at)
            assert proof.killed
            assert proof.holds, proof
        connections["proof"].close()


@on_servers
def test_the_same_proof_finds_out_a_naive_reader(server: str) -> None:
    """A reader that goes by position alone, without the horizon, misses events: the proof sees it."""
    naive: Any = get_store("proof", using=server)
    naive.__class__ = type("Naive", (type(naive),), {"_reach": lambda _: None})
    proof = prove(server, URLS[server](), events=2_000, reader=naive, seed=77)
    assert proof.missed, proof
