"""Fills the journal that the browser tests look at: `python -m tests.e2e.fill`, with a data directory of its own.

Prints what the tests need to find their way, as one JSON document: a session of each person, and pages of imports.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "nagare_web.settings"
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - this and what follows needs the settings
from django.core.files.uploadedfile import SimpleUploadedFile  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402

from audits import incidents  # noqa: E402
from explorer import embeds, whatifs  # noqa: E402
from explorer.models import EventLine, RunMap, RunSummary  # noqa: E402
from explorer.run_map import grown  # noqa: E402
from journal.access import Role, add_project, add_user  # noqa: E402
from journal.domain import agent_run as run  # noqa: E402
from journal.domain.whatif_edits import Edit  # noqa: E402
from journal.ingest import jobs  # noqa: E402
from journal.models import Job  # noqa: E402
from journal.runtime import bisects, regrade, saved_rules  # noqa: E402
from journal.runtime.projection import catch_up_all  # noqa: E402
from journal.store import get_store  # noqa: E402
from nagare_web.demo import fill  # noqa: E402
from nagare_web.demo.stories import STORIES  # noqa: E402
from tests.builders import event, raw  # noqa: E402
from tests.coding_run import coding_run  # noqa: E402
from tests.e2e.corpus import LISTED, PASSWORD, PAYLOADS, TRACE, TYPIST, atif, claude_code, everywhere  # noqa: E402

ORDINARY: Final = 20
LENGTHS: Final = (200, 2_000, 100_000)
IN_THE_JOURNAL: Final = 2_000
"""Of the longest run only so many events are written; a page's cost hangs on its rows, and all of those are there."""

_REPEATED: Final = 1_000
_COPIED: Final = frozenset({
    "run", "kind", "title", "summary", "tool", "call_id", "is_error", "took_ms", "time_known", "context_bytes",
    "size_bytes", "trace_id", "span_id",
})  # fmt: skip

PEOPLE: Final = {
    "engineer": (Role.ENGINEER, "default"),
    "viewer": (Role.VIEWER, "default"),
    "admin": (Role.ADMIN, "default"),
    "importer": (Role.ENGINEER, "imports"),
    "newcomer": (Role.ENGINEER, "empty"),
    "victim": (Role.ENGINEER, "hostile"),
    "patient": (Role.VIEWER, "lengths"),
    "lister": (Role.ENGINEER, "listed"),
    TYPIST: (Role.ENGINEER, "typed"),
}
"""Who signs in, with which role in which project. Nobody is in two: a test would choose one for the others."""


def main() -> None:
    """Fill each project and say what is where."""
    call_command("migrate", interactive=False, verbosity=0)
    sessions = {name: _session(name, role, project) for name, (role, project) in PEOPLE.items()}
    fill(get_store("default"), until=datetime.now(UTC), ordinary=ORDINARY)
    _put_hostile()
    _put_lengths()
    now = int(datetime.now(UTC).timestamp()) * 1_000_000
    RunSummary.objects.bulk_create(_listed(number, now) for number in range(LISTED))
    report = _import("default", {"broken.jsonl": b'["no", "run"]\n[}\n', "run.json": atif("mine", "Plot it.")})
    hostile = _import("hostile", _hostile_files())
    result: Any = hostile.result
    streams = {file["path"]: run["stream"] for file in result["files"] for run in file["runs"]}
    found = {"sessions": sessions, "report": report.id, "hostile_report": hostile.id, "hostile_runs": streams}
    edited = STORIES["edit-unread"].streams[0]
    more = {"what_if": _what_if(edited), "incident": _incident("default")}
    json.dump({**found, **_embed(edited), **more, **_judged("default")}, sys.stdout)


def _session(name: str, role: Role, project: str) -> str:
    """Make somebody who is signed in, and return the session's key."""
    if project != "default":
        add_project(project)
    user, _ = add_user(name, role=role, project=project, password=PASSWORD)
    client = Client()
    client.force_login(user)
    return client.cookies["sessionid"].value


def _embed(stream: str) -> dict[str, str]:
    """Make two links to a run, one of which is revoked, and return their addresses."""
    now = datetime.now(UTC)
    user_id = User.objects.get(username="admin").pk
    embeds.allow("default", is_allowed=True, origins="https://wiki.example.org")
    kept, revoked = (embeds.make_link("default", stream, user_id=user_id, days=30, now=now) for _ in range(2))
    embeds.revoke_link("default", revoked.pk, now=now)
    return {"embedded": f"/embed/{embeds.token_of(kept)}/", "revoked": f"/embed/{embeds.token_of(revoked)}/"}


def _incident(project: str) -> str:
    """Open an incident with a step that is late, one that is done and runs that are held; return its address."""
    run, by, now = STORIES["poisoned-rates"].streams[0], "admin", datetime.now(UTC)
    ident = incidents.open_incident(
        project,
        title="Refunds worked out with a poisoned rate",
        noticed="A customer wrote that the refund was too high.",
        aware_at=now - timedelta(hours=50),
        concerns=[run, f"{run}@11"],
        clocks=["ai-act-73-serious", "dora-major", "gdpr-breach"],
        hold=True,
        by=by,
    )
    done = now - timedelta(hours=47)
    incidents.do(project, ident, clock="dora-major", step="classified", done_at=done, account="major", by=by)
    return f"/incidents/{ident}/"


def _judged(project: str) -> dict[str, str]:
    """Grade some runs by a rule and by its next version, and bisect the journal; return the addresses."""
    for most in (1_000, 75):
        saved_rules.save(
            project=project,
            name="quick-rates",
            description="A rate comes quickly.",
            expression=f'event.type != "agent_run.tool_returned"\n  || event.data.latencyMs < {most}',
            monotone=False,
            by="user:engineer",
        )
        regraded = regrade.submit(project=project, rule="quick-rates", query="tool:exchange_rate")
        regrade.run(regraded.id)
        catch_up_all()
    waiting = regrade.submit(project=project, rule="no-loop", query="agent:nobody")
    regrade.run(waiting.id)
    bisected = bisects.submit(project=project, rule="steady-results", tool="exchange_rate")
    bisects.run(bisected.id)
    catch_up_all()
    return {
        "regraded": f"/regrades/{regraded.id}/",
        "matched_none": f"/regrades/{waiting.id}/",
        "bisected": f"/bisects/{bisected.id}/",
    }


def _what_if(stream: str) -> str:
    """Keep a what-if that everybody in the project may open, and return its address."""
    user_id = User.objects.get(username="admin").pk
    newest = get_store("default").stream_version(stream)
    call, result = run.Reasoned(tool_name="read_file"), run.ToolReturned(tool_name="read_file")
    edits = [
        Edit(op="insert", version=22, event=event(call)), Edit(op="insert", version=22, event=event(result)),
        Edit(op="replace", version=28, event=event(result)), Edit(op="drop", version=30),
    ]  # fmt: skip
    kept = whatifs.begin("default", stream, edits, newest=newest, user_id=user_id)
    whatifs.keep(kept, name="Another course", shared=True)
    return f"/runs/{stream}/whatif/{kept.pk}/"


def _put_hostile() -> None:
    store = get_store("hostile")
    span = f"00-{TRACE}-00f067aa0ba902b7-01"
    events = [event(data, actor=text, subjects=(text,), traceparent=span) for data, text in everywhere()]
    store.append("agent_run-everywhere", events, expected_version=0)
    document = {**{text: text for text in PAYLOADS.values()}, "lines": list(PAYLOADS.values())}
    store.append("order-1", [raw(type="order.placed", data=json.dumps(document).encode())], expected_version=0)


def _hostile_files() -> dict[str, bytes]:
    """Return files whose contents and, of the one that is refused, name are payloads."""
    names = {"\u202e<img src=x onerror=alert(1)>.json": b"[}", "session.jsonl": claude_code()}
    return names | {f"{name}.json": atif(name, text) for name, text in PAYLOADS.items()}


def _import(project: str, files: Mapping[str, bytes]) -> Job:
    """Import files as the page does."""
    job = jobs.submit(
        project=project, user_id=None, uploads=[SimpleUploadedFile(name, data) for name, data in files.items()]
    )
    done = jobs.run(job.id)
    assert done is not None
    return done


def _put_lengths() -> None:
    for length in LENGTHS:
        stream = f"agent_run-{length:06}"
        events = coding_run(min(length, IN_THE_JOURNAL), stream=stream)
        get_store("lengths").append(stream, events, expected_version=0)
    catch_up_all()
    _lengthen(RunSummary.objects.get(stream=f"agent_run-{LENGTHS[-1]:06}"), LENGTHS[-1])


def _listed(number: int, now: int) -> RunSummary:
    """A fifth were aborted, a seventh have an Arabic title, two thirds saw a tool fail, one is synthetic."""
    is_bad = number % 5 == 0
    return RunSummary(
        project="listed",
        stream=f"agent_run-{number}",
        category="agent_run",
        title=f"Message {number}" if number % 7 else "أضف قالب الفاتورة",
        status="aborted" if is_bad else "answered",
        agent="coder" if number % 2 else "ops",
        tools=["read_file"],
        events=20 + number,
        tool_errors=number % 3,
        first_error=4 if number % 3 else None,
        shape={"every": 1, "bars": [number * 10 + at for at in range(20)], "failures": [4], "aborted": is_bad},
        started_us=now - number * 60_000_000,
        newest_us=now,
        synthetic=number == 2,
        position=number,
    )


def _lengthen(summary: RunSummary, events: int) -> None:
    """Repeat the run's newest rows until there are `events`; the database copies them, since it is much quicker."""
    quote = connection.ops.quote_name
    copied = ", ".join(quote(str(field.column)) for field in EventLine._meta.fields if field.name in _COPIED)
    parts = "10000000 + number", "'-'", "substr(event_id, 10)"
    event_id = f"concat({', '.join(parts)})" if connection.vendor == "mysql" else f"({') || ('.join(parts)})"
    statement = f"""
        INSERT INTO explorer_eventline (version, event_id, position, occurred_us, {copied})
        WITH RECURSIVE again(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM again WHERE number < %s)
        SELECT version + number * %s, {event_id}, version + number * %s, occurred_us + number * 1000000, {copied}
        FROM explorer_eventline CROSS JOIN again WHERE run_id = %s AND version > %s AND version + number * %s <= %s
        ORDER BY number, version
    """
    rounds = events // _REPEATED + 1
    values = (rounds, _REPEATED, _REPEATED, summary.pk, summary.events - _REPEATED, _REPEATED, events)
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
    RunSummary.objects.filter(pk=summary.pk).update(events=events)
    RunMap.objects.filter(run=summary).update(
        data=grown({}, list(EventLine.objects.filter(run=summary).order_by("version")))
    )


if __name__ == "__main__":
    main()
