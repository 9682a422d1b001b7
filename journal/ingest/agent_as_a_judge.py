"""Agent-as-a-Judge trajectories: an array of steps, with a person's judgment of the result beside it.

A step is one response (`agent`) with at most one action, what came back (`environment`) and what it cost
(`step_usage`). The judgment `<task number>.human_judgment.json` says which requirements the result satisfies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from journal.domain.agent_run import Answered, Graded, MessageReceived, ModelResponded, Reasoned, Started, ToolReturned
from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import EVERY_COUNT, Count, EventDraft, Link, Outcome, RunDraft
from journal.ingest.lenient import as_dict, as_float, as_int, as_list, as_text, dicts, fingerprint
from journal.ingest.source import Source, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_JUDGMENT = ".human_judgment.json"
_ACTION = re.compile(r"(Running command|Running Python code interactively):\s?(.*)", re.DOTALL)
_TOOLS = {"Running command": ("run", "command"), "Running Python code interactively": ("run_ipython", "code")}


def detect(source: Source) -> bool:
    """Tell the array by the fields that only its steps have."""
    steps = dicts(source.document if source.data[:64].lstrip().startswith(b"[") else None)
    return bool(steps) and {"step", "agent", "environment"} <= steps[0].keys() and isinstance(steps[0]["agent"], dict)


def companion(source: Source) -> str | None:
    """Say what a judgment or the format's JSON Schema is."""
    document = as_dict(source.document if source.path.suffix == ".json" else None)
    if source.path.name.endswith(_JUDGMENT) or {"requirements", "satisfied_all_requirements"} <= document.keys():
        return "a person's judgment of a run, read beside the run's trajectory"
    described = as_dict(as_dict(document.get("items")).get("properties"))
    if {"step", "agent", "environment"} <= described.keys():
        return "the JSON Schema of Agent-as-a-Judge trajectories; it holds no run"
    return None


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the file's one run."""
    records = source.json()
    if not isinstance(records, list):
        raise ImportRefused("an Agent-as-a-Judge trajectory is an array of steps; this is something else")
    steps = dicts(records)
    if len(steps) < len(records):
        source.note(f"{len(records) - len(steps)} of {len(records)} steps are no objects and are left out")
    judgment = _judgment(source)
    source_id = f"{source.path.stem}-{fingerprint(*[as_dict(step).get('agent') for step in steps[:1]])}"
    events = [_started(steps, source_id), *_events(steps), *_graded(judgment)]
    yield RunDraft(
        source_id=source_id,
        events=events,
        recorded=EVERY_COUNT - {"tool_errors"} - _not_recorded(events),
        outcome=_outcome(judgment),
    )


def _started(steps: list[dict[str, Any]], source_id: str) -> EventDraft:
    first = steps[0] if steps else {}
    event = Started(
        prompt=next((said for step in steps if (said := as_text(step.get("user_message")))), None),
        model=as_text(as_dict(first.get("step_usage")).get("model")),
        agent=as_text(as_dict(first.get("agent")).get("agent_name")),
        source="agent-as-a-judge",
        source_id=source_id,
    )
    return EventDraft(key="start", event=event)


def _events(steps: list[dict[str, Any]]) -> Iterator[EventDraft]:
    for place, step in enumerate(steps):
        for draft in _step(f"step/{place}", step):
            draft.actor = as_text(as_dict(step.get("agent")).get("agent_name"))
            yield draft


def _step(key: str, step: dict[str, Any]) -> Iterator[EventDraft]:
    agent = as_dict(step.get("agent"))
    thought, action, observed = agent.get("thought"), as_text(agent.get("action")), step.get("environment")
    if step.get("user_message") is not None:
        yield EventDraft(key=f"{key}/user", event=MessageReceived(role="user", content=step["user_message"]))
    yield EventDraft(key=f"{key}/response", event=_responded(step))
    if action is None:
        yield EventDraft(key=f"{key}/answer", event=Answered(response=thought))
        if observed:
            yield EventDraft(key=f"{key}/environment", event=MessageReceived(role="environment", content=observed))
        return
    tool, arguments = _call(action)
    reasoned = Reasoned(thought=as_text(thought), tool_name=tool, args_json=text(arguments))
    yield EventDraft(key=f"{key}/call", event=reasoned, causes=(Link(f"{key}/response"),))
    if observed is not None:
        returned = ToolReturned(tool_name=tool, response_json=text(observed), latency_ms=_tool_ms(step))
        yield EventDraft(key=f"{key}/result", event=returned, causes=(Link(f"{key}/call"),))


def _responded(step: dict[str, Any]) -> ModelResponded:
    usage = as_dict(step.get("step_usage"))
    seconds = as_float(usage.get("llm_inference_time"))
    return ModelResponded(
        content=as_dict(step.get("agent")).get("thought"),
        input_tokens=as_int(usage.get("input_tokens")),
        output_tokens=as_int(usage.get("output_tokens")),
        cost_usd=as_float(usage.get("cost")),
        latency_ms=None if seconds is None else seconds * 1000,
    )


def _call(action: str) -> tuple[str, dict[str, str]]:
    """Return tool and arguments of an action: OpenHands' sentence taken apart, any other action as it stands."""
    found = _ACTION.match(action)
    if found is None:
        return "action", {"action": action}
    tool, argument = _TOOLS[found[1]]
    return tool, {argument: found[2]}


def _tool_ms(step: dict[str, Any]) -> float | None:
    """Return how long a step took beyond the model's part of it."""
    usage = as_dict(step.get("step_usage"))
    whole, model = as_float(usage.get("step_execution_time")), as_float(usage.get("llm_inference_time"))
    return None if whole is None or model is None else max(0.0, whole - model) * 1000


def _judgment(source: Source) -> dict[str, Any]:
    """Return the judgment of this run's task that came in the same import, or an empty one."""
    stem = source.path.stem
    for name in (stem + _JUDGMENT, stem.partition("_")[0] + _JUDGMENT):
        raw = source.sibling(name)
        if raw is None:
            continue
        try:
            return as_dict(decode(raw))
        except ImportRefused as refusal:
            source.note(f"{name} beside it is left out: {refusal}")
    return {}


def _graded(judgment: dict[str, Any]) -> Iterator[EventDraft]:
    """Yield a grade for each requirement and preference a person decided on, and one for all requirements."""
    for kind, plural in (("requirement", "requirements"), ("preference", "preferences")):
        for place, item in enumerate(dicts(judgment.get(plural))):
            number = item.get(f"{kind}_id", place)
            criteria = as_text(item.get("criteria"))
            yield from _grade(f"{kind} {number}", item.get("satisfied"), message=criteria, raw=item)
    yield from _grade("all requirements", judgment.get("satisfied_all_requirements"))


def _grade(rule: str, satisfied: object, *, message: str | None = None, raw: object = None) -> Iterator[EventDraft]:
    if isinstance(satisfied, bool):
        verdict = "holds" if satisfied else "fails"
        event = Graded(by="human", rule=rule, verdict=verdict, message=message, raw=raw)
        yield EventDraft(key=f"graded/{rule}", event=event)


def _outcome(judgment: dict[str, Any]) -> Outcome:
    """Take a person's word for how it ended; without one it is not known."""
    satisfied = judgment.get("satisfied_all_requirements")
    if not judgment:
        return Outcome()
    names = ("satisfied_all_requirements", "executed_successfully")
    raw: dict[str, Any] = {name: judgment[name] for name in names if name in judgment}
    decided = [item.get("satisfied") for item in dicts(as_list(judgment.get("requirements")))]
    raw["requirements"] = {"satisfied": decided.count(True), "of": len(decided)}
    if not isinstance(satisfied, bool):
        return Outcome(raw=raw)
    return Outcome(status="success" if satisfied else "failure", raw=raw)


def _not_recorded(events: list[EventDraft]) -> frozenset[Count]:
    """Return the sums that would be none, since some response does not record its part."""
    responses = [draft.event for draft in events if isinstance(draft.event, ModelResponded)]
    names: tuple[Count, ...] = ("input_tokens", "output_tokens", "cost_usd")
    return frozenset(name for name in names if any(getattr(one, name) is None for one in responses))


register(
    Format(
        name="agent-as-a-judge",
        title="Agent-as-a-Judge trajectory",
        detect=detect,
        read=read,
        companion=companion,
        example='[{"step": 0, "user_message": "…", "agent": {"thought": "…", "action": "…"}, "environment": "…"',
    )
)
