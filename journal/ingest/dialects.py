"""Attribute names to meanings: a table per dialect, chosen span by span.

Every producer of GenAI spans has its own names, and one trace mixes several: an agent framework's spans around those of
an instrumented client library. Adding a dialect is adding a `Dialect` to `DIALECTS`; no code knows a vendor.

An entry of `Dialect.names` is read in order, the first that holds something wins:

| written | is |
|---|---|
| `gen_ai.tool.name` | that attribute |
| `gen_ai.prompt.*` | the numbered attributes below it, as a list of flat dicts |
| `llm_request > config.tools` | that attribute, decoded from JSON, and the place in it |
| `a + b` | the sum of two counts |
| `event:gen_ai.choice` | the span events and log records of that name, as a list |

A span event or log record that carries attributes of the same names (`gen_ai.client.inference.operation.details`)
counts as if they stood on the span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["llm", "tool", "agent", "turn", "other"]
Meaning = Literal[
    "agent", "conversation", "session", "user", "model", "parameters", "system", "input", "output", "tools", "finish",
    "input_tokens", "output_tokens", "cached_tokens", "cost", "tool", "call_id", "arguments", "result", "error",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """One producer's names.

    `marks` are attribute names, or beginnings of them ending in a dot, of which one tells the dialect. `roles` gives
    the role by an attribute's value; `evidence` are attributes that only a span of a model call has. `parameters` are
    beginnings of names of request parameters. `not_tools` are tool names that stand for no call.
    """

    name: str
    marks: tuple[str, ...] = ()
    roles: Mapping[str, Mapping[str, Role]] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    names: Mapping[Meaning, tuple[str, ...]] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    not_tools: frozenset[str] = frozenset()


LANGFUSE = Dialect(
    name="langfuse",
    marks=("langfuse.observation.",),
    roles={
        "langfuse.observation.type": {
            "generation": "llm", "tool": "tool", "agent": "agent", "span": "other", "event": "other", "chain": "other",
            "retriever": "other", "evaluator": "other", "embedding": "other", "guardrail": "other",
        },
    },
    names={
        "session": ("langfuse.session.id",),
        "user": ("langfuse.user.id",),
        "model": ("langfuse.observation.model.name",),
        "parameters": ("langfuse.observation.model.parameters",),
        "input_tokens": ("langfuse.observation.usage_details > input",),
        "output_tokens": ("langfuse.observation.usage_details > output",),
        "cached_tokens": ("langfuse.observation.usage_details > input_cache_read",),
        "cost": ("langfuse.observation.cost_details > total",),
        "error": ("langfuse.observation.status_message",),
    },
)  # fmt: skip
LANGFUSE_CONTENT = Dialect(
    name="langfuse_content",
    marks=("langfuse.observation.",),
    names={
        "system": ("langfuse.observation.model.parameters > instructions",),
        "input": ("langfuse.observation.input",),
        "output": ("langfuse.observation.output",),
        "arguments": ("langfuse.observation.input",),
        "result": ("langfuse.observation.output",),
    },
)
"""Last, since it is what Langfuse made of the attributes before it: a shorter form, and sometimes an empty one."""
OPENINFERENCE = Dialect(
    name="openinference",
    marks=("openinference.span.kind", "llm.input_messages.", "llm.output_messages."),
    roles={
        "openinference.span.kind": {
            "LLM": "llm", "TOOL": "tool", "AGENT": "agent", "CHAIN": "other", "RETRIEVER": "other", "RERANKER": "other",
            "EMBEDDING": "other", "GUARDRAIL": "other", "EVALUATOR": "other", "PROMPT": "other", "DECISION": "other",
        },
    },
    names={
        "agent": ("agent.name", "graph.node.id"),
        "session": ("session.id",),
        "user": ("user.id",),
        "model": ("llm.model_name",),
        "parameters": ("llm.invocation_parameters",),
        "input": ("llm.input_messages.*", "input.value"),
        "output": ("llm.output_messages.*", "output.value"),
        "tools": ("llm.tools.*",),
        "finish": ("llm.finish_reason",),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "cached_tokens": ("llm.token_count.prompt_details.cache_read",),
        "cost": ("llm.cost.total",),
        "tool": ("tool.name", "tool_call.function.name"),
        "call_id": ("tool_call.id", "tool.id"),
        "arguments": ("tool.parameters", "tool_call.function.arguments", "input.value"),
        "result": ("output.value",),
    },
)  # fmt: skip
VERCEL = Dialect(
    name="vercel",
    marks=("ai.operationId",),
    roles={
        "ai.operationId": {
            "ai.generateText.doGenerate": "llm", "ai.streamText.doStream": "llm",
            "ai.generateObject.doGenerate": "llm", "ai.streamObject.doStream": "llm", "ai.toolCall": "tool",
            "ai.generateText": "turn", "ai.streamText": "turn", "ai.generateObject": "turn", "ai.streamObject": "turn",
            "ai.embed": "other", "ai.embed.doEmbed": "other",
        },
    },
    names={
        "agent": ("ai.telemetry.functionId",),
        "session": ("ai.telemetry.metadata.sessionId",),
        "user": ("ai.telemetry.metadata.userId",),
        "model": ("ai.model.id",),
        "input": ("ai.prompt.messages", "ai.prompt"),
        "output": ("ai.response", "ai.response.toolCalls", "ai.response.text", "ai.response.object"),
        "tools": ("ai.prompt.tools",),
        "finish": ("ai.response.finishReason",),
        "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens"),
        "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "cached_tokens": ("ai.usage.cachedInputTokens",),
        "tool": ("ai.toolCall.name",),
        "call_id": ("ai.toolCall.id",),
        "arguments": ("ai.toolCall.args",),
        "result": ("ai.toolCall.result",),
    },
    parameters=("ai.settings.",),
)  # fmt: skip
CLAUDE_CODE = Dialect(
    name="claude_code",
    marks=("span.type",),
    roles={
        "span.type": {
            "llm_request": "llm", "tool": "tool", "interaction": "turn", "tool.execution": "other",
            "tool.blocked_on_user": "other", "hook": "other",
        },
    },
    names={
        "session": ("session.id",),
        "user": ("user.id",),
        "model": ("model",),
        "input": ("user_prompt",),
        "output": ("response",),
        "finish": ("stop_reason",),
        "input_tokens": ("gen_ai.usage.input_tokens", "input_tokens + cache_read_tokens + cache_creation_tokens"),
        "output_tokens": ("output_tokens",),
        "cached_tokens": ("cache_read_tokens",),
        "tool": ("tool_name",),
        "call_id": ("tool_use_id",),
        "arguments": ("tool_input", "tool_parameters", "{full_command file_path skill_name subagent_type}"),
        "result": ("event:tool.output > 0.output", "event:tool.output > 0.content"),
        "error": ("error",),
    },
)  # fmt: skip
ADK = Dialect(
    name="adk",
    marks=("gcp.vertex.agent.",),
    evidence=("gcp.vertex.agent.llm_request",),
    names={
        "session": ("gcp.vertex.agent.session_id",),
        "system": ("gcp.vertex.agent.llm_request > config.system_instruction",),
        "input": ("gcp.vertex.agent.llm_request > contents",),
        "output": ("gcp.vertex.agent.llm_response > content",),
        "tools": ("gcp.vertex.agent.llm_request > config.tools",),
        "arguments": ("gcp.vertex.agent.tool_call_args",),
        "result": ("gcp.vertex.agent.tool_response",),
    },
    not_tools=frozenset(("(merged tools)", "(merged)")),
)
TRACELOOP = Dialect(
    name="traceloop",
    marks=("traceloop.", "llm.request.type", "gen_ai.prompt.", "gen_ai.completion."),
    roles={
        "traceloop.span.kind": {"tool": "tool", "agent": "agent", "workflow": "other", "task": "other"},
        "llm.request.type": {"chat": "llm", "completion": "llm", "embedding": "other", "rerank": "other"},
    },
    evidence=("gen_ai.prompt.", "gen_ai.completion."),
    names={
        "agent": ("traceloop.entity.name",),
        "conversation": ("traceloop.association.properties.conversation_id",),
        "session": ("traceloop.association.properties.session_id", "traceloop.association.properties.thread_id"),
        "user": ("traceloop.association.properties.user_id",),
        "input": ("gen_ai.prompt.*", "traceloop.entity.input"),
        "output": ("gen_ai.completion.*", "traceloop.entity.output"),
        "tools": ("llm.request.functions.*",),
        "cached_tokens": ("gen_ai.usage.cache_read_input_tokens",),
        "tool": ("traceloop.entity.name",),
        "arguments": ("traceloop.entity.input > inputs", "traceloop.entity.input"),
        "result": ("traceloop.entity.output > output", "traceloop.entity.output"),
    },
)
LANGSMITH = Dialect(
    name="langsmith",
    marks=("langsmith.span.kind",),
    roles={
        "langsmith.span.kind": {
            "llm": "llm", "tool": "tool", "chain": "other", "retriever": "other", "embedding": "other",
            "prompt": "other", "parser": "other",
        },
    },
    names={
        "session": ("langsmith.metadata.session_id", "langsmith.metadata.thread_id"),
        "input": ("gen_ai.prompt",),
        "output": ("gen_ai.completion",),
        "arguments": ("gen_ai.prompt > input", "gen_ai.prompt"),
        "result": ("gen_ai.completion",),
    },
)  # fmt: skip
GENAI = Dialect(
    name="genai",
    marks=("gen_ai.",),
    evidence=("event:gen_ai.client.inference.operation.details",),
    roles={
        "gen_ai.operation.name": {
            "chat": "llm", "generate_content": "llm", "text_completion": "llm", "execute_tool": "tool",
            "invoke_agent": "agent", "invoke_workflow": "turn", "create_agent": "other", "embeddings": "other",
            "retrieval": "other", "plan": "other",
        },
    },
    names={
        "agent": ("gen_ai.agent.name", "gen_ai.agent.id"),
        "conversation": ("gen_ai.conversation.id",),
        "session": ("session.id",),
        "user": ("user.id", "enduser.id"),
        "model": ("gen_ai.request.model", "gen_ai.response.model"),
        "system": ("gen_ai.system_instructions",),
        "input": ("gen_ai.input.messages",),
        "output": ("gen_ai.output.messages",),
        "tools": ("gen_ai.tool.definitions",),
        "finish": ("gen_ai.response.finish_reasons",),
        "input_tokens": ("gen_ai.usage.input_tokens",),
        "output_tokens": ("gen_ai.usage.output_tokens",),
        "cached_tokens": ("gen_ai.usage.cache_read.input_tokens",),
        "cost": ("gen_ai.usage.cost",),
        "tool": ("gen_ai.tool.name",),
        "call_id": ("gen_ai.tool.call.id",),
        "arguments": ("gen_ai.tool.call.arguments",),
        "result": ("gen_ai.tool.call.result",),
        "error": ("error.message",),
    },
    parameters=("gen_ai.request.",),
)  # fmt: skip
GENAI_OLD = Dialect(
    name="genai_old",
    marks=("gen_ai.",),
    evidence=("gen_ai.usage.", "gen_ai.response.finish_reason", "event:gen_ai.choice"),
    names={
        "input": (
            "event:messages", "event:gen_ai.content.prompt > 0.gen_ai.prompt", "gen_ai.prompt.*", "gen_ai.prompt",
        ),
        "output": (
            "event:gen_ai.choice", "event:gen_ai.content.completion > 0.gen_ai.completion", "gen_ai.completion.*",
            "gen_ai.completion",
        ),
        "finish": ("gen_ai.response.finish_reason",),
        "input_tokens": ("gen_ai.usage.prompt_tokens",),
        "output_tokens": ("gen_ai.usage.completion_tokens",),
        "cached_tokens": ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cached_tokens"),
    },
)  # fmt: skip

DIALECTS = (
    LANGFUSE, OPENINFERENCE, VERCEL, CLAUDE_CODE, ADK, TRACELOOP, LANGSMITH, GENAI, GENAI_OLD, LANGFUSE_CONTENT,
)  # fmt: skip
"""In the order they are asked: what a framework says about a span is more telling than what it shares with others."""
