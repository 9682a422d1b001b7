"""Blocks in which an agent's own code asks a model or calls a tool, for `with` and `async with`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from journal.domain import agent_run as events
from journal.recorder import belonging
from journal.recorder.conversation import OpenCall
from journal.recorder.errors import Stopped
from journal.recorder.requests import decoded, digest
from journal.recorder.values import as_json, as_text
from journal.recorder.warn import guarded
from journal.recorder.wire import Answer, AskedCall, answer, asked

if TYPE_CHECKING:
    from journal.recorder.running import Run
    from journal.recorder.turns import Turn


class _Block:
    """What `with` and `async with` have in common."""

    def __enter__(self) -> Self:
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _enter(self) -> None:
        raise NotImplementedError

    def _leave(self, error: BaseException | None) -> None:
        raise NotImplementedError


class ModelCall(_Block):
    """A request that the agent's own code sends. `recorded` is the recorded response where a replay gives one.

    What is sent inside the block is not recorded a second time by the transport.
    """

    def __init__(self, run: Run, *, model: str | None, messages: list[Any], params: dict[str, Any]) -> None:
        self.recorded: Answer | None = None
        self._run = run
        self._stack = ExitStack()
        self._turn: Turn | None = None
        self._body = {"model": model, "messages": messages, **params}

    def _enter(self) -> None:
        self._stack.enter_context(belonging.muted())
        raw = as_json(self._body)
        self._ask(raw)
        replay = belonging.current_replay()
        if replay is not None:
            try:
                self.recorded = replay.answer_of_block(raw)
            except BaseException:
                self._stack.close()
                raise

    @guarded("a model call", None)
    def _ask(self, raw: bytes) -> None:
        body = decoded(raw) or {}
        self._turn = self._run.asking(
            asked("openai.chat", body), body=body, seen={"api": "block", "sha256": digest(raw), "bytes": len(raw)}
        )

    def respond(  # noqa: PLR0913 - what a response has
        self,
        content: Any = None,
        *,
        tool_calls: Sequence[Any] = (),
        reasoning: str | None = None,
        finish_reason: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """Say what the model responded. A tool call is `(tool, arguments)`, with its id as a third where it has one."""
        said = Answer(
            content=content,
            reasoning=reasoning,
            finish_reason=finish_reason,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cached_tokens=cached_tokens,
            cost_usd=cost_usd,
            calls=tuple(map(_asked_call, tool_calls)),
        )
        self._take(said)

    def respond_with(self, body: Mapping[str, Any]) -> None:
        """Say what the model responded by the whole of a chat completion."""
        self._take(answer("openai.chat", dict(body)))

    def _take(self, said: Answer) -> None:
        if self._turn is not None:
            self._turn.responded(said, raw={"answer": said})

    def _leave(self, error: BaseException | None) -> None:
        self._stack.close()
        if self._turn is None or isinstance(error, Stopped):
            return
        if error is not None:
            self._turn.failed(str(error) or None, code=type(error).__name__)
        elif self.recorded is not None:
            self._take(self.recorded)
        else:
            self._turn.failed("the block ended without a response")


class ToolCall(_Block):
    """A decided call being carried out. What happens in the block is recorded as caused by the decision."""

    def __init__(self, run: Run, call: OpenCall, args_json: str | None = None) -> None:
        self.id = call.id
        self._args_json = args_json
        self.decision = call.decision
        self._run = run
        self._call = call
        self._stack = ExitStack()
        self._began = time.perf_counter()
        self._latency_ms: float | None = None

    def _enter(self) -> None:
        self._began = time.perf_counter()
        self._stack.enter_context(belonging.inside_call(self.decision or None))

    @guarded("a tool's result", None)
    def returned(self, value: Any = None, *, is_partial: bool = False) -> None:
        """Record what the tool gave back; `is_partial` where `value` says less than that."""
        self.returned_json(as_text(value), is_partial=is_partial)

    @guarded("a tool's result", None)
    def returned_json(self, json_text: str, *, is_partial: bool = False) -> None:
        """Record what the tool gave back, as JSON text."""
        event = events.ToolReturned(
            tool_name=self._call.tool,
            call_id=self.id,
            response_json=json_text,
            latency_ms=self._elapsed_ms(),
            is_partial=is_partial,
            args_json=self._args_json,
        )
        self._run.finished(self._call, event)

    @guarded("a tool's failure", None)
    def failed(self, message: str | None, *, code: str | None = None) -> None:
        """Record that the tool failed."""
        event = events.ToolFailed(
            tool_name=self._call.tool,
            call_id=self.id,
            error_code=code,
            message=message,
            latency_ms=self._elapsed_ms(),
            args_json=self._args_json,
        )
        self._run.finished(self._call, event)

    def _leave(self, error: BaseException | None) -> None:
        self._stack.close()
        if isinstance(error, Stopped):
            return
        if error is not None:
            self.failed(str(error) or None, code=type(error).__name__)
        elif self._call.result is None:
            self.returned(None)

    def took(self, latency_ms: float | None) -> None:
        """Say how long the tool took, where somebody else measured it."""
        self._latency_ms = latency_ms

    def _elapsed_ms(self) -> float:
        if self._latency_ms is not None:
            return self._latency_ms
        return round((time.perf_counter() - self._began) * 1000, 3)


def _asked_call(given: Any) -> AskedCall:
    if isinstance(given, AskedCall):
        return given
    tool, args, *identity = given
    written = args if isinstance(args, str) else as_text({} if args is None else args)
    return AskedCall(id=str(identity[0]) if identity else None, tool=str(tool), args_json=written)
