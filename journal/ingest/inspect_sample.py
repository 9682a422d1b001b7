"""One sample of an Inspect log to one run. Registers nothing; `inspect_ai` finds the samples.

A sample tells its story twice: `events` is what happened, `messages` the conversation as it stood in the end. The
events are read where there are any; a log written without them still has its messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from journal.domain.agent_run import (
    Aborted,
    Answered,
    Graded,
    MemoryWritten,
    ModelCalled,
    ModelResponded,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.domain.codec import text
from journal.ingest.draft import Count, EventDraft, Link, Opaque, Outcome, OutcomeStatus, Ref, RunDraft
from journal.ingest.inspect_text import Attachments, message_pool, messages_sent
from journal.ingest.lenient import Call, as_dict, as_float, as_int, as_text, dicts, fingerprint, plain_text
from journal.ingest.openai_chat import Chat, Failure, Message, spoken, tool_and_args
from journal.ingest.source import moment

_LETTERS: Final = {"C": "holds", "I": "fails", "N": "fails"}
_ELSEWHERE: Final = frozenset(("messages", "events", "attachments", "events_data", "message_pool", "scores", "error"))
_SET_UP: Final = ("id", "epoch", "input", "target", "metadata", "sandbox", "files", "setup")
_STATUS: Final[Mapping[str | None, OutcomeStatus]] = {
    "success": "success",
    "error": "error",
    "cancelled": "aborted",
    "started": "running",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What a log says once for all its samples."""

    run_id: str
    model: str | None
    status: str | None
    context: dict[str, Any]


@dataclass(slots=True)
class _ToolSpan:
    """A tool call whose result waits for the end of its span: what happened inside comes before it."""

    span_id: str
    result: EventDraft


@dataclass(slots=True)
class Sample:
    """Reads the events of one sample, in the order of the log."""

    record: dict[str, Any]
    setting: Setting
    source_id: str
    _attachments: Attachments = field(init=False)
    _pool: list[Any] = field(init=False)
    _chat: Chat = field(init=False)
    _known: dict[str, str] = field(init=False, default_factory=dict)
    _scorers: list[str] = field(init=False, default_factory=list)
    _scored: set[str] = field(init=False, default_factory=set)
    _tool_spans: list[tuple[str, str]] = field(init=False, default_factory=list)
    _waiting: list[_ToolSpan] = field(init=False, default_factory=list)
    _has_usage: bool = field(init=False, default=False)
    _is_aborted: bool = field(init=False, default=False)
    _tools: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Look up what strings and messages may stand for."""
        self._attachments = Attachments(self.record.get("attachments"))
        self._pool = message_pool(self.record)
        self._chat = Chat(failure=_failure, response=_response)

    def draft(self) -> RunDraft:
        """Return the run."""
        happened = dicts(self.record.get("events"))
        events = [EventDraft(key="start", event=self._started(), at=_time(happened[0]) if happened else None)]
        events += self._from_events(happened) if happened else self._from_messages()
        events += self._ending()
        counted: set[Count] = {"decisions", "tool_calls", "tool_errors"}
        if self._has_usage:
            counted |= {"input_tokens", "output_tokens"}
        return RunDraft(
            source_id=self.source_id,
            events=events,
            recorded=frozenset(counted),
            totals=self._totals() if not happened else {},
            outcome=run_outcome(self.record, self.setting),
        )

    def _started(self) -> Started:
        asked = self.record.get("input")
        own = {key: self.record.get(key) for key in _SET_UP if key != "input" or isinstance(asked, list)}
        told = {key: value for key, value in own.items() if value not in (None, {}, [], "")}
        words = _first_user(asked) if isinstance(asked, list) else as_text(asked)
        return Started(
            prompt=self._attachments.resolve(words),
            model=self.setting.model,
            source="inspect",
            source_id=self.source_id,
            context={**self.setting.context, "sample": told},
        )

    def _from_messages(self) -> Iterator[EventDraft]:
        for number, message in enumerate(dicts(self.record.get("messages"))):
            yield from self._chat.events(self._attachments.resolve(message), f"m{number}")

    def _from_events(self, happened: list[dict[str, Any]]) -> Iterator[EventDraft]:
        for number, event in enumerate(happened):
            yield from self._from_event(event, f"e{number}")
        yield from (span.result for span in self._waiting)

    def _from_event(self, event: dict[str, Any], key: str) -> Iterator[EventDraft]:
        at = _time(event)
        match event.get("event"):
            case "sample_init":
                initial = as_dict(event.get("state")).get("messages")
                yield from self._heard(dicts(initial), key, at)
                yield self._kept(event, key, at)
            case "model":
                yield from self._model(event, key, at)
            case "tool":
                yield from self._tool(event, key, at)
            case "store":
                yield from self._stored(event, key, at)
            case "score":
                yield self._score(event, key, at)
            case "sample_limit":
                self._is_aborted = True
                reason = as_text(event.get("message")) or f"limit reached: {event.get('type')}"
                yield EventDraft(key=key, event=Aborted(reason=reason), at=at)
            case _:
                yield self._kept(event, key, at)
                yield from self._spanned(event)

    def _kept(self, event: dict[str, Any], key: str, at: datetime | None) -> EventDraft:
        name = as_text(event.get("event")) or "unknown"
        return EventDraft(key=f"{key}.raw", event=Opaque(name=f"inspect.{name}", data=self._resolved(event)), at=at)

    def _resolved(self, event: dict[str, Any]) -> dict[str, Any]:
        return as_dict(self._attachments.resolve(event))

    def _spanned(self, event: dict[str, Any]) -> Iterator[EventDraft]:
        """Follow spans (steps in older logs): a scorer names the scores in it, a tool's end brings its result."""
        begins = event.get("event") == "span_begin" or event.get("action") == "begin"
        name, kind, span_id = as_text(event.get("name")) or "", event.get("type"), as_text(event.get("id")) or ""
        if kind == "scorer" and begins:
            self._scorers.append(name)
        elif kind == "scorer":
            self._scorers = self._scorers[:-1]
        elif begins and kind == "tool":
            self._tool_spans.append((span_id, name))
        elif event.get("event") == "span_end":
            for span in [waiting for waiting in self._waiting if waiting.span_id == span_id]:
                self._waiting.remove(span)
                yield span.result

    def _heard(self, messages: list[dict[str, Any]], key: str, at: datetime | None) -> Iterator[EventDraft]:
        """Yield those of the messages that the run has not seen; an assistant's among them was put in by the task."""
        for number, message in enumerate(messages):
            if self._known_as(message) is None:
                place = f"{key}.m{number}"
                self._learn(message, place)
                yield EventDraft(key=place, event=spoken(self._attachments.resolve(message)), at=at)

    def _known_as(self, message: Message) -> str | None:
        return next((self._known[name] for name in _names(message) if name in self._known), None)

    def _learn(self, message: Message, key: str) -> None:
        for name in _names(message):
            self._known.setdefault(name, key)

    def _model(self, event: dict[str, Any], key: str, at: datetime | None) -> Iterator[EventDraft]:
        sent = messages_sent(event, self._pool)
        yield from self._heard(sent, f"{key}.in", at)
        refs = tuple(Ref(found) for message in sent if (found := self._known_as(message)))
        called = ModelCalled(model=as_text(event.get("model")), params=self._params(event), messages=refs)
        yield EventDraft(key=f"{key}.call", event=called, at=at, actor=self._actor())
        yield from self._responded(event, key, moment(event.get("completed")) or at)

    def _params(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a request; its tools only where they are not those of the request before."""
        params = {name: event[name] for name in ("config", "tool_choice", "role") if event.get(name)}
        if event.get("tools") and event["tools"] != self._tools:
            self._tools = event["tools"]
            params["tools"] = self._attachments.resolve(self._tools)
        return params

    def _actor(self) -> str | None:
        """Return who calls a model: a scorer may, and that is not the agent."""
        return f"scorer:{self._scorers[-1]}" if self._scorers else None

    def _responded(self, event: dict[str, Any], key: str, at: datetime | None) -> Iterator[EventDraft]:
        output = as_dict(event.get("output"))
        choice = as_dict(next(iter(dicts(output.get("choices"))), None))
        message = as_dict(choice.get("message"))
        response = self._response_event(event, output, choice, self._attachments.resolve(message))
        self._has_usage = self._has_usage or response.input_tokens is not None
        self._learn({"role": "assistant", **message}, key)
        yield EventDraft(key=key, event=response, at=at, causes=(Link(f"{key}.call"),), actor=self._actor())
        calls = dicts(message.get("tool_calls"))
        thought = plain_text(response.content) or response.reasoning
        for number, call in enumerate(calls):
            resolved = self._attachments.resolve(call)
            yield from self._chat.called(resolved, f"{key}.call{number}", thought=thought, at=at)
        if not calls and not self._scorers and response.content:
            yield EventDraft(key=f"{key}.answer", event=Answered(response=response.content), at=at)

    def _response_event(
        self, event: dict[str, Any], output: dict[str, Any], choice: dict[str, Any], message: dict[str, Any]
    ) -> ModelResponded:
        usage = as_dict(output.get("usage"))
        raw = as_dict(event.get("call")).get("response")
        seconds = as_float(output.get("time")) or as_float(event.get("working_time"))
        failed = {"error": event["error"]} if event.get("error") else None
        return ModelResponded(
            content=message.get("content"),
            reasoning=_reasoning(message.get("content")),
            finish_reason=as_text(choice.get("stop_reason")) or ("error" if failed else None),
            input_tokens=as_int(usage.get("input_tokens")),
            output_tokens=as_int(usage.get("output_tokens")),
            cached_tokens=as_int(usage.get("input_tokens_cache_read")),
            latency_ms=seconds * 1000 if seconds is not None else None,
            raw=failed or self._attachments.resolve(raw),
        )

    def _tool(self, event: dict[str, Any], key: str, at: datetime | None) -> Iterator[EventDraft]:
        call = self._chat.calls.answer(event.get("id")) if as_text(event.get("id")) else None
        if call is None:
            yield from self._chat.called(self._resolved(event), f"{key}.call", thought=None, at=at)
            call = self._chat.calls.answer(event.get("id"))
        result = EventDraft(key=key, event=self._result(event, call), at=moment(event.get("completed")) or at)
        self._learn({"role": "tool", "tool_call_id": event.get("id")}, key)
        for number, inner in enumerate(dicts(event.get("events"))):
            yield from self._from_event(inner, f"{key}.e{number}")
        span = next((found for found in self._tool_spans if found[1] == event.get("function")), None)
        if span is None:
            yield result
        else:
            self._tool_spans.remove(span)
            self._waiting.append(_ToolSpan(span[0], result))

    def _result(self, event: dict[str, Any], call: Call | None) -> ToolReturned | ToolFailed:
        tool, _args = tool_and_args(event)
        call_id = call.id if call else None
        seconds = as_float(event.get("working_time"))
        latency_ms = seconds * 1000 if seconds is not None else None
        given = self._attachments.resolve(event.get("result"))
        if failure := _failure({"error": self._attachments.resolve(event.get("error")), "content": given}):
            return ToolFailed(
                tool_name=tool, call_id=call_id, error_code=failure.code, message=failure.message, latency_ms=latency_ms
            )
        return ToolReturned(tool_name=tool, call_id=call_id, response_json=text(given), latency_ms=latency_ms)

    def _stored(self, event: dict[str, Any], key: str, at: datetime | None) -> Iterator[EventDraft]:
        """Yield a write per change of the sample's store (JSON Patch); a removal leaves null behind."""
        changes = [change for change in dicts(event.get("changes")) if as_text(change.get("path"))]
        for number, change in enumerate(changes):
            written = MemoryWritten(key=change["path"], value=self._attachments.resolve(change.get("value")))
            yield EventDraft(key=f"{key}.{number}", event=written, at=at)

    def _score(self, event: dict[str, Any], key: str, at: datetime | None) -> EventDraft:
        rule = self._scorers[-1] if self._scorers else as_text(event.get("scorer")) or "score"
        if not event.get("intermediate"):
            self._scored.add(rule)
        grade = graded(rule, self._attachments.resolve(event.get("score")))
        return EventDraft(key=key, event=grade, at=at)

    def _ending(self) -> Iterator[EventDraft]:
        error = self.record.get("error")
        if error and not self._is_aborted:
            reason = as_text(error) or as_text(as_dict(error).get("message")) or text(error)
            yield EventDraft(key="error", event=Aborted(reason=reason))
        if totals := self._totals():
            answer = as_dict(next(iter(dicts(as_dict(self.record.get("output")).get("choices"))), None)).get("message")
            said = self._attachments.resolve(as_dict(answer).get("content"))
            spent = Answered(response=said, **{name: int(value) for name, value in totals.items()})
            yield EventDraft(key="totals", event=spent)
        for name, score in as_dict(self.record.get("scores")).items():
            if name not in self._scored:
                yield EventDraft(key=f"grade.{name}", event=graded(name, self._attachments.resolve(score)))
        told = {*_ELSEWHERE, *_SET_UP}
        rest = {key: value for key, value in self.record.items() if key not in told and value not in ({}, [], None)}
        if rest:
            yield EventDraft(key="rest", event=Opaque(name="inspect.sample", data=self._resolved(rest)))

    def _totals(self) -> dict[Count, int | float]:
        """Return the tokens of a sample without events, which are then told for the whole of it only."""
        if dicts(self.record.get("events")):
            return {}
        used = [as_dict(usage) for usage in as_dict(self.record.get("model_usage")).values()]
        names: tuple[Count, ...] = ("input_tokens", "output_tokens")
        return {name: sum(as_int(usage.get(name)) or 0 for usage in used) for name in names if used}


def run_outcome(record: dict[str, Any], setting: Setting) -> Outcome:
    """Return how a sample ended: its error, else its scores, else what the log says of the whole evaluation."""
    scores = {name: as_dict(score).get("value", score) for name, score in as_dict(record.get("scores")).items()}
    raw = {"status": setting.status, "scores": scores}
    verdicts = {_verdict(value) for value in scores.values()}
    if record.get("error"):
        return Outcome(status="error", raw={**raw, "error": record["error"]})
    if "fails" in verdicts:
        return Outcome(status="failure", raw=raw)
    if scores:
        return Outcome(status="success" if verdicts == {"holds"} else "unknown", raw=raw)
    return Outcome(status=_STATUS.get(setting.status, "unknown"), raw=raw)


def graded(rule: str, score: object) -> Graded:
    """Return a score as a verdict: letters and booleans are one, a number is a score, anything else stays raw."""
    record = score if isinstance(score, dict) else {"value": score}
    value = record.get("value")
    return Graded(
        rule=rule,
        by="inspect",
        verdict=_verdict(value),
        score=as_float(value),
        message=as_text(record.get("explanation")),
        raw={key: record[key] for key in record if key != "explanation"},
    )


def _verdict(value: object) -> str | None:
    if isinstance(value, bool):
        return "holds" if value else "fails"
    if isinstance(value, str):
        return _LETTERS.get(value)
    number = as_float(value)
    return "holds" if number == 1 else "fails" if number == 0 else None


def _time(event: Message) -> datetime | None:
    return moment(event.get("timestamp"))


def _names(message: Message) -> Iterator[str]:
    """Yield the names a message goes by: its id, the call it answers, and what it says (older logs have no ids)."""
    role = message.get("role")
    if identity := as_text(message.get("id")):
        yield f"id:{identity}"
    if role == "tool" and (call := as_text(message.get("tool_call_id"))):
        yield f"call:{call}"
    elif not identity:
        yield fingerprint(role, message.get("content"), message.get("tool_calls"))


def _failure(message: Message) -> Failure | None:
    error = message.get("error")
    if not error:
        return None
    said = as_text(error) or as_text(as_dict(error).get("message")) or text(error)
    shown = plain_text(message.get("content"))
    whole = f"{said}\n\n{shown}" if shown and shown not in said else said
    return Failure(message=whole, code=as_text(as_dict(error).get("type")))


def _response(message: Message) -> ModelResponded:
    content = message.get("content")
    return ModelResponded(content=content, reasoning=_reasoning(content))


def _reasoning(content: object) -> str | None:
    thoughts = [as_text(block.get("reasoning")) for block in dicts(content) if block.get("type") == "reasoning"]
    return "\n".join(thought for thought in thoughts if thought) or None


def _first_user(messages: list[Any]) -> str | None:
    return next((plain_text(m.get("content")) for m in dicts(messages) if m.get("role") == "user"), None)
