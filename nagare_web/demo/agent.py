"""A small agent: a context of messages, and a loop of model turn, tool calls, results, each step put into the journal.

The loop and its tools are real. Only the model is not: a scripted policy stands in for it (`turns.Policy`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

from journal.domain import agent_run as run
from journal.domain.agent_run import AgentRunEvent
from journal.domain.codec import text
from journal.domain.event import Cause
from journal.domain.text import plain
from journal.store import EventStore
from nagare_web.demo import file_tools, shop_tools  # noqa: F401 -- they register their tools
from nagare_web.demo.clock import Clock, TimeIsUp
from nagare_web.demo.ids import conversation_id, stream_of
from nagare_web.demo.prices import cost_usd, latency_ms, tokens
from nagare_web.demo.run_log import Origin, RunLog
from nagare_web.demo.shop import Shop
from nagare_web.demo.toolbox import TOOLS, Reply, ToolError, World, use
from nagare_web.demo.turns import Call, HandOff, Kind, Policy, Seen, Turn, View

SYNTHETIC: Final = {"synthetic": True, "note": "Made by a scripted stand-in for a model; synthetic data."}

_TOKENS_A_TOOL: Final = 60
_KEPT_WHEN_COMPACTED: Final = 4


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A grade or a note that somebody adds to a run after its end."""

    event: run.Graded | run.Annotated
    actor: str
    hours_later: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to be made: who does what for whom, when, and by which script."""

    key: str
    prompt: str
    agent: str
    model: str
    policy: Policy
    tools: tuple[str, ...]
    at: datetime
    subject: str | None = None
    conversation: str | None = None
    instructions: str | None = None
    budget: int = 100
    has_newest_test: bool = False
    sub_jobs: Mapping[str, Callable[[str, datetime], Job]] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @property
    def stream(self) -> str:
        """The run's stream, the same on every machine."""
        return stream_of(self.key)


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The run that handed the work off, and the event that did."""

    stream: str
    event_id: str
    agent: str
    origin: Origin


@dataclass(kw_only=True)
class Workplace:
    """What all runs share: the journal, the shop, the clock, a folder for theirs."""

    store: EventStore
    shop: Shop
    clock: Clock
    folder: Path
    events: int = 0
    added: int = 0
    runs: int = 0


def perform(job: Job, place: Workplace, *, seed: int, parent: Parent | None = None) -> Agent:
    """Make the run from beginning to end, or to the present, and return the agent that made it."""
    if parent is None:
        place.clock.set(job.at)
    agent = Agent(job, place, seed=seed, parent=parent)
    agent.work()
    place.runs += 1
    place.events += agent.log.version
    place.added += agent.log.added
    return agent


class Agent:
    """One run in the making."""

    def __init__(self, job: Job, place: Workplace, *, seed: int, parent: Parent | None) -> None:
        self.job = job
        self.answer: str | None = None
        self.last_id = ""
        self._place = place
        self._seed = seed
        self._parent = parent
        self._clock = place.clock
        self._random = Random(f"{seed}/{job.key}")  # noqa: S311 -- invented delays, not secrets
        self._origin = Origin(
            stream=job.stream,
            correlation_id=parent.origin.correlation_id if parent else conversation_id(job.conversation or job.key),
            trace=parent.origin.trace if parent else f"{job.key}/trace",
            subjects=(job.subject,) if job.subject else (),
        )
        self.log = RunLog(place.store, self._origin, place.clock)
        self._world = World(
            shop=place.shop,
            folder=place.folder / job.stream,
            clock=place.clock,
            agent=job.agent,
            has_newest_test=job.has_newest_test,
        )
        self._context: list[Seen] = []
        self._unread: list[Seen] = []
        self._fresh_from = 0
        self._calls = 0
        self._turns = 0
        self._written = self._read = 0
        self._cost = 0.0

    def work(self) -> None:
        """Start, take turns until one ends the run or the step budget is used up, and let others remark on it."""
        try:
            self._start()
            while self._turns < self.job.budget:
                if self._take_turn():
                    break
            else:
                self._abort(f"step budget of {self.job.budget} turns used up without an answer")
            self._add_remarks()
        except TimeIsUp:
            pass
        self.log.flush()

    def _start(self) -> None:
        job, parent = self.job, self._parent
        started = run.Started(
            prompt=job.prompt,
            model=job.model,
            context=SYNTHETIC,
            agent=job.agent,
            source="demo",
            source_id=job.key,
            parent_run=parent.stream if parent else None,
            tools=job.tools,
        )
        first = self._note(started, actor=f"agent:{job.agent}", span="run", cause=parent.event_id if parent else None)
        if job.instructions:
            self._hear("system", job.instructions, name=None, cause=first)
        self._clock.pass_time(self._random.uniform(1, 40))
        self._hear("agent" if parent else "user", job.prompt, name=parent.agent if parent else None, cause=first)

    def _hear(self, role: str, said: str, *, name: str | None, cause: str | None) -> Seen:
        speaker = name or (self.job.subject or "on-call" if role == "user" else None)
        actor = f"{role}:{speaker}" if speaker else role
        ident = self._note(
            run.MessageReceived(role=role, content=said, name=name), actor=actor, span="run", cause=cause
        )
        return self._see("message", ident, said)

    def _take_turn(self) -> bool:
        """Ask the model once and do what it says; returns whether that ended the run."""
        turn = self.job.policy(View(request=self.job.prompt, turns=self._turns, items=tuple(self._context)))
        response = self._ask_model(turn)
        self._turns += 1
        for key, value in turn.remembers.items():
            self._note(run.MemoryWritten(key=key, value=value), actor=self._actor, span=self._span, cause=response)
        if turn.answer is not None:
            self._give_answer(turn, response)
        elif turn.gives_up is not None:
            self._abort(turn.gives_up, cause=response)
        elif turn.hand_off is not None:
            self._hand_off(turn.hand_off, response)
        else:
            self._call_tools(turn, response)
        if turn.summary is not None:
            self._compact(turn.summary)
        return turn.answer is not None or turn.gives_up is not None

    def _ask_model(self, turn: Turn) -> str:
        unread, self._unread = self._unread, []
        sent = tuple({"version": item.version} for item in self._context)
        called = self._note(
            run.ModelCalled(model=self.job.model, params={"temperature": 0.2, "max_tokens": 4096}, messages=sent),
            actor=self._actor,
            span=self._span,
            cause=unread[-1].event_id if unread else self.last_id,
        )
        response = self._measured(turn)
        self._clock.pass_time(response.latency_ms or 0)
        results = [item for item in unread if item.kind in ("result", "failure")]
        ident = self._note(
            response,
            actor=f"model:{self.job.model}",
            span=self._span,
            cause=called,
            causes=_causes(read=(*results, *turn.rereads), quoted=turn.uses),
        )
        self._see("response", ident, turn.says, is_read=True)
        return ident

    def _measured(self, turn: Turn) -> run.ModelResponded:
        """Count the turn's tokens by the length of its text, and price it."""
        model = self.job.model
        read = sum(tokens(item.text) for item in self._context) + _TOKENS_A_TOOL * len(self.job.tools)
        cached = sum(tokens(item.text) for item in self._context[: self._fresh_from])
        wanted = " ".join(text(dict(call.arguments)) for call in turn.calls)
        written = tokens(turn.says) + tokens(turn.thinking or "") + tokens(wanted)
        cost = cost_usd(model, read=read, cached=cached, written=written)
        self._fresh_from = len(self._context)
        self._read, self._written, self._cost = self._read + read, self._written + written, self._cost + cost
        return run.ModelResponded(
            content=turn.says,
            reasoning=turn.thinking,
            finish_reason="tool_calls" if turn.calls else "stop",
            input_tokens=read,
            output_tokens=written,
            cached_tokens=cached,
            cost_usd=cost,
            latency_ms=latency_ms(model, read=read, written=written, jitter=self._random.random()),
        )

    def _call_tools(self, turn: Turn, response: str) -> None:
        """Decide on every call first, as a model does that asks for several at once, then carry them out."""
        decided = [(call, *self._decide(call, turn, response)) for call in turn.calls]
        for call, call_id, ident in decided:
            self._carry_out(call, call_id, ident)

    def _decide(self, call: Call, turn: Turn, response: str) -> tuple[str, str]:
        self._calls += 1
        call_id = f"c_{self._calls:02d}"
        arguments = text(dict(call.arguments))
        ident = self._note(
            run.Reasoned(thought=call.because or turn.says, tool_name=call.tool, args_json=arguments, call_id=call_id),
            actor=self._actor,
            span=call_id,
            cause=response,
            causes=_causes(quoted=call.uses, authorised=(call.allowed_by,) if call.allowed_by else ()),
        )
        self._see("call", ident, f"{call.tool} {arguments}", tool=call.tool, arguments=call.arguments, is_read=True)
        return call_id, ident

    def _carry_out(self, call: Call, call_id: str, decision: str) -> None:
        slowest = TOOLS[call.tool].slowest_ms if call.tool in TOOLS else 10
        took = round(slowest * (0.1 + 0.9 * self._random.random() ** 3), 1)
        self._clock.pass_time(took)
        actor = f"tool:{call.tool}"
        try:
            value = use(call.tool, self._world, dict(call.arguments))
        except ToolError as error:
            failed = run.ToolFailed(
                tool_name=call.tool, call_id=call_id, error_code=error.code, message=error.message, latency_ms=took
            )
            ident = self._note(failed, actor=actor, span=call_id, cause=decision)
            self._see("failure", ident, error.message, tool=call.tool, arguments=call.arguments)
            return
        result = value.value if isinstance(value, Reply) else value
        returned = run.ToolReturned(tool_name=call.tool, call_id=call_id, response_json=text(result), latency_ms=took)
        ident = self._note(returned, actor=actor, span=call_id, cause=decision)
        said = result["content"] if isinstance(result, dict) and "content" in result else plain(result)
        self._see("result", ident, said, tool=call.tool, arguments=call.arguments, value=result)
        if isinstance(value, Reply):
            self._clock.pass_time(self._random.uniform(20_000, 240_000))
            self._hear("user", value.says, name=value.name, cause=ident)

    def _hand_off(self, hand_off: HandOff, response: str) -> None:
        """Let another agent work; its answer comes back as a message, caused by that very answer in the other run."""
        child = self.job.sub_jobs[hand_off.to_agent](hand_off.instruction, self._clock.now)
        event = run.HandedOff(to_agent=hand_off.to_agent, child_run=child.stream, instruction=hand_off.instruction)
        ident = self._note(event, actor=self._actor, span=f"to {hand_off.to_agent}", cause=response)
        self.log.flush()
        parent = Parent(stream=self.job.stream, event_id=ident, agent=self.job.agent, origin=self._origin)
        done = perform(child, self._place, seed=self._seed, parent=parent)
        self._clock.pass_time(5)
        self._hear("agent", done.answer or "I could not do it.", name=hand_off.to_agent, cause=done.last_id)

    def _compact(self, summary: str) -> None:
        request = [item for item in self._context if item.kind == "message"][:2]
        kept = [*request, *(item for item in self._context[-_KEPT_WHEN_COMPACTED:] if item not in request)]
        dropped = [item for item in self._context if item not in kept]
        event = run.ContextCompacted(
            summary=summary,
            dropped_versions=tuple(item.version for item in dropped),
            kept_versions=tuple(item.version for item in kept),
        )
        ident = self._note(event, actor=self._actor, span=self._span, cause=self.last_id)
        self._context = kept
        self._fresh_from = 0
        self._see("summary", ident, summary)

    def _give_answer(self, turn: Turn, response: str) -> None:
        self.answer = turn.answer
        event = run.Answered(
            response=turn.answer,
            tokens_used=self._read + self._written,
            cost_usd=round(self._cost, 6),
            input_tokens=self._read,
            output_tokens=self._written,
        )
        self._note(event, actor=self._actor, span="run", cause=response, causes=_causes(quoted=turn.uses))

    def _abort(self, reason: str, cause: str | None = None) -> None:
        self._note(run.Aborted(reason=reason), actor=self._actor, span="run", cause=cause or self.last_id)

    def _add_remarks(self) -> None:
        ended = self.last_id
        for remark in self.job.remarks:
            self._clock.pass_time(remark.hours_later * 3_600_000)
            self._note(remark.event, actor=remark.actor, span="remark", cause=ended)

    @property
    def _actor(self) -> str:
        return f"agent:{self.job.agent}"

    @property
    def _span(self) -> str:
        return f"turn {self._turns}"

    def _note(
        self, event: AgentRunEvent, *, actor: str, span: str, cause: str | None, causes: tuple[Cause, ...] = ()
    ) -> str:
        self.last_id = self.log.add(event, actor=actor, span=span, cause=cause, causes=causes)
        return self.last_id

    def _see(self, kind: Kind, ident: str, said: str, *, is_read: bool = False, **more: Any) -> Seen:
        item = Seen(version=self.log.version, event_id=ident, kind=kind, text=said, **more)
        self._context.append(item)
        if not is_read:
            self._unread.append(item)
        return item


def _causes(
    *, read: tuple[Seen, ...] = (), quoted: tuple[Seen, ...] = (), authorised: tuple[Seen, ...] = ()
) -> tuple[Cause, ...]:
    """Return one cause for each item; where an item is both read and quoted, quoting says more."""
    kinds: dict[str, Cause] = {}
    for item in read:
        kinds[item.event_id] = Cause(id=item.event_id, kind="read")
    for item in quoted:
        kinds[item.event_id] = Cause(id=item.event_id, kind="quoted")
    for item in authorised:
        kinds[item.event_id] = Cause(id=item.event_id, kind="authorised")
    return tuple(kinds.values())
