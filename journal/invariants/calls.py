"""Rules on the calls an agent makes."""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Final

from journal.domain import agent_run as run
from journal.domain.catalog import catalog
from journal.domain.invariant import HOLDS, Call, Context, Fails, Holds, Verdict, invariant
from journal.domain.schema import misfit
from journal.domain.text import parsed
from journal.invariants import base
from journal.invariants.base import EventRule, Rule

_LONGEST_CYCLE: Final = 4
_TIMES: Final = 3
_FILE: Final = re.compile(r"[\w~./\\-]*\w\.[A-Za-z]\w{0,6}")
_LOOKED_THROUGH: Final = 20_000
_FAILED: Final = catalog.name_of(run.ToolFailed)
_WAITING: Final = frozenset(("wait", "sleep", "poll", "status", "watch", "heartbeat"))


class _Failures:
    """The last failure of each tool since it last worked and since anything was last changed."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, int]] = {}

    def step(self, ctx: Context) -> Verdict:
        if not self._last and ctx.kind != _FAILED:
            return HOLDS  # nothing has failed that could fail again
        call = ctx.call
        match ctx.data:
            case run.ToolFailed() if call is not None:
                tool, arguments = call.key
                before = self._last.get(tool)
                self._last[tool] = (arguments, ctx.version)
                if before is not None and before[0] == arguments:
                    return Fails(
                        f"{tool} failed again with the arguments that failed at {before[1]}", (before[1], ctx.version)
                    )
            case run.ToolReturned():
                self._worked(call)
        return HOLDS

    def _worked(self, call: Call | None) -> None:
        if call is None or base.changes(base.verbs(call.tool, call.arguments)) or base.is_shell(call.tool):
            self._last.clear()
        else:
            self._last.pop(call.tool, None)


@invariant
class NoFailureLoop(Rule):
    """Fails at the second failure of one call with nothing changed between."""

    name = "no-failure-loop"
    looks_at = (
        run.ToolFailed,
        run.ToolReturned,
    )
    theme = "calls"
    title = "A call that failed is not made again unchanged"
    description = (
        "Fails where a tool fails with the very arguments it failed with before, while neither it worked nor any other"
        " call changed something in between. Running the tests again after an edit is no loop."
    )
    memory = _Failures


class _Files:
    """Which files a run has read, made, or been shown."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}
        self._named_by_people = ""
        self._mentions: dict[str, int] = {}
        self._has_reader = False

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Started(tools=tools):
                self._has_reader = any(base.reads(base.words_of(_name(tool))) for tool in tools)
            case run.MessageReceived():
                self._named_by_people += "\n" + base.said(ctx.data)
            case run.Reasoned() if ctx.call is not None:
                return self._decide(ctx.call)
            case run.ToolReturned() if ctx.call is not None:
                self._learn(ctx.call, ctx)
        return HOLDS

    def _decide(self, call: Call) -> Verdict:
        doing, path = base.verbs(call.tool, call.arguments), base.path_of(call.arguments)
        self._has_reader = self._has_reader or base.reads(doing)
        if path is None or not base.edits(doing) or self._knows(path):
            return HOLDS
        if not self._has_reader:
            return Holds(f"no tool of this run reads files, so how it knows {path} is not recorded")
        seen = self._mentions.get(base.base_name(path))
        if seen is None:
            return Fails(f"edits {path}, which it never read", (call.version,))
        return Fails(
            f"edits {path}, which it never read: it was only mentioned in the result at {seen}", (seen, call.version)
        )

    def _knows(self, path: str) -> bool:
        name = base.base_name(path)
        return any(base.same_file(path, known) for known in self._known.get(name, ())) or name in self._named_by_people

    def _learn(self, call: Call, ctx: Context) -> None:
        doing, path = base.verbs(call.tool, call.arguments), base.path_of(call.arguments)
        if path is not None and (base.reads(doing) or base.makes(doing)):
            self._known.setdefault(base.base_name(path), []).append(path)
        elif base.is_shell(call.tool):
            self._named_by_people += "\n" + call.args_json
        else:
            for name in _names_in(base.said(ctx.data)):
                self._mentions[name] = ctx.version


def _names_in(text: str) -> set[str]:
    return {base.base_name(name) for name in _FILE.findall(text[:_LOOKED_THROUGH])}


@invariant
class EditAfterReading(Rule):
    """Fails where a file is edited that the run has not read."""

    name = "edit-after-reading"
    looks_at = (
        run.Started,
        run.MessageReceived,
        run.Reasoned,
        run.ToolReturned,
    )
    theme = "calls"
    title = "A file is read before it is edited"
    description = (
        "Fails where a call edits a file that no earlier call of the run read or wrote, no shell command names and no"
        " message shows. A line of it in the result of a search is no reading."
    )
    memory = _Files


class _Offered:
    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Started(tools=tools):
                self._names |= {_name(tool).casefold() for tool in tools}
            case run.Reasoned(tool_name=tool) if len(self._names) > 1 and tool and tool.casefold() not in self._names:
                return Fails(
                    f"decides to call {tool}, which is not among the {len(self._names)} tools it was given",
                    (ctx.version,),
                )
        return HOLDS


def _name(tool: Any) -> str:
    if isinstance(tool, dict):
        inner = tool.get("function")
        return str((inner if isinstance(inner, dict) else tool).get("name") or tool.get("type") or "")
    return str(tool)


@invariant
class ToolIsOffered(Rule):
    """Fails where the model calls a tool that it was not given."""

    name = "tool-is-offered"
    looks_at = (
        run.Started,
        run.Reasoned,
    )
    theme = "calls"
    title = "Only tools from the tool list are called"
    description = (
        "Fails where a decision names a tool that is not in the run's tool list. Holds where the source records"
        " no list, or"
        " one of a single tool, which is often that of another agent of the run."
    )
    memory = _Offered


@invariant
class ArgumentsAreJson(EventRule):
    """Fails where arguments begin as JSON and are none."""

    name = "arguments-are-json"
    looks_at = (run.Reasoned,)
    theme = "calls"
    title = "A call's arguments are well formed"
    description = (
        "Fails where the arguments the model wrote begin like a JSON object or list and do not parse. Tools that take"
        " free text are not judged."
    )

    def step(self, ctx: Context) -> Verdict:
        """Look at the text of the arguments."""
        if ctx.call is None or ctx.call.version != ctx.version or not isinstance(ctx.call.arguments, str):
            return HOLDS
        text = ctx.call.args_json.strip()
        if text[:1] in ("{", "[") and isinstance(parsed(text), str):
            return Fails(f"the arguments of {ctx.call.tool} are no JSON: {text[:60]}", (ctx.version,))
        return HOLDS


class _Schemas:
    """The schemas that the tool list gives, for arguments or for results."""

    inputs: tuple[str, ...] = ("parameters", "inputSchema", "input_schema")

    def __init__(self) -> None:
        self._schemas: dict[str, Any] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Started(tools=tools):
                self._schemas.update(
                    {_name(tool): _schema(tool, self.inputs) for tool in tools if isinstance(tool, dict)}
                )
            case run.Reasoned() if ctx.call is not None and isinstance(ctx.call.arguments, dict):
                wrong = misfit(ctx.call.arguments, self._schemas.get(ctx.call.tool))
                if wrong:
                    return Fails(f"the arguments of {ctx.call.tool} do not fit its schema: {wrong}", (1, ctx.version))
        return HOLDS


class _ResultSchemas(_Schemas):
    inputs = ("outputSchema", "output_schema", "returns")

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Started():
                return super().step(ctx)
            case run.ToolReturned(tool_name=named):
                tool = named or (ctx.call.tool if ctx.call else "")
                wrong = misfit(ctx.result, self._schemas.get(tool))
                if wrong:
                    return Fails(f"what {tool} returned is out of its bounds: {wrong}", (1, ctx.version))
        return HOLDS


def _schema(tool: dict[str, Any], keys: tuple[str, ...]) -> Any:
    inner = tool.get("function")
    holders = (inner, tool) if isinstance(inner, dict) else (tool,)
    return next((holder[key] for holder in holders for key in keys if isinstance(holder.get(key), dict)), None)


@invariant
class ArgumentsFitSchema(Rule):
    """Fails where arguments break the schema the tool list gives."""

    name = "arguments-fit-schema"
    looks_at = (
        run.Started,
        run.Reasoned,
    )
    theme = "calls"
    title = "A call's arguments fit the tool's schema"
    description = "Fails where arguments break the JSON Schema in the run's tool list. Holds where the list has none."
    memory = _Schemas


@invariant
class ResultsInBounds(Rule):
    """Fails where a result breaks the schema the tool list gives."""

    name = "results-in-bounds"
    looks_at = (
        run.Started,
        run.ToolReturned,
    )
    theme = "results"
    title = "A tool's result is within its bounds"
    description = (
        "Fails where a result breaks the JSON Schema that the run's tool list gives for results"
        " (`outputSchema`): a type,"
        " a bound, a missing field. Holds where the list has none."
    )
    memory = _ResultSchemas


class _Sent:
    def __init__(self) -> None:
        self._done: dict[tuple[str, str], int] = {}

    def step(self, ctx: Context) -> Verdict:
        call = ctx.call
        if call is None or not base.sends(base.words_of(call.tool)) or base.reads(base.words_of(call.tool)):
            return HOLDS
        before = self._done.get(call.key)
        match ctx.data:
            case run.ToolReturned():
                self._done[call.key] = call.version
            case run.Reasoned() if before is not None:
                return Fails(
                    f"{call.tool} is called again with the arguments that it did its work with at {before}",
                    (before, ctx.version),
                )
        return HOLDS


@invariant
class NoRepeatedEffect(Rule):
    """Fails where something that cannot be taken back is done twice."""

    name = "no-repeated-effect"
    looks_at = (
        run.Reasoned,
        run.ToolReturned,
    )
    theme = "calls"
    title = "Nothing is sent, paid or booked twice"
    description = (
        "Fails where a tool whose name says that it sends, pays, books, refunds or publishes is called again with"
        " arguments it already succeeded with."
    )
    memory = _Sent


class _Answered:
    def __init__(self) -> None:
        self._made: set[str] = set()
        self._answered: dict[str, int] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Reasoned(call_id=str(call_id)):
                self._made.add(call_id)
                self._answered.pop(call_id, None)
            case run.ToolReturned(call_id=str(call_id)) | run.ToolFailed(call_id=str(call_id)) if self._made:
                return self._take(call_id, ctx.version)
        return HOLDS

    def _take(self, call_id: str, version: int) -> Verdict:
        if call_id not in self._made:
            return Fails(f"a result for the call {call_id}, which nobody made", (version,))
        before = self._answered.setdefault(call_id, version)
        if before != version:
            return Fails(f"a second result for the call {call_id}, which was answered at {before}", (before, version))
        return HOLDS


@invariant
class ResultsAnswerCalls(Rule):
    """Fails where a result belongs to no call, or to one that has its result."""

    name = "results-answer-calls"
    looks_at = (
        run.Reasoned,
        run.ToolReturned,
        run.ToolFailed,
    )
    theme = "results"
    title = "Each result answers one call"
    description = (
        "Fails at a result for a call nobody made, and at a second result for one. Holds where calls have no ids."
    )
    memory = _Answered


class _Cycle:
    """The newest calls with their results, as digests."""

    def __init__(self) -> None:
        self._seen: deque[tuple[bytes, int]] = deque(maxlen=_LONGEST_CYCLE * _TIMES)

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.MessageReceived(role="user"):
                self._seen.clear()
            case run.ToolReturned() | run.ToolFailed() if ctx.call is not None:
                if base.words_of(ctx.call.tool) & _WAITING:
                    return HOLDS
                self._seen.append((base.digest("\x1f".join((*ctx.call.key, base.said(ctx.data)))), ctx.version))
                return self._verdict()
        return HOLDS

    def _verdict(self) -> Verdict:
        seen = list(self._seen)
        for period in range(1, _LONGEST_CYCLE + 1):
            tail = seen[-period * _TIMES :]
            if len(tail) == period * _TIMES and all(tail[at][0] == tail[at % period][0] for at in range(len(tail))):
                what = (
                    "the same call with the same result"
                    if period == 1
                    else f"the same {period} calls with the same results"
                )
                return Fails(f"{what}, {_TIMES} times running", tuple(version for _, version in tail[::period]))
        return HOLDS


@invariant
class NoLoop(Rule):
    """Fails where the run goes in circles."""

    name = "no-loop"
    looks_at = (
        run.MessageReceived,
        run.ToolReturned,
        run.ToolFailed,
    )
    theme = "calls"
    title = "The run does not go in circles"
    description = (
        "Fails where the same one to four calls, with the same arguments and the same results, come three times running"
        " with no word of a person between. Tools that wait or ask for a status are not judged."
    )
    memory = _Cycle
