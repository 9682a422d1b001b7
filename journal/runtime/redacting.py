"""Secrets replaced on every way in, by the rules a project has now.

The key of the digests is made of the installation's secret key and the project's name: it is in no database, so that
whoever has one of those cannot try out which password a placeholder was. Rules are read again every few seconds; what
another process saved is in force here a moment later.
"""

from __future__ import annotations

import hmac
import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import re2
from django.db import DEFAULT_DB_ALIAS

from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData, Metadata
from journal.domain.notes import CATEGORY as NOTES
from journal.domain.own import is_own
from journal.domain.redaction import MARK, Redactor, Rules, counted, told
from journal.domain.redaction_kinds import NAMES, PERSONAL, SECRETS
from journal.domain.redaction_rules import STREAM, OwnPattern, RulesSaved
from journal.domain.stream import category
from journal.errors import Refused, WrongExpectedVersion
from journal.store import get_store

READ_AGAIN_S: Final = 5.0
MOST_PATTERNS: Final = 20
LONGEST_PATTERN: Final = 500
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MEMORY: Final = 1 << 22
"""Bytes that one pattern's automaton may take: past that RE2 refuses it."""

_DIGEST: Final = "sha256"


class RedactionRefused(Refused):
    """Rules that cannot be, such as a pattern that is none."""


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A pattern of a project's own, in RE2: it takes time linear in the text, whatever the pattern."""

    name: str
    compiled: Any

    def spans(self, text: str) -> Iterable[tuple[int, int]]:
        """Yield where it matches."""
        return (found.span() for found in self.compiled.finditer(text) if found.end() > found.start())


@dataclass(frozen=True, kw_only=True)
class Current:
    """A project's rules as they are now: version 0 where nobody saved any."""

    version: int
    saved: RulesSaved


def compiled(patterns: Sequence[OwnPattern]) -> tuple[Compiled, ...]:
    """Return patterns ready to be asked.

    Raises:
        RedactionRefused: one is too long, none of RE2's, matches nothing at all, or has a name that is taken or none.
    """
    if len(patterns) > MOST_PATTERNS:
        raise RedactionRefused(f"{len(patterns)} patterns; {MOST_PATTERNS} are the most")
    names = [pattern.name for pattern in patterns]
    for name in names:
        if not _NAME.fullmatch(name):
            raise RedactionRefused(f"{name[:60]!r} is no name: use lower-case letters, digits and _, 40 at most")
        if name in NAMES or names.count(name) > 1:
            raise RedactionRefused(f"there is a kind {name!r} already")
    return tuple(Compiled(name=pattern.name, compiled=_re2(pattern)) for pattern in patterns)


def _re2(pattern: OwnPattern) -> Any:
    if len(pattern.pattern) > LONGEST_PATTERN:
        raise RedactionRefused(f"the pattern of {pattern.name} has more than {LONGEST_PATTERN} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        found = re2.compile(pattern.pattern, options)
        matches_nothing = found.search("") is not None
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise RedactionRefused(f"the pattern of {pattern.name} is none that RE2 knows: {why}") from error
    if matches_nothing:
        raise RedactionRefused(f"the pattern of {pattern.name} matches where nothing stands: write what it must hold")
    return found


class Redaction:
    """Redactors by project, made anew where their rules changed."""

    def __init__(self, secret_key: str) -> None:
        self._secret_key = secret_key.encode()
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, int, Redactor]] = {}

    def redactor(self, project: str, *, using: str = DEFAULT_DB_ALIAS) -> Redactor:
        """Return what replaces in a project, by rules that are at most a few seconds old.

        They stand in the project's journal, in the database that is written to.
        """
        known = self._known.get((using, project))
        if known is not None and time.monotonic() - known[0] < READ_AGAIN_S:
            return known[2]
        version = get_store(project, using=using).stream_version(STREAM)
        is_same = known is not None and known[1] == version
        redactor = known[2] if known is not None and is_same else self.by(project, self.rules(project, using=using))
        with self._lock:
            self._known[using, project] = (time.monotonic(), version, redactor)
        return redactor

    def rules(self, project: str, *, using: str = DEFAULT_DB_ALIAS) -> RulesSaved:
        """Return a project's rules from its journal."""
        return current(project, using=using).saved

    def by(self, project: str, rules: RulesSaved) -> Redactor:
        """Return what replaces by given rules. A saved pattern that RE2 takes no more is left out."""
        key = hmac.digest(self._secret_key, b"nagare redaction|" + project.encode(), _DIGEST)
        own: list[Compiled] = []
        for pattern in rules.patterns:
            try:
                own += compiled([pattern])
            except RedactionRefused:
                continue
        return Redactor(
            Rules(off=frozenset(rules.off), on=frozenset(rules.on), own=tuple(own)),
            lambda kind, secret: hmac.new(key, kind.encode() + b"|" + secret, _DIGEST).hexdigest(),
        )

    def forget(self, project: str | None = None) -> None:
        """Read rules again at the next look: a project's, or all."""
        with self._lock:
            for using, of in list(self._known):
                if project in (None, of):
                    del self._known[using, of]

    def events(
        self, project: str, stream: str, events: Sequence[EventData], *, using: str = DEFAULT_DB_ALIAS
    ) -> Sequence[EventData]:
        """Return events as they are kept: with placeholders, and in the metadata how many of each kind.

        In the journal's own streams, whose texts programs read again, only secrets are looked for.
        """
        redactor = self.redactor(project, using=using)
        is_work = is_own(stream) and category(stream) != NOTES
        texts = (text for event in events for text in (event.data, event.metadata))
        if redactor.lets_through(texts, only_secrets=is_work):
            return events
        return [_kept(redactor, event, only_secrets=is_work) for event in events]

    def raw(self, project: str, body: bytes) -> bytes:
        """Return JSON that is no event yet, such as a span, as it is kept."""
        done = self.redactor(project).json(body)
        return body if done is None else done.raw

    def alike(self, project: str, stored: bytes, again: bytes) -> bool:
        """Return whether two payloads differ by nothing but what some rules or others replace in them.

        What was imported before rules changed is the same when it is imported again.
        """
        strictest = self.by(project, RulesSaved(on=tuple(_PERSONAL), patterns=self.rules(project).patterns))
        one, two = (done.raw if (done := strictest.json(raw)) else raw for raw in (stored, again))
        return one == two

    def text(self, project: str, text: str) -> str:
        """Return a text that may quote a payload, such as the reason of a refusal, as it may be kept."""
        return self.redactor(project).text(text)[0]


def _kept(redactor: Redactor, event: EventData, *, only_secrets: bool) -> EventData:
    data = redactor.json(event.data, only_secrets=only_secrets)
    metadata = redactor.json(event.metadata, only_secrets=True) if len(event.metadata) > 2 else None  # noqa: PLR2004 - {}
    for done in (data, metadata):
        if done is not None:  # what came was JSON, and so is what is kept: this is the last to look
            codec.check_object(done.raw, what="what is left after redaction")
    if data is None and metadata is None and MARK not in event.data:
        return event
    kept, said = data.raw if data else event.data, metadata.raw if metadata else event.metadata
    found = counted(kept)
    if metadata is not None:
        for kind, count in counted(said).items():
            found[kind] = found.get(kind, 0) + count
    return msgspec.structs.replace(event, data=kept, metadata=told(said, found) if found else said)


# --- Rules ------------------------------------------------------------------------------------------------------------


def current(project: str, *, using: str = DEFAULT_DB_ALIAS) -> Current:
    """Return a project's rules."""
    store = get_store(project, using=using)
    version = store.stream_version(STREAM)
    for event in store.read_stream(STREAM, after=max(version - 1, 0), until=version) if version else ():
        saved = catalog.decode(event)
        if isinstance(saved, RulesSaved):
            return Current(version=version, saved=saved)
    return Current(version=version, saved=RulesSaved())


def save(project: str, rules: RulesSaved, *, expected_version: int) -> int:
    """Save another version of a project's rules, from here on in force. Returns its number.

    Raises:
        RedactionRefused: a kind or pattern is none, or somebody saved other rules meanwhile.
    """
    unknown = [kind for kind in rules.off if kind not in _SECRETS] + [
        kind for kind in rules.on if kind not in _PERSONAL
    ]
    if unknown:
        raise RedactionRefused(f"there is no kind {unknown[0][:60]!r}")
    compiled(rules.patterns)
    event = EventData(
        type=catalog.name_of(RulesSaved),
        data=codec.encode(rules),
        metadata=codec.encode(Metadata(actor=f"user:{rules.by}" if rules.by else None)),
    )
    try:
        done = get_store(project).append(STREAM, [event], expected_version=expected_version)
    except WrongExpectedVersion as other:
        words = f"somebody saved version {other.actual} meanwhile; look at it, and save again"
        raise RedactionRefused(words) from other
    in_use().forget(project)
    return done.version


_SECRETS: Final = frozenset(kind.name for kind in SECRETS)
_PERSONAL: Final = frozenset(kind.name for kind in PERSONAL)

_in_use: Redaction | None = None


def use(redaction: Redaction) -> None:
    """Say what replaces secrets in this process."""
    global _in_use  # noqa: PLW0603 - set once, as the app is loaded
    _in_use = redaction


def in_use() -> Redaction:
    """Return what replaces secrets in this process."""
    assert _in_use is not None  # the app is loaded  # noqa: S101
    return _in_use
