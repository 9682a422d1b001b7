"""The Celery application. A task is a nudge for work that stands in the database: losing one costs time only."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")

app = Celery("nagare_web")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def trace_the_worker(**_kwargs: object) -> None:
    """Send the worker's spans and counters where the operator says; its pool is threads of this process."""
    _configure_telemetry("nagare-worker", has_gauges=False)


@beat_init.connect
def trace_the_scheduler(**_kwargs: object) -> None:
    """Send gauges as well: an installation has one scheduler."""
    _configure_telemetry("nagare-scheduler", has_gauges=True)


def _configure_telemetry(service: str, *, has_gauges: bool) -> None:
    from nagare_web import config, telemetry  # noqa: PLC0415 -- importing the application reads no environment

    telemetry.configure(config.load().otlp_endpoint, service=service, has_gauges=has_gauges)


@setup_logging.connect
def keep_djangos_logging(**_kwargs: object) -> None:
    """Be a receiver, which is what stops Celery from setting up logging of its own over ours."""
