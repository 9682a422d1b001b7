"""The explorer as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class ExplorerConfig(AppConfig):
    """The debugger a person uses."""

    name = "explorer"
    default_auto_field = "django.db.models.BigAutoField"
