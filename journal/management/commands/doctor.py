"""`nagare doctor`: configuration and health, in words."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from journal.ingest import load_formats
from journal.management.base import Command as Base
from journal.models import Membership
from journal.runtime.projection import progress, registered

_LITTLE_SPACE = 2**30
_FULL = 2  # PRAGMA synchronous
_TRIGGERS = 3


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at: whether it is as it should be, and if not, what to do."""

    what: str
    ok: bool
    says: str


class Command(Base):
    """Look at everything a running system needs."""

    help = "Look at the configuration and at what a running system needs, and say in words what is wrong."
    example = "nagare doctor"

    def run(self, **options: Any) -> None:
        """Look, print; exit code 1 where something needs a person."""
        findings = list(_findings())
        if options["json"]:
            self.print_json({"findings": findings})
        else:
            for finding in findings:
                self.say(f"{'ok ' if finding.ok else 'ACT'}  {finding.what}: {finding.says}")
        if not all(finding.ok for finding in findings):
            raise CommandError("something needs a person, see above", returncode=1)


def _findings() -> Iterator[Finding]:
    yield Finding(what="Python", ok=True, says=sys.version.split()[0])
    yield _database()
    if not (migrations := _migrations()).ok:
        yield migrations
        return
    yield migrations
    yield _triggers()
    yield from _projections()
    yield _people()
    yield _space()
    yield Finding(what="import formats", ok=True, says=f"{len(load_formats())} known")
    yield _bind()


def _database() -> Finding:
    if connection.vendor != "sqlite":
        return Finding(what="database", ok=False, says=f"{connection.vendor} has no event store yet; use sqlite:///")
    with connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        synchronous = cursor.execute("PRAGMA synchronous").fetchone()[0]
    name = connection.settings_dict["NAME"]
    says = f"SQLite {sqlite3.sqlite_version} at {name}, journal_mode {mode}, synchronous {synchronous}"
    if mode != "wal" or synchronous < _FULL:
        return Finding(what="database", ok=False, says=says + "; needs WAL and FULL, set by the shipped settings")
    return Finding(what="database", ok=True, says=says)


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    says = f"{len(missing)} not applied; `nagare migrate` applies them" if missing else "all applied"
    return Finding(what="migrations", ok=not missing, says=says)


def _triggers() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'journal_event'")
        found = cursor.fetchone()[0]
    refused = "UPDATE, DELETE and REPLACE of events are refused"
    says = refused if found == _TRIGGERS else f"{found} of {_TRIGGERS} append-only triggers"
    return Finding(what="journal", ok=found == _TRIGGERS, says=says)


def _projections() -> Iterator[Finding]:
    for projection in registered():
        at = progress(projection)
        lag = at.head - at.position
        says = "caught up" if not lag else f"{lag:,} positions behind; a worker catches up, or `nagare rebuild`"
        yield Finding(what=f"projection {at.name}", ok=lag == 0, says=says)


def _people() -> Finding:
    admins = Membership.objects.filter(role="admin", user__is_active=True).count()
    says = f"{admins} admins" if admins else "nobody can sign in as admin; `nagare user add NAME --role admin`"
    return Finding(what="people", ok=admins > 0, says=says)


def _space() -> Finding:
    folder = Path(settings.MEDIA_ROOT).parent
    free = shutil.disk_usage(folder).free
    return Finding(what="disk", ok=free > _LITTLE_SPACE, says=f"{free / 2**30:.1f} GiB free at {folder}")


def _bind() -> Finding:
    hosts = ", ".join(settings.ALLOWED_HOSTS)
    open_to_all = "*" in settings.ALLOWED_HOSTS
    says = f"answers to {hosts}" + ("; name the hosts in NAGARE_ALLOWED_HOSTS" if open_to_all else "")
    return Finding(what="hosts", ok=not open_to_all, says=says)
