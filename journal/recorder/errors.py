"""What recording and replaying refuse.

JournalError
├── RecordingFailed        something could not be recorded; raised only where recording is strict
├── ServerUnreachable      no answer, or one that asks to come again: tried again, never lost
├── ServerRefused          the server will not have it from this token
├── Diverged               a replayed agent did something else than it did when it was recorded
└── NotReplayable          the recording does not hold what a replay would have to give back
"""

from __future__ import annotations

from typing import Any

from journal.errors import JournalError


class RecordingFailed(JournalError):
    """Something that was to be recorded is not. Only raised where recording is strict; else it is a warning."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not recorded: {reason}")


class ServerUnreachable(JournalError):
    """The server gave no answer, or asked to come again. What was to be sent is kept and sent later."""

    def __init__(self, *, url: str, reason: str, retry_after: float | None = None) -> None:
        self.url = url
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(f"{url} cannot be reached: {reason}; what is recorded is kept and sent later")


class ServerRefused(JournalError):
    """The server answered, and will not have it: the token, its scope or the address is wrong."""

    def __init__(self, *, url: str, status: int, reason: str) -> None:
        self.url = url
        self.status = status
        self.reason = reason
        super().__init__(
            f"{url} answered {status} ({reason}); check NAGARE_URL, and that NAGARE_TOKEN has the scope ingest to"
            " record or read to replay. What is recorded is kept and sent when it is taken"
        )


class Diverged(JournalError):
    """A replayed agent did something else than it did when it was recorded.

    `version` is the first event that does not fit, None where the recording has ended; `changes` are the differences as
    `{"path": JSON Pointer, "recorded": …, "now": …}`.
    """

    def __init__(
        self,
        *,
        stream: str,
        version: int | None,
        expected: str,
        actual: str,
        changes: tuple[dict[str, Any], ...] = (),
    ) -> None:
        self.stream = stream
        self.version = version
        self.expected = expected
        self.actual = actual
        self.changes = changes
        place = f"event {version} of {stream}" if version is not None else f"the end of {stream}"
        told = "".join(f"\n  {change_text(change)}" for change in changes[:_MOST_TOLD])
        more = f"\n  and {len(changes) - _MOST_TOLD} more" if len(changes) > _MOST_TOLD else ""
        super().__init__(f"the replay left the recording at {place}: expected {expected}, got {actual}{told}{more}")


class NotReplayable(JournalError):
    """The recording does not hold what a replay would have to give back at this event."""

    def __init__(self, *, stream: str, version: int, reason: str) -> None:
        self.stream = stream
        self.version = version
        self.reason = reason
        super().__init__(f"event {version} of {stream} cannot be replayed: {reason}")


class Stopped(BaseException):
    """Ends a replayed agent where it left the recording. No `Exception`: clients and agents try again after those.

    The block of the replay turns it into what it carries, so that nobody outside sees it.
    """

    def __init__(self, error: Diverged | NotReplayable) -> None:
        self.error = error
        super().__init__(str(error))


_MOST_TOLD = 12
_MOST_SHOWN = 200


def change_text(change: dict[str, Any]) -> str:
    """Return one difference in a line: where, what was recorded, what there is now."""
    return f"{change['path'] or '/'}: recorded {_shown(change, 'recorded')}, now {_shown(change, 'now')}"


def _shown(change: dict[str, Any], side: str) -> str:
    text = repr(change[side]) if side in change else "nothing"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
