"""The Celery application. A task is a nudge for work that stands in the database: losing one costs time only."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")

app = Celery("nagare_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_djangos_logging(**_kwargs: object) -> None:
    """Be a receiver, which is what stops Celery from setting up logging of its own over ours."""
