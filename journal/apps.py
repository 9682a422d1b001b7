"""The journal as a Django app: loads what installed apps add to it."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import autodiscover_modules


class JournalConfig(AppConfig):
    """Finds what installed apps add, by modules named for it: aggregates, explainers, projections and so on."""

    name = "journal"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the modules other apps add."""
        autodiscover_modules(
            "aggregates",
            "explainers",
            "invariants",
            "projections",
            "process_managers",
            "effects",
            "import_formats",
        )
        from journal import runtime_explainers  # noqa: F401, PLC0415 - registers the prose for the runtime's own events
        from journal.domain import run_state  # noqa: F401, PLC0415 - registers the state of agent runs
        from journal.runtime import log_heads, log_keys, wakeup, witnesses  # noqa: PLC0415 - needs the models

        log_keys.use(log_keys.KeyPlace(settings.LOG_FOLDER, given=settings.SIGNING_KEY, host=settings.LOG_HOST))
        log_heads.use(log_heads.Heads(settings.LOG_FOLDER / "log_heads"))
        witnesses.use(settings.WITNESSES)
        wakeup.nudge_after_appends(redis_url=settings.CONFIG.redis_url or "")
