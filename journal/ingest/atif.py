"""ATIF, the Agent Trajectory Interchange Format, versions 1.0 to 1.7: one JSON document with numbered steps.

Read leniently: fields of any version are taken where they stand, unknown ones are no error. Sub-agents that a document
holds inside it become runs of their own, handed off from the step whose observation refers to them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from journal.domain.agent_run import (
    Answered,
    ContextCompacted,
    HandedOff,
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
from journal.ingest.draft import Count, EventDraft, Link, Opaque, RunDraft
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
)
from journal.ingest.source import Source, decode, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNTED: frozenset[Count] = frozenset(("decisions", "tool_calls"))
_FINAL: tuple[tuple[Count, str], ...] = (
    ("input_tokens", "total_prompt_tokens"),
    ("output_tokens", "total_completion_tokens"),
    ("cost_usd", "total_cost_usd"),
)


def detect(source: Source) -> bool:
    """Tell a document by its schema version, or by an agent and steps with an id and a source."""
    document = as_dict(source.document if b'"steps"' in source.data else None)
    if not isinstance(document.get("steps"), list):
        return False
    if str(document.get("schema_version", "")).upper().startswith("ATIF"):
        return True
    first = next(iter(dicts(document["steps"])), {})
    return isinstance(document.get("agent"), dict) and {"step_id", "source", "message"} <= first.keys()


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the document's run, then those of the sub-agents inside it."""
    document = source.json()
    if not isinstance(document, dict) or not isinstance(document.get("steps"), list):
        raise ImportRefused("an ATIF document is one object with a list of `steps`; this is something else")
    for place, step in enumerate(document["steps"], 1):
        if not isinstance(step, dict):
            source.note(f"step {place} is no object and is left out")
    yield from _runs(document, _identity(document, source.path.stem), source=source)


def _runs(
    document: dict[str, Any],
    source_id: str,
    *,
    source: Source,
    parent: tuple[str, str | None] | None = None,
    correlation: str | None = None,
) -> Iterator[RunDraft]:
    correlation = as_text(document.get("session_id")) or correlation
    walk = _Walk(document, source_id, source)
    drafts = [_started(document, source_id), *walk.drafts(), *_kept_to_the_end(document)]
    recorded, totals = _recorded(document, drafts)
    yield RunDraft(
        source_id=source_id,
        events=_with_totals(drafts, totals),
        recorded=recorded,
        totals=totals,
        parent=parent,
        correlation=correlation,
    )
    for name, child in walk.children.items():
        handed_off = (source_id, walk.handed_off.get(name))
        yield from _runs(child, f"{source_id}/{name}", source=source, parent=handed_off, correlation=correlation)


def _identity(document: dict[str, Any], stem: str) -> str:
    """Return session and trajectory id, as far as there are any; else the file's name and what it begins with."""
    known = [name for key in ("session_id", "trajectory_id") if (name := as_text(document.get(key)))]
    first = next(iter(dicts(document.get("steps"))), {})
    return "/".join(known) or f"{stem}-{fingerprint(document.get('agent'), first)}"


def _started(document: dict[str, Any], source_id: str) -> EventDraft:
    agent, steps = as_dict(document.get("agent")), dicts(document["steps"])
    names = ("schema_version", "session_id", "trajectory_id", "notes", "extra")
    about = {
        **{name: document.get(name) for name in names},
        "agent_version": agent.get("version"),
        "agent_extra": agent.get("extra"),
    }
    event = Started(
        prompt=_first_user_text(steps),
        model=as_text(agent.get("model_name")),
        agent=as_text(agent.get("name")),
        source="atif",
        source_id=source_id,
        tools=tuple(as_list(agent.get("tool_definitions"))),
        context={name: value for name, value in about.items() if value},
    )
    return EventDraft(key="start", event=event, at=moment(steps[0].get("timestamp")) if steps else None)


def _first_user_text(steps: list[dict[str, Any]]) -> str | None:
    return next((plain_text(step.get("message")) for step in steps if step.get("source") == "user"), None)


class _Walk:
    """The walk over the steps. `handed_off` has the key of the event that gave work to each embedded sub-agent."""

    def __init__(self, document: dict[str, Any], source_id: str, source: Source) -> None:
        self._source_id = source_id
        self._source = source
        self.steps = dicts(document["steps"])
        self.model = as_dict(document.get("agent")).get("model_name")
        self.children = _children(document)
        self.handed_off: dict[str, str] = {}
        self._calls = Calls()

    def drafts(self) -> Iterator[EventDraft]:
        """Yield what the steps become; a step's key is its id."""
        seen: set[str] = set()
        for place, step in enumerate(self.steps):
            key = f"step/{step.get('step_id')}"
            key = f"at/{place}" if key in seen or not isinstance(step.get("step_id"), int) else key
            seen.add(key)
            for draft in self._step(key, step):
                draft.at = moment(step.get("timestamp"))
                yield draft

    def _step(self, key: str, step: dict[str, Any]) -> Iterator[EventDraft]:
        if step.get("source") == "agent" and step.get("is_copied_context"):
            yield EventDraft(key=key, event=MessageReceived(role="assistant", content=_copied(step)))
        elif step.get("source") == "agent":
            yield from self._decided(key, step)
        elif "context_management" in as_dict(step.get("extra")):
            yield EventDraft(key=key, event=ContextCompacted(summary=plain_text(step.get("message"))))
        else:
            role = as_text(step.get("source")) or "user"
            yield EventDraft(key=key, event=MessageReceived(role=role, content=step.get("message")))
            yield from self._observed(key, step)

    def _decided(self, key: str, step: dict[str, Any]) -> Iterator[EventDraft]:
        """Yield a response with its calls and results. No call to a model stands behind a step that counts none."""
        if step.get("llm_call_count") != 0:
            yield EventDraft(key=f"{key}/response", event=self._responded(step))
        elif step.get("message"):
            yield EventDraft(key=f"{key}/message", event=MessageReceived(role="assistant", content=step["message"]))
        thought = as_text(step.get("reasoning_content")) or plain_text(step.get("message"))
        calls = dicts(step.get("tool_calls"))
        for number, record in enumerate(calls):
            tool = as_text(record.get("function_name")) or ""
            call = self._calls.open(record.get("tool_call_id"), key=f"{key}/call/{number}", tool=tool)
            reasoned = Reasoned(
                thought=thought, tool_name=tool, args_json=json_text(record.get("arguments")), call_id=call.id
            )
            yield EventDraft(key=call.key, event=reasoned)
        yield from self._observed(key, step)
        if not calls and step.get("llm_call_count") != 0:
            yield EventDraft(key=f"{key}/answer", event=Answered(response=step.get("message")))

    def _responded(self, step: dict[str, Any]) -> ModelResponded:
        metrics = as_dict(step.get("metrics"))
        output_tokens = as_int(metrics.get("completion_tokens"))
        is_metered = bool(as_int(metrics.get("prompt_tokens")) or output_tokens)
        cost = as_float(metrics.get("cost_usd"))
        names = ("reasoning_effort", "llm_call_count", "extra")
        raw = {name: step[name] for name in names if step.get(name) is not None}
        if step.get("model_name") not in (None, self.model):
            raw["model_name"] = step["model_name"]
        return ModelResponded(
            content=step.get("message"),
            reasoning=as_text(step.get("reasoning_content")),
            input_tokens=as_int(metrics.get("prompt_tokens")) if is_metered else None,
            output_tokens=output_tokens if is_metered else None,
            cached_tokens=as_int(metrics.get("cached_tokens")) if is_metered else None,
            cost_usd=cost if cost or is_metered else None,
            raw=raw or None,
        )

    def _observed(self, key: str, step: dict[str, Any]) -> Iterator[EventDraft]:
        for number, result in enumerate(_results_of(step)):
            call = self._answered(step, result)
            for place, reference in enumerate(_references(result)):
                yield self._hand_off(f"{key}/handoff/{number}/{place}", reference, call)
            content = result.get("content")
            if call is not None:
                yield EventDraft(key=f"{key}/result/{number}", event=_result(call, result))
            elif content is not None:
                message = MessageReceived(role="environment", content=content)
                yield EventDraft(key=f"{key}/result/{number}", event=message)

    def _answered(self, step: dict[str, Any], result: dict[str, Any]) -> Call | None:
        """Return the call a result names; where it names none and its step made calls, the oldest open one."""
        if as_text(result.get("source_call_id")) or dicts(step.get("tool_calls")):
            return self._calls.answer(result.get("source_call_id"))
        return None

    def _hand_off(self, key: str, reference: dict[str, Any], call: Call | None) -> EventDraft:
        names = (reference.get("trajectory_id"), reference.get("session_id"))
        name = next((known for known in names if isinstance(known, str) and known in self.children), None)
        if name is not None:
            self.handed_off.setdefault(name, key)
            child, run = self._embedded(name)
        else:
            child, run = self._beside(as_text(reference.get("trajectory_path")))
        event = HandedOff(
            to_agent=as_text(as_dict(child.get("agent")).get("name")),
            child_run=run,
            instruction=_first_user_text(dicts(child.get("steps"))),
        )
        return EventDraft(key=key, event=event, causes=(Link(call.key),) if call else ())

    def _embedded(self, name: str) -> tuple[dict[str, Any], str | None]:
        return self.children[name], f"{self._source_id}/{name}"

    def _beside(self, path: str | None) -> tuple[dict[str, Any], str | None]:
        """Return a sub-agent's document that came in a file of its own in the same import, and its run."""
        raw = self._source.sibling(path) if path else None
        if path is None or raw is None:
            return {}, None
        try:
            document = as_dict(decode(raw))
        except ImportRefused as refusal:
            self._source.note(f"the sub-agent's trajectory {path} is left out: {refusal}")
            return {}, None
        return document, _identity(document, PurePosixPath(path).stem) if document else None


def _results_of(step: dict[str, Any]) -> list[dict[str, Any]]:
    return dicts(as_dict(step.get("observation")).get("results"))


def _result(call: Call, result: dict[str, Any]) -> ToolReturned | ToolFailed:
    """Return what a call came to. ATIF has no place for errors; our own export marks them in `extra`."""
    extra = as_dict(result.get("extra"))
    if extra.get("is_error") is True:
        code = as_text(extra.get("error_code"))
        message = plain_text(result.get("content"))
        return ToolFailed(tool_name=call.tool, call_id=call.id, error_code=code, message=message)
    return ToolReturned(tool_name=call.tool, call_id=call.id, response_json=text(result.get("content")))


def _children(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the embedded sub-agents by the id that references use; one without steps is no run."""
    found: dict[str, dict[str, Any]] = {}
    for place, child in enumerate(dicts(document.get("subagent_trajectories"))):
        name = as_text(child.get("trajectory_id")) or as_text(child.get("session_id")) or str(place)
        if isinstance(child.get("steps"), list):
            found[name if name not in found else f"{name}#{place}"] = child
    return found


def _references(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a result's references to sub-agents: a list, or a single one as before version 1.3."""
    references = result.get("subagent_trajectory_ref")
    return dicts(references if isinstance(references, list) else [references])


def _copied(step: dict[str, Any]) -> object:
    """Return what a step repeats from an earlier trajectory, calls and results with it: context, but no decision."""
    rest = {name: step[name] for name in ("tool_calls", "observation", "reasoning_content") if step.get(name)}
    if not rest:
        return step.get("message")
    return [{"type": "text", "text": plain_text(step.get("message")) or ""}, {"type": "copied_step", **rest}]


def _kept_to_the_end(document: dict[str, Any]) -> Iterator[EventDraft]:
    """Yield what the document says of the whole run. It changes while the run goes on; each reading has its own key."""
    names = ("final_metrics", "continued_trajectory_ref")
    data = {name: document[name] for name in names if document.get(name)}
    if data:
        yield EventDraft(key=f"final/{fingerprint(data)}", event=Opaque(name="atif.final", data=data))


def _recorded(document: dict[str, Any], drafts: list[EventDraft]) -> tuple[frozenset[Count], dict[Count, int | float]]:
    """Return which counts the steps record throughout, and the final metrics that stand in for the others.

    A total of 0 is what producers write that do not meter; it is not recorded.
    """
    responses = [draft.event for draft in drafts if isinstance(draft.event, ModelResponded)]
    final = as_dict(document.get("final_metrics"))
    recorded, totals = set(_COUNTED), {}
    if any(
        isinstance(as_dict(result.get("extra")).get("is_error"), bool)
        for step in dicts(document["steps"])
        for result in _results_of(step)
    ):
        recorded.add("tool_errors")
    for name, total in _FINAL:
        if responses and all(getattr(response, name) is not None for response in responses):
            recorded.add(name)
        elif amount := as_float(final.get(total)):
            totals[name] = amount if name == "cost_usd" else int(amount)
    return frozenset(recorded), totals


def _with_totals(drafts: list[EventDraft], totals: dict[Count, int | float]) -> list[EventDraft]:
    """Write the totals that no response has into the last answer."""
    for draft in reversed(drafts):
        if totals and isinstance(draft.event, Answered):
            draft.event = msgspec.structs.replace(
                draft.event,
                input_tokens=as_int(totals.get("input_tokens")),
                output_tokens=as_int(totals.get("output_tokens")),
                cost_usd=totals.get("cost_usd"),
            )
            break
    return drafts


register(
    Format(
        name="atif",
        title="ATIF trajectory (1.0 to 1.7)",
        detect=detect,
        read=read,
        order=30,
        example='{"schema_version": "ATIF-v1.7", "session_id": "…", "agent": {…}, "steps": [{"step_id": 1, …}]}',
    )
)
