"""tau-bench results: a JSON array of runs, each a task, a trial, a reward and OpenAI chat messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from journal.domain.agent_run import Graded, Started
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, Outcome, RunDraft
from journal.ingest.lenient import as_dict, as_float, as_list, dicts, fingerprint, plain_text, text_at_start
from journal.ingest.openai_chat import Chat, Failure, Message
from journal.ingest.source import Source


def detect(source: Source) -> bool:
    """Whether the file is an array of runs with a trajectory and a reward."""
    if b'"traj"' not in source.data or b'"task_id"' not in source.data:
        return False
    runs = source.document
    return isinstance(runs, list) and any(isinstance(as_dict(run).get("traj"), list) for run in runs[:20])


def read(source: Source) -> Iterator[RunDraft]:
    """Yield a run per entry of the array."""
    seen: Counter[str] = Counter()
    for number, run in enumerate(as_list(source.json())):
        if not isinstance(run, dict) or not isinstance(run.get("traj"), list):
            source.note(f"entry {number} of the array has no trajectory (`traj`)")
            continue
        name = _source_id(run)
        seen[name] += 1
        yield _draft(run, name if seen[name] == 1 else f"{name}#{seen[name]}")


def _source_id(run: Mapping[str, Any]) -> str:
    """Return task, trial and a fingerprint of the trajectory.

    An entry has no id of its own, and the same task and trial stand in every result file. Entries are written once,
    when the run is over, so the fingerprint stays.
    """
    return f"{run.get('task_id')}/{run.get('trial')}/{fingerprint(run['traj'])}"


def _draft(run: Mapping[str, Any], source_id: str) -> RunDraft:
    return RunDraft(
        source_id=source_id,
        events=list(_events(run, source_id)),
        recorded=frozenset(("decisions", "tool_calls", "tool_errors")),
        outcome=_outcome(run),
    )


def _events(run: Mapping[str, Any], source_id: str) -> Iterator[EventDraft]:
    messages, chat = dicts(run["traj"]), Chat(failure=_failure)
    yield EventDraft(key="start", event=_started(run, messages, source_id))
    for number, message in enumerate(messages):
        yield from chat.events(message, f"m{number}")
    if (reward := as_float(run.get("reward"))) is not None:
        verdict = "holds" if reward == 1 else "fails"
        grade = Graded(rule="reward", by="tau-bench", verdict=verdict, score=reward, raw=_checked(run))
        yield EventDraft(key="grade.reward", event=grade)


def _started(run: Mapping[str, Any], messages: list[dict[str, Any]], source_id: str) -> Started:
    task = as_dict(as_dict(run.get("info")).get("task"))
    told = {"task_id": run.get("task_id"), "trial": run.get("trial")}
    told |= {key: task.get(key) for key in ("user_id", "instruction")}
    return Started(
        prompt=text_at_start(messages),
        source="tau-bench",
        source_id=source_id,
        context={key: value for key, value in told.items() if value is not None},
    )


def _checked(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the reward was worked out from: the task's expected actions and outputs, and what the check found."""
    info = as_dict(run.get("info"))
    return {key: info[key] for key in ("task", "reward_info", "user_cost", "source") if key in info}


def _failure(message: Message) -> Failure | None:
    """Return the failure of a result: the benchmark's tools say so in their first word only."""
    content = plain_text(message.get("content")) or ""
    return Failure(message=content, code="Error") if content.startswith("Error") else None


def _outcome(run: Mapping[str, Any]) -> Outcome:
    reward = as_float(run.get("reward"))
    if reward is None:
        return Outcome(raw={"reward": run.get("reward")})
    return Outcome(status="success" if reward == 1 else "failure", raw={"reward": run["reward"]})


FORMAT = register(
    Format(
        name="tau-bench",
        title="tau-bench results",
        detect=detect,
        read=read,
        example='[{"task_id": 0, "reward": 1.0, "info": {…}, "traj": [{"role": "system", …}], "trial": 0}]',
    )
)
