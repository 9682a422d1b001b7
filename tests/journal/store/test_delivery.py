"""Conformance test number one: no committed event is missed, on any database. And the proof itself can fail.

FULL=1 runs the proof ten times over 100,000 events, and says of each round what was committed, missed and befell the
writers; `NAGARE_TEST_PROOF_REPORT` names a file that gets the same as lines of JSON.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.management import call_command
from django.db import connections

from journal.store import get_store
from tests.databases import register
from tests.journal.store.delivery import Proof, prove
from tests.servers import URLS

FULL = bool(os.environ.get("FULL"))
EVENTS = 100_000 if FULL else 5_000
ROUNDS = 10 if FULL else 1
REPORT = os.environ.get("NAGARE_TEST_PROOF_REPORT")

Tell = Callable[[str, int, Proof], None]

pytestmark = pytest.mark.slow

on_servers = pytest.mark.parametrize(
    "server",
    [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("postgresql", "mariadb", "mssql")],
    indirect=True,
)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Give what reports a round."""

    def say(backend: str, at: int, proof: Proof) -> None:
        writers = proof.writers
        with capsys.disabled():
            sys.stdout.write(
                f"\n{backend} {at}: committed {proof.committed:,}, missed {proof.missed}, repeated {proof.repeated},"
                f" out of order {proof.out_of_order}, foreign {proof.foreign}; writers killed {writers.killed}, of them"
                f" between statements {writers.killed_between_statements}, before commit"
                f" {writers.killed_before_commit}, after commit {writers.killed_after_commit}; rolled back"
                f" {writers.rolled_back}, held open {writers.held_open}, refused {writers.refused};"
                f" {proof.seconds:.1f} s\n"
            )
        if REPORT:
            line = {"backend": backend, "round": at, **msgspec.structs.asdict(proof)}
            with Path(REPORT).open("ab") as report:
                report.write(msgspec.json.encode(line) + b"\n")

    return say if FULL or REPORT else lambda *_: None


@on_servers
def test_every_committed_event_is_delivered_once_and_in_order(server: str, tell: Tell) -> None:
    """With pauses in transactions, transactions held open, rollbacks and writers killed: none missed, none twice."""
    for at in range(ROUNDS):
        proof = prove(server, URLS[server](), events=EVENTS, seed=1000 * at)
        tell(server, at + 1, proof)
        check(proof)


@pytest.fixture
def sqlite_url(tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    """Give the URL of a migrated file, which is the alias `proof` too."""
    url = f"sqlite:///{tmp_path}/journal.sqlite3"
    with django_db_blocker.unblock():
        register("proof", url)
        call_command("migrate", database="proof", verbosity=0)
        yield url
        connections["proof"].close()


def test_every_committed_event_is_delivered_on_sqlite(sqlite_url: str, tell: Tell) -> None:
    """The same, where one writer at a time makes the order free."""
    for at in range(ROUNDS):
        proof = prove("proof", sqlite_url, events=EVENTS, seed=1000 * at)
        tell("sqlite", at + 1, proof)
        check(proof)


def check(proof: Proof) -> None:
    """Assert that the proof holds, and that it had something to hold against."""
    writers = proof.writers
    assert proof.committed >= EVENTS
    assert writers.killed
    assert writers.rolled_back
    if FULL:
        assert min(writers.killed_before_commit, writers.killed_after_commit, writers.held_open), proof
    assert proof.holds, proof


@on_servers
def test_the_same_proof_finds_out_a_naive_reader(server: str) -> None:
    """A reader that goes by position alone, without the horizon, misses events: the proof sees it."""
    naive: Any = get_store("proof", using=server)
    naive.__class__ = type("Naive", (type(naive),), {"_reach": lambda _: None})
    proof = prove(server, URLS[server](), events=2_000, reader=naive, seed=77)
    assert proof.missed, proof
