"""What the model could know about the things a call names, when it decided on the call.

Told from what the journal shows alone: calls that had the same value before, and results in which the value stands. It
says what was read, not what was understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from journal.domain.text import amount, in_bytes, parsed

Extent = Literal["whole", "part", "used", "failed", "named", "never"]

_PLACE_KEYS: Final = re.compile(
    r"(^|_)(path|paths|file|files|filename|filepath|dir|directory|url|uri|id|ids|key|name)$"
)
_READS: Final = frozenset(
    {"read", "view", "open", "cat", "get", "fetch", "load", "show", "retrieve", "lookup", "details"}
)
_RANGES: Final = frozenset(
    {
        "offset",
        "limit",
        "start",
        "end",
        "start_line",
        "end_line",
        "line",
        "line_number",
        "lines",
        "view_range",
        "range",
    }
)
_IDENTIFIER: Final = re.compile(r"[\w.~@:#+/\\-]{3,200}")
_PATH_IN_TEXT: Final = re.compile(r"(?:[\w.~-]*/)+[\w.-]+|[\w-]+\.[A-Za-z][A-Za-z0-9]{0,4}\b")
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LONGEST_TEXT: Final = 1_000
_FITS: Final = 26
_MOST_VALUES: Final = 6
_OTHERS: Final = 3
_SHORTEST_NAME: Final = 5
_CUT: Final = "… sha256:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """A text that came into the run: a tool's result or somebody's message. `described` is its amount in words."""

    version: int
    tool: str
    text: str
    described: str = ""
    failed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """One thing and how much of it had been seen. `version` is the event that shows it, None where nothing does."""

    value: str
    extent: Extent
    words: str
    note: str = ""
    version: int | None = None

    @property
    def short(self) -> str:
        """Return the value as it fits a row: of a long path its end, of anything else its beginning and end."""
        if len(self.value) <= _FITS:
            return self.value
        if "/" not in self.value:
            return f"{self.value[: _FITS // 2]}…{self.value[-_FITS // 2 + 1 :]}"
        end = self.value[-_FITS:]
        return f"…{end[end.find('/') :]}" if "/" in end else f"…{end}"


def knowledge(
    arguments: Any, results: Mapping[str, Mapping[str, Any]], heard: Sequence[Heard], *, searched_from: int = 1
) -> tuple[Known, ...]:
    """Return a row for each thing the arguments name, then the newest results that are about something else.

    `results` is the state's `known.results`: the latest result per tool and arguments, over the whole run. `heard` are
    the texts since event `searched_from`, oldest first; older ones were not searched, and "never read" says so.
    """
    calls = [_Call.of(key, entry) for key, entry in results.items()]
    texts = {text.version: text for text in heard}
    named = values_of(arguments)
    rows = [_about(value, calls, texts, searched_from) for value in named]
    used = {row.version for row in rows}
    return tuple(rows) + _others(calls, texts, used)


def values_of(arguments: Any) -> tuple[str, ...]:
    """Return the paths, addresses and identifiers among a call's arguments, in order, each once."""
    found: list[str] = []
    for name, value in arguments.items() if isinstance(arguments, dict) else (("", arguments),):
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str):
                found += _values_in(str(name), item.strip())
    return tuple(dict.fromkeys(found))[:_MOST_VALUES]


def _values_in(name: str, value: str) -> list[str]:
    if _IDENTIFIER.fullmatch(value):
        is_place = _PLACE_KEYS.search(name.lower()) or any(mark in value for mark in "/.#@") or _has_digits(value)
        return [value] if is_place and not value.replace(".", "").isdigit() else []
    if "\n" in value or len(value) > _LONGEST_TEXT:
        return []
    return [path for path in _PATH_IN_TEXT.findall(value) if len(path) >= _SHORTEST_NAME][:_MOST_VALUES]


def _has_digits(value: str) -> bool:
    return any(character.isdigit() for character in value) and any(character.isalpha() for character in value)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """A result with the call it answers, as far as the state's key still tells."""

    version: int
    tool: str
    raw: str
    arguments: Any
    failed: bool
    size_bytes: int
    preview: str

    @classmethod
    def of(cls, key: str, entry: Mapping[str, Any]) -> _Call:
        tool = str(entry.get("tool") or "")
        raw = key[len(tool) + 1 :] if tool and key.startswith(f"{tool} ") else key.partition(" ")[2]
        whole = raw.partition(_CUT)[0]
        return cls(
            version=int(entry.get("version") or 0),
            tool=tool,
            raw=whole,
            arguments=parsed(raw),
            failed=bool(entry.get("failed")),
            size_bytes=int(entry.get("size_bytes") or 0),
            preview=str(entry.get("preview") or ""),
        )

    def has(self, value: str) -> bool:
        """Tell whether the call was given this very value; of cut arguments what is left is searched."""
        if isinstance(self.arguments, dict):
            return value in values_of(self.arguments) or value in self.arguments.values()
        return f'"{value}"' in self.raw or value == self.arguments

    def reads_whole(self) -> bool:
        return reads(self.tool, self.arguments) and not self._is_range()

    def _is_range(self) -> bool:
        return isinstance(self.arguments, dict) and any(
            name in _RANGES and value not in (None, "", 0) for name, value in self.arguments.items()
        )


def reads(tool: str, arguments: Any) -> bool:
    """Tell whether a call is one that gives back the thing it names, by the words of its name or command."""
    command = arguments.get("command") if isinstance(arguments, dict) else None
    words = {word.lower() for word in _WORDS.findall(tool)}
    if isinstance(command, str) and not words & _READS:
        words = {command.split(maxsplit=1)[0].lower()} if command.strip() else set()
        return bool(words & _READS) and not any(mark in command for mark in "|;&>")
    return bool(words & _READS)


def _about(value: str, calls: Iterable[_Call], texts: Mapping[int, Heard], searched_from: int) -> Known:
    same = sorted((call for call in calls if call.has(value)), key=lambda call: call.version, reverse=True)
    for call in same:
        if call.reads_whole() and not call.failed:
            return Known(
                value=value,
                extent="whole",
                words="read whole",
                version=call.version,
                note=_amount(call, texts),
            )
    for call in same:
        if not call.failed and reads(call.tool, call.arguments):
            return Known(
                value=value,
                extent="part",
                words="read in part",
                version=call.version,
                note=f"{_amount(call, texts)}, result of {call.tool}",
            )
    mention = _mention(value, texts.values())
    if mention is not None:
        return mention
    if same:
        return _used(value, same[0])
    return _never(value, texts.values(), searched_from)


def _amount(call: _Call, texts: Mapping[int, Heard]) -> str:
    text = texts.get(call.version)
    return text.described if text and text.described else in_bytes(call.size_bytes)


def _mention(value: str, texts: Iterable[Heard]) -> Known | None:
    """Return the newest tool result in which the value, or else its file name, stands."""
    results = [text for text in texts if text.tool]
    name = re.split(r"[/\\]", value)[-1]
    for wanted, what in ((value, ""), (name, "its name, ")):
        if len(wanted) < _SHORTEST_NAME and wanted != value:
            continue
        found = next((text for text in reversed(results) if wanted in text.text), None)
        if found is not None:
            lines = sum(wanted in line for line in found.text.splitlines())
            return Known(
                value=value,
                extent="part",
                words="seen in part",
                version=found.version,
                note=f"{what}{amount(lines, 'line')} in the result of {found.tool}",
            )
    return None


def _used(value: str, call: _Call) -> Known:
    if call.failed:
        return Known(
            value=value,
            extent="failed",
            words="not read",
            version=call.version,
            note=f"{call.tool} of it failed",
        )
    return Known(
        value=value,
        extent="used",
        words="not read",
        version=call.version,
        note=f"only named in a call of {call.tool}",
    )


def _never(value: str, texts: Iterable[Heard], searched_from: int) -> Known:
    named = next((text for text in texts if not text.tool and value in text.text), None)
    if named is not None:
        return Known(value=value, extent="never", words="never read", version=named.version, note="named in a message")
    note = (
        "in no result before"
        if searched_from <= 1
        else f"in no result from {searched_from:,} on; older ones not searched"
    )
    return Known(value=value, extent="never", words="never read", note=note)


def _others(calls: Iterable[_Call], texts: Mapping[int, Heard], used: set[int | None]) -> tuple[Known, ...]:
    newest = sorted((call for call in calls if call.version not in used), key=lambda call: call.version, reverse=True)
    return tuple(_other(call, texts) for call in newest[:_OTHERS])[::-1]


def _other(call: _Call, texts: Mapping[int, Heard]) -> Known:
    named = values_of(call.arguments)
    value = named[0] if named else call.tool
    if call.failed:
        return Known(
            value=value, extent="failed", words="failed", note=f"{call.tool}: {call.preview}", version=call.version
        )
    if named and call.reads_whole():
        return Known(value=value, extent="whole", words="read whole", note=_amount(call, texts), version=call.version)
    extent: Extent = "part" if named and reads(call.tool, call.arguments) else "used"
    words = "read in part" if extent == "part" else "result"
    tool = "" if value == call.tool else f", result of {call.tool}"
    return Known(value=value, extent=extent, words=words, note=_amount(call, texts) + tool, version=call.version)
