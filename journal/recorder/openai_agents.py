"""The OpenAI Agents SDK: a trace processor that records what its runner does. Needs `openai-agents`.

`agents.add_trace_processor(RecorderProcessor())` makes each trace a run, or part of the run around it. Where the
client's traffic passes through the recorder's transport, `RecorderProcessor(models=False)` leaves the models to it: it
sees the requests themselves, and a replay needs those.
"""

from __future__ import annotations

from datetime import datetime
from threading import Lock
from typing import Any

from agents.tracing import (
    AgentSpanData,
    FunctionSpanData,
    GenerationSpanData,
    GuardrailSpanData,
    HandoffSpanData,
    ResponseSpanData,
    Span,
    SpanData,
    Trace,
    TracingProcessor,
)

from journal.domain.agent_run import Graded
from journal.domain.text import plain
from journal.recorder import belonging
from journal.recorder.connection import flush, run
from journal.recorder.requests import decoded
from journal.recorder.running import Run
from journal.recorder.values import as_json
from journal.recorder.warn import guarded
from journal.recorder.wire import Answer, Asked, answer, asked


class _Tracked:
    """One trace: its run, and which agent each of its spans belongs to."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.run: Run | None = None
        self.is_own = False
        self.agents: dict[str, str] = {}
        self.error: str | None = None


class RecorderProcessor(TracingProcessor):
    """Records models, tools, hand-offs and guardrails. Agents that hand over within a trace share its run."""

    def __init__(self, *, models: bool = True, **options: Any) -> None:
        """Take what `recorder.run` takes for the runs this processor opens; `models=False` records no models."""
        self._models = models
        self._options = options
        self._traces: dict[str, _Tracked] = {}
        self._lock = Lock()

    @guarded("the start of a trace", None)
    def on_trace_start(self, trace: Trace) -> None:
        """Remember a trace. Its run begins with its first agent, whose name it takes."""
        tracked = _Tracked(trace.name)
        tracked.run = belonging.runs.here()
        with self._lock:
            self._traces[trace.trace_id] = tracked

    @guarded("the end of a trace", None)
    def on_trace_end(self, trace: Trace) -> None:
        """End the run: with the model's last words, or as aborted where the runner raised."""
        with self._lock:
            tracked = self._traces.pop(trace.trace_id, None)
        if tracked is None or tracked.run is None or not tracked.is_own:
            return
        if tracked.error is not None:
            tracked.run.abort(tracked.error)
        tracked.run.__exit__(None, None, None)

    @guarded("the start of a span", None)
    def on_span_start(self, span: Span[SpanData]) -> None:
        """Note whose span it is."""
        tracked = self._traces.get(span.trace_id)
        if tracked is None:
            return
        data = span.span_data
        if isinstance(data, AgentSpanData):
            tracked.agents[span.span_id] = data.name
            if tracked.run is None:
                tracked.run = run(agent=data.name, context={"workflow": tracked.title}, **self._options).__enter__()
                tracked.is_own = True
        elif span.parent_id in tracked.agents:
            tracked.agents[span.span_id] = tracked.agents[span.parent_id]

    @guarded("a span", None)
    def on_span_end(self, span: Span[SpanData]) -> None:
        """Record what a span did."""
        tracked = self._traces.get(span.trace_id)
        if tracked is None or tracked.run is None:
            return
        agent = tracked.agents.pop(span.span_id, None)
        match span.span_data:
            case ResponseSpanData() | GenerationSpanData() as data:
                if self._models:
                    _record_model(tracked.run, span, data, agent)
            case FunctionSpanData() as data:
                _record_tool(tracked.run, span, data)
            case HandoffSpanData() as data:
                tracked.run.handed_off(data.to_agent, None)
            case GuardrailSpanData() as data:
                verdict = "fails" if data.triggered else "holds"
                tracked.run.emit(Graded(rule=data.name, by="guardrail", verdict=verdict))
            case AgentSpanData():
                tracked.error = _error(span) or tracked.error
            case _:
                pass

    def shutdown(self) -> None:
        """Send what there is to send."""
        flush(5)

    def force_flush(self) -> None:
        """Send what there is to send."""
        flush(5)


def _record_model(run: Run, span: Span[Any], data: ResponseSpanData | GenerationSpanData, agent: str | None) -> None:
    request, said = _of_response(data) if isinstance(data, ResponseSpanData) else _of_generation(data)
    turn = run.asking(request, agent=agent, at=_moment(span.started_at))
    error = _error(span)
    if error is not None or said is None:
        turn.failed(error or "the trace holds no response")
    else:
        turn.responded(said, latency_ms=_latency_ms(span))


def _of_response(data: ResponseSpanData) -> tuple[Asked, Answer | None]:
    body = _plain(data.response.model_dump(mode="json")) if data.response is not None else None
    sent = {"input": data.input, "model": (body or {}).get("model"), "instructions": (body or {}).get("instructions")}
    return asked("openai.responses", _plain(sent)), answer("openai.responses", body) if body else None


def _of_generation(data: GenerationSpanData) -> tuple[Asked, Answer | None]:
    params = {name: value for name, value in dict(data.model_config or {}).items() if value is not None}
    request = asked("openai.chat", _plain({**params, "model": data.model, "messages": list(data.input or ())}))
    first = next(iter(data.output or ()), None)
    if first is None:
        return request, None
    body = _plain(dict(first))
    usage = dict(data.usage or {})
    if "output" in body:
        return request, answer("openai.responses", {**body, "usage": usage or body.get("usage")})
    tokens = {"prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens")}
    details = {"prompt_tokens_details": usage.get("input_tokens_details")}
    return request, answer("openai.chat", {"choices": [{"message": body}], "usage": {**tokens, **details}})


def _record_tool(run: Run, span: Span[Any], data: FunctionSpanData) -> None:
    call = run.watched_tool(data.name, data.input or "{}")
    if call is None:
        return
    call.took(_latency_ms(span))
    error = _error(span)
    if error is not None:
        # The SDK hides an error's own words in traces; what it tells the model has them.
        call.failed(data.output if isinstance(data.output, str) and data.output else error)
    else:
        call.returned(data.output)


def _error(span: Span[Any]) -> str | None:
    if not span.error:
        return None
    told = dict(span.error)
    data = told.get("data")
    return plain((data.get("error") if isinstance(data, dict) else None) or told.get("message") or "error")


def _plain(value: Any) -> dict[str, Any]:
    return decoded(as_json(value)) or {}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _latency_ms(span: Span[Any]) -> float | None:
    began, ended = _moment(span.started_at), _moment(span.ended_at)
    return None if began is None or ended is None else round((ended - began).total_seconds() * 1000, 3)
