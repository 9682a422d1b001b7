"""What the built-in rules share: a base, and how names, paths and texts are read without knowing their language."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any, ClassVar, Final

from journal.domain import agent_run as run
from journal.domain.invariant import Context, Evaluator, Invariant, Verdict
from journal.domain.text import plain

_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PATH_KEYS: Final = ("path", "file_path", "filePath", "file", "filename", "file_name", "target_file", "absolute_path")
_READING: Final = frozenset(("read", "view", "open", "cat", "show", "load", "get", "fetch", "head", "tail", "goto"))
_EDITING: Final = frozenset(("edit", "replace", "patch", "insert", "update", "modify", "multiedit"))
_MAKING: Final = frozenset(("create", "write", "save", "touch"))
_SHELLS: Final = frozenset(("bash", "shell", "terminal", "exec", "command", "run", "execute", "ipython", "python"))
_SENDING: Final = frozenset(
    (
        *("send", "mail", "email", "pay", "refund", "transfer", "purchase", "buy", "book", "charge", "post", "publish"),
        *("invite", "notify", "share", "reserve", "wire"),
    )
)
_CHANGING: Final = _EDITING | _MAKING | _SENDING | frozenset(("delete", "remove", "add", "set", "cancel", "schedule"))


class Rule(Invariant):
    """A rule that looks at events alone; `memory` makes what judges one run."""

    uses_state = False
    uses_previous = False
    memory: ClassVar[type[Evaluator]]

    def begin(self, stream: str) -> Evaluator:
        """Return a fresh memory."""
        del stream
        return self.memory()


class EventRule(Rule):
    """A rule that looks at one event at a time and remembers none: it is its own evaluator."""

    def begin(self, stream: str) -> Evaluator:
        """Return the rule itself."""
        del stream
        return self

    def step(self, ctx: Context) -> Verdict:
        """Return the verdict on an event."""
        raise NotImplementedError


@lru_cache(maxsize=1_024)
def words_of(name: str) -> frozenset[str]:
    """Return the words of a tool's name, however it joins them: `str_replace`, `readFile`, `send-money`."""
    return frozenset(word.lower() for word in _WORDS.findall(name))


def verbs(tool: str, arguments: Any) -> frozenset[str]:
    """Return what a call does: the words of the tool, or of its `command` where the tool is an editor of many."""
    command = arguments.get("command") if isinstance(arguments, dict) else None
    if isinstance(command, str) and re.fullmatch(r"[a-z_]{3,20}", command) and path_of(arguments):
        return words_of(command)
    return words_of(tool)


def path_of(arguments: Any) -> str | None:
    """Return the file that a call's arguments name."""
    if not isinstance(arguments, dict):
        return None
    return next((value for name in _PATH_KEYS if isinstance(value := arguments.get(name), str) and value), None)


def reads(doing: frozenset[str]) -> bool:
    """Return whether words say that something is read and nothing changed."""
    return bool(doing & _READING) and not doing & _CHANGING


def edits(doing: frozenset[str]) -> bool:
    """Return whether words say that something there is changed in part."""
    return bool(doing & _EDITING)


def makes(doing: frozenset[str]) -> bool:
    """Return whether words say that something is written whole."""
    return bool(doing & _MAKING) and not edits(doing)


def is_shell(tool: str) -> bool:
    """Return whether a tool runs commands, which may read or change anything."""
    return bool(words_of(tool) & _SHELLS)


def sends(doing: frozenset[str]) -> bool:
    """Return whether words say that something leaves for good: a mail, money, an invitation."""
    return bool(doing & _SENDING)


def changes(doing: frozenset[str]) -> bool:
    """Return whether words say that something is changed anywhere."""
    return bool(doing & _CHANGING)


def same_file(one: str, other: str) -> bool:
    """Return whether two paths may be one file: equal, or one the end of the other."""
    left, right = _parts(one), _parts(other)
    shorter = min(len(left), len(right))
    return bool(shorter) and left[-shorter:] == right[-shorter:]


def base_name(path: str) -> str:
    """Return a path's last part."""
    parts = _parts(path)
    return parts[-1] if parts else path


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]


SAYING: Final = (
    run.Started,
    run.MessageReceived,
    run.ModelResponded,
    run.ToolReturned,
    run.ToolFailed,
    run.Answered,
    run.ContextCompacted,
    run.HandedOff,
)
"""The events of which `said` returns something."""


def said(event: Any) -> str:  # noqa: PLR0911 - one for each kind of event that says something
    """Return the text of an event in which somebody speaks or a tool answers; empty for any other."""
    match event:
        case run.Started():
            return event.prompt or ""
        case run.MessageReceived() | run.ModelResponded():
            return plain(event.content)
        case run.ToolReturned():
            return event.response_json
        case run.ToolFailed():
            return event.message or ""
        case run.Answered():
            return plain(event.response)
        case run.ContextCompacted():
            return event.summary or ""
        case run.HandedOff():
            return event.instruction or ""
    return ""


def digest(text: str) -> bytes:
    """Return a short key for a long text, the same on every machine."""
    return blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()


def folded(text: str) -> str:
    """Return text without what differs between two ways to say the same: case, white space."""
    return " ".join(text.split()).casefold()
