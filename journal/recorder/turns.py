"""One request to a model and what came of it: a response, or none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from journal.domain import agent_run as events
from journal.recorder.warn import guarded
from journal.recorder.wire import Answer, Asked

if TYPE_CHECKING:
    from journal.recorder.conversation import OpenCall
    from journal.recorder.running import Run


class Turn:
    """Takes the outcome of a request, once; a second one is ignored. `called` is the id of the request's event."""

    def __init__(self, run: Run, called: str, request: Asked, agent: str | None) -> None:
        self.run = run
        self.called = called
        self.actor = f"agent:{agent}" if agent else None
        self.calls: list[OpenCall] = []
        self._request = request
        self._began = time.perf_counter()
        self._is_over = False

    @guarded("a response", None)
    def responded(self, answer: Answer, *, raw: Any = None, latency_ms: float | None = None) -> None:
        """Record the response, and the calls it decides."""
        if self._is_over:
            return
        self._is_over = True
        event = events.ModelResponded(
            content=answer.content,
            reasoning=answer.reasoning,
            finish_reason=answer.finish_reason,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cached_tokens=answer.cached_tokens,
            cost_usd=answer.cost_usd,
            latency_ms=latency_ms if latency_ms is not None else self.elapsed_ms(),
            raw=raw,
        )
        self.calls = self.run.responded(self, answer, event)

    @guarded("a failed request", None)
    def failed(
        self, message: str | None, *, code: str | None = None, status: int | None = None, raw: Any = None
    ) -> None:
        """Record that no model responded, and why."""
        if self._is_over:
            return
        self._is_over = True
        event = events.ModelFailed(
            model=self._request.model,
            status=status,
            error_code=code,
            message=message,
            latency_ms=self.elapsed_ms(),
            raw=raw,
        )
        self.run.emit(event, causes=[(self.called, "triggered")], actor=self.actor)

    def elapsed_ms(self) -> float:
        """Return how long it is since the request."""
        return round((time.perf_counter() - self._began) * 1000, 3)
