"""Settings of a project that has installed the example app of the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs" / "example"))

from tests.settings import *  # noqa: F403 -- all of them, and one app more
from tests.settings import INSTALLED_APPS as _APPS

INSTALLED_APPS = [*_APPS, "orders"]
