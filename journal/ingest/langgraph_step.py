"""What one LangGraph checkpoint adds to its run: new messages, changed channels, an interrupt, an error, the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from journal.domain.agent_run import (
    Aborted,
    Answered,
    ContextCompacted,
    HandedOff,
    MemoryWritten,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    ToolFailed,
    ToolReturned,
)
from journal.domain.codec import text
from journal.ingest.draft import Count, EventDraft, Link, Opaque, OutcomeStatus
from journal.ingest.langgraph_messages import Named, heard, identity, messages_in, named, reasoning, role_of, words
from journal.ingest.langgraph_saved import Saved, Write
from journal.ingest.lenient import as_dict, as_int, as_list, as_text, dicts, fingerprint, plain_text
from journal.ingest.openai_chat import version_of
from journal.ingest.transcript import Events, wording

_COUNTED: Final[frozenset[Count]] = frozenset({"decisions", "tool_calls", "tool_errors"})
_TOKENS: Final[frozenset[Count]] = frozenset({"input_tokens", "output_tokens"})
_BRANCH: Final = "branch:to:"
_SENDS: Final = ("__pregel_tasks", "__tasks__")
_OUTPUT: Final = "__end__"
_SAYS_WHAT_IS_NEXT: Final = 4
_RETURNED: Final = "__return__"
_NO_TASK: Final = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where something was told: a run and a key in it."""

    run: str
    key: str


@dataclass(slots=True)
class Told:
    """What any run of the thread has told: a message, or a call, is the one run's in which it came up first."""

    messages: dict[str, _Place] = field(default_factory=dict)
    calls: dict[str, _Place] = field(default_factory=dict)
    tools: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Known:
    """A message that a run has in its context: the key of its event, and what it said."""

    key: str
    said: str


def checkpoint_key(checkpoint_id: str) -> str:
    """Return the key of the event that a checkpoint is."""
    return f"checkpoint.{checkpoint_id}"


class Telling:
    """One run as it is told, a checkpoint at a time."""

    def __init__(self, run: str, told: Told) -> None:
        self._run = run
        self._told = told
        self._events = Events()
        self._context: dict[str, _Known] = {}
        self._edited: dict[str, str] = {}
        self._model: str | None = None
        self._asked: dict[str, str] = {}
        self._has_tokens = False
        self.status: OutcomeStatus = "running"
        self.error: str | None = None

    @property
    def drafts(self) -> list[EventDraft]:
        """What was told so far."""
        return self._events.drafts

    @property
    def recorded(self) -> frozenset[Count]:
        """The counts that the thread keeps; tokens where a message has a usage."""
        return _COUNTED | _TOKENS if self._has_tokens else _COUNTED

    def begin(self, started: EventDraft) -> None:
        """Tell how the run began."""
        self._events.drafts.append(started)

    def hand_over(self, key: str, to_agent: str, child: str, *, caller: str, at: datetime | None) -> None:
        """Tell that a subgraph was called, from the checkpoint `caller`."""
        self._events.add(
            key, HandedOff(to_agent=to_agent, child_run=child), at=at, causes=[Link(checkpoint_key(caller))]
        )

    # --- A checkpoint

    def step(self, one: Saved, before: Saved | None, *, is_first: bool) -> None:
        """Tell what a checkpoint adds to the one before it; the first of a run is told whole."""
        self.error = None
        first = len(self.drafts)
        prior = {} if is_first or before is None else before.values
        given = one.source in ("update", "fork") or (before is not None and before.source == "input")
        spoken = self._messages(one, before, prior, given=given)
        for channel, value in sorted(one.values.items()):
            if not _is_control(channel) and not _speaks(channel, value, prior) and prior.get(channel, []) != value:
                self._events.add(f"{channel}@{one.id}", MemoryWritten(key=channel, value=value), at=one.at)
        causes = [Link(draft.key) for draft in self.drafts[first:] if draft.key != "start"]
        raw = Opaque(name="langgraph.checkpoint", data=_shown(one, before))
        self._events.add(checkpoint_key(one.id), raw, at=one.at, causes=causes)
        self._end(one, spoken)

    def _end(self, one: Saved, spoken: list[dict[str, Any]]) -> None:
        """Tell the answer, where nothing is left to do at a checkpoint."""
        is_done = _is_done(one, spoken)
        self.status = "unknown" if is_done else "running"
        if one.source != "loop" or not is_done:
            return
        last = spoken[-1] if spoken else {}
        if _OUTPUT in one.values:
            response: Any = one.values[_OUTPUT]
        elif not spoken:
            response = {name: value for name, value in one.values.items() if not _is_control(name)}
        elif role_of(last) == "assistant" and not last.get("tool_calls"):
            response = last.get("content")
        else:
            return
        known = self._context.get(identity(last, len(spoken) - 1)) if spoken else None
        cause = Link(known.key if known else checkpoint_key(one.id))
        self._events.add(f"answered.{one.id}", Answered(response=response), at=one.at, causes=[cause])

    # --- Messages

    def _messages(
        self, one: Saved, before: Saved | None, prior: dict[str, Any], *, given: bool
    ) -> list[dict[str, Any]]:
        """Tell the messages that are new or say something else; return all that are in the state."""
        spoken: list[dict[str, Any]] = []
        for channel, value in sorted(one.values.items()):
            if _is_control(channel) or not _speaks(channel, value, prior):
                continue
            held, last = messages_in(value), messages_in(prior.get(channel))
            spoken += held
            same = next((at for at, (old, new) in enumerate(zip(last, held, strict=False)) if old != new), len(last))
            same = min(same, len(held))
            self._forget(one, named(last, same), named(held, same))
            for name, message in named(held, same):
                self._message(one, before, message, name, given=given)
        return spoken

    def _forget(self, one: Saved, before: list[Named], now: list[Named]) -> None:
        """Tell that messages left the state, or are there in other words, which come next."""
        said = {name: words(message) for name, message in now}
        gone = [name for name, _ in before if name in self._context and said.get(name) != self._context[name].said]
        if gone:
            dropped = tuple(version_of(self._context.pop(name).key) for name in gone)
            self._events.add(f"compacted.{one.id}", ContextCompacted(dropped_versions=dropped), at=one.at)

    def _message(self, one: Saved, before: Saved | None, message: dict[str, Any], name: str, *, given: bool) -> None:
        if name in self._context or message.get("type") == "remove":
            return
        known = self._told.messages.get(name)
        key = f"message.{name}" if known is None or known.run != self._run else f"message.{name}@{one.id}"
        self._context[name] = _Known(key, words(message))
        role = role_of(message)
        if known is not None:
            self._again(key, message, known, at=one.at)
        elif role == "assistant" and not given:
            self._response(key, message, before, at=one.at)
        elif role == "tool" and (not given or message.get("tool_call_id") in self._told.calls):
            self._result(key, message, at=one.at)
        else:
            self._events.add(key, heard(message), at=one.at)
        self._told.messages.setdefault(name, _Place(self._run, key))

    def _again(self, key: str, message: dict[str, Any], known: _Place, *, at: datetime | None) -> None:
        """Tell what another run said first, or this one in other words: it was heard, not decided, here."""
        cause = Link(known.key, "quoted", "recorded", None if known.run == self._run else known.run)
        self._events.add(key, heard(message), at=at, causes=[cause])
        for call in dicts(message.get("tool_calls")):
            self._edited[str(call.get("id"))] = text(call.get("args"))

    def _response(self, key: str, message: dict[str, Any], before: Saved | None, *, at: datetime | None) -> None:
        about, usage = as_dict(message.get("response_metadata")), as_dict(message.get("usage_metadata"))
        causes = [Link(checkpoint_key(before.id))] if before is not None else []
        model = as_text(about.get("model_name")) or as_text(about.get("model"))
        if model is not None and model != self._model:
            self._model = model
            causes = [Link(self._events.add(f"{key}.call", ModelCalled(model=model), at=at, causes=causes))]
        self._has_tokens = self._has_tokens or bool(usage)
        more = {name: message[name] for name in ("id", "response_metadata", "additional_kwargs") if message.get(name)}
        response = ModelResponded(
            content=message.get("content"),
            reasoning=reasoning(message),
            finish_reason=as_text(about.get("finish_reason")) or as_text(about.get("stop_reason")),
            input_tokens=as_int(usage.get("input_tokens")),
            output_tokens=as_int(usage.get("output_tokens")),
            cached_tokens=as_int(as_dict(usage.get("input_token_details")).get("cache_read")),
            raw=more or None,
        )
        self._events.add(key, response, at=at, causes=causes)
        actor = as_text(message.get("name"))
        self.drafts[-1].actor = f"agent:{actor}" if actor else None
        for place, call in enumerate([*dicts(message.get("tool_calls")), *dicts(message.get("invalid_tool_calls"))]):
            self._call(f"{key}.call{place}", call, plain_text(message.get("content")), at=at)

    def _call(self, key: str, call: dict[str, Any], thought: str | None, *, at: datetime | None) -> None:
        call_id, tool, args = as_text(call.get("id")), as_text(call.get("name")) or "", call.get("args")
        args_json = args if isinstance(args, str) else text({} if args is None else args)
        reasoned = Reasoned(thought=thought, tool_name=tool, args_json=args_json, call_id=call_id)
        own = self._events.add(key, reasoned, at=at)
        if call_id is not None:
            self._told.calls.setdefault(call_id, _Place(self._run, own))
            self._told.tools.setdefault(call_id, tool)

    def _result(self, key: str, message: dict[str, Any], *, at: datetime | None) -> None:
        call_id = as_text(message.get("tool_call_id"))
        tool = as_text(message.get("name")) or self._told.tools.get(call_id or "", "")
        decided = self._told.calls.get(call_id or "")
        causes = [Link(decided.key, run=decided.run)] if decided is not None and decided.run != self._run else []
        args, content = self._edited.get(call_id or ""), message.get("content")
        result = (
            ToolFailed(tool_name=tool, call_id=call_id, message=wording(content), args_json=args)
            if message.get("status") == "error"
            else ToolReturned(tool_name=tool, call_id=call_id, response_json=text(content), args_json=args)
        )
        self._events.add(key, result, at=at, causes=causes)
        if message.get("artifact") is not None:
            raw = Opaque(name="langgraph.artifact", data={"callId": call_id, "artifact": message["artifact"]})
            self._events.add(f"{key}.artifact", raw, at=at, causes=[Link(key)])

    # --- What the tasks behind a checkpoint wrote, before there is a next one

    def pending(self, one: Saved) -> None:
        """Tell interrupts, what a person said to them, errors, and what was done beside a task that failed."""
        cause = Link(checkpoint_key(one.id))
        self._asked = {}
        for write in one.writes:
            if write.channel == "__interrupt__":
                self._interrupt(one, write, cause)
        self._resumes(one)
        failed = [write for write in one.writes if write.channel == "__error__"]
        for write in failed:
            self.error = write.value if isinstance(write.value, str) else text(write.value)
            self._events.add(f"error.{one.id}.{write.task}", Aborted(reason=self.error), at=one.at, causes=[cause])
        for write in one.writes:
            if write.channel == _RETURNED or (failed and not _is_control(write.channel)):
                raw = Opaque(
                    name="langgraph.task_wrote",
                    data={"task": write.task, "path": write.path, "channel": write.channel, "value": write.value},
                )
                name = f"wrote.{one.id}.{write.task}.{write.channel}"
                self._events.add(name, raw, at=one.at, causes=[cause])

    def _interrupt(self, one: Saved, write: Write, cause: Link) -> None:
        for held in dicts(write.value):
            value = _asked(held).get("value")
            said = value if isinstance(value, str) else text(value)
            key = f"interrupt.{one.id}.{write.task}.{fingerprint(value)}"
            asked = HandedOff(to_agent="human", instruction=said)
            self._asked[write.task] = self._events.add(key, asked, at=one.at, causes=[cause])

    def _resumes(self, one: Saved) -> None:
        """Tell what a person said to the interrupts of a step: each task's answers, and one no task has taken yet.

        Of the interrupts of a task only the last is kept, so only the last answer is known to answer it.
        """
        given = [write for write in one.writes if write.channel == "__resume__"]
        answers: list[tuple[Any, str | None]] = []
        for write in given:
            values = as_list(write.value) if write.task != _NO_TASK else []
            answers += [(value, None) for value in values[:-1]]
            answers += [(value, self._asked.get(write.task)) for value in values[-1:]]
        known, asked = (
            {fingerprint(value) for value, _ in answers},
            {str(_asked(held).get("id")) for held in _interrupts(one)},
        )
        for write in given:
            value = write.value
            to_each = isinstance(value, dict) and value and value.keys() <= asked  # the tasks then have them
            if write.task == _NO_TASK and not to_each and fingerprint(value) not in known:
                answers.append((value, next(iter(self._asked.values())) if len(self._asked) == 1 else None))
        self._answers(one, answers)

    def _answers(self, one: Saved, answers: list[tuple[Any, str | None]]) -> None:
        counted: Counter[str] = Counter()
        for value, interrupt in answers:
            name = fingerprint(value)
            said = MessageReceived(role="user", content=value if isinstance(value, str) else text(value))
            causes = [Link(interrupt, "answers")] if interrupt else []
            self._events.add(f"resume.{one.id}.{name}.{counted[name]}", said, causes=causes)
            counted[name] += 1


def _asked(held: dict[str, Any]) -> dict[str, Any]:
    return as_dict(held.get("value")) if held.get("$type") == "langgraph.types.Interrupt" else held


def _interrupts(one: Saved) -> list[dict[str, Any]]:
    return [held for write in one.writes if write.channel == "__interrupt__" for held in dicts(write.value)]


# --- Channels ---------------------------------------------------------------------------------------------------------


def _is_control(channel: str) -> bool:
    return channel.startswith(("__", "branch:", "join:", "start:"))


def _speaks(channel: str, value: Any, prior: dict[str, Any]) -> bool:
    """Whether a channel holds messages, or did and has none left."""
    return bool(messages_in(value)) or (value == [] and bool(messages_in(prior.get(channel))))


def _is_done(one: Saved, spoken: list[dict[str, Any]]) -> bool:
    """Whether nothing is left to do. Old formats do not say: there, the last word is the end."""
    if _OUTPUT in one.values:
        return True
    if any(one.values.get(name) for name in _SENDS) or any(name.startswith(_BRANCH) for name in one.values):
        return False
    says = one.format >= _SAYS_WHAT_IS_NEXT or any(name.startswith(_BRANCH) for name in one.versions)
    return says or bool(spoken and role_of(spoken[-1]) == "assistant" and not spoken[-1].get("tool_calls"))


def _shown(one: Saved, before: Saved | None) -> dict[str, Any]:
    """Return what the checkpoint says of itself; the values of channels are told by events of their own."""
    control = {name: value for name, value in one.values.items() if _is_control(name) and value not in (None, [], "")}
    steps: dict[str, dict[str, Any]] = {}
    for write in before.writes if before is not None else ():
        if write.task != _NO_TASK and write.channel != "__resume__":
            task = steps.setdefault(write.task, {"task": write.task, "path": write.path, "channels": []})
            task["channels"].append(write.channel)
    data = {
        "checkpointId": one.id,
        "parentCheckpointId": one.parent,
        "checkpointNs": one.namespace,
        "metadata": one.metadata,
        "next": sorted(name.removeprefix(_BRANCH) for name in one.values if name.startswith(_BRANCH)),
        "updatedChannels": list(one.updated),
        "control": control,
        "tasks": list(steps.values()),
    }
    return {name: value for name, value in data.items() if value not in (None, "", [], {})}
