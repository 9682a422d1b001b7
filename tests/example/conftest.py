"""These tests need the example app installed: `tests/docs/test_example.py` runs them so, in a process of their own."""

from __future__ import annotations

from django.apps import apps

collect_ignore_glob = [] if apps.is_installed("orders") else ["test_*.py"]
