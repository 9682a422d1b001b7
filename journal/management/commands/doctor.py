"""`nagare doctor`: configuration and health, in words."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from journal.ingest import load_formats
from journal.management.base import Command as Base
from journal.models import Membership
from journal.runtime.horizon import horizon, in_words
from journal.runtime.projection import progress, registered

_LITTLE_SPACE = 2**30
_FULL = 2  # PRAGMA synchronous
_TRIGGERS: Final = {"sqlite": 3, "postgresql": 3, "mysql": 2, "microsoft": 2}
_LONG: Final = timedelta(seconds=30)


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
    yield _reading()
    yield from _projections()
    yield _people()
    yield _space()
    yield Finding(what="import formats", ok=True, says=f"{len(load_formats())} known")
    yield _bind()


def _database() -> Finding:
    return _DATABASES[connection.vendor]()


def _ask(sql: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row: tuple[Any, ...] = cursor.fetchone()
        return row


def _judged(says: str, wrong: dict[str, bool]) -> Finding:
    """Return what the database is, and whichever of the complaints hold."""
    complaints = [complaint for complaint, holds in wrong.items() if holds]
    return Finding(what="database", ok=not complaints, says="; ".join([says, *complaints]))


def _sqlite() -> Finding:
    mode, synchronous = _ask("PRAGMA journal_mode")[0], _ask("PRAGMA synchronous")[0]
    name = connection.settings_dict["NAME"]
    says = f"SQLite {sqlite3.sqlite_version} at {name}, journal_mode {mode}, synchronous {synchronous}"
    return _judged(says, {"needs WAL and FULL, set by the shipped settings": mode != "wal" or synchronous < _FULL})


def _postgresql() -> Finding:
    version, isolation, encoding, fsync, commit, is_replica = _ask(
        "SELECT current_setting('server_version'), current_setting('transaction_isolation'),"
        " current_setting('server_encoding'), current_setting('fsync'), current_setting('synchronous_commit'),"
        " pg_is_in_recovery()"
    )
    # There is no sequence before the tables are.
    cached = _ask(
        "SELECT COALESCE(MAX(cache_size), 1) FROM pg_sequences WHERE sequencename = 'journal_event_position_seq'"
    )[0]
    return _judged(
        f"PostgreSQL {version}, {isolation}, fsync {fsync}, synchronous_commit {commit}",
        {
            "needs READ COMMITTED: remove isolation_level": isolation != "read committed",
            f"needs the encoding UTF8, and has {encoding}": encoding != "UTF8",
            "is a replica, on which readers miss events: name the primary": is_replica,
            "acknowledged appends may be lost: switch fsync and synchronous_commit on": "off" in (fsync, commit),
            "ALTER SEQUENCE journal_event_position_seq CACHE 1, or positions do not rise": cached != 1,
        },
    )


def _mysql() -> Finding:
    version, packet, flush, step, collation = _ask(
        "SELECT VERSION(), @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@auto_increment_increment,"
        " @@collation_database"
    )
    isolation = getattr(connection, "isolation_level", None)
    return _judged(
        f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version}, {isolation}, {collation},"
        f" max_allowed_packet {packet / 2**20:.0f} MiB",
        {
            "needs READ COMMITTED: remove isolation_level": isolation != "read committed",
            "names that differ in case become one: make the database with COLLATE utf8mb4_bin": not collation.endswith(
                "_bin"
            ),
            "acknowledged appends may be lost: set innodb_flush_log_at_trx_commit to 1": flush != 1,
            "auto_increment_increment is not 1: on several writing nodes positions do not rise": step != 1,
        },
    )


def _microsoft() -> Finding:
    version, collation = _ask(
        "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(40)),"
        " CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128))"
    )
    return _judged(
        f"SQL Server {version}, {collation}; this store has not been run on one by its authors",
        {
            "names that differ in case become one: make the database with COLLATE Latin1_General_100_BIN2_UTF8": (
                "_BIN2" not in collation
            )
        },
    )


_DATABASES: Final = {"sqlite": _sqlite, "postgresql": _postgresql, "mysql": _mysql, "microsoft": _microsoft}


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    says = f"{len(missing)} not applied; `nagare migrate` applies them" if missing else "all applied"
    return Finding(what="migrations", ok=not missing, says=says)


_COUNT_TRIGGERS: Final = {
    "sqlite": "SELECT COUNT(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'journal_event'",
    "postgresql": "SELECT COUNT(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
    " AND tgrelid = 'journal_event'::regclass",
    "mysql": "SELECT COUNT(*) FROM information_schema.triggers WHERE event_object_schema = DATABASE()"
    " AND event_object_table = 'journal_event'",
    "microsoft": "SELECT COUNT(*) FROM sys.triggers WHERE parent_id = OBJECT_ID('journal_event') AND is_disabled = 0",
}


def _triggers() -> Finding:
    found, needed = _ask(_COUNT_TRIGGERS[connection.vendor])[0], _TRIGGERS[connection.vendor]
    refused = "changes and deletions of events are refused"
    return Finding(
        what="journal",
        ok=found == needed,
        says=refused if found == needed else f"{found} of {needed} append-only triggers",
    )


def _reading() -> Finding:
    now = datetime.now(UTC)
    seen = horizon()
    late = seen.since is not None and now - seen.since > _LONG
    way_out = "; end that session: its append is rolled back, and readers go on" if late else ""
    return Finding(what="horizon", ok=not late, says=in_words(seen, now) + way_out)


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
