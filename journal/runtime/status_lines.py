"""The lines of the status: plain data, each with its answer in words.

`state` is the word a person reads, `level` how it is drawn: ok, idle, active, caution or fails. Only fails wants a
person. Times are seconds from the moment of reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Level = Literal["ok", "idle", "active", "caution", "fails"]

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
_NAMED: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Whose work is shown: None is everybody's. With `sees_others`, that of other projects is counted by name."""

    projects: frozenset[str] | None = None
    sees_others: bool = False

    def has(self, project: str | None) -> bool:
        """Whether everything of a project may be shown; work on the whole journal is everybody's."""
        return self.projects is None or project is None or project in self.projects


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseLine:
    """Something that only one may do at a time, who does it, and who would take over."""

    name: str
    what: str
    holder: str | None
    token: int
    held_for_s: float | None
    renews_in_s: float | None
    standby: tuple[str, ...]
    state: str
    level: Level
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HorizonLine:
    """How far readers may read, what is held back past that, since when and by whom."""

    head: int
    held_back: int = 0
    since: datetime | None = None
    by: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscriptionLine:
    """A reader of the journal and how far it is. Rates need an earlier reading; without one they are None."""

    name: str
    what: str
    position: int
    head: int
    lag: int
    behind_s: float
    rate_per_s: float | None
    there_in_s: float | None
    parked: int
    given_up: int
    moved_at: datetime | None
    state: str
    level: Level
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectionLine:
    """A read model: which code made the rows that pages show, and the rebuild beside them."""

    name: str
    position: int
    head: int
    lag: int
    code_version: int
    rows_version: int
    generation: int
    building: int | None
    progress: float | None
    job: str | None
    state: str
    level: Level
    words: str

    @property
    def percent(self) -> int:
        """How much of a rebuild is done."""
        return int(100 * (self.progress or 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectLine:
    """What waits for one effect in one project. `late` waits for a time that has not come yet, such as a timeout."""

    effect: str
    project: str | None
    is_own: bool
    pending: int
    due: int
    retrying: int
    late: int
    dead: int
    attempts: int
    oldest_due_s: float | None
    next_try_in_s: float | None
    last_error: str
    state: str
    level: Level
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxLine:
    """The outbox: its sums, and a line an effect."""

    pending: int
    due: int
    dead: int
    oldest_due_s: float | None
    effects: tuple[EffectLine, ...] = field(default=())


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLine:
    """A process manager: how many processes it began, how many of them wait, and what it could not take in."""

    name: str
    begun: int
    waiting: int
    parked: int
    given_up: int
    state: str
    level: Level
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """A long job that is open, or failed lately. `error` is only told to those whose project it is."""

    id: str
    kind: str
    project: str | None
    is_own: bool
    done: int
    total: int | None
    unit: str
    attempt: int
    beat_s: float | None
    error: str
    state: str
    level: Level
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SealLine:
    """A project's signed log: how many events are under its newest checkpoint, and how many are not yet."""

    project: str
    origin: str | None
    size: int
    unsealed: int
    behind_s: float
    sealed_at: datetime | None
    state: str
    level: Level
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """Something that stays as it is until a person acts. `about` is the part of the status that has it."""

    about: str
    headline: str
    words: str


def span(seconds: float) -> str:
    """Return a length of time: "0 s", "0.4 s", "42 s", "3 min 40 s", "2 h 05 min", "1 d 04 h"."""
    whole = round(max(seconds, 0))
    if whole < _MINUTE:
        return f"{seconds:.1f} s" if 0.05 <= seconds < 9.95 else f"{whole} s"  # noqa: PLR2004 - shown with two digits
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02} h"


def listed(names: list[str]) -> str:
    """Return "a", "a and b", "a, b and 4 more"."""
    if len(names) > _NAMED:
        names = [*names[: _NAMED - 1], f"{len(names) - _NAMED + 1} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def sentence(text: str) -> str:
    """Return a clause as a sentence: a full stop at its end; names keep their case."""
    return text if not text or text.endswith(".") else text + "."
