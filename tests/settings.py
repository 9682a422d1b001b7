"""Settings of the tests: the project's own, with a data directory that is thrown away and hashing that is quick."""

from __future__ import annotations

import os
import tempfile

# Held for the life of the process; its finalizer removes the folder. The operator's own variables must not reach the
# tests.
_DATA_DIR = tempfile.TemporaryDirectory(prefix="nagare-test-")
for _name in [name for name in os.environ if name.startswith("NAGARE_") and not name.startswith("NAGARE_TEST_")]:
    del os.environ[_name]
os.environ["NAGARE_DATA_DIR"] = _DATA_DIR.name
# The whole suite on another database: NAGARE_TEST_DATABASE=postgresql, a name from `servers.URLS`.
if _database := os.environ.get("NAGARE_TEST_DATABASE"):
    from tests import servers

    os.environ["NAGARE_DATABASE_URL"] = servers.URLS[_database]()

from nagare_web.settings import *  # noqa: E402, F403 -- needs the variable above; the tests' settings are all of them
from nagare_web.settings import DATABASES, STATIC_ROOT, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A file, since the in-memory database that Django would take shares one lock over all connections and knows no
    # WAL.
    DATABASES["default"]["TEST"] = {"NAME": f"{_DATA_DIR.name}/test.sqlite3"}
elif DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["default"]["TEST"] = {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"}

# Tests do not collect static files: they are found where they lie, under their plain names.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
STATIC_ROOT.mkdir(exist_ok=True)

RECORD_ACCESS = False  # tests of the access log bring a recorder of their own, without a thread

CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
