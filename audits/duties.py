"""Legal and audit duties as data: who must do what by when, what here helps with it, and what stays the reader's work.

`duties.json` lies beside this module. It is what was read on the days it names, in the sources it names; it changes
with releases. An incident keeps the clocks that it was opened with, so that later data moves no deadline of it.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

AWARE: Final = "aware"
"""What a term counts from where it is not another step: when somebody became aware of the incident."""

Confidence = Literal["read", "tried", "judged"]
"""Whether it was read in the source, tried out, or is our own judgement of what serves the duty."""


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data that is refused where it says more than is known here."""


class Regime(_Entry, frozen=True, kw_only=True):
    """A body of rules, and how it stands."""

    name: str
    law: str
    state: str


class Help(_Entry, frozen=True, kw_only=True):
    """What a page here helps with. `with_` begins with "Helps with" or "Evidence"."""

    with_: str = msgspec.field(name="with")
    page: str


class Duty(_Entry, frozen=True, kw_only=True):
    """One duty. `plain` is one sentence: who must do what by when; `yours` is what no software does for the reader."""

    id: str
    regime: str
    article: str
    roles: tuple[str, ...]
    applies: str
    plain: str
    helps: tuple[Help, ...]
    yours: str
    confidence: Confidence
    sources: tuple[str, ...]
    checked_on: str
    note: str = ""


class Term(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A length of time from when somebody became aware, or from another step of the clock."""

    from_: str = msgspec.field(name="from", default=AWARE)
    hours: int = 0
    days: int = 0
    months: int = 0

    @property
    def words(self) -> str:
        """Say how long: "72 hours"."""
        parts = ((self.months, "month"), (self.days, "day"), (self.hours, "hour"))
        return " ".join(f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number)


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something to do. The earliest of its terms counts; without any there is no deadline."""

    id: str
    words: str
    terms: tuple[Term, ...] = ()


class Clock(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The deadlines that an incident of some kind starts. `regime` and `article` are those of its duty."""

    id: str
    duty: str
    name: str
    when: str = ""
    steps: tuple[Step, ...] = ()
    regime: str = ""
    article: str = ""


class Duties(_Entry, frozen=True, kw_only=True):
    """Everything in the file."""

    disclaimer: str
    roles: dict[str, str]
    regimes: dict[str, Regime]
    duties: tuple[Duty, ...]
    clocks: tuple[Clock, ...]

    def duty(self, duty_id: str) -> Duty:
        """Return a duty by its id."""
        return next(duty for duty in self.duties if duty.id == duty_id)

    def clock(self, clock_id: str) -> Clock | None:
        """Return a clock with the names of its regime and article, None where there is none of that id."""
        found = next((clock for clock in self.clocks if clock.id == clock_id), None)
        if found is None:
            return None
        duty = self.duty(found.duty)
        return msgspec.structs.replace(found, regime=self.regimes[duty.regime].name, article=duty.article)

    def all_clocks(self) -> tuple[Clock, ...]:
        """Return every clock with its regime and article, as the file orders them."""
        return tuple(found for clock in self.clocks if (found := self.clock(clock.id)) is not None)


@cache
def duties() -> Duties:
    """Return the duties that come with this version."""
    return msgspec.json.decode((files("audits") / "duties.json").read_bytes(), type=Duties)


def chosen(*, regime: str = "", role: str = "") -> tuple[Duty, ...]:
    """Return the duties of a regime and of a role; empty is all."""
    return tuple(
        duty for duty in duties().duties if (not regime or duty.regime == regime) and (not role or role in duty.roles)
    )
