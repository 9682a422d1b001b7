"""The Context tab: the messages that the model saw at a decision, what was new in them, and what had been dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from explorer import timelines
from explorer.context import (
    Call,
    Message,
    Relation,
    Request,
    Told,
    call_for,
    calls_in,
    reconstructed,
    recorded,
    sent_before,
    tokens_about,
)
from explorer.models import RunSummary
from explorer.queries.run_address import Address
from journal.domain import agent_run as run
from journal.domain.aggregate import State
from journal.domain.catalog import catalog
from journal.domain.event import RecordedEvent
from journal.domain.run_state import RunState
from journal.domain.text import clip, plain

BACK: Final = 200
"""Events before the cursor whose whole text is at hand, and among which the call before is looked for."""

AHEAD: Final = 60
"""Events after the cursor among which the next call is looked for."""

_PAGE: Final = 36
_TEXT: Final = 4_000
_ALL_TEXT: Final = 20_000
_DROPPED: Final = 60
_TOOLS: Final = 60
_SETTINGS: Final = 12
_SETTING: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A message as the page shows it: its text in whole or as far as it goes, or else how it begins."""

    message: Message
    place: int
    text: str
    note: str
    is_new: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """What the newest compaction before the call took out of the context; `more` events beyond those listed."""

    at: int
    versions: tuple[int, ...]
    count: int

    @property
    def more(self) -> int:
        """Return how many are not listed."""
        return self.count - len(self.versions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How much of a request one role takes: bytes as they are, tokens estimated from them."""

    name: str
    size_bytes: int
    tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """Tokens as the source recorded them with the answer; None is not recorded."""

    input: int | None
    cached: int | None
    output: int | None

    @property
    def is_any(self) -> bool:
        """Tell whether any of them is recorded."""
        return not (self.input is None and self.cached is None and self.output is None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextPanel:
    """What a model saw. `old` were sent with the call before, `new` came since; both are of one page of all.

    `is_recorded` tells a recorded request from a reconstructed one. Without a call, `missing` says so, and no more.
    """

    missing: str
    at: int
    relation: Relation
    is_recorded: bool
    is_captured: bool
    is_first: bool | None
    model: str
    settings: tuple[tuple[str, str], ...]
    tools: tuple[str, ...]
    more_tools: int
    answer: int | None
    counted: Counted | None
    shares: tuple[Share, ...]
    total: int
    sent_before: int
    first: int
    last: int
    old: tuple[Shown, ...]
    new: tuple[Shown, ...]
    earlier: str
    later: str
    dropped: Dropped | None

    @property
    def added(self) -> int:
        """Return how many messages are new since the call before."""
        return self.total - self.sent_before


def context_panel(run_: RunSummary, address: Address, moment: timelines.Moment) -> ContextPanel | None:
    """Return the context of the call that the cursor's event belongs to; None where the stream is no agent's run."""
    if not isinstance(moment.before, RunState):
        return None
    version = moment.event.version
    told = [_told(event) for event in (*moment.recent, moment.event, *moment.coming)]
    call = call_for(told, version)
    if call is None:
        return _missing(told, version)
    state = _state_before(run_, moment, call, told)
    by_version = {one.version: one for one in told}
    is_recorded = call.asked is not None and bool(call.asked.messages)
    request = (
        recorded(call.asked, state.context, by_version)
        if call.asked is not None and is_recorded
        else reconstructed(state.context, by_version, before=call.at)
    )
    previous = next((other for other in reversed(calls_in(told)) if other.at < call.at), None)
    is_first = previous is None if previous is not None or told[0].version == 1 else None
    known = sent_before(call, request, previous)
    return _panel(address, version, call, request, state, is_first=is_first, known=known, is_recorded=is_recorded)


def _told(event: RecordedEvent) -> Told:
    return Told(version=event.version, event=catalog.decode(event))


def _state_before(run_: RunSummary, moment: timelines.Moment, call: Call, told: list[Told]) -> RunState:
    """Return a state that holds what was known before the call: the cursor's, unless a compaction lies between."""
    version = moment.event.version
    state: State = moment.before
    if call.at > version:
        state = moment.after()
        for event in moment.coming:
            if event.version < call.at:
                state.apply(event)
    elif any(isinstance(one.event, run.ContextCompacted) and call.at < one.version < version for one in told):
        state = timelines.state_at(run_.project, run_.stream, call.at - 1)
    if not isinstance(state, RunState):
        raise TypeError(f"the state of {run_.stream!r} is no agent run's")
    return state


def _missing(told: list[Told], version: int) -> ContextPanel:
    last = told[-1].version
    reach = f"from {told[0].version:,} to {last:,}" if last > told[0].version else f"at {last:,}"
    return ContextPanel(
        missing=f"No call of a model is recorded {reach}.",
        at=version, relation="last", is_recorded=False, is_captured=False, is_first=None, model="", settings=(),
        tools=(), more_tools=0, answer=None, counted=None, shares=(), total=0, sent_before=0, first=0, last=0, old=(),
        new=(), earlier="", later="", dropped=None,
    )  # fmt: skip


def _panel(  # noqa: PLR0913 - what is known of one call
    address: Address,
    version: int,
    call: Call,
    request: Request,
    state: RunState,
    *,
    is_first: bool | None,
    known: int,
    is_recorded: bool,
) -> ContextPanel:
    first, last = _bounds(address, len(request))
    shown = _shown(request.page(first, last), first, known)
    parts = state.parts()
    tools = _offered(call, parts["tools"])
    return ContextPanel(
        missing="",
        at=call.at,
        relation=call.relation,
        is_recorded=is_recorded,
        is_captured=any(request.sizes.values()),
        is_first=is_first,
        model=(call.asked.model if call.asked else None) or parts["model"] or "",
        settings=_settings(call),
        tools=tuple(tools[:_TOOLS]),
        more_tools=max(0, len(tools) - _TOOLS),
        answer=call.answer.version if call.answer else None,
        counted=_counted(call),
        shares=tuple(
            Share(name=name, size_bytes=size, tokens=tokens_about(size)) for name, size in request.sizes.items()
        ),
        total=len(request),
        sent_before=known,
        first=first,
        last=last,
        old=tuple(one for one in shown if not one.is_new),
        new=tuple(one for one in shown if one.is_new),
        earlier=address.starting(max(1, first + 1 - _PAGE), version) if first else "",
        later=address.starting(last + 1, version) if last < len(request) else "",
        dropped=_dropped(state, call.at),
    )


def _bounds(address: Address, total: int) -> tuple[int, int]:
    """Return the places of the page that is asked for; without one, that of the newest messages."""
    first = min(address.start - 1, max(0, total - 1)) if address.start else max(0, total - _PAGE)
    return first, min(total, first + _PAGE)


def _shown(messages: tuple[Message, ...], first: int, known: int) -> tuple[Shown, ...]:
    """Give the new messages their text, the newest before others, until the page has enough."""
    left = _ALL_TEXT
    shown: list[Shown] = []
    for at in reversed(range(len(messages))):
        message, is_new = messages[at], first + at >= known
        text, note = _text(message, min(left, _TEXT)) if is_new else ("", "")
        left -= len(text)
        shown.append(Shown(message=message, place=first + at + 1, text=text, note=note, is_new=is_new))
    return tuple(reversed(shown))


def _text(message: Message, most: int) -> tuple[str, str]:
    if message.body is None or not most:
        return "", ""
    if len(message.body) <= most:
        return message.body, ""
    return message.body[:most], f"{most:,} of {len(message.body):,} characters"


def _offered(call: Call, known: list[str]) -> list[str]:
    """Return the names of the tools in the request, else of those the run began with."""
    given = call.asked.params.get("tools") if call.asked else None
    return [_name(tool) for tool in given] if isinstance(given, list) and given else list(known)


def _name(tool: Any) -> str:
    inner = tool.get("function") if isinstance(tool, dict) and isinstance(tool.get("function"), dict) else tool
    return str(inner.get("name") or "a tool") if isinstance(inner, dict) else str(tool)


def _settings(call: Call) -> tuple[tuple[str, str], ...]:
    given = call.asked.params if call.asked else {}
    named = [(name, clip(plain(value), _SETTING)) for name, value in given.items() if name not in ("tools", "messages")]
    return tuple(named[:_SETTINGS])


def _counted(call: Call) -> Counted | None:
    answer = call.answer.event if call.answer else None
    if not isinstance(answer, run.ModelResponded):
        return None
    return Counted(input=answer.input_tokens, cached=answer.cached_tokens, output=answer.output_tokens)


def _dropped(state: RunState, before: int) -> Dropped | None:
    newest = next(((at, gone) for at, gone in reversed(state.compactions) if at < before), None)
    if newest is None:
        return None
    at, gone = newest
    return Dropped(at=at, versions=tuple(sorted(gone)[:_DROPPED]), count=len(gone))
