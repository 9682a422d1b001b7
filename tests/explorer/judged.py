"""What tests of the pages of rules, bisects, re-grades and schedules share: people, and runs of one tool call each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from explorer import timelines
from journal.access import Role, add_project, add_user
from journal.domain import agent_run as run
from journal.domain.event import EventData
from journal.runtime import regrade, saved_rules
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests import builders
from tests.builders import NOON

HTMX = {"HX-Request": "true"}
NAME = "quick-tools"
QUICK = 'event.type != "agent_run.tool_returned" || event.data.latencyMs < 1000'
QUICKER = "// a tenth\n" + QUICK.replace("1000", "100")
HOSTILE = '<script>alert("x")</script>\u202e <b onclick=x>'


@pytest.fixture
def projects(db: None) -> Iterator[None]:
    """Give two projects, and states that no earlier test left."""
    timelines.clear()
    add_project("mine")
    add_project("theirs")
    yield
    timelines.clear()


def person(role: Role = Role.ENGINEER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    client = Client()
    user, _ = add_user(f"{role}-of-{project}", role=role, project=project, password="a stream finds its way")
    client.force_login(user)
    return client


def put_run(name: str, *latencies: int, days: int = 0, project: str = "mine", **said: Any) -> str:
    """Append a run that calls a tool once for each latency, a day's work after noon; return its stream."""
    stream = f"agent_run-{name}"
    fields = {"prompt": f"Look up {name}", "agent": "clerk", "model": "m-1", "tools": ("look_up",), **said}
    made: list[Any] = [run.Started(**fields)]
    for at, latency in enumerate(latencies):
        call = f"c{at}"
        made.append(run.Reasoned(thought="I look.", tool_name="look_up", args_json='{"n": 1}', call_id=call))
        made.append(run.ToolReturned(tool_name="look_up", call_id=call, response_json="1", latency_ms=latency))
    made.append(run.Answered(response="Done."))
    began = NOON + timedelta(days=days)
    get_store(project).append(stream, list(_events(stream, made, began)), expected_version=0)
    catch_up_all()
    return stream


def _events(stream: str, made: list[Any], began: datetime) -> Iterator[EventData]:
    for at, data in enumerate(made):
        by = builders.identity((stream, at - 1)) if at else None
        yield builders.event(
            data, id=builders.identity((stream, at)), at=began + timedelta(seconds=at), causation_id=by
        )


def save_rule(expression: str = QUICK, *, project: str = "mine", name: str = NAME, **said: Any) -> None:
    """Save a version of a rule."""
    fields = {"description": "Tools are quick.", "monotone": False, "by": "user:ada", **said}
    saved_rules.save(project=project, name=name, expression=expression, **fields)


def regraded(rule: str = NAME, *, project: str = "mine", **scope: Any) -> str:
    """Grade the project's runs by a rule, to the end; return the job's id."""
    job = regrade.submit(project=project, rule=rule, **scope)
    regrade.run(job.id)
    catch_up_all()
    return str(job.id)


def page(client: Client, address: str, *, status: int = 200, is_part: bool = False) -> str:
    """Return the HTML at an address."""
    response = client.get(address, headers=HTMX if is_part else {})
    assert response.status_code == status, (address, response.status_code, response.content[:600])
    return response.content.decode()
