"""The journal as a Django app: loads what installed apps add to it."""

from __future__ import annotations

import atexit

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
            "copies",
        )
        from journal import runtime_explainers  # noqa: F401, PLC0415 - registers the prose for the runtime's own events
        from journal.access import recording, sign_ins  # noqa: PLC0415 - needs the models
        from journal.domain import run_state  # noqa: F401, PLC0415 - registers the state of agent runs
        from journal.runtime import log_heads, log_keys, redacting, wakeup, witnesses  # noqa: PLC0415 - needs the models
        from journal.store import redacting as last  # noqa: PLC0415

        log_keys.use(log_keys.KeyPlace(settings.LOG_FOLDER, given=settings.SIGNING_KEY, host=settings.LOG_HOST))
        log_heads.use(log_heads.Heads(settings.LOG_FOLDER / "log_heads"))
        witnesses.use(settings.WITNESSES)
        redacting.use(redacting.Redaction(settings.SECRET_KEY))
        last.use(
            lambda project, stream, events, using: redacting.in_use().events(project, stream, events, using=using),
            lambda project, stored, again: redacting.in_use().alike(project, stored, again),
        )
        recording.use(recording.Recorder(is_on=settings.RECORD_ACCESS, has_thread=True))
        atexit.register(recording.close)
        sign_ins.listen()
        wakeup.nudge_after_appends(redis_url=settings.CONFIG.redis_url or "")
