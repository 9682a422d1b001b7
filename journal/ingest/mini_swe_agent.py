"""mini-SWE-agent trajectories: `*.traj.json`, a bare list of messages, or the same list with `info` around it.

The agent has one tool, a shell. In text mode a response holds one fenced command and the observation comes back as a
*user* message that begins with `<returncode>N</returncode>`; newer versions use tool calls and tool messages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from journal.domain.agent_run import (
    Aborted,
    AgentRunEvent,
    Answered,
    MessageReceived,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import Count, EventDraft, Opaque, Outcome, OutcomeStatus, RunDraft
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
    from datetime import datetime

_RECORDED: frozenset[Count] = frozenset(("decisions", "tool_calls", "tool_errors"))
_COMMAND = re.compile(r"```(?:mswea_bash_command|bash)\s*\n(.*?)\n?```", re.DOTALL)
_RETURN_CODE = re.compile(r"\s*<returncode>\s*(-?\d+)\s*</returncode>")
_SUBMISSION = re.compile(r"COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT|MINI_SWE_AGENT_FINAL_OUTPUT")
_ABORTING = ("limit", "interrupt", "cancel", "timeout")


def detect(source: Source) -> bool:
    """Tell the wrapped form by its `trajectory_format`, a bare list by its commands and return codes."""
    if not any(word in source.data for word in (b"mini-swe-agent", b"mswea_bash_command", b"<returncode>")):
        return False
    document = source.document
    if isinstance(document, dict):
        named = str(document.get("trajectory_format", "")).startswith("mini-swe-agent")
        return isinstance(document.get("messages"), list) and (named or "mini_version" in as_dict(document.get("info")))
    messages = dicts(document)
    return bool(messages) and "role" in messages[0] and any(_is_typical(message) for message in messages[:8])


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the file's one run."""
    document = source.json()
    wrapped = as_dict(document)
    messages = as_list(wrapped.get("messages")) if wrapped else document
    if not isinstance(messages, list):
        raise ImportRefused("a mini-SWE-agent trajectory is a list of messages, or an object with `messages`")
    info = as_dict(wrapped.get("info"))
    run = _Run(messages, info)
    stem = source.path.name.removesuffix(".json").removesuffix(".traj")
    source_id = f"{stem}-{run.identity()}"
    events = [run.started(source_id, wrapped), *run.events(source)]
    yield RunDraft(
        source_id=source_id,
        events=events,
        recorded=_RECORDED | _usage_recorded(events),
        totals=_totals(info),
        outcome=_outcome(info),
    )


class _Run:
    """The walk over the messages: commands are opened by responses and closed by the messages behind them."""

    def __init__(self, messages: list[Any], info: dict[str, Any]) -> None:
        self.messages = messages
        self.info = info
        self._calls = Calls()
        self._waiting = 0
        self._submits = False

    def identity(self) -> str:
        """Stand for the run by its messages up to the first response, which a growing file keeps."""
        opening: list[Any] = []
        for message in dicts(self.messages):
            opening.append((message.get("role"), message.get("content")))
            if message.get("role") == "assistant":
                break
        return fingerprint(opening)

    def started(self, source_id: str, wrapped: dict[str, Any]) -> EventDraft:
        """Return the start, with the configuration that the wrapped form keeps."""
        config = as_dict(self.info.get("config"))
        context = {
            "config": config or None,
            "mini_version": self.info.get("mini_version"),
            "trajectory_format": wrapped.get("trajectory_format"),
            "instance_id": wrapped.get("instance_id"),
        }
        event = Started(
            prompt=text_at_start(dicts(self.messages)),
            model=as_text(as_dict(config.get("model")).get("model_name")),
            agent="mini-SWE-agent",
            source="mini-swe-agent",
            source_id=source_id,
            context={name: value for name, value in context.items() if value},
        )
        at = next((_time(message) for message in dicts(self.messages)), None)
        return EventDraft(key="start", event=event, at=at)

    def events(self, source: Source) -> Iterator[EventDraft]:
        """Yield the messages as events, and how the run ended."""
        answered = False
        for place, message in enumerate(self.messages):
            if not isinstance(message, dict):
                source.note(f"message {place} is no object and is left out")
                continue
            for draft in self._said(f"message/{place}", message):
                draft.at = _time(message)
                answered = answered or isinstance(draft.event, Answered)
                yield draft
        yield from _ending(self.info, answered=answered)

    def _said(self, key: str, message: dict[str, Any]) -> Iterator[EventDraft]:
        role = as_text(message.get("role")) or "user"
        if role == "assistant":
            yield from self._responded(key, message)
        elif role == "exit":
            yield EventDraft(key=key, event=Opaque(name="mini_swe_agent.exit", data=message))
        elif role == "tool" or (role == "user" and self._waiting):
            yield from self._observed(key, message)
        else:
            yield EventDraft(key=key, event=MessageReceived(role=role, content=message.get("content")))

    def _responded(self, key: str, message: dict[str, Any]) -> Iterator[EventDraft]:
        extra = as_dict(message.get("extra"))
        response = as_dict(extra.get("response"))
        usage = as_dict(response.get("usage"))
        choice = next(iter(dicts(response.get("choices"))), {})
        yield EventDraft(
            key=f"{key}/response",
            event=ModelResponded(
                content=message.get("content"),
                reasoning=as_text(message.get("reasoning_content")),
                finish_reason=as_text(choice.get("finish_reason")),
                input_tokens=as_int(usage.get("prompt_tokens")),
                output_tokens=as_int(usage.get("completion_tokens")),
                cached_tokens=as_int(as_dict(usage.get("prompt_tokens_details")).get("cached_tokens")),
                cost_usd=as_float(extra.get("cost")),
            ),
        )
        calls = list(_called(message))
        self._waiting = sum(call_id is None for call_id, _, _ in calls)
        self._submits = any(_SUBMISSION.search(arguments) for _, _, arguments in calls)
        for number, (call_id, tool, arguments) in enumerate(calls):
            call = self._calls.open(call_id, key=f"{key}/call/{number}", tool=tool)
            thought = plain_text(message.get("content"))
            reasoned = Reasoned(thought=thought, tool_name=tool, args_json=arguments, call_id=call.id)
            yield EventDraft(key=call.key, event=reasoned)

    def _observed(self, key: str, message: dict[str, Any]) -> Iterator[EventDraft]:
        """Yield a command's result. An output without a return code, after the word to submit, is the submission."""
        self._waiting = max(0, self._waiting - 1)
        content, extra = message.get("content"), as_dict(message.get("extra"))
        call = self._calls.answer(message.get("tool_call_id"))
        if call is None:
            yield EventDraft(key=key, event=MessageReceived(role="environment", content=content))
            return
        code = _return_code(content, extra)
        yield EventDraft(key=f"{key}/result", event=_result(content, code, tool=call.tool, call_id=call.id))
        if code is None and self._submits and message.get("role") == "user":
            self._submits = False
            yield EventDraft(key=f"{key}/answer", event=_answer(self.info, content))


def _called(message: dict[str, Any]) -> Iterator[tuple[Any, str, str]]:
    """Yield id, tool and arguments of each call; a response without exactly one command is refused by the agent."""
    calls = dicts(message.get("tool_calls"))
    for call in calls:
        function = as_dict(call.get("function"))
        yield call.get("id"), str(function.get("name") or "bash"), json_text(function.get("arguments"))
    if calls:
        return
    parsed = [action.get("command") for action in dicts(as_dict(message.get("extra")).get("actions"))]
    commands = parsed or _COMMAND.findall(plain_text(message.get("content")) or "")
    if len(commands) == 1:
        yield None, "bash", text({"command": commands[0]})


def _result(content: object, code: int | None, *, tool: str, call_id: str | None) -> AgentRunEvent:
    if code:
        return ToolFailed(tool_name=tool, call_id=call_id, error_code=str(code), message=plain_text(content))
    return ToolReturned(tool_name=tool, call_id=call_id, response_json=text(content))


def _return_code(content: object, extra: dict[str, Any]) -> int | None:
    found = _RETURN_CODE.match(plain_text(content) or "")
    return int(found[1]) if found else as_int(extra.get("returncode"))


def _is_typical(message: dict[str, Any]) -> bool:
    said = plain_text(message.get("content")) or ""
    if message.get("role") == "user":
        return _RETURN_CODE.match(said) is not None
    return "```mswea_bash_command" in said


def _time(message: dict[str, Any]) -> datetime | None:
    return moment(message.get("timestamp") or as_dict(message.get("extra")).get("timestamp"))


def _answer(info: dict[str, Any], response: object) -> Answered:
    return Answered(response=response, cost_usd=_totals(info).get("cost_usd"))


def _ending(info: dict[str, Any], *, answered: bool) -> Iterator[EventDraft]:
    """Yield what `info` says about the end; without an exit status the run has none."""
    status = as_text(info.get("exit_status"))
    if status is None:
        return
    rest = {name: value for name, value in info.items() if name not in ("config", "submission")}
    yield EventDraft(key="info", event=Opaque(name="mini_swe_agent.info", data=rest))
    if answered:
        return
    if status.lower() == "submitted":
        yield EventDraft(key="answer", event=_answer(info, info.get("submission")))
    else:
        yield EventDraft(key="aborted", event=Aborted(reason=status))


def _totals(info: dict[str, Any]) -> dict[Count, int | float]:
    cost = as_float(as_dict(info.get("model_stats")).get("instance_cost"))
    return {} if cost is None else {"cost_usd": cost}


def _usage_recorded(events: list[EventDraft]) -> frozenset[Count]:
    """Return the token counts that every response recorded; a sum over some of them would be no total."""
    responses = [draft.event for draft in events if isinstance(draft.event, ModelResponded)]
    names: tuple[Count, ...] = ("input_tokens", "output_tokens", "cost_usd")
    return frozenset(name for name in names if responses and all(getattr(one, name) is not None for one in responses))


def _outcome(info: dict[str, Any]) -> Outcome:
    """Submitting is not solving: a submitted run's outcome is not known from this file."""
    exit_status = as_text(info.get("exit_status"))
    if exit_status is None:
        return Outcome()
    return Outcome(status=_status(exit_status.lower()), raw={"exit_status": exit_status})


def _status(exit_status: str) -> OutcomeStatus:
    if exit_status == "submitted":
        return "unknown"
    return "aborted" if any(word in exit_status for word in _ABORTING) else "error"


register(
    Format(
        name="mini-swe-agent",
        title="mini-SWE-agent trajectory (.traj.json)",
        detect=detect,
        read=read,
        order=40,
        example='{"info": {"exit_status": "…"}, "messages": […], "trajectory_format": "mini-swe-agent-1"}, or a list',
    )
)
