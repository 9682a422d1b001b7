"""Audits as a Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class AuditsConfig(AppConfig):
    """Audit reports, and the index they are found by."""

    name = "audits"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say where the key of reports is."""
        from audits import events, keeping, signing, tasks  # noqa: F401, PLC0415 - they register; need the settings
        from audits.scheduled import ScheduledAudit  # noqa: PLC0415 - as above
        from journal.runtime.schedule_kinds import schedules  # noqa: PLC0415

        schedules(ScheduledAudit())
        path = settings.LOG_FOLDER / "report_key.pem"
        signing.use(signing.ReportKey(path, name=f"nagare at {settings.LOG_HOST}"))
