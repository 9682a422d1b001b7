"""The recorder stands alone: importing it needs no settings, no Django and no HTTP client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "django", "rest_framework", "celery", "channels", "structlog", "httpx", "httpx2", "pydantic", "langchain_core",
    "agents",
)  # fmt: skip


def test_importing_it_needs_no_settings_and_brings_nothing_heavy() -> None:
    """In a process where nothing else has been imported."""
    code = f"import sys, journal.recorder; print([name for name in {HEAVY!r} if name in sys.modules])"
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("[]", "", 0)
