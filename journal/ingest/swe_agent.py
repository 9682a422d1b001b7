"""SWE-agent trajectories: `<instance>.traj`, of every generation.

`trajectory` holds the steps (action, observation, response, thought, state), `history` the messages: system prompt,
demonstrations, the task, then the dialogue with the tool calls of function-calling runs. The steps are the run; the
history adds what stands before them, the ids of the calls, and the messages that are no observation. A file with a
history only is read from that.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from journal.domain.agent_run import (
    Aborted,
    Answered,
    Graded,
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
from journal.ingest.draft import Count, EventDraft, Link, Opaque, Outcome, OutcomeStatus, Ref, RunDraft
from journal.ingest.lenient import (
    Call,
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
from journal.ingest.source import Source, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECORDED: frozenset[Count] = frozenset(("decisions", "tool_calls"))
_COMMAND = re.compile(r"[A-Za-z_][\w.-]*(?=\s|$)")
_LABEL_LISTS = ("resolved", "resolved_ids", "no_generation", "no_logs")


def detect(source: Source) -> bool:
    """Tell a .traj by its steps, or by a history whose messages name SWE-agent's inner agent."""
    document = as_dict(source.document)
    steps, history = dicts(document.get("trajectory")), dicts(document.get("history"))
    if steps:
        return "observation" in steps[0] and bool({"response", "thought"} & steps[0].keys())
    if history:
        return all("role" in message and "agent" in message for message in history[:3])
    return {"trajectory", "history", "info"} <= document.keys()


def companion(source: Source) -> str | None:
    """Say what a results file, a leaderboard entry or a prediction beside the .traj files is."""
    name = source.path.name
    if name == "metadata.yaml" and re.search(rb"^(oss|verified|site):", source.data, re.MULTILINE):
        return "metadata of a SWE-bench submission; it says nothing about a single run"
    if not (name.endswith((".json", ".pred"))):
        return None
    document = as_dict(source.document)
    if any(isinstance(document.get(key), list) for key in _LABEL_LISTS) and "history" not in document:
        return "SWE-bench results, read beside the .traj files"
    if "model_patch" in document or any("model_patch" in as_dict(entry) for entry in document.values()):
        return "SWE-agent predictions; the patches also stand in the .traj files"
    return None


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the file's one run."""
    document = source.json()
    if not isinstance(document, dict):
        raise ImportRefused("a .traj file is one JSON object with a trajectory or a history; this is something else")
    run = _Run(document)
    info = as_dict(document.get("info"))
    label = _resolved(source)
    source_id = f"{source.path.stem}-{run.identity()}"
    yield RunDraft(
        source_id=source_id,
        events=[run.started(source_id), *run.opening_events(), *run.rounds(), *_ending(info, label=label)],
        recorded=_RECORDED,
        totals=_totals(info),
        outcome=_outcome(info, label=label),
    )


@dataclass(slots=True)
class _Step:
    """One response and what came of it, from `trajectory` or, in older shapes, from `history`."""

    key: str
    response: dict[str, Any]
    thought: str | None
    action: str | None
    observation: Any
    record: dict[str, Any] = field(default_factory=dict)
    others: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    rendered: dict[str, Any] = field(default_factory=dict)


class _Run:
    """The walk over one document. `_said` finds the event that a message of a later request stands for."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.history = dicts(document.get("history"))
        self.begin = next((at for at, said in enumerate(self.history) if _is_own_response(said)), len(self.history))
        self._calls = Calls()
        self._said: dict[tuple[str, str | None], str] = {}
        self._state: Any = None
        self._places = _places(self.history)

    def identity(self) -> str:
        """Stand for the run by its opening messages and its first response, which a growing file keeps."""
        first = (dicts(self.document.get("trajectory")) or self.history[self.begin :] or [{}])[0]
        opening = [(said.get("role"), said.get("content")) for said in self.history[: self.begin]]
        return fingerprint(opening, first.get("response") or first.get("content"), first.get("action"))

    def started(self, source_id: str) -> EventDraft:
        """Return the start, with what the file says about its setting."""
        config = as_dict(_maybe_json(self.document.get("replay_config")))
        context = {"environment": self.document.get("environment"), "replay_config": config or None}
        prompt = text_at_start(said for said in self.history[: self.begin] if not _is_demonstration(said))
        event = Started(
            prompt=prompt,
            model=as_text(as_dict(as_dict(config.get("agent")).get("model")).get("name")),
            agent="SWE-agent",
            source="swe-agent",
            source_id=source_id,
            context={name: value for name, value in context.items() if value},
        )
        return EventDraft(key="start", event=event)

    def opening_events(self) -> Iterator[EventDraft]:
        """Yield what stands before the first response; demonstrations are messages too, but nobody's decisions."""
        for at, said in enumerate(self.history[: self.begin]):
            yield self._message(at, said)

    def rounds(self) -> Iterator[EventDraft]:
        """Yield the responses with their calls and results, and the messages between them."""
        steps = dicts(self.document.get("trajectory"))
        for step in self._from_trajectory(steps) if steps else self._from_history():
            yield from self._round(step)
            for at, said in step.others:
                yield self._message(at, said)

    def _from_trajectory(self, records: list[dict[str, Any]]) -> Iterator[_Step]:
        at = self.begin
        for number, record in enumerate(records):
            found = self._place_of(record, at)
            followers = [] if found is None else self._followers(found)
            at = at if found is None else found + 1
            yield _Step(
                key=f"step/{number}",
                response={} if found is None else self.history[found],
                thought=as_text(record.get("thought")),
                action=as_text(record.get("action")),
                observation=record.get("observation"),
                record=record,
                rendered=followers[0][1] if followers else {},
                others=followers[1:],
            )

    def _place_of(self, record: dict[str, Any], at: int) -> int | None:
        """Return where, from `at` on, the history has a step's response; by its text, else by its action."""
        for said in (record.get("response"), record.get("action")):
            places = self._places.get(said, []) if isinstance(said, str) else []
            if ahead := places[bisect_left(places, at) :][:1]:
                return ahead[0]
        return None

    def _from_history(self) -> Iterator[_Step]:
        for at in range(self.begin, len(self.history)):
            said = self.history[at]
            if not _is_own_response(said):
                continue
            followers = self._followers(at)
            answered = followers[:1] if said.get("action") or said.get("tool_calls") else []
            yield _Step(
                key=f"history/{at}",
                response=said,
                thought=as_text(said.get("thought")),
                action=as_text(said.get("action")),
                observation=answered[0][1].get("content") if answered else None,
                rendered=answered[0][1] if answered else {},
                others=followers[len(answered) :],
            )

    def _followers(self, at: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the messages between a response and the next one; the first is the observation as it was sent."""
        found: list[tuple[int, dict[str, Any]]] = []
        for place in range(at + 1, len(self.history)):
            if _is_own_response(self.history[place]):
                break
            found.append((place, self.history[place]))
        return found

    def _round(self, step: _Step) -> Iterator[EventDraft]:
        if step.record.get("query"):
            yield EventDraft(key=f"{step.key}/request", event=self._request(step.record["query"]))
        content = step.record.get("response") or step.response.get("content")
        responded = ModelResponded(
            content=content, reasoning=_thinking(step.response), raw=step.record.get("extra_info") or None
        )
        self._said["assistant", plain_text(content)] = f"{step.key}/response"
        yield EventDraft(key=f"{step.key}/response", event=responded)
        calls: list[Call] = []
        for number, (call_id, tool, arguments) in enumerate(_called(step)):
            call = self._calls.open(call_id, key=f"{step.key}/call/{number}", tool=tool)
            calls.append(call)
            reasoned = Reasoned(thought=step.thought, tool_name=tool, args_json=arguments, call_id=call.id)
            yield EventDraft(key=call.key, event=reasoned, causes=(Link(f"{step.key}/response"),))
        yield from self._observed(step, calls[0] if calls else None)
        yield from self._moved(step)

    def _observed(self, step: _Step, call: Call | None) -> Iterator[EventDraft]:
        """Yield the step's one observation; SWE-agent refuses responses with more than one call."""
        if step.observation is None or (call is None and not step.observation):
            return
        key = f"{step.key}/result"
        self._said[str(step.rendered.get("role")), plain_text(step.rendered.get("content"))] = key
        seconds = as_float(step.record.get("execution_time"))
        if call is not None:
            returned = ToolReturned(
                tool_name=call.tool,
                call_id=call.id,
                response_json=text(step.observation),
                latency_ms=None if seconds is None else seconds * 1000,
            )
            yield EventDraft(key=key, event=returned, causes=(Link(call.key),))
        else:
            yield EventDraft(key=key, event=MessageReceived(role="environment", content=step.observation))

    def _moved(self, step: _Step) -> Iterator[EventDraft]:
        """Yield the environment's state (open file, working directory) where a step changed it."""
        state = _maybe_json(step.record.get("state"))
        if state and state != self._state:
            self._state = state
            data = state if isinstance(state, dict) else {"state": state}
            yield EventDraft(key=f"{step.key}/state", event=Opaque(name="swe_agent.state", data=data))

    def _request(self, query: object) -> ModelCalled:
        return ModelCalled(messages=tuple(self._sent(message) for message in as_list(query)))

    def _sent(self, message: object) -> object:
        known = self._said.get((str(as_dict(message).get("role")), plain_text(as_dict(message).get("content"))))
        return Ref(known) if known else message

    def _message(self, at: int, said: dict[str, Any]) -> EventDraft:
        role, content = as_text(said.get("role")) or "user", said.get("content")
        self._said[role, plain_text(content)] = f"history/{at}"
        name = "demonstration" if _is_demonstration(said) else None
        return EventDraft(key=f"history/{at}", event=MessageReceived(role=role, content=content, name=name))


def _is_demonstration(said: dict[str, Any]) -> bool:
    return bool(said.get("is_demo")) or said.get("message_type") == "demonstration"


def _is_own_response(said: dict[str, Any]) -> bool:
    return said.get("role") == "assistant" and not _is_demonstration(said)


def _places(history: list[dict[str, Any]]) -> dict[str, list[int]]:
    """Return where each text and each action of a response stands in the history."""
    found: dict[str, list[int]] = {}
    for place, said in enumerate(history):
        texts = (said.get("content"), said.get("action")) if _is_own_response(said) else ()
        for text_of_it in {one for one in texts if isinstance(one, str) and one}:
            found.setdefault(text_of_it, []).append(place)
    return found


def _called(step: _Step) -> Iterator[tuple[Any, str, str]]:
    """Yield id, tool and arguments of each call: as recorded, or the action's first word and the action as a whole."""
    calls = dicts(step.response.get("tool_calls"))
    for call in calls:
        function = as_dict(call.get("function"))
        yield call.get("id"), str(function.get("name") or ""), json_text(function.get("arguments"))
    if not calls and step.action and step.action.strip():
        command = _COMMAND.match(step.action.lstrip())
        yield None, command[0] if command else "bash", text({"action": step.action})


def _thinking(said: dict[str, Any]) -> str | None:
    blocks = [as_text(block.get("thinking")) for block in dicts(said.get("thinking_blocks"))]
    return "\n".join(block for block in blocks if block) or None


def _maybe_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _ending(info: dict[str, Any], *, label: bool | None) -> Iterator[EventDraft]:
    """Yield how the run ended. Without an exit status it has not, and `info` may still change: nothing is said."""
    status = as_text(info.get("exit_status"))
    if status is None:
        return
    rest = {name: value for name, value in info.items() if name != "submission"}
    yield EventDraft(key="info", event=Opaque(name="swe_agent.info", data=rest))
    submission = as_text(info.get("submission"))
    if submission or status.startswith("submitted"):
        totals = _totals(info)
        answer = Answered(
            response=submission,
            cost_usd=totals.get("cost_usd"),
            input_tokens=as_int(totals.get("input_tokens")),
            output_tokens=as_int(totals.get("output_tokens")),
        )
        yield EventDraft(key="answer", event=answer)
    else:
        yield EventDraft(key="aborted", event=Aborted(reason=status))
    if label is not None:
        graded = Graded(by="SWE-bench", rule="resolved", verdict="holds" if label else "fails", raw={"resolved": label})
        yield EventDraft(key="graded/resolved", event=graded)


def _totals(info: dict[str, Any]) -> dict[Count, int | float]:
    stats = as_dict(info.get("model_stats"))
    found: dict[Count, int | float | None] = {
        "input_tokens": as_int(stats.get("tokens_sent")),
        "output_tokens": as_int(stats.get("tokens_received")),
        "cost_usd": as_float(stats.get("instance_cost")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _outcome(info: dict[str, Any], *, label: bool | None) -> Outcome:
    exit_status = as_text(info.get("exit_status"))
    return Outcome(status=_status(exit_status, label=label), raw={"exit_status": exit_status, "resolved": label})


def _status(exit_status: str | None, *, label: bool | None) -> OutcomeStatus:
    """Submitting is not solving: without a label a submitted run's outcome is not known."""
    if label is not None:
        return "success" if label else "failure"
    if exit_status is None or exit_status.startswith("submitted"):
        return "unknown"
    return "error" if "error" in exit_status or "api" in exit_status else "aborted"


def _resolved(source: Source) -> bool | None:
    """Return whether a results file of the same import lists the instance as solved; None where there is no file."""
    raw = next((found for place in _results_places(source) if (found := source.sibling(place)) is not None), None)
    if raw is None:
        return None
    try:
        results = as_dict(decode(raw))
    except ImportRefused as refusal:
        source.note(f"results.json beside it is left out: {refusal}")
        return None
    solved = results.get("resolved", results.get("resolved_ids"))
    return source.path.stem in solved if isinstance(solved, list) else None


def _results_places(source: Source) -> list[str]:
    """Return where results lie: beside the runs, or above the folder that holds one run or all of them."""
    folder = source.path.parent.name
    above = ["../results.json", "../results/results.json"] if folder in ("trajs", source.path.stem) else []
    return ["results.json", *above]


register(
    Format(
        name="swe-agent",
        title="SWE-agent trajectory (.traj)",
        detect=detect,
        read=read,
        companion=companion,
        example='{"environment": "…", "trajectory": [{"action": "…", "observation": "…", "response": "…", "state": "…"',
    )
)
