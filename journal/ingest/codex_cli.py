"""Codex CLI rollouts: `~/.codex/sessions/<year>/<month>/<day>/rollout-<time>-<thread id>.jsonl`.

A file is one run, its lines read by `codex_rollout`. Until the summer of 2025 the file was flat: a head without a type,
then bare items; these are given the envelope of today.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from journal.domain.agent_run import Started
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.codex_rollout import SPAWNING_TOOLS, Line, Responses, Rollout
from journal.ingest.draft import EVERY_COUNT, Count, RunDraft
from journal.ingest.lenient import as_dict, as_int, as_text
from journal.ingest.source import Source, decode, moment
from journal.ingest.transcript import picked, spoken

NAME = "codex-cli"
_TYPES = frozenset(
    (
        "session_meta",
        "turn_context",
        "response_item",
        "event_msg",
        "compacted",
        "world_state",
        "inter_agent_communication",
        "inter_agent_communication_metadata",
    )
)
_SETTING = (
    "cwd",
    "originator",
    "cli_version",
    "source",
    "model_provider",
    "git",
    "forked_from_id",
    "parent_thread_id",
    "agent_nickname",
    "agent_role",
    "thread_source",
    "memory_mode",
    "history_mode",
)


def detect(source: Source) -> bool:
    """Tell a rollout by the envelope of its first lines, a flat one by its head and the state lines or items after."""
    found = [value for value in source.head if isinstance(value, dict)]
    if any(as_text(value.get("type")) in _TYPES and isinstance(value.get("payload"), dict) for value in found):
        return True
    flat = ("message", "reasoning", "function_call")
    return (
        bool(found)
        and _is_flat_head(found[0])
        and all("record_type" in value or value.get("type") in flat for value in found[1:3])
    )


def _is_flat_head(value: dict[str, Any]) -> bool:
    return {"id", "timestamp", "instructions"} <= value.keys() and "type" not in value


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the rollout's run."""
    lines = list(_lines(source))
    if not lines:
        return
    responses = Responses.of(lines)
    head = _head(lines)
    name = as_text(head.get("id")) or source.path.stem
    recorded: frozenset[Count] = EVERY_COUNT - {"cost_usd"}
    if not responses.counts_tokens:
        recorded -= {"input_tokens", "output_tokens"}
    yield RunDraft(
        source_id=name,
        events=Rollout(lines, _started(lines, head, name), responses).events(),
        recorded=recorded,
        totals=_totals(responses),
        parent=_spawner(source, head, name),
        correlation=as_text(head.get("session_id")) or name,
    )


def _lines(source: Source) -> Iterator[Line]:
    for number, value in source.lines():
        if not isinstance(value, dict):
            source.note("a JSON value that is no object; a rollout has one object a line", line=number)
            continue
        kind, payload = as_text(value.get("type")) or "", value.get("payload")
        if not isinstance(payload, dict):
            kind, payload = _enveloped(kind, value)
        yield Line(number=number, at=moment(value.get("timestamp")), type=kind, payload=payload, record=value)


def _enveloped(kind: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return (type, payload) of a line without a payload: of a flat file's head, its items and its state."""
    if _is_flat_head(value):
        return "session_meta", value
    if kind in ("message", "reasoning") or kind.endswith(("_call", "_call_output")):
        return "response_item", value
    return kind or as_text(value.get("record_type")) or "record", {}


def _head(lines: list[Line]) -> dict[str, Any]:
    """Return the session's own head: the first, since a fork copies its parent's behind it."""
    return next((line.payload for line in lines if line.type == "session_meta"), {})


def _started(lines: list[Line], head: dict[str, Any], name: str) -> Started:
    turn = next((line.payload for line in lines if line.type == "turn_context"), {})
    asked = next((line for line in lines if line.is_human), None)
    tools = head.get("dynamic_tools")
    setting = {
        **picked(turn, "cwd", "approval_policy", "sandbox_policy", "effort", "summary", "personality", "timezone"),
        **picked(head, *_SETTING),
    }
    return Started(
        prompt=spoken(asked.payload.get("content")) if asked else None,
        model=as_text(turn.get("model")),
        agent=as_text(head.get("agent_nickname")) or as_text(head.get("agent_role")) or NAME,
        source=NAME,
        source_id=name,
        tools=tuple(tools if isinstance(tools, list) else [tools]) if tools else (),
        context=setting,
    )


def _totals(responses: Responses) -> dict[Count, int | float]:
    """Return the tokens of the run where some were counted for no response of the file; else its events say it all."""
    if not responses.stray_usage:
        return {}
    usage = [*responses.stray_usage, *(one for found in responses.by_line.values() for one in found.usage)]
    return {
        "input_tokens": sum(as_int(one.get("input_tokens")) or 0 for one in usage),
        "output_tokens": sum(as_int(one.get("output_tokens")) or 0 for one in usage),
    }


def _spawner(source: Source, head: dict[str, Any], name: str) -> tuple[str, str | None] | None:
    """Return the run and the event that started this thread as a sub-agent; None where no agent did.

    The parent's rollout tells which call it was: the one whose result names this thread.
    """
    spawn = as_dict(as_dict(as_dict(head.get("source")).get("subagent")).get("thread_spawn"))
    parent = as_text(spawn.get("parent_thread_id")) or as_text(head.get("parent_thread_id"))
    if parent is None:
        return None
    for path in source.siblings():
        data = source.sibling(path) if PurePosixPath(path).stem.endswith(parent) else None
        key = _handoff_in(data, name) if data else None
        if key:
            return parent, key
    return parent, None


def _handoff_in(data: bytes, thread: str) -> str | None:
    """Return the key of the event in a parent's rollout that handed work to `thread`."""
    spawned: dict[str | None, str] = {}
    marks = (thread.encode(), *(f'"{tool}"'.encode() for tool in SPAWNING_TOOLS))
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not any(mark in raw for mark in marks):
            continue
        try:
            payload = as_dict(as_dict(decode(raw)).get("payload"))
        except ImportRefused:
            continue
        call_id = as_text(payload.get("call_id"))
        if payload.get("type") == "function_call" and as_text(payload.get("name")) in SPAWNING_TOOLS:
            spawned[call_id] = f"line {number}.handoff"
        elif call_id in spawned and thread.encode() in raw:
            return spawned[call_id]
    return None


register(
    Format(
        name=NAME,
        title="Codex CLI rollout",
        detect=detect,
        read=read,
        order=30,
        example='{"timestamp":"…","type":"session_meta","payload":{"id":"…","cwd":"…","cli_version":"…"}}',
    )
)
