"""The state of an agent run: what it was asked, what it knows, what the model would see next (contract §3).

The fold is one `match` over the event union; each change names the version that made it, so that every leaf can be
blamed. Growing parts share their memory between forks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar, Final, overload

import msgspec

from journal.domain import agent_run as run
from journal.domain import aggregate
from journal.domain.catalog import Unknown, Withdrawn, catalog
from journal.domain.event import RecordedEvent
from journal.domain.text import clip, parsed, plain, size_bytes

CODE_VERSION: Final = 1
"""Rises when the same events would give another state; snapshots and pages name it."""

_KEY_CHARACTERS = 200
_ENDED = frozenset({"success", "failure", "error", "aborted"})
_LEAVES = frozenset(
    ("stream", "version", "status", "agent", "model", "prompt", "source", "parent_run", "reason", "tools", "totals")
) | {"failures"}
_COUNTED = {"model_responded": "decisions", "reasoned": "tool_calls", "tool_failed": "tool_errors"}
_STATUS_BY_TYPE = {"started": "running", "answered": "answered", "aborted": "aborted"}
"""What an event says by its type alone, when its payload was purged or erased."""

_TOTALS = ("decisions", "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd", "duration_ms")


class ContextItem(msgspec.Struct, frozen=True):
    """One thing the model would see: who said it, what kind it is, how it begins, how long it is."""

    version: int
    role: str
    kind: str
    preview: str
    size_bytes: int


class _Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """A run's state as a snapshot keeps it: every attribute of `RunState`, by its name."""

    stream: str
    version: int
    context: list[ContextItem]
    context_bytes: int
    _called: dict[str, None]
    _leaves: dict[str, tuple[Any, int]]
    _open: dict[str, dict[str, Any]]
    _last: dict[str, Any] | None
    _answer: dict[str, Any] | None
    _results: dict[str, dict[str, Any]]
    _memory: dict[str, dict[str, Any]]
    _failures: dict[str, dict[str, tuple[Any, int]]]
    _children: list[dict[str, Any]]
    _grades: dict[str, dict[str, Any]]
    _closed: dict[int, int]
    _compactions: list[tuple[int, frozenset[int]]]
    _began: datetime | None


_freeze = msgspec.json.Encoder().encode
_thaw = msgspec.json.Decoder(_Frozen).decode


class _Shared(Sequence[ContextItem]):
    """A list that only grows, shared between forks until one of them grows differently."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: list[ContextItem] | None = None) -> None:
        self._items = items if items is not None else []
        self._length = len(self._items)

    def append(self, item: ContextItem) -> None:
        if len(self._items) != self._length:
            self._items = self._items[: self._length]
        self._items.append(item)
        self._length += 1

    def fork(self) -> _Shared:
        return copy(self)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> ContextItem: ...
    @overload
    def __getitem__(self, at: slice) -> list[ContextItem]: ...
    def __getitem__(self, at: int | slice) -> ContextItem | list[ContextItem]:
        if isinstance(at, slice):
            return [self._items[place] for place in range(self._length)[at]]
        return self._items[range(self._length)[at]]

    def __iter__(self) -> Iterator[ContextItem]:
        return iter(self._items[: self._length])


@aggregate.aggregate(run.CATEGORY)
class RunState:
    """The state of one run after `version`. See `to_json` for its shape."""

    folded_by: ClassVar = ("journal.domain.run_state", "journal.domain.agent_run", "journal.domain.text")

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.version = 0
        self.context = _Shared()
        self.context_bytes = 0
        self._called: dict[str, None] = {}
        self._leaves: dict[str, tuple[Any, int]] = {}
        self._open: dict[str, dict[str, Any]] = {}
        self._last: dict[str, Any] | None = None
        self._answer: dict[str, Any] | None = None
        self._results: dict[str, dict[str, Any]] = {}
        self._memory: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, dict[str, tuple[Any, int]]] = {}
        self._children: list[dict[str, Any]] = []
        self._grades: dict[str, dict[str, Any]] = {}
        self._closed: dict[int, int] = {}
        self._compactions: list[tuple[int, frozenset[int]]] = []
        self._began: datetime | None = None

    def fork(self) -> RunState:
        """Return an equal state that changes on its own. Entries are replaced, never changed, so they are shared."""
        twin = copy(self)
        twin.context = self.context.fork()
        for name in (
            "_leaves",
            "_called",
            "_open",
            "_results",
            "_memory",
            "_failures",
            "_children",
            "_grades",
            "_closed",
            "_compactions",
        ):
            setattr(twin, name, copy(getattr(self, name)))
        return twin

    def renumbered(self, number: Callable[[int], int]) -> RunState:
        """Return an equal state in which every event has another number. What keeps its number is shared."""

        def moved(entry: dict[str, Any]) -> dict[str, Any]:
            own = {name: number(entry[name]) for name in ("version", "call_version") if entry.get(name)}
            return {**entry, **own} if any(entry[name] != value for name, value in own.items()) else entry

        twin = self.fork()
        twin.version = number(self.version)
        twin.context = _Shared([_moved_item(item, number) for item in self.context])
        told: dict[str, Any] = {
            "_leaves": {name: (value, number(version)) for name, (value, version) in self._leaves.items()},
            "_last": moved(self._last) if self._last else None,
            "_answer": moved(self._answer) if self._answer else None,
            "_children": [moved(entry) for entry in self._children],
            "_failures": {
                tool: {name: (value, number(version)) for name, (value, version) in entry.items()}
                for tool, entry in self._failures.items()
            },
            "_closed": {number(call): number(result) for call, result in self._closed.items()},
            "_compactions": [(number(at), frozenset(map(number, gone))) for at, gone in self._compactions],
        }
        for name in ("_open", "_results", "_memory", "_grades"):
            told[name] = {key: moved(entry) for key, entry in getattr(self, name).items()}
        vars(twin).update(told)
        return twin

    def freeze(self) -> bytes:
        """Return everything there is to know of the state, as JSON."""
        return _freeze(_Frozen(**{**vars(self), "context": list(self.context)}))

    @classmethod
    def thaw(cls, frozen: bytes) -> RunState:
        """Return the state that was frozen."""
        kept = msgspec.structs.asdict(_thaw(frozen))
        state = cls(kept["stream"])
        vars(state).update(kept, context=_Shared(kept["context"]))
        return state

    def apply(self, event: RecordedEvent) -> None:
        """Take the next event in. An event this code does not know changes nothing but the version."""
        self.version = event.version
        self._evolve(catalog.decode(event))
        if event.meta.time == "recorded" and event.type.startswith("agent_run.") and not _is_comment(event):
            self._began = self._began or event.occurred_at
            self._set("totals/duration_ms", round((event.occurred_at - self._began).total_seconds() * 1000))

    def _evolve(self, event: run.AnyEvent) -> None:  # noqa: C901, PLR0912 - one case for each event of the union
        match event:
            case run.Started():
                self._start(event)
            case run.MessageReceived():
                self._see(event.role, "message", event.content)
                if event.role == "user":
                    self._resume()
            case run.ModelCalled():
                self._set_known("model", event.model)
                self._resume()
            case run.ModelResponded():
                self._respond(event)
            case run.Reasoned():
                self._decide(event)
            case run.ToolReturned():
                self._take_result(event)
            case run.ToolFailed():
                self._take_failure(event)
            case run.HandedOff():
                self._children.append(
                    {
                        "version": self.version,
                        "to_agent": event.to_agent,
                        "child_run": event.child_run,
                    }
                )
            case run.ContextCompacted():
                self._compact(event)
            case run.MemoryWritten():
                self._memory[event.key] = {"version": self.version, "value": event.value}
            case run.Answered():
                self._answer = {"version": self.version, **_measured(event.response)}
                self._set_known("status", "answered")
            case run.Aborted():
                self._set_known("status", "aborted")
                self._set_known("reason", event.reason)
            case run.Graded():
                self._grade(event)
            case Withdrawn():
                self._miss(event)
            case run.Annotated() | Unknown():
                pass

    def _grade(self, event: run.Graded) -> None:
        self._grades[event.rule or event.by or "grade"] = {
            "version": self.version,
            "by": event.by,
            "verdict": event.verdict,
            "score": event.score,
        }
        if event.rule == "outcome" and event.verdict in _ENDED and self._leaf("status") == "running":
            self._set("status", "answered" if self._answer else "aborted")

    def _start(self, event: run.Started) -> None:
        self._set("status", "running")
        for name in ("agent", "model", "prompt", "source"):
            self._set_known(name, getattr(event, name))
        self._set_known("parent_run", event.parent_run)
        if event.tools:
            self._set("tools", [_tool_name(tool) for tool in event.tools])

    def _respond(self, event: run.ModelResponded) -> None:
        self._count("decisions", 1)
        self._count("input_tokens", event.input_tokens)
        self._count("output_tokens", event.output_tokens)
        self._count("cost_usd", event.cost_usd)
        self._resume()
        if event.content not in (None, "", []):
            self._see("assistant", "response", event.content)

    def _decide(self, event: run.Reasoned) -> None:
        self._count("tool_calls", 1)
        self._called[event.tool_name] = None
        self._resume()
        arguments = clip(event.args_json)
        decision = {
            "version": self.version,
            "tool": event.tool_name,
            "call_id": event.call_id,
            "arguments": arguments,
        }
        self._last = {**decision, "thought": clip(event.thought) if event.thought else None}
        self._open[event.call_id or f"at {self.version}"] = {**decision, "key": known_key(event)}
        self._see("assistant", "call", f"{event.tool_name} {event.args_json}")

    def _take_result(self, event: run.ToolReturned) -> None:
        call = self._close(event.call_id, event.tool_name)
        self._know(call, event.tool_name, self._result(event), failed=False)
        tool = event.tool_name or call.get("tool", "")
        if tool in self._failures:
            self._failures[tool] = {**self._failures[tool], "in_a_row": (0, self.version)}

    def _result(self, event: run.ToolReturned) -> Any:
        return parsed(event.response_json)

    def _take_failure(self, event: run.ToolFailed) -> None:
        call = self._close(event.call_id, event.tool_name)
        self._count("tool_errors", 1)
        self._know(call, event.tool_name, event.message, failed=True)
        tool = event.tool_name or call.get("tool", "")
        before = self._failures.get(tool, {"in_a_row": (0, 0), "total": (0, 0)})
        self._failures[tool] = {
            "in_a_row": (before["in_a_row"][0] + 1, self.version),
            "total": (before["total"][0] + 1, self.version),
            "last_arguments": (call.get("arguments"), call.get("version", self.version)),
        }

    def _close(self, call_id: str | None, tool: str) -> dict[str, Any]:
        """Return and remove the open call a result answers: by its id, else the oldest open one of that tool."""
        key = call_id
        if key is None:
            key = next((key for key, call in self._open.items() if call["tool"] == tool), "")
        call = self._open.pop(key, None)
        if call is None:
            return {}
        self._closed[call["version"]] = self.version
        return call

    def _know(self, call: dict[str, Any], tool: str, result: Any, *, failed: bool) -> None:
        tool = tool or call.get("tool", "")
        measured = _measured(result)
        self._results[call.get("key") or tool] = {
            "version": self.version,
            "tool": tool,
            "call_version": call.get("version"),
            "failed": failed,
            **measured,
        }
        self._see("tool", "failure" if failed else "result", result)

    def _compact(self, event: run.ContextCompacted) -> None:
        kept, dropped = set(event.kept_versions), set(event.dropped_versions)
        if kept or dropped:
            stay = [item for item in self.context if item.version in kept or (not kept and item.version not in dropped)]
        else:
            stay = []
        gone = {item.version for item in self.context} - {item.version for item in stay}
        self._compactions.append((self.version, frozenset(gone)))
        self.context = _Shared(stay)
        self.context_bytes = sum(item.size_bytes for item in stay)
        self._see("system", "summary", event.summary or "")

    def _see(self, role: str, kind: str, content: Any) -> None:
        said = plain(content)
        size = size_bytes(said)
        self.context.append(ContextItem(self.version, role, kind, clip(said), size))
        self.context_bytes += size

    def _resume(self) -> None:
        """An ended run that goes on is running again."""
        if self._leaves.get("status", (None, 0))[0] != "running":
            self._set("status", "running")

    def _count(self, name: str, by: float | None) -> None:
        """Add to a total. A total nobody recorded anything for stays null."""
        if by is not None:
            leaf = f"totals/{name}"
            self._set(leaf, (self._leaf(leaf) or 0) + by)

    def _miss(self, event: Withdrawn) -> None:
        """Count an event whose payload is gone. Its type still says what happened, if not what it was about."""
        self._set(f"withdrawn/{event.mark.kind}", (self._leaf(f"withdrawn/{event.mark.kind}") or 0) + 1)
        name = event.type.removeprefix(f"{run.CATEGORY}.")
        if name in _COUNTED:
            self._count(_COUNTED[name], 1)
        if name in _STATUS_BY_TYPE:
            self._set_known("status", _STATUS_BY_TYPE[name])

    def _set(self, name: str, value: Any) -> None:
        self._leaves[name] = (value, self.version)

    def _set_known(self, name: str, value: Any) -> None:
        if value is not None and self._leaves.get(name, (None, 0))[0] != value:
            self._set(name, value)

    def _leaf(self, name: str) -> Any:
        return self._leaves.get(name, (None, 0))[0]

    def to_json(self) -> dict[str, Any]:
        """Return the state as contract §3 names it; what no event said is null, an empty list or an empty object."""
        parts = self.parts()
        copied = {name: list(parts[name]) for name in ("children", "tools")}
        known = {name: dict(inner) for name, inner in parts["known"].items()}
        context = [msgspec.structs.asdict(item) for item in self.context]
        return {**parts, **copied, "known": known, "grades": dict(self._grades), "context": context}

    def some(self, names: frozenset[str]) -> dict[str, Any]:
        """Return of `to_json` what is in `names`, without building what is not. It shares memory with the state."""
        if names <= _LEAVES:
            return {name: self._named(name) for name in names}
        parts = self.parts()
        found = {name: parts[name] for name in names if name in parts}
        if "context" in found:
            found["context"] = list(self.context)
        return found

    def _named(self, name: str) -> Any:
        match name:
            case "totals":
                return {name: self.total(name) for name in _TOTALS}
            case "failures":
                return self._failed()
            case "tools":
                return self._leaf("tools") or []
            case "stream" | "version":
                return getattr(self, name)
            case _:
                return self._leaf(name)

    def _failed(self) -> dict[str, Any]:
        return {tool: {name: value for name, (value, _) in entry.items()} for tool, entry in self._failures.items()}

    def parts(self) -> dict[str, Any]:
        """Return the same without copying what grows with the run."""
        return {
            "stream": self.stream,
            "version": self.version,
            **{name: self._leaf(name) for name in ("status", "agent", "model", "prompt", "source", "parent_run")},
            "tools": self._leaf("tools") or [],
            "reason": self._leaf("reason"),
            "answer": self._answer,
            "open_calls": [
                {name: call[name] for name in ("version", "tool", "call_id", "arguments")}
                for call in self._open.values()
            ],
            "last_decision": self._last,
            "known": {"results": self._results, "memory": self._memory},
            "failures": self._failed(),
            "children": self._children,
            "grades": self._grades,
            "totals": {name: self.total(name) for name in _TOTALS},
            "context": self.context,
            **self._withdrawn(),
        }

    def _withdrawn(self) -> dict[str, Any]:
        """Say how many events were purged or erased; nothing where none was, as in nearly all runs."""
        counts = {kind: count for kind in ("purged", "erased") if (count := self._leaf(f"withdrawn/{kind}"))}
        return {"withdrawn": counts} if counts else {}

    def summary(self) -> dict[str, Any]:
        """Return the few values a list of runs shows, without building the whole state."""
        return {
            **{name: self._leaf(name) for name in ("status", "agent", "model", "source", "parent_run")},
            "called": list(self._called),
            "totals": {name: self.total(name) for name in _TOTALS},
        }

    @property
    def answered_call(self) -> int | None:
        """The version of the call that the newest event answered, None where it answered none."""
        call, result = next(reversed(self._closed.items()), (None, 0))
        return call if result == self.version else None

    @property
    def compactions(self) -> Sequence[tuple[int, frozenset[int]]]:
        """Return the version of each compaction with those of the events it took out of the context, oldest first."""
        return self._compactions

    def known_results(self) -> dict[str, dict[str, Any]]:
        """Return `known.results` of `to_json`, without building the rest."""
        return dict(self._results)

    def total(self, name: str) -> Any:
        """Return one of `totals` of `to_json`."""
        value = self._leaf(f"totals/{name}")
        return 0 if value is None and name in ("decisions", "tool_calls", "tool_errors") else value

    def blame(self) -> dict[str, int]:
        """Return the version that set each leaf of `to_json`, by JSON Pointer."""
        return aggregate.blame_of(self.to_json(), self.set_by())

    def set_by(self) -> dict[str, int]:
        """Return the version of each leaf that stands in no object with a version of its own."""
        explicit = {"/" + name: version for name, (_, version) in self._leaves.items()}
        for tool, entry in self._failures.items():
            for name, (_, version) in entry.items():
                explicit[f"/failures/{aggregate.escaped(tool)}/{name}"] = version
        return explicit

    def removed_at(self, pointer: str, gone: Any) -> int | None:
        """Return the result that closed a call, or the compaction that dropped an item from the context."""
        if not isinstance(gone, dict) or "version" not in gone:
            return None
        opened = gone["version"]
        if pointer.startswith("/open_calls/"):
            return self._closed.get(opened)
        return next((version for version, dropped in self._compactions if opened in dropped), None)


def _moved_item(item: ContextItem, number: Callable[[int], int]) -> ContextItem:
    version = number(item.version)
    return item if version == item.version else msgspec.structs.replace(item, version=version)


def known_key(call: run.Reasoned) -> str:
    """Return the key of a call's result in `known.results`: the tool and its arguments, long ones by their digest."""
    key = f"{call.tool_name} {call.args_json}"
    if len(key) <= _KEY_CHARACTERS:
        return key
    return f"{key[: _KEY_CHARACTERS - 20]}… sha256:{sha256(key.encode(errors='surrogatepass')).hexdigest()[:12]}"


def _measured(content: Any) -> dict[str, Any]:
    said = plain(content)
    return {"preview": clip(said), "size_bytes": size_bytes(said)}


def _tool_name(tool: Any) -> str:
    if isinstance(tool, dict):
        function = tool.get("function")
        inner = function if isinstance(function, dict) else tool
        return str(inner.get("name") or tool.get("type") or "tool")
    return str(tool)


def _is_comment(event: RecordedEvent) -> bool:
    return event.type in ("agent_run.graded", "agent_run.annotated")
