"""Other histories of a run: compared with another run, and what it would have been with edits."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from django.http.response import HttpResponseBase

from journal.access import Permission
from journal.api.answers import answer
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, operation
from journal.runtime.comparing import comparison_answer
from journal.runtime.purged import check_standing
from journal.runtime.whatif import what_if_answer
from journal.store import get_store

TAG: Final = "Runs"
MOST_EDITS: Final = 100

Version = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class CompareAsked(Asked, frozen=True, kw_only=True, rename={"other": "with"}):
    """Which run to compare with."""

    other: Annotated[
        str, msgspec.Meta(min_length=1, max_length=300, description="Another run, or `stream@23` for a state of it.")
    ]


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An edit: `insert` puts `event` directly behind `version`, `replace` exchanges it, `drop` leaves it out."""

    op: Literal["insert", "replace", "drop"]
    version: Version
    event: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class NewWhatIf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Edits, and the rules to ask; without any, every rule of the project is asked. `at` is where states are told."""

    edits: Annotated[list[Edit], msgspec.Meta(max_length=MOST_EDITS)]
    rules: Annotated[list[Annotated[str, msgspec.Meta(max_length=200)]], msgspec.Meta(max_length=100)] = []
    at: Version | msgspec.UnsetType = msgspec.UNSET


class Comparison(msgspec.Struct, kw_only=True):
    """Two runs side by side. `a_less_b` are differences of totals."""

    summary: str
    a: dict[str, Any]
    b: dict[str, Any]
    same_until: dict[str, Any] | None
    first_divergence: dict[str, Any] | None
    steps: list[dict[str, Any]]
    steps_before: int
    steps_behind: int
    state_diff: dict[str, Any]
    since_divergence: dict[str, Any]
    totals: dict[str, Any]
    notes: list[str]


class WhatIf(msgspec.Struct, kw_only=True):
    """The other history: its state, what differs from the recorded one, and what each rule says of both."""

    stream: str
    summary: str
    at: int
    recorded_events: int
    events: int
    followed_until: int
    edited: list[dict[str, Any]]
    first_divergence: dict[str, Any] | None
    state: dict[str, Any]
    diff: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    notes: list[str]


class Compare(ApiView):
    """Two runs compared."""

    @operation(needs=Permission.READ, tag=TAG, asked=CompareAsked, answers={200: Comparison}, refusals=(400, 404, 410))
    def get(self, request: ApiRequest, stream: str, *, asked: CompareAsked) -> HttpResponseBase:
        """Compare a run with another one.

        What both did, where they part first, how their states differ there, and what it cost from there on.
        """
        check_standing(request.project, stream)
        check_standing(request.project, asked.other.partition("@")[0])
        return answer(comparison_answer(get_store(request.project), stream, asked.other))


class AskWhatIf(ApiView):
    """What a run would have been."""

    @operation(
        needs=Permission.READ,
        tag=TAG,
        body=NewWhatIf,
        answers={200: WhatIf},
        refusals=(400, 404, 410, 413, 415, 422),
    )
    def post(self, request: ApiRequest, stream: str, *, asked: Asked, body: NewWhatIf) -> HttpResponseBase:
        """Ask what a run's state and rules would be with edits.

        Nothing is written, and the model is not run again: events behind an edit stay as they were recorded.
        """
        check_standing(request.project, stream)
        return answer(what_if_answer(get_store(request.project), stream, msgspec.to_builtins(body)))
