"""What all tests share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.operations import BaseDatabaseOperations
from hypothesis import HealthCheck, settings

from journal.domain.redaction import Redactor
from journal.domain.redaction_rules import RulesSaved
from journal.runtime import log_heads, pulse, redacting
from journal.store import listeners
from tests.commands import command, environment
from tests.databases import server
from tests.triggers import taken_away

__all__ = ["server"]

# Machines differ and are shared: a slow example is no failure. FULL=1 is for the long proofs.
EXAMPLES = 200 if os.environ.get("FULL") else 40
settings.register_profile("default", deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run only what uses the database where the suite is moved to another one: the rest would say the same again."""
    if not os.environ.get("NAGARE_TEST_DATABASE"):
        return
    config.hook.pytest_deselected(items=[item for item in items if not _uses_the_database(item)])
    items[:] = filter(_uses_the_database, items)


def _uses_the_database(item: pytest.Item) -> bool:
    own = {"db", "transactional_db", "site"}
    return item.get_closest_marker("django_db") is not None or bool(own & set(getattr(item, "fixturenames", ())))


@pytest.fixture(scope="session", autouse=True)
def _flush_past_the_triggers() -> Any:
    """Let Django empty the tables after a test that commits: the journal's triggers refuse that, as they should."""
    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_without(self: BaseDatabaseOperations, sql_list: Sequence[str]) -> None:
        with taken_away(self.connection):
            flush(self, sql_list)

    patch = pytest.MonkeyPatch()
    patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_without)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _appends_tell_nobody() -> Any:
    """Keep nudges out of tests: on PostgreSQL their thread would hold a database open that is about to be dropped."""
    patch = pytest.MonkeyPatch()
    patch.setattr(listeners, "_listeners", [])
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _no_heads_outlive_a_test() -> None:
    """Keep no heads of logs in files: each test's database would look as if it were put back to an earlier day."""
    log_heads.use(log_heads.Heads(None))


class _RulesOfThisProcess(redacting.Redaction):
    """Asks a project for its rules only once they were saved here, so that appends cost each test the same."""

    def __init__(self) -> None:
        super().__init__("a key of the tests")
        self.saved: set[str] = set()

    def redactor(self, project: str, *, using: str = DEFAULT_DB_ALIAS) -> Redactor:
        """Return what replaces by the default rules, or by those that were saved."""
        return super().redactor(project, using=using) if project in self.saved else self._default(project)

    def rules(self, project: str, *, using: str = DEFAULT_DB_ALIAS) -> RulesSaved:
        """Return the default rules, or those that were saved."""
        return super().rules(project, using=using) if project in self.saved else RulesSaved()

    def forget(self, project: str | None = None) -> None:
        """Take note of a project whose rules were saved; of none, begin anew."""
        super().forget(project)
        self.saved = self.saved | {project} if project else set()

    def _default(self, project: str) -> Redactor:
        if (DEFAULT_DB_ALIAS, project) not in self._known:
            self._known[DEFAULT_DB_ALIAS, project] = (float("-inf"), 0, self.by(project, RulesSaved()))
        return self._known[DEFAULT_DB_ALIAS, project][2]


@pytest.fixture(scope="session", autouse=True)
def _rules_of_this_process() -> None:
    """Redact by the default rules, until a test saves others."""
    redacting.use(_RulesOfThisProcess())


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose journal has its tables and nothing in them, for processes of their own: copy it."""
    folder = tmp_path_factory.mktemp("migrated")
    subprocess.run(command("migrate", "-v0"), env=environment(folder), check=True, timeout=300, capture_output=True)
    return folder


@pytest.fixture(autouse=True)
def _no_heartbeat_waits_for_a_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep heartbeat threads out of tests that run in one transaction.

    Such a test holds the write lock of its SQLite file from its first write to its end: a beat on a connection of its
    own would wait for that, and come through in the middle of the next test.
    """
    database = request.node.get_closest_marker("django_db")
    if database is None or not database.kwargs.get("transaction"):
        monkeypatch.setattr(pulse, "_beat_until", lambda *_arguments: None)
