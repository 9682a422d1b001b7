"""What a socket says next: one look at who listens and at the journal, on a thread, for each time it wakes up.

The permission is asked for again before anything is sent, so that nothing is sent on a right that is gone.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from django.utils import timezone

from explorer.live.address import Asked
from explorer.live.feed import PAGE, Feed
from explorer.live.narrowing import narrowed
from explorer.live.rows import LiveRow, Rows, html_of
from journal.access import Permission, note_access
from journal.access.acting import Actor
from journal.access.visitors import Credentials, Turned, Visitor, visitor
from journal.access.watching import note_turned
from journal.api.live import jobs_of
from journal.domain import codec
from journal.domain.access_log import AccessKind, is_access, shortened
from journal.domain.event import instant

KEPT_ROWS: Final = 500
"""Rows that the live page holds: whoever was away longer is sent the newest so many and told of the others."""

BURST_ROWS: Final = 50
"""Rows of one frame while it follows: at four frames a second, what is beyond is counted."""

_SCANNED: Final = 5_000
"""Events that one step looks at for rows: it then says how far it is before it looks at more."""

NOT_SIGNED_IN: Final = 4401
NOT_PERMITTED: Final = 4403
NOT_THERE: Final = 4404
_CODES: Final = {
    Turned.NOT_SIGNED_IN: NOT_SIGNED_IN,
    Turned.NOT_PERMITTED: NOT_PERMITTED,
    Turned.NO_SUCH_PROJECT: NOT_THERE,
}
_JOBS_LATELY: Final = timedelta(seconds=30)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Frames to send, in order. `code` closes the socket instead; `has_more` asks for the next step at once."""

    frames: list[str] = []
    code: int = 0
    reason: str = ""
    has_more: bool = False
    user_id: int = 0


class Speaker:
    """One socket's side of the talk. Its methods block, and are called one after the other."""

    def __init__(self, brought: Credentials, asked: Asked, *, zone: str = "UTC", address: str = "") -> None:
        self._brought = brought
        self._asked = asked
        self._zone = ZoneInfo(zone)
        self._origin = shortened(address)
        self._project = asked.project
        self._feed: Feed | None = None
        self._rows: Rows | None = None
        self._is_behind = True
        self._edge = 0
        self._jobs: dict[str, dict[str, Any]] = {}

    def admit(self) -> Said:
        """Find out who listens, and from where on."""
        who = self._who()
        if isinstance(who, Turned):
            note_turned(self._asked.project or "", "live socket", why=who.value, who=Actor(origin=self._origin))
            return _closed(who)
        if is_access(self._asked.stream):
            return Said(code=NOT_THERE, reason="there is no such stream")
        reader = Actor(by=who.by, via=who.via, origin=self._origin)
        note_access(who.project, AccessKind.READ, "live socket", of=self._asked.stream, who=reader)
        self._project = who.project  # from here on: what the session's page turns to later does not move the socket
        self._feed = Feed(who.project, stream=self._asked.stream, after=self._asked.after)
        if not self._feed.is_there:
            return Said(code=NOT_THERE, reason="there is no such stream")
        if self._asked.form == "rows":
            self._rows = Rows(who.project, narrowed(self._asked.q))
        return Said(user_id=who.user_id)

    def next(self) -> Said:
        """Return what is new since the last call.

        The right is asked for behind the reading: an event that came after the right was gone is then never sent.
        """
        said = self._new()
        turned = self.still()
        return turned if turned.code else said

    def still(self) -> Said:
        """Say whether who listens may still do so, for pages that take their time to be sent."""
        who = self._who()
        return _closed(who) if isinstance(who, Turned) else Said()

    def _new(self) -> Said:
        assert self._feed is not None and self._project is not None  # admitted before  # noqa: S101, PT018
        head = self._feed.head()
        if self._asked.form == "edge":
            return Said(frames=[*self._grown(self._feed), _horizon(head)])
        if self._asked.form == "jobs":
            return Said(frames=[*self._work(self._project), _horizon(head)])
        if self._rows is not None:
            with timezone.override(self._zone):
                return self._told(self._feed, self._rows, head)
        events = self._feed.read(PAGE)
        has_more = len(events) == PAGE
        shown = [event for event in events if not is_access(event.stream)]
        frames = [f'{{"type":"event","event":{codec.line(event).decode()}}}' for event in shown]
        if not has_more:
            frames += [] if self._asked.stream else self._work(self._project)
            frames.append(_horizon(head))
        return Said(frames=frames, has_more=has_more)

    def _grown(self, feed: Feed) -> list[str]:
        """Say how far the stream goes, where that is not what was said last."""
        before, self._edge = self._edge, feed.edge()
        return [codec.text({"type": "edge", "version": self._edge})] if self._edge != before else []

    def _told(self, feed: Feed, rows: Rows, head: int) -> Said:
        """Return the next rows in one frame: all that fit, or the newest with how many came before them."""
        most = KEPT_ROWS if self._is_behind else BURST_ROWS
        kept: deque[LiveRow] = deque(maxlen=most)
        after, count, scanned, has_more = feed.position, 0, 0, True
        while has_more and scanned < _SCANNED:
            events = feed.read(PAGE)
            scanned, has_more = scanned + len(events), len(events) == PAGE
            found = rows.of(events)
            count += len(found)
            kept.extend(found)
        self._is_behind = self._is_behind and has_more
        left_out = count - len(kept)
        frame = {
            "type": "rows",
            "html": html_of(kept, left_out=left_out, after=after) if kept else "",
            "count": count,
            "left_out": left_out,
            "position": feed.position,
        }
        frames = [codec.text(frame)] if count else []
        return Said(frames=[*frames, *([] if has_more else [_horizon(head)])], has_more=has_more)

    def _work(self, project: str) -> list[str]:
        """Return the jobs that are not as they were when they were last told of."""
        lately = datetime.now(UTC) - _JOBS_LATELY
        now = {job["id"]: job for job in jobs_of(project, ended_since=lately, only=self._asked.job)}
        changed = [job for name, job in now.items() if self._jobs.get(name) != job]
        self._jobs = now
        return [codec.text({"type": "job", "job": job}) for job in changed]

    def _who(self) -> Visitor | Turned:
        now = datetime.now(UTC)
        return visitor(self._brought, project=self._project, needs=Permission.READ, now=now)


def _horizon(head: int) -> str:
    """Say that all there is up to a position was sent, and that the connection lives."""
    return codec.text({"type": "horizon", "position": head, "at": instant(datetime.now(UTC))})


def _closed(turned: Turned) -> Said:
    return Said(code=_CODES[turned], reason=turned.value)
