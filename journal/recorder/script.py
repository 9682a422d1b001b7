"""A recorded run as what a replay goes through: the requests and tool calls in it, each with its answer.

Steps that overlapped when they were recorded may come in another order when they are replayed: a step is due when every
earlier one that had ended before it began has been taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from journal.domain import agent_run as events
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.stream import category
from journal.domain.text import clip
from journal.recorder.requests import unpacked
from journal.recorder.wire import Answer, canonical

_NEVER: Final = 1 << 62
_PARTIAL: Final = "only a summary of its result was recorded, or one that JSON cannot hold"


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """What a run began with."""

    prompt: str | None = None
    model: str | None = None
    agent: str | None = None
    tools: tuple[Any, ...] = ()

    def comparable(self) -> dict[str, Any]:
        """Return what has to be the same in a replay."""
        fields = {"prompt": self.prompt, "model": self.model, "agent": self.agent, "tools": list(self.tools)}
        return {name: value for name, value in fields.items() if value not in (None, [])}


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended; `status` is `running` where the recording has no end."""

    status: str = "running"
    response: Any = None
    version: int | None = None

    def comparable(self) -> dict[str, Any]:
        """Return what has to be the same in a replay."""
        return {"status": self.status, "response": self.response}

    def told(self) -> str:
        """Say it in words."""
        if self.status == "running":
            return "the recording to end here"
        said = clip(
            self.response if isinstance(self.response, str) else msgspec.json.encode(self.response).decode(), 80
        )
        return f"the answer “{said}”" if self.status == "answered" else f"the run to end without an answer ({said})"


class Step(msgspec.Struct, kw_only=True):
    """One thing the agent asked for. `gap` says why its answer cannot be given back, where that is so."""

    version: int
    answered_at: int | None = None
    gap: str = ""
    is_taken: bool = False

    def told(self) -> str:
        """Say what it is."""
        raise NotImplementedError


class ModelStep(Step, kw_only=True):
    """A request to a model. `raw` is its response as it came, `body` the request, `sha256` that of its bytes."""

    model: str | None = None
    sha256: str | None = None
    body: dict[str, Any] | None = None
    raw: dict[str, Any] = {}
    answer: Answer | None = None

    def told(self) -> str:
        """Say which model."""
        return f"a request to {self.model or 'a model'}"


class ToolStep(Step, kw_only=True):
    """A call of a tool; `args` is canonical."""

    tool: str = ""
    args: str = "{}"
    call_id: str | None = None
    response_json: str | None = None
    error_code: str | None = None
    message: str | None = None

    def told(self) -> str:
        """Say which tool, with what."""
        return f"a call of {self.tool} {clip(self.args, 120)}"


class Script:
    """The steps of one recorded run. `run` is the stream of the run that plays it now."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.run: str | None = None
        self.parent: str | None = None
        self.beginning = Beginning()
        self.ending = Ending()
        self.steps: list[ModelStep | ToolStep] = []
        self.children: list[tuple[int, str | None]] = []
        self.is_left = False
        self._requests: dict[str, ModelStep] = {}
        self._bodies: dict[str, dict[str, Any]] = {}
        self._calls: dict[str, ToolStep] = {}

    # --- Reading the recording

    def read(self, event: RecordedEvent) -> None:  # noqa: C901, PLR0912 - one case for each kind of event that matters
        """Take the next recorded event in."""
        match catalog.decode(event):
            case events.Started() as started:
                self.beginning = Beginning(
                    prompt=started.prompt, model=started.model, agent=started.agent, tools=started.tools
                )
                self.parent = started.parent_run
            case events.ModelCalled() as called:
                self._read_request(event, called)
            case events.ModelResponded() as responded:
                step = self._requests.get(event.meta.causation_id or "")
                if step is not None:
                    self._read_response(event.version, step, responded.raw)
            case events.ModelFailed() as failed:
                step = self._requests.get(event.meta.causation_id or "")
                if step is not None:
                    self._read_response(event.version, step, failed.raw)
            case events.Reasoned() as reasoned:
                call = ToolStep(
                    version=event.version, tool=reasoned.tool_name, args=canonical(reasoned.args_json),
                    call_id=reasoned.call_id, gap="the recording has no result of it",
                )  # fmt: skip
                self._calls[reasoned.call_id or event.id] = call
                self.steps.append(call)
            case events.ToolReturned() as returned:
                self._read_result(
                    event.version, returned.call_id, response_json=returned.response_json,
                    args_json=returned.args_json, gap=_PARTIAL if returned.is_partial else "",
                )  # fmt: skip
            case events.ToolFailed() as failure:
                self._read_result(
                    event.version, failure.call_id, error_code=failure.error_code, message=failure.message or "",
                    args_json=failure.args_json,
                )  # fmt: skip
            case events.HandedOff() as handed:
                self.children.append((event.version, handed.child_run))
            case events.Answered() as answered:
                self.ending = Ending(status="answered", response=answered.response, version=event.version)
            case events.Aborted() as aborted:
                self.ending = Ending(status="aborted", response=aborted.reason, version=event.version)
            case _:
                pass

    def _read_request(self, event: RecordedEvent, called: events.ModelCalled) -> None:
        request = called.request or {}
        body = unpacked(request, self._bodies.get) if request else None
        if body is not None:
            self._bodies[event.id] = body
        sha256 = request.get("sha256")
        step = ModelStep(
            version=event.version,
            model=called.model,
            sha256=sha256 if isinstance(sha256, str) else None,
            body=body,
            gap="no response to it was recorded" if sha256 else "its request was not recorded by the transport",
        )
        self._requests[event.id] = step
        self.steps.append(step)

    def _read_response(self, version: int, step: ModelStep, raw: Any) -> None:
        step.answered_at = version
        if step.sha256 is None:
            return
        if not isinstance(raw, dict) or "omitted" in raw:
            step.gap = "its response was too large to be recorded whole"
        elif raw.get("interrupted"):
            step.gap = f"its response broke off when it was recorded ({raw['interrupted']})"
        elif "answer" in raw:
            step.answer, step.gap = msgspec.convert(raw["answer"], Answer), ""
        elif "body" in raw or "error" in raw:
            step.raw, step.gap = raw, ""

    def _read_result(
        self, version: int, call_id: str | None, *, args_json: str | None, gap: str = "", **result: Any
    ) -> None:
        step = self._calls.get(call_id or "")
        if step is None or step.answered_at is not None:
            return
        step.answered_at, step.gap = version, gap
        step.args = canonical(args_json) if args_json is not None else step.args
        for name, value in result.items():
            setattr(step, name, value)

    # --- Playing it

    def open_steps(self) -> Iterator[ModelStep | ToolStep]:
        """Yield the steps that are not taken, as far as they are due."""
        barrier = _NEVER
        for step in self.steps:
            if step.is_taken:
                continue
            if step.version > barrier:
                return
            yield step
            if _is_idle(step):
                continue
            barrier = min(barrier, step.answered_at or _NEVER)

    def first_open(self) -> ModelStep | ToolStep | None:
        """Return the earliest step that is not taken. A call that nobody carried out need not be now."""
        return next((step for step in self.steps if not step.is_taken and not _is_idle(step)), None)

    def model_with(self, sha256: str) -> tuple[ModelStep, bool] | None:
        """Return the due step with a request of these bytes."""
        found = next((one for one in self.open_steps() if isinstance(one, ModelStep) and one.sha256 == sha256), None)
        return (found, True) if found is not None else None

    def tool_with(self, tool: str, args: str) -> ToolStep | None:
        """Return the due call of a tool with these arguments; any spelling of them."""
        return next(
            (one for one in self.open_steps() if isinstance(one, ToolStep) and (one.tool, one.args) == (tool, args)),
            None,
        )

    def carried_out(self, call_id: str | None, tool: str) -> ToolStep | None:
        """Return the due call that was carried out by code nothing watches, as its result says."""
        due = [one for one in self.open_steps() if isinstance(one, ToolStep) and one.tool == tool]
        return next((one for one in due if one.call_id == call_id), due[0] if due and call_id is None else None)

    def take(self, step: Step) -> None:
        """Say that a step has been played."""
        step.is_taken = True


def _is_idle(step: Step) -> bool:
    return isinstance(step, ToolStep) and step.answered_at is None


def scripts(recorded: Iterable[RecordedEvent]) -> dict[str, Script]:
    """Return the recorded runs, by their streams, in the order in which they appear."""
    found: dict[str, Script] = {}
    for event in sorted(recorded, key=lambda one: one.version):
        if category(event.stream) == events.CATEGORY:
            found.setdefault(event.stream, Script(event.stream)).read(event)
    return found
