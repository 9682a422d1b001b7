"""The explorer as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class ExplorerConfig(AppConfig):
    """The debugger a person uses."""

    name = "explorer"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Hand out what the settings say."""
        from explorer import run_selector, traces  # noqa: PLC0415 - after the apps' registry is there

        run_selector.install()
        traces.use(getattr(settings, "TRACE_URL", None))
