"""Chat messages in the OpenAI manner to events: what several formats share. Registers nothing.

The dialects differ in where a call keeps its name and arguments (`function.name`, `function`, `name`), in whether it
has an id, and in how a failed result is told; `Chat` takes the last as a function, and reads any of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from journal.domain.agent_run import Answered, MessageReceived, ModelResponded, Reasoned, ToolFailed, ToolReturned
from journal.domain.codec import text
from journal.ingest.draft import EventDraft, Ref
from journal.ingest.lenient import Calls, as_dict, as_text, dicts, plain_text

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """How a tool call failed: the whole text, and the error's name where the text or the source gives one."""

    message: str
    code: str | None = None


def never_failed(_message: Message) -> Failure | None:
    """Say that the source does not tell failed results from others."""
    return None


def plain_response(message: Message) -> ModelResponded:
    """Return the response that a message stands for, where it holds no more than its words."""
    return ModelResponded(content=message.get("content"), reasoning=as_text(message.get("reasoning")))


@dataclass(slots=True)
class Chat:
    """Turns the messages of one conversation into events, one message after another.

    `failure` says whether a tool message is an error, `response` what a model's message holds besides its words.
    A message without calls is an answer: the turn goes back to whoever asked.
    """

    failure: Callable[[Message], Failure | None] = never_failed
    response: Callable[[Message], ModelResponded] = plain_response
    calls: Calls = field(default_factory=Calls)

    def events(self, message: Message, key: str, *, at: datetime | None = None) -> Iterator[EventDraft]:
        """Yield the message's events: `key` is the first one's, the others' begin with it."""
        role = message.get("role")
        if role == "assistant":
            yield from self._decision(message, key, at)
        elif role in ("tool", "function"):
            yield self._result(message, key, at)
        else:
            yield EventDraft(key=key, event=spoken(message), at=at)

    def _decision(self, message: Message, key: str, at: datetime | None) -> Iterator[EventDraft]:
        yield EventDraft(key=key, event=self.response(message), at=at)
        thought = plain_text(message.get("content")) or as_text(message.get("reasoning"))
        called = dicts(message.get("tool_calls"))
        for number, call in enumerate(called):
            yield from self.called(call, f"{key}.call{number}", thought=thought, at=at)
        if not called:
            yield EventDraft(key=f"{key}.answer", event=Answered(response=message.get("content")), at=at)

    def called(self, record: Message, key: str, *, thought: str | None, at: datetime | None) -> Iterator[EventDraft]:
        """Yield the decision to make one call, which then waits for its result."""
        tool, args_json = tool_and_args(record)
        call = self.calls.open(record.get("id"), key=key, tool=tool)
        reasoned = Reasoned(thought=thought, tool_name=tool, args_json=args_json, call_id=call.id)
        yield EventDraft(key=key, event=reasoned, at=at)

    def _result(self, message: Message, key: str, at: datetime | None) -> EventDraft:
        source_id = as_text(message.get("tool_call_id")) or as_text(message.get("id"))
        call = self.calls.answer(source_id)
        tool = call.tool if call else _tool_of_result(message)
        call_id = call.id if call else source_id
        failure = self.failure(message)
        result = (
            ToolFailed(tool_name=tool, call_id=call_id, error_code=failure.code, message=failure.message)
            if failure
            else ToolReturned(tool_name=tool, call_id=call_id, response_json=text(message.get("content")))
        )
        return EventDraft(key=key, event=result, at=at)


def spoken(message: Message) -> MessageReceived:
    """Return what a user, a system prompt or another voice said."""
    return MessageReceived(
        role=as_text(message.get("role")) or "user", content=message.get("content"), name=as_text(message.get("name"))
    )


def tool_and_args(call: Message) -> tuple[str, str]:
    """Return a call's tool and its arguments as JSON text, from any of the dialects.

    Arguments that are text already stay as the model wrote them, valid or not.
    """
    function = call.get("function")
    place = function if isinstance(function, dict) else call
    name = function if isinstance(function, str) else place.get("name")
    arguments = place.get("arguments", place.get("args"))
    written = arguments if isinstance(arguments, str) else text({} if arguments is None else arguments)
    return as_text(name) or "", written


def error_name(message: str) -> str | None:
    """Return the error's name from text such as `ValueError: no such channel`."""
    name, colon, _rest = message.partition(":")
    return name if colon and name.isidentifier() else None


def version_of(key: str) -> int:
    """Return a reference to an earlier event for a field that is a version; the writer puts the number in."""
    return cast(int, Ref(key))


def _tool_of_result(message: Message) -> str:
    named = message.get("name") or message.get("function") or as_dict(message.get("tool_call")).get("function")
    return as_text(named) or ""
