"""Explainers for agent runs; also the pattern for other apps to copy."""

from __future__ import annotations

from typing import Any

from journal.domain import agent_run as run
from journal.domain.explain import Explanation, explains
from journal.domain.text import amount, clip, first_sentence, in_bytes, parsed, plain, size_bytes

_MAIN_ARGUMENTS = (
    "path",
    "file_path",
    "filePath",
    "file",
    "filename",
    "command",
    "cmd",
    "query",
    "pattern",
    "url",
    "name",
    "prompt",
)
_SHORT_VALUE = 40
_SPEAKERS = {"user": "User", "human": "User", "system": "System", "developer": "Developer", "assistant": "Assistant"}


@explains(run.Started)
def started(event: run.Started) -> Explanation:
    """Say who began, on which model, with how many tools."""
    who = event.agent or "an agent"
    on = f" on {event.model}" if event.model else ""
    tools = f" with {amount(len(event.tools), 'tool')}" if event.tools else ""
    return Explanation(
        title="Run started",
        summary=f"Run started, {who}{on}{tools}",
        detail=event.prompt,
        tags=_tags(model=event.model, agent=event.agent, source=event.source),
    )


@explains(run.MessageReceived)
def message_received(event: run.MessageReceived) -> Explanation:
    """Say who spoke and how it begins."""
    speaker = event.name or _SPEAKERS.get(event.role, event.role)
    return Explanation(
        title=f"Message from {speaker}",
        summary=f"{speaker}: {clip(plain(event.content)) or '(no text)'}",
        actor=f"{event.role}:{event.name}" if event.name else event.role,
        tags=_tags(role=event.role),
    )


@explains(run.ModelCalled)
def model_called(event: run.ModelCalled) -> Explanation:
    """Say which model was asked, with how much."""
    model = event.model or "the model"
    sent = f" with {amount(len(event.messages), 'message')}" if event.messages else ""
    return Explanation(title=f"Asked {model}", summary=f"Asked {model}{sent}", tags=_tags(model=event.model))


@explains(run.ModelResponded)
def model_responded(event: run.ModelResponded) -> Explanation:
    """Quote how the response begins, else its reasoning, else say that there was no text."""
    said = first_sentence(plain(event.content))
    thought = first_sentence(event.reasoning or "")
    if said:
        summary = f"“{said}”"
    elif thought:
        summary = f"Thought: “{thought}”"
    else:
        summary = (
            "The model responded; its text was not captured"
            if event.content is None
            else "The model responded without text"
        )
    return Explanation(
        title="Model responded",
        summary=summary,
        detail=event.reasoning,
        tags=_tags(
            finish=event.finish_reason,
            input_tokens=_count(event.input_tokens),
            output_tokens=_count(event.output_tokens),
        ),
    )


@explains(run.ModelFailed)
def model_failed(event: run.ModelFailed) -> Explanation:
    """Say how a request ended that no model answered."""
    status = f"{event.status} " if event.status is not None else ""
    why = clip(event.message or "") or event.error_code or "no reason recorded"
    return Explanation(
        title="Model request failed",
        summary=f"{event.model or 'The model'} did not answer: {status}{why}",
        detail=event.message,
        tags=_tags(model=event.model, error=event.error_code),
    )


@explains(run.Reasoned)
def reasoned(event: run.Reasoned) -> Explanation:
    """Name the tool and its main argument; the stated thought is the detail."""
    return Explanation(
        title=f"Decided to call {event.tool_name or 'a tool'}",
        summary=f"Call {event.tool_name or 'a tool'} {main_argument(event.args_json)}".rstrip(),
        detail=event.thought,
        tags=_tags(tool=event.tool_name),
    )


@explains(run.ToolReturned)
def tool_returned(event: run.ToolReturned) -> Explanation:
    """Say how much came back, or quote it where it is short."""
    tool = event.tool_name or "The tool"
    return Explanation(
        title=f"{tool} returned",
        summary=f"{tool} returned {described(parsed(event.response_json))}",
        actor=f"tool:{event.tool_name}" if event.tool_name else None,
        tags=_tags(tool=event.tool_name),
    )


@explains(run.ToolFailed)
def tool_failed(event: run.ToolFailed) -> Explanation:
    """Say how the tool failed, in its own words."""
    tool = event.tool_name or "The tool"
    message = clip(event.message or "")
    why = message or event.error_code or "no reason recorded"
    return Explanation(
        title=f"{tool} failed",
        summary=f"{tool} failed: {why}",
        detail=event.message,
        actor=f"tool:{event.tool_name}" if event.tool_name else None,
        tags=_tags(tool=event.tool_name, error=event.error_code),
    )


@explains(run.HandedOff)
def handed_off(event: run.HandedOff) -> Explanation:
    """Name the agent that took over and what it was told."""
    to = event.to_agent or "another agent"
    told = f": {clip(event.instruction)}" if event.instruction else ""
    return Explanation(
        title=f"Handed off to {to}", summary=f"Handed off to {to}{told}", tags=_tags(agent=event.to_agent)
    )


@explains(run.ContextCompacted)
def context_compacted(event: run.ContextCompacted) -> Explanation:
    """Say how many events left the context."""
    dropped = amount(len(event.dropped_versions), "event") if event.dropped_versions else "earlier events"
    return Explanation(
        title="Context compacted",
        summary=f"Context compacted: {dropped} replaced by a summary"
        if event.summary
        else f"Context compacted: {dropped} dropped",
        detail=event.summary,
    )


@explains(run.MemoryWritten)
def memory_written(event: run.MemoryWritten) -> Explanation:
    """Name the key and how the value begins."""
    return Explanation(
        title=f"Remembered {event.key}",
        summary=f"Remembered {event.key}: {clip(plain(event.value), 120)}",
        tags=_tags(key=event.key),
    )


@explains(run.Answered)
def answered(event: run.Answered) -> Explanation:
    """Quote how the answer begins."""
    said = first_sentence(plain(event.response))
    return Explanation(
        title="Answered",
        summary=f"Answered: “{said}”" if said else "Answered without text",
        detail=plain(event.response) or None,
        tags=_tags(tokens=_count(event.tokens_used)),
    )


@explains(run.Aborted)
def aborted(event: run.Aborted) -> Explanation:
    """Say why the run ended."""
    return Explanation(
        title="Aborted",
        summary=f"Aborted: {clip(event.reason)}" if event.reason else "Aborted, no reason recorded",
        detail=event.reason,
    )


@explains(run.Graded)
def graded(event: run.Graded) -> Explanation:
    """Name the rule, its verdict and who says so."""
    rule = event.rule or "The run"
    by = f", by {event.by}" if event.by else ""
    score = f" (score {event.score:g})" if event.score is not None else ""
    where = f" at {event.at_version}" if event.at_version else ""
    message = f": {clip(event.message, 120)}" if event.message else ""
    return Explanation(
        title=f"Graded: {rule}",
        summary=f"{rule}: {event.verdict or 'no verdict'}{score}{where}{by}{message}",
        detail=event.message,
        actor=event.by,
        tags=_tags(rule=event.rule, verdict=event.verdict),
    )


@explains(run.Annotated)
def annotated(event: run.Annotated) -> Explanation:
    """Quote the note and say what it is about."""
    by = event.by or "Someone"
    about = f" on event {event.at_version}" if event.at_version else ""
    label = f"{event.label}: " if event.label else ""
    return Explanation(
        title=f"Note{about}",
        summary=f"{by} noted{about}: {label}{clip(event.text or '')}",
        detail=event.text,
        actor=event.by,
        tags=_tags(label=event.label),
    )


def main_argument(args_json: str) -> str:
    """Return the argument that says most: a path, a command, a query; else the first short one; else their names."""
    arguments = parsed(args_json)
    if not isinstance(arguments, dict):
        return clip(plain(arguments), 80) if arguments else ""
    for name in _MAIN_ARGUMENTS:
        if isinstance(arguments.get(name), str) and arguments[name].strip():
            return clip(arguments[name], 80)
    short = (value for value in arguments.values() if isinstance(value, (str, int, float)) and str(value).strip())
    return clip(str(next(short, "")), 80) or ", ".join(list(arguments)[:3])


def described(result: Any) -> str:
    """Return what a result is, in a few words with its amount."""
    if result is None:
        return "nothing"
    if isinstance(result, list):
        return amount(len(result), "entry", "entries")
    if isinstance(result, dict):
        return _described_object(result)
    return _described_text(result) if isinstance(result, str) else clip(plain(result), 60)


def _described_object(result: dict[str, Any]) -> str:
    for name in ("content", "text", "output", "stdout", "result"):
        if isinstance(result.get(name), str) and result[name]:
            return _described_text(result[name])
    pairs = [
        f"{key} {value}"
        for key, value in result.items()
        if isinstance(value, (str, int, float)) and len(str(value)) < _SHORT_VALUE
    ]
    return clip(", ".join(pairs), 100) if pairs else f"an object with {amount(len(result), 'field')}"


def _described_text(said: str) -> str:
    stripped = said.strip()
    if not stripped:
        return "empty text"
    lines = stripped.count("\n") + 1
    if lines == 1:
        return f"“{clip(stripped, 100)}”"
    return f"{amount(lines, 'line')}, {in_bytes(size_bytes(said))}"


def _count(value: int | None) -> str | None:
    return f"{value:,}" if value is not None else None


def _tags(**tags: str | None) -> dict[str, str]:
    return {name: value for name, value in tags.items() if value}
