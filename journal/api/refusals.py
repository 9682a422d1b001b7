"""What the API refuses before the journal is asked, beside the errors of `journal.errors`."""

from __future__ import annotations

from journal.errors import JournalError


class NotSignedIn(JournalError):
    """No token, one that does not count, or a session that is over."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}; send a token as `Authorization: Bearer ngr_…`, or sign in")


class NoSuchThing(JournalError):
    """Nothing of this kind in this project has that name."""

    def __init__(self, *, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name
        super().__init__(f"there is no {kind} {name!r} in this project")


class Malformed(JournalError):
    """A request that cannot be read: broken JSON, or a parameter of the address that is none."""

    def __init__(self, reason: str, *, parameter: str | None = None) -> None:
        self.reason = reason
        self.parameter = parameter
        super().__init__(f"parameter {parameter!r}: {reason}" if parameter else reason)

    def fields(self) -> dict[str, object]:
        """Leave the parameter out where it is the body that cannot be read."""
        return {name: value for name, value in super().fields().items() if value is not None}


class Invalid(JournalError):
    """JSON that can be read and is not what this address takes. `pointer` is the place, as a JSON Pointer."""

    def __init__(self, reason: str, *, pointer: str) -> None:
        self.reason = reason
        self.pointer = pointer
        super().__init__(f"{pointer or 'the body'}: {reason}")


class TooLarge(JournalError):
    """A body that is longer than is taken, as it came or once it is unpacked."""

    def __init__(self, *, limit: int, reason: str) -> None:
        self.limit = limit
        self.reason = reason
        super().__init__(reason)


class WrongMediaType(JournalError):
    """A body that is neither JSON nor gzip of it."""

    def __init__(self, *, header: str, value: str, takes: str) -> None:
        self.header = header
        self.value = value
        self.takes = takes
        super().__init__(f"{header} {value[:80]!r}: this address takes {takes}")


class WrongMethod(JournalError):
    """A method that this address does not answer."""

    def __init__(self, *, method: str, allowed: list[str]) -> None:
        self.method = method
        self.allowed = allowed
        super().__init__(f"{method} is not answered here; {' and '.join(allowed)} are")


class TooManyRequests(JournalError):
    """A token, or somebody signed in, that asks more often than the installation allows."""

    def __init__(self, *, limit: int, retry_after_s: int) -> None:
        self.limit = limit
        self.retry_after_s = retry_after_s
        super().__init__(f"more than {limit:,} requests in a minute; wait {retry_after_s} s")


class Unavailable(JournalError):
    """The database did not answer. An append may have been stored: with ids of your own, sending it again is safe."""

    def __init__(self) -> None:
        super().__init__(
            "the database did not answer in time; send it again: an append with ids of your own is stored once"
        )
