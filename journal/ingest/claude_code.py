"""Claude Code sessions: `~/.claude/projects/<folder>/<session id>.jsonl`, and the files of their sub-agents.

A file is one run. Sub-agents are runs of their own: newer versions write each to
`<session id>/subagents/agent-<id>.jsonl` or `agent-<id>.jsonl` beside the session, older ones into its file, as
sidechains. `claude_session` reads the records of one run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from journal.domain.agent_run import Started
from journal.errors import ImportRefused
from journal.ingest import Format, register
from journal.ingest.claude_session import DELEGATING_TOOLS, Record, Session, call_key, handoff_key
from journal.ingest.draft import EVERY_COUNT, Link, RunDraft
from journal.ingest.lenient import as_dict, as_text, fingerprint
from journal.ingest.source import Source, decode
from journal.ingest.transcript import picked, spoken

NAME = "claude-code"
_RECORDED = EVERY_COUNT - {"cost_usd"}
_SESSION_FILE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_SETTING = ("cwd", "version", "gitBranch", "entrypoint", "sessionId", "agentId", "slug")


def detect(source: Source) -> bool:
    """Tell a session by any of its first records: the envelope of a message, or one of the records without one."""
    return any(isinstance(value, dict) and _is_record(value) for value in source.head)


def _is_record(value: dict[str, Any]) -> bool:
    match value.get("type"):
        case "summary":
            return "leafUuid" in value
        case "file-history-snapshot":
            return "messageId" in value and isinstance(value.get("snapshot"), dict)
        case "queue-operation":
            return "operation" in value and "sessionId" in value
        case "user" | "assistant":
            return isinstance(value.get("message"), dict) and "uuid" in value and "sessionId" in value
        case "system" | "progress" | "attachment":
            return "uuid" in value and "sessionId" in value
        case _:
            return False


def read(source: Source) -> Iterator[RunDraft]:
    """Yield the session's run, then those of the sub-agents whose records stand in the same file."""
    records = list(_records(source))
    if not records:
        return
    name = source_id(source.path, records)
    main, children = _split(records, name)
    spawner = _spawner(source, records)
    named = {**_agents_named(main), **{child.task.key: f"{name}/{child.root}" for child in children}}
    session = Session(main, _started(main, name, spawner.agent if spawner else None), children=named)
    yield RunDraft(
        source_id=name,
        events=session.events(),
        recorded=_RECORDED,
        parent=(spawner.run, spawner.key) if spawner else None,
        correlation=_session_id(records),
    )
    for child in children:
        yield _child_run(child, name, session)


def _records(source: Source) -> Iterator[Record]:
    for line, value in source.lines():
        if isinstance(value, dict):
            yield Record(line, value)
        else:
            source.note("a JSON value that is no object; a session has one object a line", line=line)


def source_id(path: PurePosixPath, records: list[Record]) -> str:
    """Return what identifies a session: the id that names its file, else the one its records give.

    Sub-agents add their own id. Records that begin in the middle of a conversation are a fragment, and a run apart
    from the whole: they add the uuid they begin with.
    """
    if _SESSION_FILE.fullmatch(path.stem):
        return path.stem
    first = next((record for record in records if as_text(record.data.get("uuid"))), None)
    name = _session_id(records)
    if name is None:
        found = records[0].data
        return as_text(found.get("leafUuid")) or as_text(found.get("messageId")) or f"record {fingerprint(found)}"
    if first is None:
        return name
    agent = as_text(first.data.get("agentId")) if first.data.get("isSidechain") is True else None
    name = f"{name}/{agent}" if agent else name
    return f"{name}@{first.key}" if as_text(first.data.get("parentUuid")) else name


def _session_id(records: Iterable[Record]) -> str | None:
    return next(filter(None, (as_text(record.data.get("sessionId")) for record in records)), None)


def _started(records: list[Record], name: str, agent: str | None = None) -> Started:
    setting: dict[str, Any] = {}
    for record in records:
        setting = {**picked(record.data, *_SETTING), **setting}
        if "cwd" in setting:
            break
    models = (as_text(record.message.get("model")) for record in records if record.response_id)
    return Started(
        prompt=_prompt(records),
        model=next(filter(None, models), None),
        agent=agent or as_text(setting.get("agentId")) or NAME,
        source=NAME,
        source_id=name,
        context=setting,
    )


def _prompt(records: list[Record]) -> str | None:
    """Return what the first response was asked: a person's words before it, else what a command put in their place."""
    asked: list[Record] = []
    for record in records:
        if record.response_id and asked:
            break
        if record.type == "user" and record.data.get("isCompactSummary") is not True and record.words:
            asked.append(record)
    human = next((record for record in asked if record.is_human), None)
    chosen = human or next((record for record in asked if record.data.get("isMeta") is not True), None)
    return chosen.words if chosen else None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """A call that hands work to a sub-agent, as far as the file tells of it."""

    call_id: str | None
    key: str
    agent: str | None
    prompt: str | None


@dataclass(kw_only=True, slots=True)
class _Child:
    """A sub-agent whose records stand in its parent's file."""

    task: _Task
    root: str
    records: list[Record] = field(default_factory=list)


def _tasks(record: Record) -> Iterator[_Task]:
    if not record.response_id:
        return
    for number, block in enumerate(record.blocks):
        if block.get("type") == "tool_use" and as_text(block.get("name")) in DELEGATING_TOOLS:
            asked = as_dict(block.get("input"))
            yield _Task(
                call_id=as_text(block.get("id")),
                key=handoff_key(call_key(record, number)),
                agent=as_text(asked.get("subagent_type")),
                prompt=as_text(asked.get("prompt")),
            )


def _agents_named(records: list[Record]) -> dict[str, str]:
    """Return the run of each sub-agent with a file of its own that a result names, by the key of the hand-off to it."""
    tasks: dict[str | None, _Task] = {}
    found: dict[str, str] = {}
    for record in records:
        tasks.update({task.call_id: task for task in _tasks(record)})
        agent = as_text(as_dict(record.data.get("toolUseResult")).get("agentId"))
        session = as_text(record.data.get("sessionId"))
        for call_id in _answered_calls(record) if agent and session else []:
            if call_id in tasks:
                found[tasks[call_id].key] = f"{session}/{agent}"
    return found


def _answered_calls(record: Record) -> list[str | None]:
    blocks = record.blocks if record.type == "user" else []
    return [as_text(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]


def _split(records: list[Record], name: str) -> tuple[list[Record], list[_Child]]:
    """Part the records of the run itself from those of the sub-agents it started in the same file.

    A sidechain that no call of the file can have started is no sub-agent's but the file's own run, as in the files that
    hold one sub-agent each.
    """
    main: list[Record] = []
    waiting: list[_Task] = []
    children: list[_Child] = []
    owner: dict[str, _Child] = {}
    for record in records:
        child = owner.get(record.parent or "") if record.data.get("isSidechain") is True else None
        if child is None and record.data.get("isSidechain") is True and record.type == "user" and not record.parent:
            task = _taker(waiting, spoken(record.blocks))
            if task:
                waiting.remove(task)
                child = _Child(task=task, root=record.key)
                children.append(child)
        if child:
            child.records.append(record)
            owner[record.key] = child
            continue
        main.append(record)
        waiting.extend(_tasks(record))
        for call_id in filter(None, _answered_calls(record)):
            waiting = [task for task in waiting if task.call_id != call_id]
    return main, children


def _taker(waiting: list[_Task], prompt: str) -> _Task | None:
    """Return the open call whose prompt a sidechain begins with, else the oldest: they are started in order."""
    return next((task for task in waiting if task.prompt == prompt), waiting[0] if waiting else None)


def _child_run(child: _Child, parent: str, session: Session) -> RunDraft:
    name = f"{parent}/{child.root}"

    def in_parent(uuid: str) -> Link | None:
        key = session.keys.get(uuid)
        return Link(key, run=parent) if key else None

    reader = Session(
        child.records,
        _started(child.records, name, child.task.agent),
        links=in_parent,
    )
    return RunDraft(
        source_id=name,
        events=reader.events(),
        recorded=_RECORDED,
        parent=(parent, child.task.key),
        correlation=_session_id(child.records),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spawner:
    """What started a sub-agent: the run, and as far as its file came along, the hand-off and the kind of agent."""

    run: str
    key: str | None = None
    agent: str | None = None


def _spawner(source: Source, records: list[Record]) -> _Spawner | None:
    """Return what started the sub-agent this file is of; None where it is no sub-agent's.

    The session tells which call it was: by the sub-agent's id in a result, or before there is one, by the prompt.
    """
    first = next((record for record in records if as_text(record.data.get("uuid"))), None)
    if first is None or first.data.get("isSidechain") is not True:
        return None
    session, agent = as_text(first.data.get("sessionId")), as_text(first.data.get("agentId"))
    if session is None or agent is None:
        return None
    prompt = None if first.parent else spoken(first.blocks)
    for stem, data in _files_beside(source, session):
        run = session if stem == session else f"{session}/{stem.removeprefix('agent-')}"
        task = _task_of(data, agent, prompt)
        if task:
            return _Spawner(run=run, key=task.key, agent=task.agent)
    return _Spawner(run=session)


def _files_beside(source: Source, session: str) -> Iterator[tuple[str, bytes]]:
    """Yield (stem, bytes) of the session's own file, then of its other sub-agents, as far as they came along."""
    others = [name for name in source.siblings() if name.startswith("agent-") and name != source.path.name]
    for name in (f"{session}.jsonl", f"../../{session}.jsonl", *others):
        data = source.sibling(name)
        if data:
            yield PurePosixPath(name).stem, data


def _task_of(data: bytes, agent: str, prompt: str | None) -> _Task | None:
    """Return the call in a session's file that handed work to `agent`."""
    tasks: dict[str | None, _Task] = {}
    for record in _lines_about(data, agent):
        for task in _tasks(record):
            tasks[task.call_id] = task
        if as_dict(record.data.get("toolUseResult")).get("agentId") == agent:
            for call_id in _answered_calls(record):
                if call_id in tasks:
                    return tasks[call_id]
    same = [task for task in tasks.values() if prompt and task.prompt == prompt]
    return same[0] if len(same) == 1 else None


def _lines_about(data: bytes, agent: str) -> Iterator[Record]:
    """Decode only the lines that can tell of the sub-agent: a session is large, and looked at once for each of them."""
    marks = (agent.encode(), *(f'"{tool}"'.encode() for tool in DELEGATING_TOOLS))
    for number, line in enumerate(data.split(b"\n"), 1):
        if any(mark in line for mark in marks):
            try:
                value = decode(line)
            except ImportRefused:
                continue
            if isinstance(value, dict):
                yield Record(number, value)


register(
    Format(
        name=NAME,
        title="Claude Code session",
        detect=detect,
        read=read,
        order=30,
        example='{"type":"user","uuid":"…","parentUuid":null,"sessionId":"…","message":{"role":"user","content":"…"}}',
    )
)
