"""Log lines that a program can read."""

from __future__ import annotations

import json
import logging
import logging.config

import structlog

from nagare_web import logs


def rendered(record: logging.LogRecord) -> dict[str, object]:
    """Return what the JSON formatter makes of a record."""
    formatter_config = dict(logs.logging_config(log_format="json", level="INFO")["formatters"]["structured"])
    formatter = formatter_config.pop("()")(**formatter_config)
    result = json.loads(formatter.format(record))
    assert isinstance(result, dict)
    return result


def test_a_librarys_record_becomes_an_event_with_the_context() -> None:
    """Records of the standard library carry the correlation id like our own."""
    record = logging.LogRecord("library", logging.WARNING, __file__, 1, "disk %s", ("full",), None)
    with structlog.contextvars.bound_contextvars(correlation_id="c-1"):
        line = rendered(record)
    assert line["event"] == "disk full"
    assert line["level"] == "warning"
    assert line["logger"] == "library"
    assert line["correlation_id"] == "c-1"


def test_a_line_break_in_a_value_stays_inside_its_line() -> None:
    """Whoever controls a value cannot forge a second log line."""
    formatter_config = dict(logs.logging_config(log_format="json", level="INFO")["formatters"]["structured"])
    formatter = formatter_config.pop("()")(**formatter_config)
    record = logging.LogRecord("library", logging.INFO, __file__, 1, 'a\n{"event": "forged"}\x1b[31m', (), None)
    assert "\n" not in formatter.format(record)
    assert "\x1b" not in formatter.format(record)
