"""tau2-bench results: one JSON object of a set-up, tasks, and simulations, each of which is a run.

The simulated user may call tools of its own; those calls and results are no decisions of the agent, and are kept raw.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from journal.domain.agent_run import Aborted, AgentRunEvent, Graded, ModelResponded, Started
from journal.ingest import Format, register
from journal.ingest.draft import EventDraft, Opaque, Outcome, OutcomeStatus, RunDraft
from journal.ingest.lenient import (
    as_dict,
    as_float,
    as_int,
    as_list,
    as_text,
    dicts,
    fingerprint,
    plain_text,
    text_at_start,
)
from journal.ingest.openai_chat import Chat, Failure, Message, spoken
from journal.ingest.source import Source, moment

_ENDED_BY_SOMEONE: Final = frozenset(("user_stop", "agent_stop"))
_SETTING: Final = ("task_id", "trial", "seed")


def detect(source: Source) -> bool:
    """Whether the file is one result object of the benchmark."""
    if b'"simulations"' not in source.data:
        return False
    results = source.document
    return isinstance(results, dict) and isinstance(results.get("simulations"), list) and "info" in results


def read(source: Source) -> Iterator[RunDraft]:
    """Yield a run per simulation."""
    results = as_dict(source.json())
    tasks = {str(task.get("id")): task for task in dicts(results.get("tasks"))}
    for number, simulation in enumerate(as_list(results.get("simulations"))):
        if not isinstance(simulation, dict) or not isinstance(simulation.get("messages"), list):
            source.note(f"simulation {number} has no messages")
            continue
        run = _Simulation(simulation, as_dict(results.get("info")), tasks.get(str(simulation.get("task_id"))))
        yield RunDraft(source_id=run.source_id, events=list(run.events()), outcome=run.outcome())


class _Simulation:
    """One simulation on its way to a run."""

    def __init__(self, simulation: dict[str, Any], info: dict[str, Any], task: dict[str, Any] | None) -> None:
        self._simulation, self._info, self._task = simulation, info, task
        self._messages = dicts(simulation["messages"])
        self._ending = as_text(simulation.get("termination_reason"))
        self._reward_info = as_dict(simulation.get("reward_info"))
        self.source_id = as_text(simulation.get("id")) or fingerprint(simulation)

    def events(self) -> Iterator[EventDraft]:
        """Yield the conversation, then what the benchmark found."""
        yield EventDraft(key="start", event=self._started(), at=moment(self._simulation.get("start_time")))
        chat = Chat(failure=_failure, response=_response)
        for number, message in enumerate(self._messages):
            yield from _message_events(chat, message, f"m{number}")
        ended_at = moment(self._simulation.get("end_time"))
        if self._ending and self._ending not in _ENDED_BY_SOMEONE:
            yield EventDraft(key="end", event=Aborted(reason=self._ending), at=ended_at)
        for name, grade in self._grades():
            yield EventDraft(key=f"grade.{name}", event=grade, at=ended_at)

    def outcome(self) -> Outcome:
        """Return the reward's verdict; where none was given, how the simulation ended."""
        reward = as_float(self._reward_info.get("reward"))
        raw = {"reward": self._reward_info.get("reward"), "termination_reason": self._ending}
        status: OutcomeStatus = "unknown"
        if reward is not None:
            status = "success" if reward == 1 else "failure"
        elif self._ending and self._ending not in _ENDED_BY_SOMEONE:
            status = "aborted"
        return Outcome(status=status, raw=raw)

    def _started(self) -> Started:
        agent, environment = as_dict(self._info.get("agent_info")), as_dict(self._info.get("environment_info"))
        told = {
            "domain": environment.get("domain_name"),
            "policy": environment.get("policy"),
            **{key: self._simulation.get(key) for key in _SETTING},
            "task": self._task,
            "params": agent.get("llm_args"),
            "user": as_dict(self._info.get("user_info")).get("llm"),
            "git_commit": self._info.get("git_commit"),
        }
        tools = environment.get("tool_defs")
        return Started(
            prompt=text_at_start(self._messages),
            model=as_text(agent.get("llm")),
            agent=as_text(agent.get("implementation")),
            source="tau2-bench",
            source_id=self.source_id,
            context={key: value for key, value in told.items() if value is not None},
            tools=tuple(tools) if isinstance(tools, list) else (),
        )

    def _grades(self) -> Iterator[tuple[str, Graded]]:
        info = self._reward_info
        if (reward := as_float(info.get("reward"))) is not None:
            kept = {key: info.get(key) for key in ("reward_basis", "reward_breakdown", "info")}
            spent = {key: self._simulation.get(key) for key in ("agent_cost", "user_cost", "duration")}
            yield "reward", _graded("reward", reward == 1, score=reward, raw={**kept, **spent})
        database = as_dict(info.get("db_check"))
        if "db_match" in database:
            yield "db", _graded("database", database["db_match"], score=database.get("db_reward"), raw=database)
        for number, check in enumerate(dicts(info.get("action_checks"))):
            action = as_dict(check.get("action"))
            rule = f"action {as_text(action.get('name')) or number}"
            score = check.get("action_reward")
            yield f"action{number}", _graded(rule, check.get("action_match"), score=score, raw=check)
        for name, field in (("env", "env_assertions"), ("nl", "nl_assertions"), ("communicate", "communicate_checks")):
            for number, check in enumerate(dicts(info.get(field))):
                said = as_text(check.get("justification")) or as_text(check.get("nl_assertion"))
                yield f"{name}{number}", _graded(field, check.get("met"), message=said, raw=check)


def _graded(rule: str, met: object, *, score: object = None, message: str | None = None, raw: object) -> Graded:
    verdict = ("holds" if met else "fails") if isinstance(met, bool) else None
    return Graded(rule=rule, by="tau2-bench", verdict=verdict, score=as_float(score), message=message, raw=raw)


def _message_events(chat: Chat, message: Message, key: str) -> Iterator[EventDraft]:
    at = moment(message.get("timestamp"))
    if message.get("role") == "user":
        yield EventDraft(key=key, event=spoken(message), at=at)
        if message.get("tool_calls"):
            yield EventDraft(key=f"{key}.calls", event=_raw("user_tool_calls", message), at=at)
    elif message.get("role") == "tool" and message.get("requestor") == "user":
        yield EventDraft(key=key, event=_raw("user_tool_result", message), at=at)
    elif isinstance(message.get("tool_messages"), list):
        for number, single in enumerate(dicts(message.get("tool_messages"))):
            yield from _message_events(chat, single, f"{key}.{number}")
    else:
        yield from chat.events(message, key, at=at)


def _raw(name: str, message: Message) -> AgentRunEvent | Opaque:
    return Opaque(name=f"tau2_bench.{name}", data=dict(message))


def _response(message: Message) -> ModelResponded:
    """Return a response with its usage; the first one of a run is canned, so that its usage is null and its cost 0."""
    usage, raw = as_dict(message.get("usage")), as_dict(message.get("raw_data"))
    return ModelResponded(
        content=message.get("content"),
        reasoning=as_text(message.get("reasoning")),
        finish_reason=as_text(raw.get("finish_reason")),
        input_tokens=as_int(usage.get("prompt_tokens")),
        output_tokens=as_int(usage.get("completion_tokens")),
        cost_usd=as_float(message.get("cost")),
        raw=raw or None,
    )


def _failure(message: Message) -> Failure | None:
    return Failure(message=plain_text(message.get("content")) or "error") if message.get("error") is True else None


FORMAT = register(
    Format(
        name="tau2-bench",
        title="tau2-bench results",
        detect=detect,
        read=read,
        example='{"timestamp": …, "info": {"agent_info": …}, "tasks": […], "simulations": [{"id": …}]}',
    )
)
