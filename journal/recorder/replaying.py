"""Replay: the agent's code runs again, and the journal answers in place of models and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Final, Literal, Self

import msgspec

from journal.domain.agent_run import ToolFailed, ToolReturned
from journal.domain.diff import MISSING, differences
from journal.domain.event import RecordedEvent
from journal.recorder import belonging
from journal.recorder.errors import Diverged, NotReplayable, Stopped
from journal.recorder.outlets import Collected, Outlet
from journal.recorder.requests import decoded, digest
from journal.recorder.running import Run
from journal.recorder.script import Beginning, Ending, ModelStep, Script, Step, ToolStep, scripts
from journal.recorder.values import Rebuild, as_json, exception_named
from journal.recorder.wire import Answer, canonical

Label = Literal["replayed", "substituted", "re-executed"]

_UNKNOWN: Final = "(no stream)"


class ReplayedToolError(RuntimeError):
    """A tool failed when it was recorded, with an exception whose class this process does not know."""


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a replay. `version` is the recorded event it corresponds to, None where there is none.

    `replayed`: answered by the journal, as the step is the recorded one to the byte. `substituted`: answered by what
    the caller of the replay gave, or by the journal although the step is not quite the recorded one; `note` says which.
    `re-executed`: done again, live.
    """

    stream: str
    version: int | None
    what: str
    label: Label
    note: str = ""


class Replay:
    """A recording being played. Use it as a block around the agent's code.

    `steps` says of each model request and tool call what became of it; `gaps` names what the recording cannot give
    back. When the block ends, strict raises `Diverged` or `NotReplayable` where the code left the recording.
    """

    def __init__(
        self,
        events: Iterable[RecordedEvent],
        *,
        strict: bool = True,
        substitute: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.is_strict = strict
        self.steps: list[Played] = []
        self.diverged: Diverged | NotReplayable | None = None
        self._substitute = dict(substitute or {})
        self.scripts = scripts(events)
        if not self.scripts:
            raise ValueError("there is no agent run to replay in these events")
        self._roots = [script for script in self.scripts.values() if script.parent not in self.scripts]
        self._started: dict[str, Script] = {}
        self._collected: dict[str, Collected] = {}
        self._lock = RLock()
        self._token: Token[Replay | None] | None = None
        self._implicit: Run | None = None

    # --- What the recording says

    @property
    def prompt(self) -> str | None:
        """The prompt that the first recorded run began with."""
        return self._roots[0].beginning.prompt

    @property
    def answer(self) -> Any:
        """What the first recorded run answered, None where it did not."""
        return self._roots[0].ending.response

    @property
    def gaps(self) -> list[tuple[str, int, str]]:
        """What cannot be replayed: stream, version and why."""
        found = [
            (script.stream, step.answered_at or step.version, step.gap)
            for script in self.scripts.values()
            for step in script.steps
            if step.gap
        ]
        missing = [
            (script.stream, version, f"the child run {child} is not among the events given")
            for script in self.scripts.values()
            for version, child in script.children
            if child and child not in self.scripts
        ]
        return found + missing

    @property
    def recorded_again(self) -> dict[str, list[Any]]:
        """The events that the code made this time, by the stream of the run as it was recorded."""
        return {stream: outlet.events for stream, outlet in self._collected.items()}

    # --- The block

    def __enter__(self) -> Self:
        self._token = belonging.replays.enter(self, is_outermost=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            belonging.replays.leave(self, self._token)
        if self.diverged is not None and self.is_strict:
            raise self.diverged from None
        if error is None and self.is_strict:
            left = self._left_over()
            if left is not None:
                raise left

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _left_over(self) -> Diverged | None:
        for script in self.scripts.values():
            step = script.first_open()
            if step is None:
                continue
            began = script.stream in self._started
            actual = "the code ended" if began or script.parent is None else "this run did not begin"
            return Diverged(stream=script.stream, version=step.version, expected=step.told(), actual=actual)
        return None

    # --- Runs

    def run(self, *, stream: str | None = None, **fields: Any) -> Run:
        """Return a run that goes nowhere, and is compared with the recorded one."""
        return ReplayedRun(self, self._outlet, stream=stream, **fields)

    def begin(self, run: Run, beginning: Beginning, outlet: Collected) -> None:
        """Match a run that begins with the recorded one it is."""
        with self._lock:
            script = self._next_script(run)
            if script is None:
                who = beginning.agent or "an agent"
                self._leave(self._divergence(run.stream, None, "no further run", f"a run of {who}"))
                return
            self._started[script.stream] = script
            script.run = run.stream
            self._collected[script.stream] = outlet
            changes = _changes(script.beginning.comparable(), beginning.comparable())
            if changes:
                expected = "the run to begin as recorded"
                self._leave(self._divergence(script.stream, 1, expected, "another beginning", changes))

    def end(self, run: Run, ending: Ending) -> None:
        """Compare how a run ends."""
        script = self._script_of(run)
        if script is None or script.is_left or script.ending.status == "running":
            return
        recorded, step = script.ending, script.first_open()
        if step is not None:
            self._leave(self._divergence(script.stream, step.version, step.told(), ending.told()))
        elif ending.comparable() != recorded.comparable():
            changes = _changes(recorded.comparable(), ending.comparable())
            self._leave(self._divergence(script.stream, recorded.version, recorded.told(), ending.told(), changes))

    @staticmethod
    def _divergence(
        stream: str, version: int | None, expected: str, actual: str, changes: tuple[dict[str, Any], ...] = ()
    ) -> Diverged:
        return Diverged(stream=stream, version=version, expected=expected, actual=actual, changes=changes)

    def _outlet(self, stream: str) -> Outlet:
        return Collected()

    def _next_script(self, run: Run) -> Script | None:
        if run.parent is None:
            return next((script for script in self._roots if script.run is None), None)
        parent = self._script_of(run.parent)
        if parent is None:
            return None
        children = (self.scripts.get(child or "") for _, child in parent.children)
        return next((script for script in children if script is not None and script.run is None), None)

    def _script_of(self, run: Run) -> Script | None:
        return next((script for script in self._started.values() if script.run == run.stream), None)

    def implicit_run(self) -> Run:
        """Return a run for code that opens none: the first recorded one, which somebody outside it opened."""
        with self._lock:
            if self._implicit is None:
                beginning = self._roots[0].beginning
                self._implicit = ReplayedRun(
                    self, self._outlet, prompt=beginning.prompt, model=beginning.model, agent=beginning.agent,
                    tools=beginning.tools,
                )  # fmt: skip
            return self._implicit

    def _run(self) -> Run:
        return belonging.current() or self.implicit_run()

    # --- Models

    def model(self, raw: bytes) -> ModelStep | None:
        """Return the recorded answer to a request, or None where it is to be sent.

        Raises:
            Stopped: the request is not the recorded one, and the replay is strict.
        """
        with self._lock:
            script = self._script_of(self._run())
            if script is None:
                self._without_script("a request to a model")
                return None
            found = script.model_with(digest(raw)) or self._written_otherwise(script, raw)
            if found is None:
                self._other_request(script, raw)
                return None
            step, is_exact = found
            if step.gap:
                self._cannot(script, step, step.gap)
                return None
            script.take(step)
            note = "" if is_exact else "the same JSON in other bytes"
            self._play(script, step, "replayed" if is_exact else "substituted", note)
            return step

    def answer_of_block(self, raw: bytes) -> Answer | None:
        """Return the recorded response for a block in which the agent's own code asks a model."""
        with self._lock:
            script = self._script_of(self._run())
            if script is None:
                self._without_script("a model call")
                return None
            found = script.model_with(digest(raw)) or self._written_otherwise(script, raw)
            if found is None:
                self._other_request(script, raw)
                return None
            step, _ = found
            if step.gap or step.answer is None:
                self._cannot(script, step, step.gap or "no response is recorded")
                return None
            script.take(step)
            self._play(script, step, "replayed")
            return step.answer

    def _written_otherwise(self, script: Script, raw: bytes) -> tuple[ModelStep, bool] | None:
        """Permissive takes a request that says the same in other bytes; strict names the difference."""
        body = decoded(raw)
        if self.is_strict or body is None:
            return None
        step = next((one for one in script.open_steps() if isinstance(one, ModelStep) and one.body == body), None)
        return (step, False) if step is not None else None

    def _other_request(self, script: Script, raw: bytes) -> None:
        expected = script.first_open()
        body = decoded(raw)
        changes: tuple[dict[str, Any], ...] = ()
        actual = f"a request to {body.get('model') if body else 'a model'}"
        if isinstance(expected, ModelStep):
            changes = _changes(expected.body, body)
            if not changes and expected.body is not None:
                actual = "the same request in other bytes (the order of keys, or spaces)"
            elif changes:
                actual = "another request"
        self._leave_at(script, expected, actual, changes)
        self._play(script, None, "re-executed", what="a request to a model")

    # --- Tools

    def tool(self, name: str, args_json: str, rebuild: Rebuild, *, nothing: Any) -> Any:
        """Return what a tool gave back when it was recorded, raise what it raised, or return `nothing`.

        Raises:
            Stopped: the call is not the recorded one, and the replay is strict.
        """
        with self._lock:
            script = self._script_of(self._run())
            if script is None:
                self._without_script(f"a call of {name}")
                return nothing
            step = script.tool_with(name, canonical(args_json))
            if name in self._substitute:
                return self._substituted(script, step, name, args_json)
            if step is None:
                self._other_call(script, name, args_json)
                return nothing
            if step.gap:
                self._cannot(script, step, step.gap)
                return nothing
            script.take(step)
            self._play(script, step, "replayed")
        if step.error_code is not None or step.message is not None:
            raise _exception(step)
        return rebuild(msgspec.json.decode(step.response_json or "null"))

    def carried_out(self, run: Run, event: ToolReturned | ToolFailed) -> None:
        """Take a result that the code told by itself: its tool was carried out again."""
        with self._lock:
            script = self._script_of(run)
            step = script.carried_out(event.call_id, event.tool_name) if script is not None else None
            if script is not None and step is not None:
                script.take(step)
                self._play(script, step, "re-executed", "nothing watches this tool: its code ran")

    def _substituted(self, script: Script, step: ToolStep | None, name: str, args_json: str) -> Any:
        if step is not None:
            script.take(step)
        self._play(script, step, "substituted", "by the function given for it", what=f"a call of {name}")
        return self._substitute[name](**msgspec.json.decode(args_json))

    def _other_call(self, script: Script, name: str, args_json: str) -> None:
        expected = script.first_open()
        same = next((one for one in script.open_steps() if isinstance(one, ToolStep) and one.tool == name), None)
        changes: tuple[dict[str, Any], ...] = ()
        if same is not None:
            expected, changes = same, _changes(_parsed(same.args), _parsed(args_json))
        self._leave_at(script, expected, f"a call of {name} {args_json}", changes)
        self._play(script, None, "re-executed", what=f"a call of {name}")

    # --- Leaving the recording

    def _leave_at(
        self, script: Script, expected: Step | None, actual: str, changes: tuple[dict[str, Any], ...] = ()
    ) -> None:
        version = expected.version if expected is not None else script.ending.version
        told = expected.told() if expected is not None else script.ending.told()
        self._leave(Diverged(stream=script.stream, version=version, expected=told, actual=actual, changes=changes))
        script.is_left = True

    def _cannot(self, script: Script, step: Step, reason: str) -> None:
        script.take(step)
        self._leave(NotReplayable(stream=script.stream, version=step.answered_at or step.version, reason=reason))
        self._play(script, step, "re-executed", reason)

    def _without_script(self, what: str) -> None:
        self._leave(Diverged(stream=_UNKNOWN, version=None, expected="it inside a run", actual=f"{what} outside one"))

    def _leave(self, error: Diverged | NotReplayable) -> None:
        if self.diverged is None:
            self.diverged = error
        if self.is_strict:
            raise Stopped(self.diverged)

    def _play(self, script: Script, step: Step | None, label: Label, note: str = "", *, what: str = "") -> None:
        self.steps.append(
            Played(
                stream=script.stream,
                version=step.version if step is not None else None,
                what=step.told() if step is not None else what,
                label=label,
                note=note,
            )
        )


class ReplayedRun(Run):
    """A run whose beginning and end are compared with the recorded one; its events go nowhere."""

    def __init__(self, replay: Replay, open_outlet: Callable[[str], Outlet], **fields: Any) -> None:
        self._replay = replay
        super().__init__(open_outlet, **fields)
        outlet = self._outlet
        beginning = Beginning(
            prompt=fields.get("prompt"), model=fields.get("model"), agent=fields.get("agent"),
            tools=tuple(msgspec.json.decode(as_json(list(fields.get("tools") or ())))),
        )  # fmt: skip
        replay.begin(self, beginning, outlet if isinstance(outlet, Collected) else Collected())

    def hand_off(self, to: str, *, instruction: str | None = None, prompt: str | None = None, **fields: Any) -> Run:
        """Give work to another agent, whose run is compared as well."""
        spawned_by = self.handed_off(to, fields.get("stream"), instruction)
        return ReplayedRun(
            self._replay,
            self._open_outlet,
            prompt=prompt if prompt is not None else instruction,
            agent=to,
            parent=self,
            spawned_by=spawned_by or None,
            **{"model": self.model, **fields},
        )

    def emit(self, event: msgspec.Struct, **fields: Any) -> str:
        """Take the event, and see whether it is the result of a tool that nothing watches."""
        told = super().emit(event, **fields)
        if isinstance(event, ToolReturned | ToolFailed):
            self._replay.carried_out(self, event)
        return told

    def answer(self, response: Any) -> None:
        """Take the answer, and compare it."""
        super().answer(response)
        self._replay.end(self, Ending(status="answered", response=msgspec.json.decode(as_json(response))))

    def abort(self, reason: str) -> None:
        """Take the end, and compare it."""
        super().abort(reason)
        self._replay.end(self, Ending(status="aborted", response=reason))


def replay(
    recording: str | Path | Iterable[RecordedEvent],
    *,
    strict: bool = True,
    source: Any = None,
    substitute: Mapping[str, Callable[..., Any]] | None = None,
) -> Replay:
    """Return a block in which the agent's code runs again, every model and tool answer from the journal.

    `recording` is a file that `nagare export` wrote, the name of a stream, or events. A stream is read from `source`,
    anything that reads as an event store does, or else from the server this process is connected to. Strict stops the
    code where it first does something else than recorded; else it goes on live from there. `substitute` gives functions
    that stand in for tools.

    Raises:
        ValueError: it holds no agent run.
    """
    return Replay(_events(recording, source), strict=strict, substitute=substitute)


def _events(recording: str | Path | Iterable[RecordedEvent], source: Any) -> Iterable[RecordedEvent]:
    from journal.recorder.connection import default  # noqa: PLC0415 - only a stream needs a connection
    from journal.recorder.lines import read_file  # noqa: PLC0415

    if isinstance(recording, Path) or (isinstance(recording, str) and Path(recording).suffix in (".jsonl", ".ndjson")):
        return read_file(Path(recording))
    if not isinstance(recording, str):
        return recording
    source = source if source is not None else default().server
    if source is None:
        raise ValueError(
            f"{recording!r} is the name of a stream, and there is no server to read it from; see recorder.connect"
        )
    return _with_children(recording, source)


def _with_children(stream: str, source: Any) -> Iterable[RecordedEvent]:
    """Return a stream and, as far as they are there, the runs it handed work to."""
    found: list[RecordedEvent] = []
    waiting, seen = [stream], {stream}
    while waiting:
        name = waiting.pop(0)
        for event in source.read_stream(name):
            found.append(event)
            child = event.payload.get("childRun") if event.type == "agent_run.handed_off" else None
            if isinstance(child, str) and child not in seen:
                seen.add(child)
                waiting.append(child)
    return found


def _changes(recorded: Any, now: Any) -> tuple[dict[str, Any], ...]:
    """Return where two values differ, by JSON Pointer."""
    return tuple(
        {"path": path} | ({} if left is MISSING else {"recorded": left}) | ({} if right is MISSING else {"now": right})
        for path, left, right in differences(recorded, now)
    )


def _parsed(json_text: str) -> Any:
    try:
        return msgspec.json.decode(json_text)
    except msgspec.MsgspecError:
        return json_text


def _exception(step: ToolStep) -> BaseException:
    message = step.message or ""
    known = exception_named(step.error_code, message) if step.error_code else None
    return known or ReplayedToolError(f"{step.error_code}: {message}" if step.error_code else message)
