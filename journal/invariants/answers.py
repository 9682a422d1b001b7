"""Rules on results and on what an agent says at last."""

from __future__ import annotations

import re
from typing import Any, Final

from journal.domain import agent_run as run
from journal.domain.invariant import HOLDS, Context, Fails, Holds, Verdict, invariant
from journal.domain.text import clip, plain
from journal.invariants import base
from journal.invariants.base import EventRule, Rule

_CUT_SHORT: Final = frozenset(
    ("length", "max_tokens", "max_output_tokens", "content_filter", "model_length", "refusal")
)
_ERROR_KEYS: Final = ("error", "errors", "exception", "traceback")
_ERROR_TEXT: Final = re.compile(
    r"\s*(?:Traceback \(most recent call last\)|(?:\w+\.)*[A-Z]\w*(?:Error|Exception): |(?i:error|fatal):)"
)
_DONE: Final = re.compile(
    r"[✓✔✅🎉]|\b(?:done|fixed|succe\w+|completed?|passe[sd]|resolved|erledigt|erfolgreich|hecho|terminado|fait)\b",
    re.IGNORECASE,
)
_CLIENT_ERROR: Final = 400
_LAST_STATUS: Final = 599
_QUOTED: Final = 12
_RUNNING: Final = 3


@invariant
class NoErrorInDisguise(EventRule):
    """Fails where a result that counts as a success says that it is an error."""

    name = "no-error-in-disguise"
    looks_at = (run.ToolReturned,)
    theme = "results"
    title = "An error is recorded as one"
    description = (
        "Fails where a tool returned without failing and its result is an error all the same: a field `error`"
        " that is set,"
        " `success` or `ok` that is false, a status of 400 or more, an exit code that is not 0, or a text that"
        " begins as"
        " a traceback or an error message does."
    )

    def step(self, ctx: Context) -> Verdict:
        """Look at the result."""
        if not isinstance(ctx.data, run.ToolReturned):
            return HOLDS
        sign = _error_in(ctx.result)
        tool = ctx.data.tool_name or (ctx.call.tool if ctx.call else "the tool")
        return Fails(f"{tool} returned, and what it returned is an error: {sign}", (ctx.version,)) if sign else HOLDS


def _error_in(result: Any) -> str | None:
    if isinstance(result, str):
        return clip(result, 80) if _ERROR_TEXT.match(result) else None
    if not isinstance(result, dict):
        return None
    for name in _ERROR_KEYS:
        if result.get(name):
            return f"{name}: {clip(plain(result[name]), 80)}"
    for name in ("success", "ok"):
        if result.get(name) is False:
            return f"{name} is false"
    for name in ("status", "status_code", "statusCode"):
        code = result.get(name)
        if isinstance(code, int) and _CLIENT_ERROR <= code <= _LAST_STATUS:
            return f"{name} is {code}"
    code = result.get("exit_code", result.get("exitCode"))
    return f"the exit code is {code}" if isinstance(code, int) and code else None


class _Unhandled:
    """The failure that nothing has been done about yet."""

    def __init__(self) -> None:
        self._failed: tuple[int, str, str] | None = None

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.ToolFailed():
                tool = ctx.data.tool_name or (ctx.call.tool if ctx.call else "a tool")
                self._failed = (ctx.version, tool, f"{ctx.data.error_code or ''} {ctx.data.message or ''}".strip())
            case run.ToolReturned() | run.MessageReceived() | run.Reasoned() | run.HandedOff():
                self._failed = None
            case run.Answered() if self._failed is not None:
                version, tool, error = self._failed
                if not _mentions(base.said(ctx.data), tool, error):
                    return Fails(
                        f"answers straight after {tool} failed at {version}, and says nothing of it",
                        (version, ctx.version),
                    )
                return Holds(f"the answer names the failure of {tool} at {version}")
        return HOLDS


def _mentions(answer: str, tool: str, error: str) -> bool:
    """Return whether an answer quotes a failure: the tool, its words, or a run of characters of the message."""
    said, message = base.folded(answer), base.folded(error)
    if base.folded(tool) in said or base.words_of(tool) <= set(re.findall(r"\w+", said)):
        return True
    return (
        any(message[at : at + _QUOTED] in said for at in range(0, max(len(message) - _QUOTED, 0) + 1, 4))
        if message
        else False
    )


@invariant
class NoAnswerOverError(Rule):
    """Fails where the agent answers as if the last call had not failed."""

    name = "no-answer-over-error"
    looks_at = (
        run.ToolFailed,
        run.ToolReturned,
        run.MessageReceived,
        run.Reasoned,
        run.HandedOff,
        run.Answered,
    )
    theme = "answers"
    title = "No answer over an error that nobody handled"
    description = (
        "Fails where the agent answers straight after a tool failed, without another call or a word of anyone between,"
        " and the answer neither names the tool nor quotes the error."
    )
    memory = _Unhandled


class _Unresolved:
    """Calls whose newest result is a failure."""

    def __init__(self) -> None:
        self._failed: dict[str, tuple[int, str]] = {}

    def step(self, ctx: Context) -> Verdict:
        tool = ctx.call.tool if ctx.call else getattr(ctx.data, "tool_name", "")
        match ctx.data:
            case run.ToolFailed():
                self._failed[tool] = (ctx.version, ctx.data.message or "")
            case run.ToolReturned():
                self._failed.pop(tool, None)
            case run.Answered():
                return self._judge(ctx)
        return HOLDS

    def _judge(self, ctx: Context) -> Verdict:
        answer = base.said(ctx.data)
        hidden = [(at, tool) for tool, (at, error) in self._failed.items() if not _mentions(answer, tool, error)]
        if not hidden or not _DONE.search(answer):
            return HOLDS
        at, tool = hidden[-1]
        return Fails(f"the answer claims success, and {tool} failed at {at} and never worked since", (at, ctx.version))


@invariant
class SuccessIsEarned(Rule):
    """Fails where success is claimed after a failure that stands."""

    name = "success-is-earned"
    looks_at = (
        run.ToolFailed,
        run.ToolReturned,
        run.Answered,
    )
    theme = "answers"
    title = "Success is claimed only where the calls succeeded"
    description = (
        "Fails where an answer claims success (by a check mark, or by a word of a short list in English, German,"
        " Spanish"
        " and French) while a tool's newest result is a failure that the answer does not name. Claims in other"
        " words are"
        " not recognised."
    )
    memory = _Unresolved


@invariant
class AnswerHasText(EventRule):
    """Fails at an empty answer."""

    name = "answer-has-text"
    looks_at = (run.Answered,)
    theme = "answers"
    title = "An answer says something"
    description = (
        "Fails at an answer without a single letter or digit, in any script. An answer that is data is not judged."
    )

    def step(self, ctx: Context) -> Verdict:
        """Look for a letter or digit."""
        if not isinstance(ctx.data, run.Answered) or not isinstance(ctx.data.response, str | None):
            return HOLDS
        said = ctx.data.response or ""
        return HOLDS if any(map(str.isalnum, said)) else Fails("the answer is empty", (ctx.version,))


class _Open:
    def __init__(self) -> None:
        self._open: dict[int, str] = {}
        self._has_results = False

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.Reasoned() if ctx.call is not None:
                self._open[ctx.version] = ctx.call.tool
            case run.ToolReturned() | run.ToolFailed():
                self._has_results = True
                if ctx.call is not None:
                    self._open.pop(ctx.call.version, None)
            case run.Answered() if self._open and not self._has_results:
                return Holds("this source records no results, so whether calls are open cannot be told")
            case run.Answered() if self._open:
                forgotten, self._open = self._open, {}
                tools = ", ".join(dict.fromkeys(forgotten.values()))
                return Fails(f"answers while calls are open: {tools}", (*forgotten, ctx.version))
        return HOLDS


@invariant
class NoOpenCalls(Rule):
    """Fails where the agent answers without having waited."""

    name = "no-open-calls"
    looks_at = (
        run.Reasoned,
        run.ToolReturned,
        run.ToolFailed,
        run.Answered,
    )
    theme = "answers"
    title = "No answer while calls are open"
    description = (
        "Fails at an answer that comes before the results of calls the agent made. Holds where the source records no"
        " results at all."
    )
    memory = _Open


@invariant
class EndsWithAnswer(EventRule):
    """Fails where a run is given up."""

    name = "ends-with-answer"
    looks_at = (run.Aborted,)
    theme = "answers"
    title = "A run ends with an answer"
    description = "Fails where a run was aborted. A run that has not ended yet holds."

    def step(self, ctx: Context) -> Verdict:
        """Look for the end."""
        if not isinstance(ctx.data, run.Aborted):
            return HOLDS
        return Fails(f"ended without an answer: {clip(ctx.data.reason or 'no reason recorded', 100)}", (ctx.version,))


@invariant
class ResponseIsWhole(EventRule):
    """Fails where a response was cut off."""

    name = "response-is-whole"
    looks_at = (run.ModelResponded,)
    theme = "answers"
    title = "The model's response is not cut off"
    description = "Fails at a response that ended at the token limit or at a filter. Holds where no reason is recorded."

    def step(self, ctx: Context) -> Verdict:
        """Look at why the response ended."""
        if isinstance(ctx.data, run.ModelResponded) and (ctx.data.finish_reason or "").lower() in _CUT_SHORT:
            return Fails(f"the response ended with {ctx.data.finish_reason}, before the model was done", (ctx.version,))
        return HOLDS


class _Said:
    def __init__(self) -> None:
        self._seen: dict[bytes, list[int]] = {}

    def step(self, ctx: Context) -> Verdict:
        match ctx.data:
            case run.MessageReceived(role="user"):
                self._seen.clear()
            case run.ModelResponded():
                said = base.folded(base.said(ctx.data))
                if len(said) < _QUOTED:
                    return HOLDS
                versions = self._seen.setdefault(base.digest(said), [])
                versions.append(ctx.version)
                if len(versions) >= _RUNNING:
                    said_at = f"says what it said at {versions[0]}, {len(versions)} times by now"
                    return Fails(said_at, (versions[0], ctx.version))
        return HOLDS


@invariant
class NoRepeatedResponse(Rule):
    """Fails where the model says the same again and again."""

    name = "no-repeated-response"
    looks_at = (
        run.MessageReceived,
        run.ModelResponded,
    )
    theme = "answers"
    title = "The model does not repeat itself"
    description = (
        "Fails at the third response with the same text since a person last spoke, white space and case aside."
        " Very short"
        " texts are not judged."
    )
    memory = _Said
