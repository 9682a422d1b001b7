"""What a call did, from its arguments: a line diff where they are an edit, else names and values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from journal.domain.text import amount, parsed

_PAIRS: Final = (
    ("old_str", "new_str"),
    ("old_string", "new_string"),
    ("old_text", "new_text"),
    ("oldText", "newText"),
    ("old", "new"),
    ("search", "replace"),
    ("find", "replace"),
    ("before", "after"),
)
_WHOLE: Final = ("file_text", "content", "contents", "new_content", "text")
_PATCH: Final = ("patch", "diff", "input")
_TARGETS: Final = ("path", "file_path", "filePath", "file", "filename")
_SHOWN_LINES: Final = 60
_COMPARED_LINES: Final = 1_000
_AROUND: Final = 2
_SHOWN_CHARACTERS: Final = 1_200
_LINE_CHARACTERS: Final = 400


@dataclass(frozen=True, kw_only=True, slots=True)
class EditLine:
    """One line of a small diff: `mark` is `+`, `−` or a blank, `number` its line in the text it is from."""

    mark: str
    text: str
    number: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Edit:
    """The lines of an edit, and how many more there are."""

    lines: tuple[EditLine, ...]
    more: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Argument:
    """One argument as text; `note` says how much of a long one is shown."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Did:
    """What a call was given: an edit where its arguments are one and what was edited, and the other arguments."""

    edit: Edit | None
    arguments: tuple[Argument, ...]
    target: str = ""


def did(args_json: str) -> Did:
    """Return what a call's arguments say it did. Arguments that are no object are shown as one text."""
    arguments = parsed(args_json)
    if not isinstance(arguments, dict):
        return Did(edit=None, arguments=(_argument("arguments", arguments),) if arguments else ())
    used, edit = _edit(arguments)
    target = next((name for name in _TARGETS if edit is not None and _is_text(arguments, name)), "")
    rest = tuple(_argument(name, value) for name, value in arguments.items() if name not in (*used, target))
    return Did(edit=edit, arguments=rest, target=arguments.get(target, "")[:_LINE_CHARACTERS])


def _edit(arguments: dict[str, Any]) -> tuple[tuple[str, ...], Edit | None]:
    for old, new in _PAIRS:
        if _is_text(arguments, old) and _is_text(arguments, new):
            return (old, new), line_diff(arguments[old], arguments[new], is_whole=False)
    for name in _WHOLE:
        if _is_text(arguments, name) and "\n" in arguments[name]:
            return (name,), line_diff("", arguments[name])
    for name in _PATCH:
        if _is_text(arguments, name) and _is_patch(arguments[name]):
            return (name,), _cut([_patch_line(line) for line in arguments[name].splitlines()])
    return (), None


def _is_text(arguments: dict[str, Any], name: str) -> bool:
    return isinstance(arguments.get(name), str)


def _is_patch(text: str) -> bool:
    return text.startswith(("--- ", "diff ", "*** ", "@@")) or "\n@@" in text


def _patch_line(line: str) -> EditLine:
    is_head = line.startswith(("+++", "---"))
    mark = "" if is_head else {"+": "+", "-": "−"}.get(line[:1], "")
    return EditLine(mark=mark, text=_short(line[1:] if mark else line))


def line_diff(old: str, new: str, *, is_whole: bool = True) -> Edit:
    """Return what a person needs to see of a replacement: changed lines with a little around them.

    Lines have numbers only where the texts are whole: where in a file a part stands, its call does not say.
    """
    left, right = old.splitlines()[:_COMPARED_LINES], new.splitlines()[:_COMPARED_LINES]
    lines: list[EditLine] = []
    for group in SequenceMatcher(None, left, right, autojunk=False).get_grouped_opcodes(_AROUND):
        for tag, first, last, start, end in group:
            if tag == "equal":
                lines += _lines("", left, first, last, is_whole=is_whole)
                continue
            lines += _lines("−", left, first, last, is_whole=is_whole)
            lines += _lines("+", right, start, end, is_whole=is_whole)
    beyond = max(0, old.count("\n") + 1 - _COMPARED_LINES) + max(0, new.count("\n") + 1 - _COMPARED_LINES)
    return _cut(lines, beyond)


def _lines(mark: str, text: list[str], first: int, last: int, *, is_whole: bool) -> list[EditLine]:
    return [
        EditLine(mark=mark, text=_short(text[at]), number=at + 1 if is_whole else None) for at in range(first, last)
    ]


def _cut(lines: list[EditLine], beyond: int = 0) -> Edit:
    return Edit(lines=tuple(lines[:_SHOWN_LINES]), more=max(0, len(lines) - _SHOWN_LINES) + beyond)


def _short(line: str) -> str:
    return line if len(line) <= _LINE_CHARACTERS else f"{line[:_LINE_CHARACTERS]}…"


def _argument(name: str, value: Any) -> Argument:
    text = value if isinstance(value, str) else _as_json(value)
    if len(text) <= _SHOWN_CHARACTERS:
        return Argument(name=name, value=text)
    return Argument(
        name=name,
        value=f"{text[:_SHOWN_CHARACTERS]}…",
        note=f"{_SHOWN_CHARACTERS:,} of {amount(len(text), 'character')}; the whole is under Payload",
    )


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
