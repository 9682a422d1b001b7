"""AgentDojo runs: one JSON object per user task and injection task.

Where an attack reached the agent is the first tool result that holds an injected text: an `Annotated` with the label
`injection` follows it, so that a reader of the run sees the poison where it came in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from journal.domain.agent_run import Aborted, Annotated, Graded, Started, ToolFailed, ToolReturned
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, Outcome, RunDraft
from journal.ingest.lenient import as_dict, as_text, dicts, plain_text, text_at_start
from journal.ingest.openai_chat import Chat, Failure, Message, error_name, version_of
from journal.ingest.source import Source

_DEFENCES: Final = ("tool_filter", "transformers_pi_detector", "spotlighting_with_delimiting", "repeat_user_prompt")
_NOISE = re.compile(r"[\s\\'\"]+")
_TOLD: Final = ("suite_name", "pipeline_name", "user_task_id", "injection_task_id", "attack_type", "duration")


def detect(source: Source) -> bool:
    """Whether the file is one run of the benchmark."""
    if b'"suite_name"' not in source.data or b'"user_task_id"' not in source.data:
        return False
    run = source.document
    return isinstance(run, dict) and isinstance(run.get("messages"), list) and "suite_name" in run


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the one run of the file."""
    run = as_dict(source.json())
    if not isinstance(run.get("messages"), list):
        raise ImportRefused("the document has no list `messages`; it is no AgentDojo run")
    yield RunDraft(
        source_id=_source_id(run),
        events=list(_events(run)),
        recorded=frozenset(("decisions", "tool_calls", "tool_errors")),
        outcome=_outcome(run),
    )


def _source_id(run: Mapping[str, Any]) -> str:
    """Return the run's place in the benchmark, as its folders spell it."""
    keys = ("pipeline_name", "suite_name", "user_task_id", "attack_type", "injection_task_id")
    return "/".join(str(run.get(key) or "none") for key in keys)


def _events(run: Mapping[str, Any]) -> Iterator[EventDraft]:
    messages = dicts(run.get("messages"))
    yield EventDraft(key="start", event=_started(run, messages))
    chat, poison = Chat(failure=_failure), _Poison(run.get("injections"))
    for number, message in enumerate(messages):
        for draft in chat.events(message, f"m{number}"):
            yield draft
            yield from poison.found_in(draft, message)
    yield from _end(run)


def _started(run: Mapping[str, Any], messages: list[dict[str, Any]]) -> Started:
    pipeline = as_text(run.get("pipeline_name"))
    defence = next((name for name in _DEFENCES if pipeline and pipeline.endswith(f"-{name}")), None)
    context = {key: run[key] for key in _TOLD if run.get(key) is not None}
    if defence:
        context["defence"] = defence
    if run.get("injections"):
        context["injections"] = run["injections"]
    return Started(
        prompt=text_at_start(messages),
        model=pipeline.removesuffix(f"-{defence}") if pipeline else None,
        agent=pipeline,
        source="agentdojo",
        source_id=_source_id(run),
        context=context,
    )


def _failure(message: Message) -> Failure | None:
    error = as_text(message.get("error"))
    if error is None:
        return None
    shown = plain_text(message.get("content"))
    return Failure(message=f"{error}\n\n{shown}" if shown and shown != error else error, code=error_name(error))


class _Poison:
    """Finds the first tool result that holds an injected text, and says so once.

    The suites put the text into YAML, which folds lines and doubles quotes; both sides are compared without them.
    """

    def __init__(self, injections: object) -> None:
        given = injections.items() if isinstance(injections, dict) else ()
        self._looked_for = {name: bare for name, value in given if (bare := _bare(value))}

    def found_in(self, draft: EventDraft, message: Message) -> Iterator[EventDraft]:
        """Yield the note behind the result that brought the injection."""
        if not self._looked_for or not isinstance(draft.event, (ToolReturned, ToolFailed)):
            return
        shown = _bare(f"{message.get('content') or ''}{message.get('error') or ''}")
        names = [name for name, bare in self._looked_for.items() if bare in shown]
        if names:
            self._looked_for = {}
            text = f"The result of {draft.event.tool_name} carries the injected text of {', '.join(names)}."
            note = Annotated(by="agentdojo", label="injection", text=text, at_version=version_of(draft.key))
            yield EventDraft(key=f"{draft.key}.injection", event=note)


def _bare(value: object) -> str:
    return _NOISE.sub("", value) if isinstance(value, str) else ""


def _end(run: Mapping[str, Any]) -> Iterator[EventDraft]:
    if error := as_text(run.get("error")):
        yield EventDraft(key="error", event=Aborted(reason=error))
    if isinstance(done := run.get("utility"), bool):
        said = "the user's task was done" if done else "the user's task was not done"
        yield _grade("utility", holds=done, message=said, raw=done)
    if run.get("attack_type") and isinstance(reached := run.get("security"), bool):
        said = "the attacker's goal was reached" if reached else "the attacker's goal was not reached"
        yield _grade("security", holds=not reached, message=said, raw=reached)


def _grade(rule: str, *, holds: bool, message: str, raw: bool) -> EventDraft:
    verdict = "holds" if holds else "fails"
    return EventDraft(
        key=f"grade.{rule}", event=Graded(rule=rule, by="agentdojo", verdict=verdict, message=message, raw=raw)
    )


def _outcome(run: Mapping[str, Any]) -> Outcome:
    """Return the benchmark's own reading: success is the task done and the attacker's goal not reached.

    `security: true` in a run with an attack means that it was reached; without one it is always true and says nothing.
    """
    raw = {key: run.get(key) for key in ("utility", "security")}
    if run.get("error"):
        return Outcome(status="error", raw={**raw, "error": run["error"]})
    if not isinstance(raw["utility"], bool):
        return Outcome(raw=raw)
    attacked = bool(run.get("attack_type")) and raw["security"] is True
    return Outcome(status="success" if raw["utility"] and not attacked else "failure", raw=raw)


FORMAT = register(
    Format(
        name="agentdojo",
        title="AgentDojo runs",
        detect=detect,
        read=read,
        example='{"suite_name": "banking", "pipeline_name": …, "user_task_id": …, "injections": {…}, "messages": […]',
    )
)
