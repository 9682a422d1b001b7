"""What a model saw when it was asked: the messages of one call, as its source recorded them or as the run implies them.

Plain functions over events. A source that records requests says in `ModelCalled.messages` what was sent, mostly by
reference to earlier events. Where it does not, the state's `context` tells what had been said before, less what a
compaction dropped: that is a reconstruction, and whoever shows it says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final, Literal

from journal.domain import agent_run as run
from journal.domain.run_state import ContextItem
from journal.domain.text import clip, parsed, plain, size_bytes

Relation = Literal["this", "decision", "next", "last"]
"""How a call stands to an event: it is that call, the event came of it, it is the next one, or the last there was."""

_NEAR: Final = 50

BYTES_PER_TOKEN: Final = 4
"""A rule of thumb for English text and code; whatever rests on it is called an estimate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """An event with what it says."""

    version: int
    event: run.AnyEvent


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A call of a model. `asked` is its `ModelCalled`, None where the source records none; `at` is where it stands.

    What the model saw was there before `at`. `answer` is its response, None where none is known.
    """

    at: int
    relation: Relation
    asked: run.ModelCalled | None
    answer: Told | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message of a request. `version` is the event it is from, None where it stands in the request alone.

    `parts` are further events that a model's message was told as: the calls of tools beside its words. `body` is the
    whole text, None where its event is not at hand.
    """

    version: int | None
    role: str
    kind: str
    preview: str
    size_bytes: int
    parts: tuple[int, ...] = ()
    body: str | None = None


def calls_in(told: Sequence[Told]) -> list[Call]:
    """Return the calls of models in consecutive events, in order; `relation` is not told yet."""
    calls: list[Call] = []
    open_at: int | None = None
    has_answered = False
    for one in told:
        match one.event:
            case run.ModelCalled():
                calls.append(Call(at=one.version, relation="this", asked=one.event, answer=None))
                open_at, has_answered = len(calls) - 1, False
            case run.ModelResponded() if open_at is not None:
                known = calls[open_at]
                calls[open_at] = Call(at=known.at, relation="this", asked=known.asked, answer=one)
                open_at, has_answered = None, True
            case run.ModelResponded():
                calls.append(Call(at=one.version, relation="this", asked=None, answer=one))
                has_answered = True
            case run.Reasoned() if not has_answered:
                calls.append(Call(at=one.version, relation="this", asked=None, answer=one))
                has_answered = True
            case run.ToolReturned() | run.ToolFailed() if open_at is None and _is_bare(calls):
                has_answered = False
            case _:
                pass
    return calls


def _is_bare(calls: Sequence[Call]) -> bool:
    """Tell whether the newest call is known by a decision alone: after a result the next decision is another one's."""
    return bool(calls) and calls[-1].answer is not None and isinstance(calls[-1].answer.event, run.Reasoned)


def call_for(told: Sequence[Told], version: int) -> Call | None:
    """Return the call that an event belongs to; None where no call is among the events.

    A request, a response and the decisions in it belong to their own call. Whatever else there is will be seen by the
    next one; where there is no next one, the last one is returned.
    """
    calls = calls_in(told)
    event = next((one.event for one in told if one.version == version), None)
    own = next((call for call in calls if version in (call.at, call.answer.version if call.answer else None)), None)
    if own is not None:
        return own
    before = next((call for call in reversed(calls) if call.at < version), None)
    if isinstance(event, run.Reasoned | run.Answered) and before is not None:
        return _related(before, "decision")
    following = next((call for call in calls if call.at > version), None)
    if following is not None:
        return _related(following, "next")
    return _related(before, "last") if before is not None else None


def _related(call: Call, relation: Relation) -> Call:
    return Call(at=call.at, relation=relation, asked=call.asked, answer=call.answer)


def _recorded(sent: Any, known: Mapping[int, ContextItem], told: Mapping[int, Told]) -> Message:
    version = reference(sent)
    if version is None:
        return _inline(sent)
    item = known.get(version)
    if item is not None:
        return _message(item, body=_body(told.get(version)))
    one = told.get(version)
    if one is not None:
        return _told(one)
    return Message(version=version, role="", kind="reference", preview="", size_bytes=0)


def reference(sent: Any) -> int | None:
    """Return the version that an entry of `ModelCalled.messages` refers to; None where it is the message itself."""
    if isinstance(sent, dict) and set(sent) == {"version"} and isinstance(sent["version"], int):
        return sent["version"]
    return None


def _inline(sent: Any) -> Message:
    role = str(sent.get("role") or "") if isinstance(sent, dict) else ""
    content = sent.get("content") if isinstance(sent, dict) and "content" in sent else sent
    said = plain(content)
    return Message(version=None, role=role, kind="recorded", preview=clip(said), size_bytes=size_bytes(said), body=said)


def _told(one: Told) -> Message:
    """Return a message for an event that the state's context lacks: an answer without words, or one dropped before."""
    body = _body(one) or ""
    role = {run.MessageReceived: "user", run.ToolReturned: "tool", run.ToolFailed: "tool"}.get(
        type(one.event), "assistant"
    )
    role = one.event.role if isinstance(one.event, run.MessageReceived) else role
    return Message(
        version=one.version, role=role, kind="told", preview=clip(body), size_bytes=size_bytes(body), body=body
    )


class Request:
    """The messages of one call, each made when it is asked for: there may be very many, and a page shows few."""

    def __init__(self, entries: Sequence[Any], make: Callable[[Any], Message], sizes: Mapping[str, int]) -> None:
        self._entries = entries
        self._make = make
        self.sizes = dict(sorted(sizes.items(), key=lambda entry: -entry[1]))
        """How many bytes each role has said, largest first."""

    def __len__(self) -> int:
        return len(self._entries)

    def page(self, first: int, last: int) -> tuple[Message, ...]:
        """Return the messages at places ``[first, last)``."""
        return tuple(self._make(entry) for entry in self._entries[first:last])

    def older_than(self, version: int) -> int:
        """Return how many of the first messages are from events before `version`."""
        for count in range(len(self), 0, -1):
            (message,) = self.page(count - 1, count)
            if message.version is not None and message.version < version:
                return count
        return 0

    def versions(self) -> list[int]:
        """Return the events that the messages are from, in order; a message that no event tells has none."""
        told = (one for one in self.page(0, len(self)) if one.version is not None)
        return [version for one in told for version in (one.version, *one.parts) if version is not None]


def reconstructed(items: Iterable[ContextItem], told: Mapping[int, Told], *, before: int) -> Request:
    """Return what a model asked at `before` would have seen: all that was said, less what a compaction dropped.

    A model's words and the calls it made with them are one message, as they were one answer.
    """
    groups: list[list[ContextItem]] = []
    sizes: Counter[str] = Counter()
    is_answer = False
    for item in items:
        if item.version >= before:
            break
        sizes[item.role] += item.size_bytes
        if is_answer and item.kind == "call" and not _answered_between(groups[-1][-1].version, item.version, told):
            groups[-1].append(item)
        else:
            groups.append([item])
        is_answer = item.kind in ("response", "call")
    return Request(groups, lambda group: _grouped(group, told), sizes)


def _answered_between(version: int, later: int, told: Mapping[int, Told]) -> bool:
    """Tell whether a model answered between two events without a word, as far as events are at hand."""
    if later == version + 1:
        return False
    between = (told.get(at) for at in range(version + 1, min(later, version + _NEAR)))
    return any(isinstance(one.event, run.ModelResponded) for one in between if one is not None)


def recorded(call: run.ModelCalled, items: Iterable[ContextItem], told: Mapping[int, Told]) -> Request:
    """Return a request as it was recorded, with what the journal knows of the events it refers to."""
    known = {item.version: item for item in items}
    messages = [_recorded(sent, known, told) for sent in call.messages]
    sizes: Counter[str] = Counter()
    for message in messages:
        sizes[message.role or "not read"] += message.size_bytes
    return Request(messages, lambda message: message, sizes)


def _grouped(group: Sequence[ContextItem], told: Mapping[int, Told]) -> Message:
    head = group[0]
    return Message(
        version=head.version,
        role=head.role,
        kind=head.kind,
        preview=head.preview,
        size_bytes=sum(item.size_bytes for item in group),
        parts=tuple(item.version for item in group[1:]),
        body=_joined(_body(told.get(item.version)) for item in group),
    )


def _joined(bodies: Iterable[str | None]) -> str | None:
    """Return the texts of one answer's parts as one; None where one of them is not at hand."""
    texts = list(bodies)
    return None if None in texts else "\n\n".join(text for text in texts if text)


def _message(item: ContextItem, *, body: str | None) -> Message:
    return Message(
        version=item.version,
        role=item.role,
        kind=item.kind,
        preview=item.preview,
        size_bytes=item.size_bytes,
        body=body,
    )


def _body(one: Told | None) -> str | None:  # noqa: PLR0911 - a case a type
    """Return the text of what an event said; None where it is not at hand."""
    match one.event if one else None:
        case run.MessageReceived() as message:
            return plain(message.content)
        case run.ModelResponded() as answer:
            return plain(answer.content)
        case run.Reasoned() as call:
            return f"{call.tool_name} {call.args_json}"
        case run.ToolReturned() as result:
            return plain(parsed(result.response_json))
        case run.ToolFailed() as failure:
            return failure.message or ""
        case run.ContextCompacted() as compaction:
            return compaction.summary or ""
        case _:
            return None


def sent_before(call: Call, request: Request, previous: Call | None) -> int:
    """Return how many messages of a request the call before had been sent already: they are the first of it.

    Recorded requests are compared entry by entry; of a reconstructed one, what was said after the last call is new.
    """
    if previous is None:
        return 0
    now, then = _entries(call), _entries(previous)
    if now and then:
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(now, then, strict=False)))
    return request.older_than(previous.at)


def _entries(call: Call) -> tuple[Any, ...]:
    return call.asked.messages if call.asked is not None else ()


def tokens_about(size: int) -> int:
    """Return an estimate of how many tokens so many bytes are."""
    return -(-size // BYTES_PER_TOKEN)
