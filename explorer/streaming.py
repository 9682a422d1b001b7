"""Long answers piece by piece: the API's way, for pages too."""

from __future__ import annotations

from journal.api.streaming import streamed

__all__ = ["streamed"]
