"""LangChain and LangGraph: a callback handler that records what a chain or graph does. Needs `langchain-core`.

`graph.invoke(…, config={"callbacks": [RecorderCallbacks()]})` is a run of its own, or part of the run around it. Where
the model's traffic passes through the recorder's transport, `RecorderCallbacks(models=False)` leaves the models to it:
it sees the requests themselves, and a replay needs those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from journal.domain.text import plain
from journal.recorder import belonging
from journal.recorder.calls import ToolCall
from journal.recorder.connection import run
from journal.recorder.running import Run
from journal.recorder.turns import Turn
from journal.recorder.values import as_text
from journal.recorder.warn import guarded
from journal.recorder.wire import Answer, Asked, AskedCall, Said

_ROLES: Final = {"human": "user", "ai": "assistant", "tool": "tool", "system": "system"}
_HIDDEN: Final = ("messages", "tools", "functions", "model", "model_name", "_type")


class RecorderCallbacks(BaseCallbackHandler):
    """Records models, tools, and how the outermost chain or graph ends. One handler may serve many invocations."""

    run_inline = True
    raise_error = False

    def __init__(self, *, models: bool = True, agent: str | None = None, **options: Any) -> None:
        """Take what `recorder.run` takes for the runs this handler opens; `models=False` records no models."""
        self._models = models
        self._agent = agent
        self._options = options
        self._runs: dict[UUID, Run] = {}
        self._own: set[UUID] = set()
        self._turns: dict[UUID, Turn] = {}
        self._calls: dict[UUID, ToolCall] = {}

    # --- The invocation

    @guarded("the start of a chain", None)
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **fields: Any,
    ) -> None:
        """Begin a run with the outermost chain, where none is around it."""
        if parent_run_id is not None and parent_run_id in self._runs:
            self._runs[run_id] = self._runs[parent_run_id]
            return
        around = belonging.runs.here()
        if around is not None:
            self._runs[run_id] = around
            return
        name = self._agent or str(fields.get("name") or "chain")
        self._runs[run_id] = run(prompt=_prompt(inputs), agent=name, **self._options).__enter__()
        self._own.add(run_id)

    @guarded("the end of a chain", None)
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **fields: Any) -> None:
        """End the run with what the outermost chain gave back."""
        one = self._runs.pop(run_id, None)
        if one is not None and run_id in self._own:
            self._own.discard(run_id)
            answer = _answer(outputs)
            if answer is not None:
                one.answer(answer)
            one.__exit__(None, None, None)

    @guarded("the end of a chain", None)
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **fields: Any) -> None:
        """End the run with the error that the outermost chain raised."""
        one = self._runs.pop(run_id, None)
        if one is not None and run_id in self._own:
            self._own.discard(run_id)
            one.__exit__(type(error), error, None)

    def _run(self, parent_run_id: UUID | None) -> Run | None:
        found = self._runs.get(parent_run_id) if parent_run_id is not None else None
        return found or belonging.current()

    # --- Models

    @guarded("a request", None)
    def on_chat_model_start(
        self,
        serialized: dict[str, Any] | None,
        messages: list[list[BaseMessage]],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **fields: Any,
    ) -> None:
        """Record what a chat model is sent."""
        said = tuple(_said(message) for message in messages[0]) if messages else ()
        self._ask(run_id, parent_run_id, said, fields)

    @guarded("a request", None)
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **fields: Any,
    ) -> None:
        """Record what a model that completes text is sent."""
        said = tuple(Said(kind="message", role="user", content=prompt) for prompt in prompts[:1])
        self._ask(run_id, parent_run_id, said, fields)

    def _ask(self, run_id: UUID, parent_run_id: UUID | None, said: tuple[Said, ...], fields: dict[str, Any]) -> None:
        one = self._run(parent_run_id)
        if one is None or not self._models:
            return
        params = fields.get("invocation_params") or {}
        metadata = fields.get("metadata") or {}
        model = params.get("model") or params.get("model_name") or metadata.get("ls_model_name")
        shown = {name: value for name, value in params.items() if name not in _HIDDEN and value is not None}
        request = Asked(api="openai.chat", model=str(model) if model else None, params=shown, said=said)
        self._turns[run_id] = one.asking(request)

    @guarded("a response", None)
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **fields: Any) -> None:
        """Record what a model responded."""
        turn = self._turns.pop(run_id, None)
        if turn is None:
            return
        first = next((one for batch in response.generations for one in batch), None)
        message = first.message if isinstance(first, ChatGeneration) else None
        if isinstance(message, AIMessage):
            turn.responded(_response(message))
        else:
            turn.responded(Answer(content=getattr(first, "text", None)))

    @guarded("a failed request", None)
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **fields: Any) -> None:
        """Record that a model did not respond."""
        turn = self._turns.pop(run_id, None)
        if turn is not None:
            turn.failed(str(error) or None, code=type(error).__name__)

    # --- Tools

    @guarded("a tool call", None)
    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        inputs: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        """Find the decided call that a tool carries out."""
        one = self._run(parent_run_id)
        if one is None:
            return
        name = str((serialized or {}).get("name") or fields.get("name") or "tool")
        args = as_text(inputs) if inputs is not None else input_str
        call = one.watched_tool(name, args, fields.get("tool_call_id"))
        if call is not None:
            self._calls[run_id] = call

    @guarded("a tool's result", None)
    def on_tool_end(self, output: Any, *, run_id: UUID, **fields: Any) -> None:
        """Record a tool's result; a message that says it is an error is a failure."""
        call = self._calls.pop(run_id, None)
        if call is None:
            return
        if isinstance(output, ToolMessage) and output.status == "error":
            call.failed(plain(output.content))
        else:
            call.returned(output.content if isinstance(output, ToolMessage) else output)

    @guarded("a tool's failure", None)
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **fields: Any) -> None:
        """Record that a tool raised."""
        call = self._calls.pop(run_id, None)
        if call is not None:
            call.failed(str(error) or None, code=type(error).__name__)


def _said(message: BaseMessage) -> Said:
    role = str(getattr(message, "role", "") or _ROLES.get(message.type, message.type))
    recorded = {"role": role, "content": message.content}
    if isinstance(message, AIMessage):
        return Said(kind="assistant", role=role, content=message.content, calls=_asked(message), recorded=recorded)
    if isinstance(message, ToolMessage):
        return Said(
            kind="result",
            role=role,
            content=message.content,
            name=message.name,
            call_id=message.tool_call_id,
            failed=message.status == "error",
            recorded=recorded,
        )
    return Said(kind="message", role=role, content=message.content, name=message.name, recorded=recorded)


def _asked(message: AIMessage) -> tuple[AskedCall, ...]:
    good = [AskedCall(id=call["id"], tool=call["name"], args_json=as_text(call["args"])) for call in message.tool_calls]
    bad = [
        AskedCall(id=call["id"], tool=call["name"] or "", args_json=call["args"] or "")
        for call in message.invalid_tool_calls
    ]
    return (*good, *bad)


def _response(message: AIMessage) -> Answer:
    usage: Any = message.usage_metadata or {}
    said: Any = message.response_metadata or {}
    return Answer(
        content=message.content,
        reasoning=message.additional_kwargs.get("reasoning_content"),
        finish_reason=said.get("finish_reason") or said.get("stop_reason"),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cached_tokens=(usage.get("input_token_details") or {}).get("cache_read"),
        calls=_asked(message),
    )


def _messages(value: Any) -> Sequence[Any]:
    found = value.get("messages") if isinstance(value, dict) else value
    return found if isinstance(found, Sequence) and not isinstance(found, str) else ()


def _prompt(inputs: Any) -> str | None:
    """Return what a person asked: the last words of theirs, or the only text there is."""
    for message in reversed(_messages(inputs)):
        words = _words_of(message)
        if words is not None:
            return words
    if isinstance(inputs, dict):
        texts: Iterable[Any] = (value for value in inputs.values() if isinstance(value, str))
        return next(iter(texts), None)
    return inputs if isinstance(inputs, str) else None


def _words_of(message: Any) -> str | None:
    if isinstance(message, BaseMessage):
        return plain(message.content) if message.type == "human" else None
    if isinstance(message, dict):
        return plain(message.get("content")) if message.get("role") in ("user", "human") else None
    if isinstance(message, tuple | list) and len(message) == 2:  # noqa: PLR2004 - (role, words)
        return str(message[1]) if message[0] in ("user", "human") else None
    return None


def _answer(outputs: Any) -> Any:
    """Return what a chain gave back: a graph's last message where it has messages, else all of it."""
    messages = _messages(outputs)
    if messages and isinstance(messages[-1], BaseMessage):
        last = messages[-1]
        return last.content if isinstance(last, AIMessage) and not last.tool_calls else None
    return outputs.content if isinstance(outputs, BaseMessage) else outputs
