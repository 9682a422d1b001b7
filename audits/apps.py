"""Audits as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class AuditsConfig(AppConfig):
    """Audit reports, and the index they are found by."""

    name = "audits"
    default_auto_field = "django.db.models.BigAutoField"
