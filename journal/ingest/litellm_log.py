"""LiteLLM call logs: one JSON file a model call, `<provider>__<model>-<unix time>.json`.

Each request repeats the conversation so far, so the calls of one conversation become one run: a message's key is its
place and its content, and a response has the key that it has as a message of the next request. Imported in the order of
their times, each file adds the messages that are new and its own response; what earlier files brought is found again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from journal.domain.agent_run import (
    Answered,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    Started,
    ToolReturned,
)
from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import EVERY_COUNT, Count, EventDraft, Ref, RunDraft
from journal.ingest.lenient import (
    Calls,
    as_dict,
    as_float,
    as_int,
    as_list,
    as_text,
    dicts,
    fingerprint,
    json_text,
    plain_text,
    text_at_start,
)
from journal.ingest.source import Source, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = ("cost", "response_cost", "latency_sec", "kwargs", "context_window", "timestamp", "fncall_response", "call_type")
_DAY_S = 86_400


def detect(source: Source) -> bool:
    """Tell a call by its request and response side by side, with a field that only a log adds."""
    if b'"choices"' not in source.data:
        return False
    document = as_dict(source.document)
    return (
        isinstance(document.get("messages"), list)
        and isinstance(as_dict(document.get("response")).get("choices"), list)
        and any(name in document for name in _OWN)
    )


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the run that the file's call belongs to, as far as this file knows it."""
    record = source.json()
    if not isinstance(record, dict) or not as_dict(record.get("response")):
        raise ImportRefused("a LiteLLM call log is one object with `messages` and `response`; this is something else")
    call = _Call(record)
    run_id = call.run_id()
    before = list(call.conversation(run_id))
    for draft in before:
        draft.repeats = True
    own = list(call.own())
    yield RunDraft(source_id=run_id, events=[*before, *own], counted=own, recorded=_recorded(call))


class _Call:
    """One request and its response. A model without tool calls is sent a translation; `fncall_…` holds the original."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.response = as_dict(record.get("fncall_response") or record.get("response"))
        self.messages = dicts(record.get("fncall_messages") or record.get("messages"))
        self.choice = next(iter(dicts(self.response.get("choices"))), {})
        self.said = as_dict(self.choice.get("message"))
        self._calls = Calls()

    def run_id(self) -> str:
        """Stand for the conversation by its messages up to and with the model's first, which all its calls share."""
        for place, message in enumerate(self.messages):
            if message.get("role") == "assistant":
                return fingerprint([_essence(one) for one in self.messages[: place + 1]])
        return fingerprint([_essence(one) for one in [*self.messages, {**self.said, "role": "assistant"}]])

    def conversation(self, run_id: str) -> Iterator[EventDraft]:
        """Yield the start and the messages that the request repeats or adds."""
        yield EventDraft(key="start", event=self._started(run_id), at=self._asked_at())
        for place, message in enumerate(self.messages):
            yield from self._message(_key(place, message), message)

    def own(self) -> Iterator[EventDraft]:
        """Yield the call itself: the request, the response, and what the response decided."""
        response_id = as_text(self.response.get("id")) or _key(len(self.messages), {**self.said, "role": "assistant"})
        yield EventDraft(key=f"request/{response_id}", event=self._requested(), at=self._asked_at())
        key = _key(len(self.messages), {**self.said, "role": "assistant"})
        for draft in self._responded(key, self.said, self._response()):
            draft.at = self.answered_at
            yield draft

    @property
    def answered_at(self) -> datetime | None:
        """When the response was there: the log is written behind it."""
        return moment(self.record.get("timestamp") or self.record.get("endTime") or self.response.get("created"))

    def _asked_at(self) -> datetime | None:
        seconds, at = as_float(self.record.get("latency_sec")), self.answered_at
        return at - timedelta(seconds=seconds) if at and seconds is not None and 0 <= seconds < _DAY_S else at

    def _started(self, run_id: str) -> Started:
        return Started(
            prompt=text_at_start(self.messages),
            model=self._model(),
            source="litellm",
            source_id=run_id,
            tools=tuple(as_list(self._tools())),
            context={"context_window": self.record["context_window"]} if self.record.get("context_window") else {},
        )

    def _model(self) -> str | None:
        asked = as_dict(self.record.get("kwargs")).get("model") or self.record.get("model")
        return as_text(asked) or as_text(self.response.get("model"))

    def _tools(self) -> object:
        return self.record.get("tools") or as_dict(self.record.get("kwargs")).get("tools")

    def _requested(self) -> ModelCalled:
        asked = as_dict(self.record.get("kwargs") or self.record.get("model_parameters"))
        params = {name: value for name, value in asked.items() if name not in ("tools", "messages", "model")}
        return ModelCalled(model=self._model(), params=params, messages=tuple(self._sent()))

    def _sent(self) -> Iterator[Ref]:
        for place, message in enumerate(self.messages):
            key = _key(place, message)
            yield Ref(f"{key}/response" if message.get("role") == "assistant" else key)

    def _response(self) -> ModelResponded:
        usage = as_dict(self.response.get("usage"))
        cached = as_int(as_dict(usage.get("prompt_tokens_details")).get("cached_tokens"))
        seconds = as_float(self.record.get("latency_sec"))
        return ModelResponded(
            content=self.said.get("content"),
            reasoning=as_text(self.said.get("reasoning_content")),
            finish_reason=as_text(self.choice.get("finish_reason")),
            input_tokens=as_int(usage.get("prompt_tokens")),
            output_tokens=as_int(usage.get("completion_tokens")),
            cached_tokens=cached if cached is not None else as_int(usage.get("cache_read_input_tokens")),
            cost_usd=self._cost(),
            latency_ms=None if seconds is None else seconds * 1000,
        )

    def _cost(self) -> float | None:
        cost = as_float(self.record.get("cost"))
        return cost if cost is not None else as_float(self.record.get("response_cost"))

    def _message(self, key: str, message: dict[str, Any]) -> Iterator[EventDraft]:
        role, content = as_text(message.get("role")) or "user", message.get("content")
        if role == "assistant":
            earlier = ModelResponded(content=content, reasoning=as_text(message.get("reasoning_content")))
            yield from self._responded(key, message, earlier)
            return
        call = self._calls.answer(message.get("tool_call_id")) if role in ("tool", "function") else None
        if call is None:
            name = as_text(message.get("name"))
            yield EventDraft(key=key, event=MessageReceived(role=role, content=content, name=name))
        else:
            said = plain_text(content) if isinstance(content, list) else content
            returned = ToolReturned(tool_name=call.tool, call_id=call.id, response_json=text(said))
            yield EventDraft(key=key, event=returned)

    def _responded(self, key: str, message: dict[str, Any], response: ModelResponded) -> Iterator[EventDraft]:
        yield EventDraft(key=f"{key}/response", event=response)
        calls = _tool_calls(message)
        for number, (call_id, tool, arguments) in enumerate(calls):
            call = self._calls.open(call_id, key=f"{key}/call/{number}", tool=tool)
            thought = as_text(message.get("reasoning_content")) or plain_text(message.get("content"))
            reasoned = Reasoned(thought=thought, tool_name=tool, args_json=arguments, call_id=call.id)
            yield EventDraft(key=call.key, event=reasoned)
        if not calls:
            yield EventDraft(key=f"{key}/answer", event=Answered(response=message.get("content")))


def _tool_calls(message: dict[str, Any]) -> list[tuple[Any, str, str]]:
    """Return id, tool and arguments of each call, also of the single `function_call` of old."""
    calls = dicts(message.get("tool_calls"))
    single = as_dict(message.get("function_call"))
    found = [(call.get("id"), as_dict(call.get("function"))) for call in calls] or ([(None, single)] if single else [])
    return [
        (call_id, str(function.get("name") or ""), json_text(function.get("arguments"))) for call_id, function in found
    ]


def _essence(message: dict[str, Any]) -> list[Any]:
    """Return what a message keeps on its way from a response into the next request: no blocks, indices or extras."""
    said = (plain_text(message.get("content")) or "").strip()
    return [message.get("role"), said, _tool_calls(message), message.get("tool_call_id")]


def _key(place: int, message: dict[str, Any]) -> str:
    return f"message/{place}/{fingerprint(_essence(message))}"


def _recorded(call: _Call) -> frozenset[Count]:
    """Return the counts this call records. Tools' errors are none of them: a result is text."""
    usage = as_dict(call.response.get("usage"))
    missing: set[Count] = {"tool_errors"}
    if as_int(usage.get("prompt_tokens")) is None:
        missing.add("input_tokens")
    if as_int(usage.get("completion_tokens")) is None:
        missing.add("output_tokens")
    if all(as_float(call.record.get(name)) is None for name in ("cost", "response_cost")):
        missing.add("cost_usd")
    return EVERY_COUNT - missing


register(
    Format(
        name="litellm",
        title="LiteLLM call log",
        detect=detect,
        read=read,
        example='{"messages": […], "tools": […], "response": {"id": "…", "choices": […], …}, "cost": 0.01, …}',
    )
)
