"""A run while it happens: each thing the agent does becomes an event with its causes, the moment it does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Token
from datetime import UTC, datetime
from threading import RLock
from types import TracebackType
from typing import Any, Final, Self, cast

import msgspec
from uuid_utils import uuid7

from journal.domain import agent_run as events
from journal.domain.catalog import catalog
from journal.domain.event import Cause, EventData, Metadata
from journal.domain.stream import stream_name
from journal.recorder import belonging
from journal.recorder.calls import ModelCall, ToolCall
from journal.recorder.conversation import Conversation, Link, OpenCall
from journal.recorder.errors import Stopped
from journal.recorder.outlets import Outlet
from journal.recorder.references import reference
from journal.recorder.requests import Requests
from journal.recorder.sizes import fitted
from journal.recorder.tracing import traceparent
from journal.recorder.turns import Turn
from journal.recorder.values import as_json, as_text
from journal.recorder.warn import failed, guarded
from journal.recorder.wire import Answer, Asked, asked, canonical

_NOBODY: Final = ""
_BY_AGENT: Final = (
    events.ModelCalled, events.ModelResponded, events.Reasoned, events.Answered, events.HandedOff,
    events.MemoryWritten, events.ContextCompacted, events.Aborted, events.ModelFailed,
)  # fmt: skip


class Run:
    """One run of an agent. Use it as a context manager: it answers, or is aborted, when the block ends.

    Everything here is safe to call from several threads, and none of it raises for reasons of recording unless
    recording is strict.
    """

    def __init__(  # noqa: PLR0913 - what a run begins with
        self,
        open_outlet: Callable[[str], Outlet],
        *,
        stream: str | None = None,
        prompt: str | None = None,
        model: str | None = None,
        agent: str | None = None,
        context: Mapping[str, Any] | None = None,
        tools: Sequence[Any] = (),
        subjects: Sequence[str] = (),
        correlation: str | None = None,
        parent: Run | None = None,
        spawned_by: str | None = None,
    ) -> None:
        self.stream = stream or stream_name(events.CATEGORY, str(uuid7()))
        self.agent = agent
        self.model = model
        self.parent = parent
        self.correlation_id: str = correlation or (parent.correlation_id if parent else self.stream)
        self._open_outlet = open_outlet
        self._outlet = open_outlet(self.stream)
        self._subjects = tuple(subjects)
        self._lock = RLock()
        self._token: Token[Run | None] | None = None
        self._talk = Conversation(self.emit)
        self.requests = Requests()
        self._responded: str | None = None
        self._decisions: list[str] = []
        self._answer: Any = None
        self._has_ended = False
        self._started = _NOBODY
        self._called: str | None = None
        spawned: list[Link] = [(spawned_by, "spawned")] if spawned_by else []
        self._started = self.emit(
            events.Started(
                prompt=prompt,
                model=model,
                agent=agent,
                context=dict(context or {}),
                tools=tuple(tools),
                source="recorder",
                parent_run=parent.stream if parent else None,
            ),
            causes=spawned,
        )

    # --- The block

    def __enter__(self) -> Self:
        self._token = belonging.runs.enter(self, is_outermost=self.parent is None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            belonging.runs.leave(self, self._token)
        if not isinstance(error, Stopped):
            self._end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    @guarded("the end of a run", None)
    def _end(self, error: BaseException | None) -> None:
        if not self._has_ended:
            if error is not None:
                self.abort(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
            elif self._responded and not self._decisions:
                self.answer(self._answer)
            else:
                self.abort("the run ended without an answer")
        self._outlet.end()

    # --- What an agent does

    @guarded("a message", "")
    def message(self, role: str, content: Any, *, name: str | None = None) -> str:
        """Record that somebody speaks. Returns the event's id."""
        part = asked("openai.chat", {"messages": [_message(role, content, name)]}).said[0]
        told = self.emit(events.MessageReceived(role=role, content=content, name=name), actor=name or role)
        self._talk.hear(part, told)
        return told

    def model_call(self, *, model: str | None = None, messages: Iterable[Any] = (), **params: Any) -> ModelCall:
        """Return a block in which a model is asked; say what it responded by `call.respond(...)`.

        For clients whose traffic is not recorded. `messages` are in the manner of chat completions.
        """
        return ModelCall(self, model=model or self.model, messages=list(messages), params=params)

    def decide(
        self, tool: str, args: Any = None, *, thought: str | None = None, call_id: str | None = None
    ) -> ToolCall:
        """Record the decision to call a tool, and return a block in which it is called.

        Say `call.returned(value)` in the block; an exception that leaves it is the tool's failure.
        """
        args_json = args if isinstance(args, str) else as_text({} if args is None else args)
        call = self.decided(tool, args_json, thought=thought, call_id=call_id)
        self._decisions.append(call.decision)
        call.has_begun = True
        return ToolCall(self, call)

    @guarded("a memory", None)
    def remember(self, key: str, value: Any) -> None:
        """Record that the agent stores something to be known later."""
        self.emit(events.MemoryWritten(key=key, value=value), causes=self._doing())

    @guarded("a compaction", None)
    def compact(self, summary: str | None = None, *, dropped: Sequence[str] = (), kept: Sequence[str] = ()) -> None:
        """Record that a summary takes the place of earlier events in the model's context; both by their ids."""
        event = events.ContextCompacted(
            summary=summary,
            dropped_versions=cast(tuple[int, ...], tuple(map(reference, dropped))),  # versions once it is sent
            kept_versions=cast(tuple[int, ...], tuple(map(reference, kept))),
        )
        self.emit(event, causes=self._doing(), refs=True)

    def hand_off(self, to: str, *, instruction: str | None = None, prompt: str | None = None, **fields: Any) -> Run:
        """Give work to another agent. Returns its run: use it as a block."""
        stream = fields.pop("stream", None) or stream_name(events.CATEGORY, str(uuid7()))
        spawned_by = self.handed_off(to, stream, instruction)
        return Run(
            self._open_outlet,
            stream=stream,
            prompt=prompt if prompt is not None else instruction,
            agent=to,
            parent=self,
            spawned_by=spawned_by or None,
            **{"model": self.model, "subjects": self._subjects, **fields},
        )

    @guarded("a hand-off", "")
    def handed_off(self, to: str | None, stream: str | None, instruction: str | None = None) -> str:
        """Record that another agent goes on, in a run of its own or in this one. Returns the event's id."""
        event = events.HandedOff(to_agent=to, child_run=stream, instruction=instruction)
        return self.emit(event, causes=self._doing())

    @guarded("an answer", None)
    def answer(self, response: Any) -> None:
        """Record the agent's answer. Without it the model's last words are the answer, where it called no tool."""
        self._has_ended = True
        causes: list[Link] = [(self._responded, "triggered")] if self._responded else []
        self.emit(events.Answered(response=response), causes=causes)

    @guarded("the end of a run", None)
    def abort(self, reason: str) -> None:
        """Record that the run ends without an answer."""
        self._has_ended = True
        self.emit(events.Aborted(reason=reason), causes=self._doing())

    # --- What is seen of it: the transport, decorators and callbacks tell these

    def asking(
        self,
        request: Asked,
        *,
        body: dict[str, Any] | None = None,
        seen: dict[str, Any] | None = None,
        agent: str | None = None,
        at: datetime | None = None,
    ) -> Turn:
        """Record a request to a model: what is new in it, and the request itself. Returns what takes the response."""
        with self._lock:
            sent, new = self._talk.take(request.said)
            causes: list[Link] = new or ([(self._called, "triggered")] if self._called else self._begun())
            kept = {**(seen or {}), **self.requests.packed(body)} if body is not None else seen
            event = events.ModelCalled(
                model=request.model, params=request.params, messages=tuple(sent), request=kept or None
            )
            actor = f"agent:{agent}" if agent else None
            self._called = self.emit(event, causes=causes, refs=True, actor=actor, at=at)
            if body is not None:
                self.requests.remember(self._called, body)
            return Turn(self, self._called, request, agent)

    def responded(self, turn: Turn, answer: Answer, event: events.ModelResponded) -> list[OpenCall]:
        """Record a response and the calls it decides. Returns the calls."""
        with self._lock:
            told = self.emit(event, causes=[(turn.called, "triggered")], actor=turn.actor)
            self._talk.hear(answer.said(), told)
            self._responded, self._answer = told, answer.content
            thought = answer.content if isinstance(answer.content, str) else answer.reasoning
            calls = [
                self.decided(call.tool, call.args_json, thought=thought, call_id=call.id, by=told, actor=turn.actor)
                for call in answer.calls
            ]
            self._decisions = [call.decision for call in calls]
            return calls

    def decided(  # noqa: PLR0913 - what a decision has
        self,
        tool: str,
        args_json: str,
        *,
        thought: str | None = None,
        call_id: str | None = None,
        by: str | None = None,
        actor: str | None = None,
    ) -> OpenCall:
        """Record the decision to call a tool. `by` is the response it stands in; else it is what goes on."""
        identity = call_id or f"call_{uuid7().hex[-12:]}"
        call = OpenCall(id=identity, tool=tool, args=canonical(args_json), decision=_NOBODY)
        try:
            with self._lock:
                call.decision = self.emit(
                    events.Reasoned(thought=thought, tool_name=tool, args_json=args_json, call_id=identity),
                    causes=[(by, "triggered")] if by else self._doing(),
                    actor=actor,
                )
                self._talk.decided(call)
        except Exception as error:  # noqa: BLE001 - recording never breaks the agent
            failed("a decision", error)
        return call

    def begin_tool(self, tool: str, args_json: str) -> ToolCall:
        """Return the decided call that a tool's code now carries out; one that code makes is recorded as decided."""
        with self._lock:
            found = self._talk.begin(tool, args_json)
            if found is None:
                found = self.decided(tool, args_json)
                found.has_begun = True
            is_as_decided = canonical(args_json) == found.args
            return ToolCall(self, found, None if is_as_decided else args_json)

    def watched_tool(self, tool: str, args_json: str, call_id: str | None = None) -> ToolCall | None:
        """Return the decided call that a framework says is carried out; None where its result is recorded already.

        Its code may be recorded, too, and then says more: the call stays to be found by it.
        """
        with self._lock:
            found = self._talk.call(call_id) or self._talk.latest(tool, args_json) or self.decided(tool, args_json)
            return ToolCall(self, found) if found.result is None else None

    def finished(self, call: OpenCall, event: events.ToolReturned | events.ToolFailed) -> None:
        """Record what a call came to, once."""
        with self._lock:
            if call.result is None:
                causes: list[Link] = [(call.decision, "triggered")] if call.decision else []
                call.result = self.emit(event, causes=causes, actor=f"tool:{call.tool}")

    # --- The event itself

    def emit(
        self,
        event: msgspec.Struct,
        *,
        causes: Sequence[Link] = (),
        actor: str | None = None,
        refs: bool = False,
        at: datetime | None = None,
    ) -> str:
        """Make an event of it and put it on its way. Returns its id, which is made here and nowhere else."""
        identity = str(uuid7())
        try:
            with self._lock:
                self._outlet.put(self._ready(identity, event, causes, actor, at), refs=refs)
        except Exception as error:  # noqa: BLE001 - recording never breaks the agent
            failed(f"an event of {self.stream}", error)
        return identity

    def _ready(
        self, identity: str, event: msgspec.Struct, causes: Sequence[Link], actor: str | None, at: datetime | None
    ) -> EventData:
        links = list(causes) or self._begun()
        direct = links[0] if links else None
        # A direct cause whose kind says more than `triggered` stands among the others, too.
        others = links[1:] if direct is None or direct[1] == "triggered" else links
        metadata = Metadata(
            correlation_id=self.correlation_id,
            causation_id=direct[0] if direct else None,
            causes=tuple(Cause(id=one, kind=kind) for one, kind in others),
            traceparent=traceparent(),
            actor=actor or (f"agent:{self.agent}" if self.agent and isinstance(event, _BY_AGENT) else None),
            subjects=self._subjects,
        )
        kind = catalog.name_of(type(event))
        return EventData(
            id=identity,
            type=kind,
            schema=catalog.schema_of(kind) or 1,
            data=fitted(as_json(event)),
            metadata=as_json(metadata),
            occurred_at=at or datetime.now(UTC),
        )

    def _begun(self) -> list[Link]:
        return [(self._started, "triggered")] if self._started else []

    def _doing(self) -> list[Link]:
        """What the running code is the work of: a tool call, else the last response, else the run."""
        inside = belonging.current_call()
        if inside:
            return [(inside, "triggered")]
        return [(self._responded, "triggered")] if self._responded else self._begun()


def _message(role: str, content: Any, name: str | None) -> dict[str, Any]:
    return {"role": role, "content": content} | ({"name": name} if name else {})
