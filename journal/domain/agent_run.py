"""The events of an agent run (contract §3). Its state and how events change it: `run_state`.

Every field has a default: what a source does not record is absent, never invented. `argsJson` and `responseJson` are
JSON as text, so that a model's malformed arguments are kept as it wrote them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from journal.domain.catalog import Unknown, catalog

CATEGORY: Final = "agent_run"


class _Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Camel-case keys on the wire; what is at its default is left out."""


@catalog.event("agent_run.started")
class Started(_Data, frozen=True, kw_only=True):
    """A run began: what was asked, of which agent and model, with which tools."""

    prompt: str | None = None
    model: str | None = None
    context: dict[str, Any] = {}
    agent: str | None = None
    source: str | None = None
    source_id: str | None = None
    parent_run: str | None = None
    tools: tuple[Any, ...] = ()


@catalog.event("agent_run.message_received")
class MessageReceived(_Data, frozen=True, kw_only=True):
    """A user, another agent, a system prompt or the environment speaks. `content` is text, or blocks as recorded."""

    role: str = "user"
    content: Any = ""
    name: str | None = None


@catalog.event("agent_run.model_called")
class ModelCalled(_Data, frozen=True, kw_only=True):
    """A request to a model. `messages` is what was sent: `{"version": n}` for an earlier event, else the message.

    `request` is the request itself as the recorder saw it on its way, less what an earlier one of the run held already
    (`journal.recorder.requests`): what a replay compares with.
    """

    model: str | None = None
    params: dict[str, Any] = {}
    messages: tuple[Any, ...] = ()
    request: dict[str, Any] | None = None


@catalog.event("agent_run.model_responded")
class ModelResponded(_Data, frozen=True, kw_only=True):
    """One response of the model: one decision. Tokens are counts, `cost_usd` dollars, `latency_ms` milliseconds."""

    content: Any = None
    reasoning: str | None = None
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    raw: Any = None


@catalog.event("agent_run.reasoned")
class Reasoned(_Data, frozen=True, kw_only=True):
    """The decision to call one tool: the model's stated thought, the tool, its arguments as JSON text."""

    thought: str | None = None
    tool_name: str = ""
    args_json: str = "{}"
    call_id: str | None = None


@catalog.event("agent_run.tool_returned")
class ToolReturned(_Data, frozen=True, kw_only=True):
    """A tool's result, as JSON text. `is_partial` where that says less than what the tool gave back.

    `args_json` is what the tool was called with, where that is not what was decided.
    """

    tool_name: str = ""
    call_id: str | None = None
    response_json: str = "null"
    latency_ms: float | None = None
    is_partial: bool = False
    args_json: str | None = None


@catalog.event("agent_run.tool_failed")
class ToolFailed(_Data, frozen=True, kw_only=True):
    """A tool call that ended in an error. `args_json` as in `ToolReturned`."""

    tool_name: str = ""
    call_id: str | None = None
    error_code: str | None = None
    message: str | None = None
    latency_ms: float | None = None
    args_json: str | None = None


@catalog.event("agent_run.handed_off")
class HandedOff(_Data, frozen=True, kw_only=True):
    """Work given to another agent; `child_run` is its stream where it is known."""

    to_agent: str | None = None
    child_run: str | None = None
    instruction: str | None = None


@catalog.event("agent_run.context_compacted")
class ContextCompacted(_Data, frozen=True, kw_only=True):
    """Earlier events left the model's context and a summary took their place."""

    summary: str | None = None
    dropped_versions: tuple[int, ...] = ()
    kept_versions: tuple[int, ...] = ()


@catalog.event("agent_run.memory_written")
class MemoryWritten(_Data, frozen=True, kw_only=True):
    """The agent stored something to be known later."""

    key: str = ""
    value: Any = None


@catalog.event("agent_run.answered")
class Answered(_Data, frozen=True, kw_only=True):
    """The agent's answer. Token and cost fields are the source's own totals for the run, where it gives them."""

    response: Any = None
    tokens_used: int | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@catalog.event("agent_run.aborted")
class Aborted(_Data, frozen=True, kw_only=True):
    """The run ended without an answer."""

    reason: str | None = None


class GradedRun(_Data, frozen=True, kw_only=True):
    """Which run a verdict is about that does not stand in the run's own stream, and what it was found with.

    The run was judged up to `version`, by its events from `since` to `until` where that is not all of them. `event_id`,
    `event_type`, `position` and `occurred_at` are those of the first event that breaks the rule, or on which the rule
    went wrong; `tool` is the tool of its call. `previous` is the verdict of `previous_version` of the rule.
    """

    stream: str
    version: int
    rule_version: int = 1
    digest: str = ""
    state_code: str = ""
    job: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    event_id: str | None = None
    event_type: str | None = None
    position: int | None = None
    occurred_at: datetime | None = None
    tool: str | None = None
    model: str | None = None
    agent: str | None = None
    started_at: datetime | None = None
    flips: int = 0
    previous: str | None = None
    previous_version: int | None = None


@catalog.event("agent_run.graded")
class Graded(_Data, frozen=True, kw_only=True):
    """A verdict on the run, or on one event of it: by a rule, a benchmark or a person.

    A verdict that a re-grade comes to stands in a stream of its own, so that it changes no run: `run` says which run it
    is about, and `at_version` is the version there. The rule `outcome` carries the source's own label of how the run
    ended: `verdict` is the outcome's status and `raw` the label as the source wrote it.
    """

    rule: str | None = None
    by: str | None = None
    verdict: str | None = None
    score: float | None = None
    message: str | None = None
    at_version: int | None = None
    raw: Any = None
    run: GradedRun | None = None


@catalog.event("agent_run.annotated")
class Annotated(_Data, frozen=True, kw_only=True):
    """A note on an event."""

    by: str | None = None
    text: str | None = None
    at_version: int | None = None
    label: str | None = None


@catalog.event("source.recorder.model_failed")
class ModelFailed(_Data, frozen=True, kw_only=True):
    """A request that got no response of a model: refused, cut off before the first word, or not answered at all.

    No decision, and so no part of the run's totals; a client that tries again sends another request.
    """

    model: str | None = None
    status: int | None = None
    error_code: str | None = None
    message: str | None = None
    latency_ms: float | None = None
    raw: Any = None


AgentRunEvent = (
    Started
    | MessageReceived
    | ModelCalled
    | ModelResponded
    | Reasoned
    | ToolReturned
    | ToolFailed
    | HandedOff
    | ContextCompacted
    | MemoryWritten
    | Answered
    | Aborted
    | Graded
    | Annotated
)

AnyEvent = AgentRunEvent | Unknown
