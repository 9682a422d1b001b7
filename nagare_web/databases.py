"""What each database is told when a connection opens: one URL in, Django's settings for it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import dj_database_url

_SQLITE: Final = {
    # IMMEDIATE takes the write lock when a transaction begins: a transaction that reads first and writes later would
    # fail with SQLITE_BUSY where another one wrote in between, and no timeout helps against that.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # WAL lets readers go on during a write. synchronous=FULL, since in WAL mode the default of NORMAL may lose the last
    # commits in a power cut.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
}

_POSTGRESQL: Final = {
    "application_name": "nagare",
    # A transaction that someone left open holds locks that appends may wait for; none of ours pauses between two
    # statements for so long. No `statement_timeout`: an index that a migration builds takes what it takes.
    "options": "-c idle_in_transaction_session_timeout=60000",
    # Statements are prepared from their third run on; `prepare_threshold=None` in the URL's query switches it off for
    # a pooler that does not know prepared statements.
    "prepare_threshold": 3,
}

_MYSQL: Final = {
    "charset": "utf8mb4",
    # Readers must see what was committed when they ask: the journal's order rests on it (docs/explanation/order.md).
    "isolation_level": "read committed",
    # Nothing is cut off or bent to fit, whatever the server's own default is.
    "sql_mode": "TRADITIONAL",
    # The database's clock, by which leases and jobs go, is read as UTC whatever zone the server is in.
    "init_command": "SET time_zone = '+00:00'",
}

_MSSQL: Final = {"driver": "ODBC Driver 18 for SQL Server"}

_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "django.db.backends.sqlite3": _SQLITE,
    "django.db.backends.postgresql": _POSTGRESQL,
    "django.db.backends.mysql": _MYSQL,
    "mssql": _MSSQL,
}

_WORDS: Final[dict[str, Callable[[str], Any]]] = {
    "prepare_threshold": lambda value: None if value.casefold() == "none" else int(value),
    "timeout": int,
}


def parsed(url: str) -> dict[str, Any]:
    """Return Django's settings for a database URL; options in its query win over ours."""
    database: dict[str, Any] = dict(dj_database_url.parse(url))
    if url.startswith("mssql"):
        database["ENGINE"] = "mssql"  # the parser still knows it by an older package's name
    given = {
        name: _WORDS[name](value) if name in _WORDS and isinstance(value, str) else value
        for name, value in database.get("OPTIONS", {}).items()
    }
    database["OPTIONS"] = {**_OPTIONS[database["ENGINE"]], **given}
    return database
