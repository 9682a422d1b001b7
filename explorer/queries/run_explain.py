"""The Explain tab: one event in words, with what it rests on and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from explorer import figures, timelines
from explorer.edits import Did, did
from explorer.knowledge import Heard, Known, knowledge
from explorer.models import EventLine, RunSummary
from journal.domain import agent_run as run
from journal.domain.aggregate import State
from journal.domain.catalog import Unknown, Withdrawn, catalog
from journal.domain.event import RecordedEvent
from journal.domain.explain import Explanation, explain
from journal.domain.run_state import RunState
from journal.domain.text import amount, in_bytes, parsed, plain, size_bytes
from journal.explainers import described

BACK: Final = 400
"""Events before the cursor whose full text is searched for what a call names."""

_TEXT: Final = 4_000
_LISTED: Final = 24
_SETTING: Final = 60
_LEADS: Final = ("model_responded", "answered", "aborted", "tool_failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A name and a value."""

    name: str
    value: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """A longer text of the event. `is_model` marks the model's own words; `note` says how much of it is shown."""

    name: str
    text: str
    note: str = ""
    is_model: bool = False
    is_code: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """What the run had used after the event; None is not recorded."""

    cost: float | None
    input_tokens: int | None
    output_tokens: int | None
    context_bytes: int
    context_items: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Explain:
    """One event explained."""

    title: str
    actor: str
    type: str
    because: str | None
    because_at: int
    is_decision: bool
    knew: tuple[Known, ...]
    did: Did | None
    tool: str
    call: str
    facts: tuple[Fact, ...]
    words: tuple[Words, ...]
    then: tuple[EventLine, ...]
    then_missing: str
    spent: Spent | None
    child: str
    child_is_here: bool


def explain_panel(
    line: EventLine, moment: timelines.Moment, lines: Sequence[EventLine], response: int | None
) -> Explain:
    """Explain the cursor's event. `lines` are those around it, `response` the version of the answer it stands in."""
    event = moment.event
    decoded = catalog.decode(event)
    child_is_here = isinstance(decoded, run.HandedOff) and _is_here(event.project, decoded.child_run)
    said = explain(event)
    call = decoded if isinstance(decoded, run.Reasoned) else None
    then, missing = _then(line, lines)
    return Explain(
        title=said.title,
        actor=said.actor or _agent(moment.before),
        type=event.type,
        because=(call.thought or None) if call else None,
        because_at=_said_at(call, moment.recent, response, event.version),
        is_decision=call is not None,
        knew=_knew(call, moment) if call else (),
        did=did(call.args_json) if call else None,
        tool=call.tool_name if call else "",
        call=_call(call) if call else "",
        facts=_tagged(said) if line.kind == "event" else _facts(decoded),
        words=_told(said) if line.kind == "event" else _words(decoded),
        then=then,
        then_missing=missing,
        spent=_spent(moment.after()),
        child=decoded.child_run or "" if isinstance(decoded, run.HandedOff) else "",
        child_is_here=child_is_here,
    )


def _is_here(project: str, stream: str | None) -> bool:
    """Tell whether a sub-agent's run is in the journal: a source may name one that was never recorded."""
    return bool(stream) and RunSummary.objects.filter(project=project, stream=stream).exists()


def _agent(state: State) -> str:
    name = state.summary()["agent"] if isinstance(state, RunState) else None
    return f"agent:{name}" if name else "actor not recorded"


def _call(call: run.Reasoned) -> str:
    ident = f"call {call.call_id} · " if call.call_id else ""
    return f"{ident}{in_bytes(size_bytes(call.args_json))}"


def _said_at(call: run.Reasoned | None, recent: Iterable[RecordedEvent], response: int | None, version: int) -> int:
    """Return the event that holds the reason: the response where it says the same, else the decision itself."""
    if call is None or not call.thought or response is None:
        return version
    answer = next((event for event in recent if event.version == response), None)
    decoded = catalog.decode(answer) if answer else None
    if isinstance(decoded, run.ModelResponded):
        told = f"{plain(decoded.content)}\n{decoded.reasoning or ''}"
        return response if call.thought.strip() in told else version
    return version


def _knew(call: run.Reasoned, moment: timelines.Moment) -> tuple[Known, ...]:
    results = moment.before.known_results() if isinstance(moment.before, RunState) else {}
    heard = [text for event in moment.recent if (text := _heard(event)) is not None]
    first = moment.recent[0].version if moment.recent else 1
    return knowledge(parsed(call.args_json), results, heard, searched_from=first)


def _heard(event: RecordedEvent) -> Heard | None:
    match catalog.decode(event):
        case run.ToolReturned() as result:
            value = parsed(result.response_json)
            return Heard(
                version=event.version,
                tool=result.tool_name or "a tool",
                text=_text_of(value),
                described=described(value),
            )
        case run.ToolFailed() as failure:
            return Heard(
                version=event.version, tool=failure.tool_name or "a tool", text=failure.message or "", failed=True
            )
        case run.MessageReceived() as message:
            return Heard(version=event.version, tool="", text=plain(message.content))
        case run.Started() as start:
            return Heard(version=event.version, tool="", text=start.prompt or "")
        case _:
            return None


def _text_of(value: Any) -> str:
    """Return everything a result says, one string a line: what stands in its fields counts as well as its text."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "\n".join(_text_of(inner) for inner in value.values())
    if isinstance(value, list):
        return "\n".join(map(_text_of, value))
    return "" if value is None else str(value)


def _then(line: EventLine, lines: Sequence[EventLine]) -> tuple[tuple[EventLine, ...], str]:
    """Return the result of a call and what the model did next; for other events simply what came next."""
    own = [other for other in lines if other.run_id == line.run_id]
    later = sorted((other for other in own if other.version > line.version), key=lambda other: other.version)
    if line.kind != "reasoned":
        return tuple(other for other in later if other.folded_into is None)[:2], "nothing; it is the last event"
    result = next((other for other in later if other.version == line.pair), None)
    if result is None:
        return tuple(other for other in later if other.kind in _LEADS)[:1], "no result of this call is recorded"
    following = (other for other in later if other.version > result.version and other.kind in _LEADS)
    return (result, *tuple(following)[:1]), ""


def _spent(state: State) -> Spent | None:
    if not isinstance(state, RunState):
        return None
    totals = state.summary()["totals"]
    return Spent(
        cost=totals["cost_usd"],
        input_tokens=totals["input_tokens"],
        output_tokens=totals["output_tokens"],
        context_bytes=state.context_bytes,
        context_items=len(state.context),
    )


def _facts(event: run.AnyEvent) -> tuple[Fact, ...]:  # noqa: C901, PLR0911, PLR0912 - a case a type
    match event:
        case run.Started():
            tools = ", ".join(_tool(tool) for tool in event.tools[:_LISTED])
            return _given(Agent=event.agent, Model=event.model, Source=event.source, Tools=tools)
        case run.MessageReceived():
            return _given(Role=event.role, Name=event.name)
        case run.ModelCalled():
            settings = ", ".join(f"{name} {_short(value)}" for name, value in list(event.params.items())[:12])
            sent = amount(len(event.messages), "message") if event.messages else "not recorded"
            return _given(Model=event.model, Settings=settings, Sent=sent)
        case run.ModelResponded():
            return _given(
                Finish=event.finish_reason,
                Tokens=_tokens(event),
                Cost=figures.cost(event.cost_usd) if event.cost_usd is not None else None,
                Took=_took(event.latency_ms),
            )
        case run.ToolReturned():
            return _given(Tool=event.tool_name, Call=event.call_id, Took=_took(event.latency_ms))
        case run.ToolFailed():
            return _given(
                Tool=event.tool_name, Call=event.call_id, Error=event.error_code, Took=_took(event.latency_ms)
            )
        case run.HandedOff():
            return _given(To=event.to_agent)
        case run.ContextCompacted():
            return _given(Dropped=_versions(event.dropped_versions), Kept=_versions(event.kept_versions))
        case run.MemoryWritten():
            return _given(Key=event.key)
        case run.Graded():
            score = f"{event.score:g}" if event.score is not None else None
            at = str(event.at_version) if event.at_version else None
            return _given(Rule=event.rule, Verdict=event.verdict, By=event.by, Score=score, About=at)
        case run.Annotated():
            return _given(By=event.by, Label=event.label, About=str(event.at_version) if event.at_version else None)
        case Withdrawn():
            return _given(Type=event.type, Payload=event.mark.words, Digest=f"SHA-256 {event.mark.sha256}")
        case Unknown():
            return _given(Type=event.type, Schema=str(event.schema), Raw=event.reason)
        case _:
            return ()


def _words(event: run.AnyEvent) -> tuple[Words, ...]:  # noqa: C901, PLR0911, PLR0912 - a case a type
    match event:
        case run.Started():
            return _said(Prompt=event.prompt)
        case run.MessageReceived():
            return _said(Said=plain(event.content))
        case run.ModelResponded():
            return _said(Said=plain(event.content), Thought=event.reasoning, model=True)
        case run.ToolReturned():
            value = parsed(event.response_json)
            text = value if isinstance(value, str) else event.response_json
            return _said(Result=text, code=True)
        case run.ToolFailed():
            return _said(Message=event.message, code=True)
        case run.HandedOff():
            return _said(Told=event.instruction)
        case run.ContextCompacted():
            return _said(Summary=event.summary)
        case run.MemoryWritten():
            return _said(Value=plain(event.value))
        case run.Answered():
            return _said(Answer=plain(event.response), model=True)
        case run.Aborted():
            return _said(Reason=event.reason)
        case run.Graded():
            return _said(Message=event.message)
        case run.Annotated():
            return _said(Note=event.text)
        case _:
            return ()


def _tagged(said: Explanation) -> tuple[Fact, ...]:
    """Return what the explainer of another app's event named; of that event nothing more is known here."""
    return tuple(Fact(name=name, value=value) for name, value in said.tags.items())


def _told(said: Explanation) -> tuple[Words, ...]:
    return _said(Summary=said.summary, Detail=said.detail)


def _given(**facts: str | None) -> tuple[Fact, ...]:
    return tuple(Fact(name=name, value=value) for name, value in facts.items() if value)


def _said(*, model: bool = False, code: bool = False, **texts: str | None) -> tuple[Words, ...]:
    """Return the texts that are there; where none is, the first says so."""
    found = tuple(_cut(name, text, model=model, code=code) for name, text in texts.items() if text)
    return found or tuple(Words(name=name, text="") for name in list(texts)[:1])


def _cut(name: str, text: str, *, model: bool, code: bool) -> Words:
    note = f"{_TEXT:,} of {len(text):,} characters; the whole is under Payload" if len(text) > _TEXT else ""
    return Words(name=name, text=text[:_TEXT], note=note, is_model=model, is_code=code)


def _tokens(event: run.ModelResponded) -> str | None:
    named = (("in", event.input_tokens), ("out", event.output_tokens), ("cached", event.cached_tokens))
    return " · ".join(f"{count:,} {name}" for name, count in named if count is not None) or None


def _took(latency_ms: float | None) -> str | None:
    return figures.duration(latency_ms) if latency_ms is not None else None


def _versions(versions: Sequence[int]) -> str | None:
    if not versions:
        return None
    shown = ", ".join(map(str, versions[:_LISTED]))
    return f"{shown} and {len(versions) - _LISTED:,} more" if len(versions) > _LISTED else shown


def _tool(tool: Any) -> str:
    inner = tool.get("function") if isinstance(tool, dict) and isinstance(tool.get("function"), dict) else tool
    return str(inner.get("name") or "a tool") if isinstance(inner, dict) else str(tool)


def _short(value: Any) -> str:
    text = plain(value)
    return text if len(text) <= _SETTING else f"{text[:_SETTING]}…"
