r"""Secrets in payloads, found by how they look and replaced before anything is kept.

A secret becomes `[redacted:<kind>:<digest>]`. The digest is keyed, so that the same secret is recognised again and
nobody who reads the journal can try guesses on it. The rest of a payload stays byte for byte what it was: patterns
look at JSON text as it stands, also within strings that hold JSON of their own, and match nothing that crosses the end
of a string. What is written with escapes (`\u0041`, `\/`) is looked at as what it means.

Kinds of personal data, and a project's own patterns, look at decoded strings and numbers instead; a payload in which
they find something is written anew.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, cast

import msgspec
import re2

from journal.domain import redaction_kinds as kinds
from journal.domain.redaction_kinds import PERSONAL, SECRETS, Secret

DIGEST_CHARS: Final = 12
MARK: Final = b"[redacted:"
_PLACEHOLDER: Final = re.compile(rb"\[redacted:([a-z][a-z0-9_]{0,39}):[0-9a-f]{%d}\]" % DIGEST_CHARS)
_HIDDEN: Final = rb"\\u00[2-7]|:\\+/\\+/"
_ESCAPE: Final = re.compile(rb"\\+(?:u([0-9a-fA-F]{4})|(/))")
_BARE: Final = re.compile(rb"[^A-Za-z0-9+=]")
_ASCII_END: Final = 0x7F
_SPACES: Final = frozenset({0x09, 0x0A, 0x0D})
_KEPT_ESCAPED: Final = frozenset(b'"\\')
Span = tuple[int, int, str]

Digest = Callable[[str, bytes], str]
"""Kind and secret to a keyed digest in lower-case hex."""


class Pattern(Protocol):
    """A project's own pattern: something that finds spans in text in time linear in it."""

    name: str

    def spans(self, text: str) -> Iterable[tuple[int, int]]:
        """Yield where it matches, without overlaps."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What is replaced. `off` are kinds of secrets that are left alone, `on` kinds of personal data that are not."""

    off: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset()
    own: tuple[Any, ...] = ()


class Redacted(msgspec.Struct, frozen=True, kw_only=True):
    """Text after its secrets were replaced, and how many of each kind were."""

    raw: bytes
    found: dict[str, int]


class Redactor:
    """Replaces what one project's rules name."""

    def __init__(self, rules: Rules, digest: Digest) -> None:
        self._digest = digest
        self._secrets = [kind for kind in SECRETS if kind.name not in rules.off]
        self._may_hold = _any_of(tuple(kind.hint for kind in self._secrets))
        self._personal = [kind for kind in PERSONAL if kind.name in rules.on]
        self._own: tuple[Pattern, ...] = rules.own

    def lets_through(self, texts: Iterable[bytes], *, only_secrets: bool = False) -> bool:
        """Return whether none of many texts holds anything to replace, nor a placeholder: one look at all of them."""
        if not only_secrets and (self._personal or self._own):
            return False
        return self._may_hold(b"\n".join(texts)) is None

    def json(self, raw: bytes, *, only_secrets: bool = False) -> Redacted | None:
        """Return JSON text with everything replaced, None where nothing is to be: what nearly all text is."""
        found: Counter[str] = Counter()
        changed = raw
        if self._may_hold(raw) is not None:
            changed = self._without_secrets(raw, found)
        if not only_secrets and (self._personal or self._own):
            changed = self._without_personal(changed, found)
        return Redacted(raw=changed, found=dict(found)) if found else None

    def text(self, text: str) -> tuple[str, dict[str, int]]:
        """Return plain text with everything replaced, and how many of each kind were."""
        done = self.json(json.dumps(text, ensure_ascii=False).encode(errors="replace"))
        return (json.loads(done.raw), done.found) if done is not None else (text, {})

    # --- Secrets, in the text as it stands ----------------------------------------------------------------------------

    def _without_secrets(self, raw: bytes, found: Counter[str]) -> bytes:
        seen, place = _as_meant(raw) if b"\\u" in raw or b"\\/" in raw else (raw, None)
        spans = sorted(_spans(self._secrets, seen))
        if not spans:
            return raw
        parts, at = [], 0
        for start, end, kind in spans:
            secret = seen[start:end]
            low, high = (start, end) if place is None else (place(start), place(end))
            parts += [raw[at:low], self._placeholder(kind, secret)]
            at = high
            found[kind] += 1
        return b"".join([*parts, raw[at:]])

    def _placeholder(self, kind: str, secret: bytes) -> bytes:
        plain = _BARE.sub(b"", secret.replace(rb"\n", b"").replace(rb"\r", b"")) if kind == kinds.BLOCK else secret
        return b"[redacted:%s:%s]" % (kind.encode(), self._digest(kind, plain)[:DIGEST_CHARS].encode())

    # --- Personal data and own patterns, in what the text means -------------------------------------------------------

    def _without_personal(self, raw: bytes, found: Counter[str]) -> bytes:
        before = found.total()
        value = self._walked(json.loads(raw), found)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() if found.total() > before else raw

    def _walked(self, value: Any, found: Counter[str]) -> Any:
        match value:
            case dict():
                return {self._string(key, found): self._walked(inner, found) for key, inner in value.items()}
            case list():
                return [self._walked(inner, found) for inner in value]
            case str():
                return self._string_or_json(value, found)
            case bool() | None:
                return value
            case _:
                told = json.dumps(value)
                return replaced if (replaced := self._string(told, found)) != told else value

    def _string_or_json(self, text: str, found: Counter[str]) -> str:
        if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
            within: Counter[str] = Counter()
            try:
                walked = self._walked(json.loads(text), within)
                told = json.dumps(walked, ensure_ascii=False, separators=(",", ":"))
                told.encode()
            except (ValueError, RecursionError):  # no JSON, too deep, or half of a character: looked at as it stands
                return self._string(text, found)
            found.update(within)
            return told if within else text
        return self._string(text, found)

    def _string(self, text: str, found: Counter[str]) -> str:
        spans = [
            *((start, end, kind.name) for kind in self._personal for start, end in kind.spans(text)),
            *((start, end, own.name) for own in self._own for start, end in own.spans(text)),
        ]
        if not spans:
            return text
        parts, at = [], 0
        for start, end, kind in _apart(spans, taken=_placeholders(text)):
            secret = text[start:end].encode(errors="replace")
            parts += [text[at:start], self._placeholder(kind, secret).decode()]
            at = end
            found[kind] += 1
        return "".join([*parts, text[at:]])


@lru_cache(maxsize=32)
def _any_of(hints: tuple[bytes, ...]) -> Callable[[bytes], object]:
    """Return what looks at a text once for all kinds: nearly all text is let through by it, at a few ns a byte."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    return cast("Callable[[bytes], object]", re2.compile(b"|".join([*hints, _HIDDEN, re.escape(MARK)]), options).search)


def counted(raw: bytes) -> dict[str, int]:
    """Return how many placeholders of each kind stand in a text."""
    if MARK not in raw:
        return {}
    return dict(Counter(found[1].decode() for found in _PLACEHOLDER.finditer(raw)))


def _placeholders(text: str) -> list[tuple[int, int]]:
    """Return where placeholders stand: nothing is replaced twice."""
    if "[redacted:" not in text:
        return []
    return [found.span() for found in _PLACEHOLDER_TEXT.finditer(text)]


_PLACEHOLDER_TEXT: Final = re.compile(_PLACEHOLDER.pattern.decode())


def _spans(secrets: Sequence[Secret], text: bytes) -> list[Span]:
    """Return what is found, without overlaps: of two that share a place, the kind that stands first has it."""
    found: list[Span] = []
    for kind in secrets:
        if any(needle in text for needle in kind.needles):
            found += ((start, end, kind.name) for start, end in kind.spans(text))
    return list(_apart(found)) if found else []


def _apart(spans: Sequence[Span], *, taken: Sequence[tuple[int, int]] = ()) -> Iterator[Span]:
    """Yield spans in the order of the text, without those that overlap an earlier one of the list or a taken one."""
    kept: list[tuple[int, int, str]] = [(start, end, "") for start, end in taken]
    kept.sort()
    for span in spans:
        at = bisect_right(kept, span)
        is_free = (at == 0 or kept[at - 1][1] <= span[0]) and (at == len(kept) or span[1] <= kept[at][0])
        if is_free and span[0] < span[1]:
            kept.insert(at, span)
    return (span for span in kept if span[2])


def _as_meant(raw: bytes) -> tuple[bytes, Callable[[int], int]]:
    """Return JSON text with its escapes of single characters resolved, and where each place of it stands in `raw`.

    A quotation mark or a backslash that is escaped stays so: what is found may not cross the end of a string. Other
    characters than those of ASCII become a byte that is part of no secret.
    """
    parts: list[bytes] = []
    seen_at, raw_at = [0], [0]
    seen, last = 0, 0
    for found in _ESCAPE.finditer(raw):
        byte = _meaning(found)
        if byte is None:
            continue
        parts += [raw[last : found.start()], byte]
        seen += found.start() - last
        seen_at += [seen, seen + 1]
        raw_at += [found.start(), found.end()]
        seen += 1
        last = found.end()
    parts.append(raw[last:])

    def place(at: int) -> int:
        index = bisect_right(seen_at, at) - 1
        return raw_at[index] + (at - seen_at[index])

    return b"".join(parts), place


def _meaning(found: re.Match[bytes]) -> bytes | None:
    if found[2]:
        return b"/"
    code = int(found[1], 16)
    if code in _KEPT_ESCAPED:
        return None
    if code in _SPACES:
        return b"\n"
    return bytes([code]) if 0x20 <= code < _ASCII_END else b"\xff"  # noqa: PLR2004 - the first printable character


def told(metadata: bytes, found: Mapping[str, int]) -> bytes:
    """Return an event's metadata with what was replaced in it, all else as it stands."""
    known = msgspec.json.decode(metadata)
    counts = dict(sorted(found.items()))
    if known.get("redacted") == counts:
        return metadata
    if "redacted" in known:
        return msgspec.json.encode({**known, "redacted": counts})
    body = metadata.rstrip()[:-1].rstrip()
    between = b"" if body.endswith(b"{") else b","
    return body + between + b'"redacted":' + msgspec.json.encode(counts) + b"}"
