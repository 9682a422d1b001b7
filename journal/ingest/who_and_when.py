"""Who&When: failed conversations of several agents, each with the step and the agent that people blamed.

Two shapes: in *Algorithm-Generated* an item's `name` is the agent; in *Hand-Crafted* its `role` is, with a decoration:
`Orchestrator (thought)`, `Orchestrator (-> WebSurfer)`. The speaker of a step is the event's actor; the agent that was
blamed stands beside it in the verdict, since in some files the two differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from journal.domain.agent_run import (
    AgentRunEvent,
    Annotated,
    Answered,
    Graded,
    HandedOff,
    MessageReceived,
    ModelResponded,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.domain.codec import text
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, Outcome, RunDraft
from journal.ingest.lenient import as_dict, as_text, fingerprint, plain_text
from journal.ingest.openai_chat import version_of
from journal.ingest.source import Source

_CODE_RUNNERS: Final = frozenset(("Computer_terminal", "ComputerTerminal"))
_PEOPLE: Final = frozenset(("human", "user"))
_TOLD: Final = ("question_ID", "level", "ground_truth")
_LABELS: Final = (
    "is_correct",
    "is_corrected",
    "mistake_agent",
    "mistake_step",
    "mistake_reason",
    "mistake_type",
    "labels",
)
_INSTRUCTION = re.compile(r"^(?P<by>.+?) \(-> (?P<to>.+)\)$")
_DECORATION = re.compile(r" \([^()]*\)$")
_EXIT_CODE = re.compile(r"exitcode: (\d+)")
_RAN = re.compile(r"exitcode: \d+|The script ran")
_FINAL_ANSWER = re.compile(r"FINAL ANSWER: *(.+)")
_IS_OVER = re.compile(r"\bTERMINATE\W*$")


@dataclass(frozen=True, slots=True)
class _Turn:
    """One item of the history. `speaker` is the agent without decoration, `given` the name as the file has it."""

    speaker: str
    given: str
    says: str
    to: str | None = None


def detect(source: Source) -> bool:
    """Whether the file is one annotated conversation."""
    if b'"mistake_step"' not in source.data or b'"history"' not in source.data:
        return False
    run = source.document
    return isinstance(run, dict) and isinstance(run.get("history"), list) and "mistake_step" in run


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the one run of the file."""
    run = as_dict(source.json())
    if not isinstance(run.get("history"), list):
        raise ImportRefused("the document has no list `history`; it is no Who&When conversation")
    yield RunDraft(
        source_id=_source_id(run),
        events=list(_events(run)),
        recorded=frozenset(("decisions", "tool_errors")),
        outcome=_outcome(run),
    )


def _source_id(run: dict[str, Any]) -> str:
    """Return the question and a fingerprint of the conversation: several systems were asked the same questions."""
    return f"{as_text(run.get('question_ID')) or 'question'}/{fingerprint(run['history'])}"


def _events(run: dict[str, Any]) -> Iterator[EventDraft]:
    yield EventDraft(key="start", event=_started(run))
    for agent, prompt in as_dict(run.get("system_prompt")).items():
        yield EventDraft(key=f"system.{agent}", event=MessageReceived(role="system", content=prompt, name=agent))
    turns = [_turn(item) for item in run["history"]]
    for step, turn in enumerate(turns):
        for suffix, event in _turn_events(turn):
            yield EventDraft(key=f"step{step}{suffix}", event=event, actor=_actor(turn))
    yield from _labels(run, turns)


def _started(run: dict[str, Any]) -> Started:
    context = {key: run[key] for key in _TOLD if run.get(key) is not None}
    return Started(
        prompt=as_text(run.get("question")), source="who-and-when", source_id=_source_id(run), context=context
    )


def _turn(item: object) -> _Turn:
    record = as_dict(item)
    given = as_text(record.get("name")) or as_text(record.get("role")) or "unknown"
    says = plain_text(record.get("content")) or ""
    if instruction := _INSTRUCTION.match(given):
        return _Turn(instruction["by"], given, says, to=instruction["to"])
    return _Turn(_DECORATION.sub("", given), given, says)


def _actor(turn: _Turn) -> str:
    kind = "user" if turn.speaker in _PEOPLE else "tool" if turn.speaker in _CODE_RUNNERS else "agent"
    return f"{kind}:{turn.speaker}"


def _turn_events(turn: _Turn) -> Iterator[tuple[str, AgentRunEvent]]:
    """Yield (end of the key, event): what a person or the code runner says is no decision, anything else is one."""
    if turn.speaker in _PEOPLE:
        yield "", MessageReceived(role="user", content=turn.says, name=turn.given)
    elif turn.speaker in _CODE_RUNNERS:
        yield "", _ran(turn)
    else:
        yield "", ModelResponded(content=turn.says, raw={"speaker": turn.given})
        if turn.to:
            yield ".handoff", HandedOff(to_agent=turn.to, instruction=turn.says)
        if answer := _answer(turn.says):
            yield ".answer", Answered(response=answer)


def _ran(turn: _Turn) -> AgentRunEvent:
    """Return the result of running the code of the message before; the runner also speaks when it found none."""
    if not _RAN.match(turn.says):
        return MessageReceived(role="environment", content=turn.says, name=turn.given)
    code = _EXIT_CODE.match(turn.says)
    if code and int(code[1]) > 0:
        return ToolFailed(tool_name=turn.speaker, error_code=f"exit {code[1]}", message=turn.says)
    return ToolReturned(tool_name=turn.speaker, response_json=text(turn.says))


def _answer(says: str) -> str | None:
    final = _FINAL_ANSWER.search(says)
    return final[1].strip() if final else says if _IS_OVER.search(says) else None


def _labels(run: dict[str, Any], turns: list[_Turn]) -> Iterator[EventDraft]:
    step, at = _mistake(run, turns)
    blamed = as_text(run.get("mistake_agent"))
    speaker = turns[step].given if step is not None else None
    note = Annotated(by="who-and-when", label="mistake", text=as_text(run.get("mistake_reason")), at_version=at)
    yield EventDraft(key="mistake", event=note)
    said = f"{blamed} is blamed for step {run.get('mistake_step')}, where {speaker or 'no one'} speaks"
    raw = {key: run[key] for key in _LABELS if key in run} | {"speaker": speaker}
    verdict = Graded(rule="mistake", by="who-and-when", verdict="fails", message=said, at_version=at, raw=raw)
    yield EventDraft(key="grade.mistake", event=verdict)


def _mistake(run: dict[str, Any], turns: list[_Turn]) -> tuple[int | None, int | None]:
    """Return the step from 0 and its event; the file has the step as text, and may name one that is not there."""
    said = str(run.get("mistake_step")).strip()
    step = next((number for number in range(len(turns)) if str(number) == said), None)
    return step, None if step is None else version_of(f"step{step}")


def _outcome(run: dict[str, Any]) -> Outcome:
    """Return what the file says of the answer: one shape writes `is_correct`, the other `is_corrected`."""
    raw = {key: run[key] for key in _LABELS if key in run}
    correct = next((run[key] for key in ("is_correct", "is_corrected") if isinstance(run.get(key), bool)), None)
    if correct is None:
        return Outcome(raw=raw)
    return Outcome(status="success" if correct else "failure", raw=raw)


FORMAT = register(
    Format(
        name="who-and-when",
        title="Who&When failure attributions",
        detect=detect,
        read=read,
        example='{"question": …, "history": [{"content": …, "role": …}], "mistake_agent": …, "mistake_step": "4"}',
    )
)
