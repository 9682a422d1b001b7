"""The forms of a what-if: what people say in a form as edits, and what a form holds to begin with.

Beside the event's own JSON there is a form for each thing that is often asked: another result, an error, a message, a
call that was made first, and the event left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from journal.domain import agent_run as run
from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, RecordedEvent
from journal.domain.text import parsed, plain
from journal.domain.whatif_edits import Edit, EditsRefused, Problem, checked_event

_SHOWN: Final = 100_000
_RESULTS: Final = ("agent_run.tool_returned", "agent_run.tool_failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Forms:
    """What can be asked of one recorded event, with what stands in the forms. `version` 0 is before the first.

    `is_cut` where a text of the event is too long for a form: it would be lost by sending the form back.
    """

    version: int
    type: str = ""
    tool: str = ""
    result: str = ""
    is_failure: bool = False
    can_answer: bool = False
    message: str = ""
    can_say: bool = False
    result_at: int | None = None
    data: str = ""
    is_cut: bool = False
    types: tuple[str, ...] = ()


def forms_of(event: RecordedEvent | None, *, version: int, result_at: int | None = None) -> Forms:
    """Return the forms of a recorded event. `result_at` is where the result of a call stands."""
    types = tuple(sorted(catalog.names(), key=lambda name: (not name.startswith("agent_run."), name)))
    if event is None:
        return Forms(version=version, types=types)
    decoded, text = catalog.decode(event), _pretty(event)
    result, message = "", ""
    match decoded:
        case run.ToolReturned():
            value = parsed(decoded.response_json)
            result = value if isinstance(value, str) else decoded.response_json
        case run.ToolFailed():
            result = decoded.message or ""
        case run.MessageReceived():
            message = plain(decoded.content)
        case _:
            pass
    return Forms(
        version=version,
        type=event.type,
        tool=getattr(decoded, "tool_name", ""),
        result=result,
        is_failure=isinstance(decoded, run.ToolFailed),
        can_answer=isinstance(decoded, run.ToolReturned | run.ToolFailed) and len(result) <= _SHOWN,
        message=message,
        can_say=isinstance(decoded, run.MessageReceived) and len(message) <= _SHOWN,
        result_at=result_at,
        data=text if len(text) <= _SHOWN else "",
        is_cut=len(text) > _SHOWN,
        types=types,
    )


def _pretty(event: RecordedEvent) -> str:
    return msgspec.json.format(event.data, indent=2).decode()


def edits_from(  # noqa: PLR0911 - one for each form
    form: Mapping[str, str], event: RecordedEvent | None, version: int
) -> tuple[Edit, ...]:
    """Return what a form asks for at a version; `event` is the recorded one there.

    Raises:
        EditsRefused: it asks for nothing that could be done.
    """
    said = {name: value.replace("\r\n", "\n") for name, value in form.items()}
    match said.get("form"):
        case "result":
            return (_replace(version, _result(said.get("result", ""), _needed(event, _RESULTS))),)
        case "failure":
            return (_replace(version, _failure(said, _needed(event, _RESULTS))),)
        case "message":
            data = {**_needed(event, ("agent_run.message_received",)).payload, "content": said.get("message", "")}
            return (_replace(version, _data("agent_run.message_received", data)),)
        case "say":
            text = said.get("say", "")
            if not text.strip():
                raise _refused("the message is empty")
            return (_insert(version, _data("agent_run.message_received", {"role": "user", "content": text})),)
        case "call":
            return _call(version, said)
        case "drop":
            return (Edit(op="drop", version=version),)
        case "json":
            made = _typed(said)
            return (_replace(version, made) if said.get("op") == "replace" else _insert(version, made),)
        case _:
            raise _refused("the form says nothing")


def _result(text: str, event: RecordedEvent) -> EventData:
    """Return a result of what the recorded one answered. Text stays text; where a value stood, a value is read."""
    before = parsed(str(event.payload.get("responseJson", '""')))
    value = parsed(text)
    is_text = isinstance(before, str) or event.type == "agent_run.tool_failed" or isinstance(value, str)
    kept = {name: value for name, value in event.payload.items() if name not in ("errorCode", "message")}
    return _data("agent_run.tool_returned", {**kept, "responseJson": codec.text(text) if is_text else text})


def _failure(said: Mapping[str, str], event: RecordedEvent) -> EventData:
    kept = {name: value for name, value in event.payload.items() if name in ("toolName", "callId", "latencyMs")}
    code = {"errorCode": said["code"].strip()} if said.get("code", "").strip() else {}
    return _data("agent_run.tool_failed", {**kept, "message": said.get("failure", ""), **code})


def _call(version: int, said: Mapping[str, str]) -> tuple[Edit, ...]:
    """Return a call with its result, put in one behind the other. The call's id is one that no source gives."""
    tool, arguments = said.get("tool", "").strip(), said.get("arguments", "").strip() or "{}"
    if not tool:
        raise _refused("the call needs the name of a tool")
    if not isinstance(parsed(arguments), dict):
        raise _refused('the arguments must be a JSON object, such as {"path": "billing/refunds.py"}')
    call_id = f"what-if-{version}-{tool}"
    made = _data("agent_run.reasoned", {"toolName": tool, "argsJson": arguments, "callId": call_id})
    answered = {"toolName": tool, "callId": call_id, "responseJson": codec.text(said.get("answer", ""))}
    return _insert(version, made), _insert(version, _data("agent_run.tool_returned", answered))


def _typed(said: Mapping[str, str]) -> EventData:
    name = said.get("type", "").strip()
    raw = said.get("data", "").strip() or "{}"
    try:
        data = raw.encode()
    except UnicodeEncodeError as error:
        raise _refused(f"the data is no text: {error.reason}") from error
    return checked_event(EventData(type=name, data=data, schema=catalog.schema_of(name) or 1))


def _needed(event: RecordedEvent | None, types: tuple[str, ...]) -> RecordedEvent:
    if event is None or event.type not in types:
        raise _refused(f"only an event of the type {' or '.join(types)} can be changed by this form")
    return event


def _data(name: str, data: dict[str, Any]) -> EventData:
    try:
        raw = codec.encode(data)
    except UnicodeEncodeError as error:
        raise _refused(f"the text cannot be stored: {error.reason}") from error
    return checked_event(EventData(type=name, data=raw, schema=catalog.schema_of(name) or 1))


def _insert(version: int, event: EventData) -> Edit:
    return Edit(op="insert", version=version, event=event)


def _replace(version: int, event: EventData) -> Edit:
    return Edit(op="replace", version=version, event=event)


def _refused(message: str) -> EditsRefused:
    return EditsRefused([Problem(edit=0, message=message)])
