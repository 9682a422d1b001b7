"""What an OpenHands action or observation becomes. Shared by the shapes of the format; it registers none."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from journal.domain.agent_run import (
    Aborted,
    AgentRunEvent,
    Answered,
    ContextCompacted,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Reasoned,
    ToolFailed,
    ToolReturned,
)
from journal.domain.codec import text
from journal.ingest.draft import EventDraft, Link, Opaque, Ref
from journal.ingest.lenient import Call, Calls, as_dict, as_float, as_int, as_list, as_text, dicts
from journal.ingest.source import moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_NOISE = ("recall", "change_agent_state", "null", "condensation_request", "pause", "resume", "summarize")
_ENDED = ("error", "rejected", "stopped")


class Walk:
    """The walk over a run's events, in order; each one's key is its id, which stays when the list grows."""

    def __init__(self, events: list[dict[str, Any]], *, metrics: dict[str, Any] | None = None) -> None:
        self.events = events
        self._latency_ms = _latencies(metrics or {})
        self._calls = Calls()
        self._open: dict[int | str, Call] = {}
        self._keys: dict[int, list[str]] = {}
        self._responses: set[str] = set()
        self._cost = 0.0

    @cached_property
    def prompt(self) -> str | None:
        """The first words of the user."""
        spoken = (event for event in self.events if event.get("action") == "message" and event.get("source") == "user")
        return next((said for event in spoken if (said := as_text(_content(event)))), None)

    @cached_property
    def model(self) -> str | None:
        """The model that the first recorded response names."""
        return next((name for event in self.events if (name := as_text(_model_response(event).get("model")))), None)

    @cached_property
    def _system(self) -> dict[str, Any]:
        return next((as_dict(event.get("args")) for event in self.events if event.get("action") == "system"), {})

    @property
    def tools(self) -> tuple[Any, ...]:
        """The tools that the system prompt came with."""
        return tuple(as_list(self._system.get("tools")))

    @property
    def agent(self) -> str | None:
        """The agent's class, as the system prompt names it."""
        return as_text(self._system.get("agent_class"))

    @property
    def version(self) -> str | None:
        """OpenHands' version, as the system prompt names it."""
        return as_text(self._system.get("openhands_version"))

    @property
    def began(self) -> datetime | None:
        """When the first event with a time was."""
        return next((at for event in self.events if (at := moment(event.get("timestamp")))), None)

    def drafts(self) -> Iterator[EventDraft]:
        """Yield what the events become."""
        for place, event in enumerate(self.events):
            known = as_int(event.get("id"))
            key = f"at/{place}" if known is None or known in self._keys else f"event/{known}"
            keys = [] if known is None else self._keys.setdefault(known, [])
            for draft in self._become(key, event):
                draft.at = moment(event.get("timestamp"))
                keys.append(draft.key)
                yield draft

    def _become(self, key: str, event: dict[str, Any]) -> Iterator[EventDraft]:
        if isinstance(event.get("observation"), str):
            yield from self._observed(key, event)
        elif isinstance(event.get("action"), str):
            yield from self._acted(key, event)
        else:
            yield EventDraft(key=key, event=Opaque(name="openhands.unknown", data=event))

    def _acted(self, key: str, event: dict[str, Any]) -> Iterator[EventDraft]:
        action, args = event["action"], as_dict(event.get("args"))
        if action in _NOISE:
            yield EventDraft(key=key, event=Opaque(name=f"openhands.{action}", data=event))
        elif action == "condensation":
            yield EventDraft(key=key, event=self._compacted(args))
        elif action == "system":
            yield EventDraft(key=key, event=MessageReceived(role="system", content=args.get("content")))
        elif event.get("source") == "agent":
            yield from self._responded(key, event)
            yield from self._decided(key, event, args)
        else:
            said = _content(event) if action == "message" else {"action": action, "args": args}
            yield EventDraft(key=key, event=MessageReceived(role=as_text(event.get("source")) or "user", content=said))

    def _responded(self, key: str, event: dict[str, Any]) -> Iterator[EventDraft]:
        """Yield the response behind an action, once: several actions can come of one."""
        response = _model_response(event)
        response_id = as_text(response.get("id"))
        if response_id in self._responses:
            return
        if response_id:
            self._responses.add(response_id)
        choice = next(iter(dicts(response.get("choices"))), {})
        message, usage = as_dict(choice.get("message")), as_dict(response.get("usage"))
        args = as_dict(event.get("args"))
        thought = as_text(args.get("thought")) if event["action"] == "think" else None
        yield EventDraft(
            key=f"{key}/response",
            event=ModelResponded(
                content=message.get("content") if message else _said(event),
                reasoning=as_text(message.get("reasoning_content")) or thought,
                finish_reason=as_text(choice.get("finish_reason")),
                input_tokens=as_int(usage.get("prompt_tokens")),
                output_tokens=as_int(usage.get("completion_tokens")),
                cached_tokens=_cached(usage),
                cost_usd=self._cost_since(event),
                latency_ms=self._latency_ms.get(response_id or ""),
            ),
        )

    def _decided(self, key: str, event: dict[str, Any], args: dict[str, Any]) -> Iterator[EventDraft]:
        """Yield what the response came to: a call, an answer, a hand-over, the end; a thought alone is none of them."""
        match event["action"]:
            case "think":
                return
            case "message" if args.get("wait_for_response") is False:
                return
            case "message" | "finish":
                yield EventDraft(key=f"{key}/answer", event=Answered(response=_said(event)))
            case "reject":
                yield EventDraft(key=f"{key}/aborted", event=Aborted(reason=_said(event)))
            case "delegate":
                inputs = args.get("inputs")
                instruction = as_text(as_dict(inputs).get("task")) or (text(inputs) if inputs else None)
                handed = HandedOff(to_agent=as_text(args.get("agent")), instruction=instruction)
                yield EventDraft(key=f"{key}/handoff", event=handed)
            case _:
                yield self._called(key, event, args)

    def _called(self, key: str, event: dict[str, Any], args: dict[str, Any]) -> EventDraft:
        about, event_id = as_dict(event.get("tool_call_metadata")), as_int(event.get("id"))
        known = as_text(about.get("tool_call_id")) or (None if event_id is None else str(event_id))
        tool = as_text(about.get("function_name")) or event["action"]
        call = self._calls.open(known, key=f"{key}/call", tool=tool)
        self._open[key if event_id is None else event_id] = call
        own = {name: value for name, value in args.items() if name != "thought"}
        reasoned = Reasoned(
            thought=as_text(args.get("thought")),
            tool_name=tool,
            args_json=_arguments(event, about.get("tool_call_id")) or text(own),
            call_id=call.id,
        )
        return EventDraft(key=call.key, event=reasoned)

    def _observed(self, key: str, event: dict[str, Any]) -> Iterator[EventDraft]:
        kind, content = event["observation"], event.get("content")
        extras = as_dict(event.get("extras"))
        if kind == "agent_state_changed" and extras.get("agent_state") in _ENDED:
            reason = as_text(extras.get("reason")) or f"agent state {extras['agent_state']}"
            yield EventDraft(key=key, event=Aborted(reason=reason), causes=self._cause(event))
            return
        call = self._answered(event)
        happened: AgentRunEvent | Opaque
        if kind == "error" or call is not None:
            happened = _result(event, call)
        elif content:
            said = [{"type": "text", "text": content}, {**extras, "type": kind}] if extras else content
            happened = MessageReceived(role="environment", content=said)
        else:
            happened = Opaque(name=f"openhands.{kind}", data=event)
        causes = (Link(call.key),) if call else self._cause(event)
        yield EventDraft(key=key, event=happened, causes=causes)

    def _answered(self, event: dict[str, Any]) -> Call | None:
        """Return the call that an observation answers: by `cause`, since call ids repeat; else by call id."""
        cause = as_int(event.get("cause"))
        if cause is not None:
            return self._open.pop(cause, None)
        wanted = as_text(as_dict(event.get("tool_call_metadata")).get("tool_call_id"))
        place = next((at for at, call in self._open.items() if wanted and call.id == wanted), None)
        return None if place is None else self._open.pop(place)

    def _cause(self, event: dict[str, Any]) -> tuple[Link, ...]:
        cause = as_int(event.get("cause"))
        keys = [] if cause is None else self._keys.get(cause, [])
        return tuple(Link(key) for key in keys[:1])

    def _compacted(self, args: dict[str, Any]) -> ContextCompacted:
        gone = [known for known in as_list(args.get("forgotten_event_ids")) if isinstance(known, int)]
        first, last = as_int(args.get("forgotten_events_start_id")), as_int(args.get("forgotten_events_end_id"))
        if not gone and first is not None and last is not None:
            gone = [known for known in self._keys if first <= known <= last]
        keys = [key for known in gone for key in self._keys.get(known, [])]
        dropped = cast("tuple[int, ...]", tuple(Ref(key) for key in keys))
        return ContextCompacted(summary=as_text(args.get("summary")), dropped_versions=dropped)

    def _cost_since(self, event: dict[str, Any]) -> float | None:
        """Return how far a response moved the run's cost: `llm_metrics` holds the total so far."""
        so_far = as_float(as_dict(event.get("llm_metrics")).get("accumulated_cost"))
        if so_far is None or so_far <= self._cost:
            return None
        moved, self._cost = so_far - self._cost, so_far
        return moved


def _result(event: dict[str, Any], call: Call | None) -> ToolReturned | ToolFailed:
    """Return a result. It failed where OpenHands says `error`, or an exit code is above 0 (-1 means still running)."""
    extras = as_dict(event.get("extras"))
    code = as_int(as_dict(extras.get("metadata")).get("exit_code", extras.get("exit_code")))
    tool, call_id = (call.tool, call.id) if call else ("", None)
    content = event.get("content")
    if event["observation"] == "error" or (code or 0) > 0:
        error_code = str(code) if code else as_text(extras.get("error_id")) or "error"
        message = content if isinstance(content, str) else text(content)
        return ToolFailed(tool_name=tool, call_id=call_id, error_code=error_code, message=message)
    return ToolReturned(tool_name=tool, call_id=call_id, response_json=text(content))


def _model_response(event: dict[str, Any]) -> dict[str, Any]:
    return as_dict(as_dict(event.get("tool_call_metadata")).get("model_response"))


def _arguments(event: dict[str, Any], call_id: object) -> str | None:
    """Return a call's arguments as the model wrote them."""
    for choice in dicts(_model_response(event).get("choices")):
        for call in dicts(as_dict(choice.get("message")).get("tool_calls")):
            if call.get("id") == call_id:
                return as_text(as_dict(call.get("function")).get("arguments"))
    return None


def _content(event: dict[str, Any]) -> object:
    """Return what a message says; with pictures, as blocks."""
    args = as_dict(event.get("args"))
    said, pictures = args.get("content", event.get("message")), as_list(args.get("image_urls"))
    if not pictures:
        return said
    return [{"type": "text", "text": said}, *({"type": "image_url", "image_url": {"url": url}} for url in pictures)]


def _said(event: dict[str, Any]) -> str | None:
    """Return the words of an action of the agent: its final thought, its content, its thought, else its summary."""
    args = as_dict(event.get("args"))
    fields = (args.get("final_thought"), args.get("content"), args.get("thought"), event.get("message"))
    return next((said for field in fields if (said := as_text(field))), None)


def _cached(usage: dict[str, Any]) -> int | None:
    cached = as_int(as_dict(usage.get("prompt_tokens_details")).get("cached_tokens"))
    return cached if cached is not None else as_int(usage.get("cache_read_input_tokens"))


def _latencies(metrics: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in dicts(metrics.get("response_latencies")):
        seconds, response_id = as_float(entry.get("latency")), as_text(entry.get("response_id"))
        if seconds is not None and response_id:
            found[response_id] = seconds * 1000
    return found
