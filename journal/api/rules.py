"""Rules, and the work that evaluates them: bisects, re-grades and schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from django.db import transaction
from django.http.response import HttpResponseBase

from journal.access import Permission
from journal.api import documents, work
from journal.api.answers import answer
from journal.api.asked import Asked
from journal.api.base import ApiRequest, ApiView, operation
from journal.domain.event import instant
from journal.runtime import bisects, regrade, saved_rules, schedules
from journal.runtime.saved_rules import RuleRecord
from journal.runtime.schedules import Scheduled

TAG: Final = "Rules"
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class NewRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule to save: CEL over `state`, `previous`, `event` and `version`; true means that it holds."""

    name: Name
    expression: Annotated[str, msgspec.Meta(min_length=1, max_length=20_000)]
    description: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    monotone: bool = False


class NewBisect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule, and a run or a range of the journal to look for its first failure in."""

    rule: Name
    stream: Annotated[str, msgspec.Meta(max_length=245)] | None = None
    since: Moment | None = None
    until: Moment | None = None
    tool: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class NewRegrade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule, and the runs to evaluate it on."""

    rule: Name
    since: Moment | None = None
    until: Moment | None = None
    query: Annotated[str, msgspec.Meta(max_length=2_000)] = ""


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job to start again and again, by a line of cron. `arguments` are what the job is submitted with."""

    name: Name
    kind: Name
    cron: Annotated[str, msgspec.Meta(max_length=200)]
    arguments: dict[str, Any] = {}
    timezone: Annotated[str, msgspec.Meta(max_length=64)] = "UTC"


class Rules(ApiView):
    """The project's rules."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: documents.Rules})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """List the rules, built in and saved, in their newest versions."""
        return answer({"items": [_rule(one) for one in saved_rules.listing(request.project)], "next": None})

    @operation(
        needs=Permission.GRADE,
        tag=TAG,
        body=NewRule,
        answers={201: documents.SavedRule, 200: documents.SavedRule},
        refusals=(400, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewRule) -> HttpResponseBase:
        """Save a rule, or a new version of one.

        The same text, description and claim again are the version that is there: 200.
        """
        saved = saved_rules.save(
            project=request.project,
            name=body.name,
            description=body.description,
            expression=body.expression,
            monotone=body.monotone,
            by=request.user.get_username(),
        )
        return answer({"name": saved.name, "version": saved.version}, status=201 if saved.is_new else 200)


class Bisects(ApiView):
    """Searches for a first failure."""

    @operation(
        needs=Permission.READ,
        tag=TAG,
        body=NewBisect,
        answers={202: documents.Job},
        refusals=(400, 403, 404, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewBisect) -> HttpResponseBase:
        """Look for the first event that breaks a rule.

        Of one run, or of all runs in the journal's order over a range, which needs what saving rules needs. The job's
        result is what `nagare bisect --json` prints.
        """
        if body.stream is None:
            request.grant.check(Permission.GRADE)
        with transaction.atomic():
            job = bisects.submit(
                project=request.project,
                rule=body.rule,
                stream=body.stream,
                since=body.since,
                until=body.until,
                tool=body.tool,
                user_id=request.grant.user_id,
            )
            return work.submitted(job)


class Regrades(ApiView):
    """Evaluations of a rule on many runs."""

    @operation(
        needs=Permission.GRADE,
        tag=TAG,
        body=NewRegrade,
        answers={202: documents.Job},
        refusals=(400, 404, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewRegrade) -> HttpResponseBase:
        """Evaluate a rule on every run in a range.

        The job's result is what `nagare regrade --json` prints.
        """
        with transaction.atomic():
            job = regrade.submit(
                project=request.project,
                rule=body.rule,
                since=body.since,
                until=body.until,
                query=body.query,
                user_id=request.grant.user_id,
            )
            return work.submitted(job)


class Schedules(ApiView):
    """Jobs that are due again and again."""

    @operation(needs=Permission.READ, tag=TAG, answers={200: documents.Schedules})
    def get(self, request: ApiRequest, *, asked: Asked) -> HttpResponseBase:
        """List the schedules, the next due first."""
        return answer({"items": [_schedule(one) for one in schedules.listing(request.project)], "next": None})

    @operation(
        needs=Permission.GRADE,
        tag=TAG,
        body=NewSchedule,
        answers={201: documents.Schedule},
        refusals=(400, 413, 415, 422),
    )
    def post(self, request: ApiRequest, *, asked: Asked, body: NewSchedule) -> HttpResponseBase:
        """Add a schedule. One that makes audits is for those who may make audits."""
        request.grant.check(schedules.needs(body.kind))
        added = schedules.add(
            project=request.project,
            name=body.name,
            kind=body.kind,
            cron=body.cron,
            arguments=body.arguments,
            timezone=body.timezone,
            by=request.user.get_username(),
        )
        return answer(_schedule(added), status=201)


def _rule(record: RuleRecord) -> dict[str, Any]:
    found = msgspec.structs.asdict(record)
    found.pop("is_retired")
    return {**found, "saved_at": _time(record.saved_at)}


def _schedule(scheduled: Scheduled) -> dict[str, Any]:
    found = msgspec.structs.asdict(scheduled)
    found.pop("project")
    times = ("next_due_at", "last_due_at", "created_at")
    return {**found, **{name: _time(found[name]) for name in times}}


def _time(moment: datetime | None) -> str | None:
    return instant(moment) if moment else None
