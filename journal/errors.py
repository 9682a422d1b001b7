"""The whole error tree of the journal.

    JournalError
    ├── AppendRefused
    │   ├── WrongExpectedVersion     another writer was first
    │   ├── EventIdReused            a known id came with other content, or mixed with new ones
    │   └── PayloadRefused           bytes that cannot be kept exactly as they came
    ├── CommandRejected              an aggregate decided against a command
    ├── StreamNotFound · EventNotFound · VersionNotFound
    ├── RunPurged                    a run of which nothing is left but digests, by the project's retention policy
    ├── RuleNotFound · RuleRaised    no such rule; the rule itself went wrong, which says nothing of the run
    ├── NotPermitted                 the person or token may not do this
    ├── Refused                      something a person asked for that cannot be, with the reason
    ├── ImportRefused                a file that cannot be taken, with place and reason
    └── ConfigurationRefused         a setting that cannot be parsed

Each error has attributes for programs and a message for people: which, expected, actual, and the way out.
"""

from __future__ import annotations


class JournalError(Exception):
    """Base of everything the journal raises on purpose."""

    def fields(self) -> dict[str, object]:
        """Return the error's own attributes, as they go into problem+json and `--json` output."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class AppendRefused(JournalError):
    """An append that stored nothing."""


class WrongExpectedVersion(AppendRefused):
    """The stream is not at the version the writer decided on."""

    def __init__(self, *, stream: str, expected: int | str, actual: int) -> None:
        self.stream = stream
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"stream {stream!r} is at version {actual}, not {expected}: another writer was first; "
            "load it and decide again"
        )


class EventIdReused(AppendRefused):
    """An event id that is already in the journal came again, but not as the same append."""

    def __init__(self, *, stream: str, event_id: str, reason: str) -> None:
        self.stream = stream
        self.event_id = event_id
        self.reason = reason
        super().__init__(f"event id {event_id} for stream {stream!r}: {reason}; nothing was stored")


class PayloadRefused(AppendRefused):
    """Event data or metadata that no backend could give back byte for byte."""

    def __init__(self, *, what: str, reason: str, way_out: str) -> None:
        self.what = what
        self.reason = reason
        self.way_out = way_out
        super().__init__(f"{what} refused: {reason}; {way_out}")


class CommandRejected(JournalError):
    """An aggregate decided against a command; nothing was stored. Rules raise it with the reason alone."""

    def __init__(self, reason: str, *, stream: str | None = None, command: str | None = None) -> None:
        self.reason = reason
        self.stream = stream
        self.command = command
        super().__init__(reason)

    def __str__(self) -> str:
        what = f"{self.command} for {self.stream!r} was rejected: " if self.stream else ""
        return what + self.reason

    def concerns(self, *, stream: str, command: str) -> None:
        """Say whose decision it was, unless it is known."""
        self.stream = self.stream or stream
        self.command = self.command or command


class StreamNotFound(JournalError):
    """No such stream in this project."""

    def __init__(self, *, stream: str, project: str) -> None:
        self.stream = stream
        self.project = project
        super().__init__(
            f"no stream {stream!r} in project {project!r}; `nagare runs --project {project}` lists those there are"
        )


class EventNotFound(JournalError):
    """No event with this id in this project."""

    def __init__(self, *, event_id: str, project: str) -> None:
        self.event_id = event_id
        self.project = project
        super().__init__(f"no event {event_id!r} in project {project!r}")


class VersionNotFound(JournalError):
    """The stream does not reach this version."""

    def __init__(self, *, stream: str, version: int, newest: int) -> None:
        self.stream = stream
        self.version = version
        self.newest = newest
        super().__init__(f"stream {stream!r} has versions 1 to {newest}, not {version}")


class RunPurged(JournalError):
    """The run's payloads were purged by the project's retention policy."""

    def __init__(self, *, stream: str, policy: str, order: str, purged_at: str, means: str) -> None:
        self.stream = stream
        self.policy = policy
        self.order = order
        self.purged_at = purged_at
        super().__init__(
            f"{stream!r} was purged on {purged_at[:10]} under {policy} ({means}), on the order of event {order}"
        )


class RuleNotFound(JournalError):
    """No rule has this name."""

    def __init__(self, *, rule: str) -> None:
        self.rule = rule
        super().__init__(f"there is no rule {rule!r}; `nagare invariants` lists those there are")


class RuleRaised(JournalError):
    """A rule went wrong on an event, so that nothing is known of the run."""

    def __init__(self, *, rule: str, stream: str, version: int, reason: str) -> None:
        self.rule = rule
        self.stream = stream
        self.version = version
        self.reason = reason
        super().__init__(
            f"rule {rule!r} went wrong at event {version} of {stream!r}: {reason}; this says nothing of the run:"
            " correct the rule and ask again"
        )


class NotPermitted(JournalError):
    """The person or token lacks the permission, or the project."""

    def __init__(self, *, who: str, permission: str, project: str | None = None) -> None:
        self.who = who
        self.permission = permission
        self.project = project
        where = f" in project {project!r}" if project else ""
        super().__init__(f"{who} has no permission {permission!r}{where}; an admin of the project can give it")


class Refused(JournalError):
    """Something that a person asked for and cannot have. What it is, its own class says; why, the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ImportRefused(JournalError):
    """A file, or a part of one, that cannot be imported."""

    def __init__(self, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        self.reason = reason
        self.line = line
        self.column = column
        place = ""
        if line is not None:
            place = f"line {line}, column {column}: " if column is not None else f"line {line}: "
        super().__init__(place + reason)


class ExportRefused(JournalError):
    """A stream that a format has no place for."""

    def __init__(self, *, stream: str, format: str) -> None:  # noqa: A002 - as the command's option is called
        self.stream = stream
        self.format = format
        super().__init__(
            f"{stream!r} is no agent run, and {format} holds nothing else; export it as jsonl, which holds every stream"
        )


class ConfigurationRefused(JournalError):
    """A NAGARE_* variable that cannot be parsed."""

    def __init__(self, *, variable: str, reason: str) -> None:
        self.variable = variable
        self.reason = reason
        super().__init__(f"{variable}: {reason}")
