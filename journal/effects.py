"""The journal's own effects of dispatches; also the pattern for other apps to copy."""

from __future__ import annotations

from journal.runtime import alerting, webhooks

__all__ = ["alerting", "webhooks"]
