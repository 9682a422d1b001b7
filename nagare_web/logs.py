"""Logs: an event with keys a line, as JSON or for a terminal; libraries' records come out the same way."""

from __future__ import annotations

import logging.config
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from nagare_web.config import LogFormat, LogLevel

_SHARED: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def logging_config(*, log_format: LogFormat, level: LogLevel) -> dict[str, Any]:
    """Return the `dictConfig` of the standard library's logging; everything goes to standard error.

    `auto` is `console` where a person watches a terminal and `json` where a collector reads a pipe.
    """
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *_rendering(as_json=as_json),
                ],
            },
        },
        "handlers": {
            "none": {"class": "logging.NullHandler"},
            "stderr": {"class": "logging.StreamHandler", "formatter": "structured"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would print a second, unstructured copy.
            "django": {"handlers": [], "level": level, "propagate": True},
            # Our middleware logs these two itself: a request once and not twice, a foreign host without a traceback.
            "django.request": {"level": "ERROR"},
            "django.security.DisallowedHost": {"handlers": ["none"], "propagate": False},
            # A line for each nudge, every few seconds, would bury everything else.
            **{name: {"level": "WARNING"} for name in ("celery.beat", "celery.worker.strategy", "celery.app.trace")},
        },
    }


def _rendering(*, as_json: bool) -> list[structlog.typing.Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]


def configure(config: dict[str, Any]) -> None:
    """Set up the standard library's logging and, on top of it, structlog. Django calls this once, at its set-up."""
    logging.config.dictConfig(config)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
