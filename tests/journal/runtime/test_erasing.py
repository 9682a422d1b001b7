"""Erasing a person: what goes, what stays, what a hold forbids, and that the log verifies as before."""

from __future__ import annotations

import pytest

from journal.domain import agent_run as run
from journal.domain.stream import ANY_VERSION
from journal.domain.withdrawn import is_withdrawn, mark_on
from journal.runtime import erasing, log_check, projection, retention, sealer
from journal.runtime.repository import repository
from journal.store import get_store
from tests.builders import event, reasoned, responded, returned, started

pytestmark = pytest.mark.django_db

def told(stream: str, subject: str, **fields) -> None:
    events = [started(**fields), responded(f"About {subject}"), reasoned(), returned(), run.Answered(response="secret")]
    get_store().append(stream, [event(data, subjects=(subject,) if subject else ()) for data in events], expected_version=ANY_VERSION)

def test_it_goes() -> None:
    told("agent_run-1", "user-42")
    told("agent_run-2", "user-7")
    sealer.catch_up()
    projection.catch_up_all()
    done = erasing.erase("default", subject="user-42", ground="Art. 17 GDPR", by="ada")
    print(done)
    assert done.events == 5
    assert all(is_withdrawn(e.data) for e in get_store().read_stream("agent_run-1"))
    assert not any(is_withdrawn(e.data) for e in get_store().read_stream("agent_run-2"))
    print(mark_on(next(get_store().read_stream("agent_run-1"))))
    print(repository().load("agent_run-1").to_json())
    sealer.catch_up()
    checked = log_check.check_project("default")
    for c in checked.checks: print(c)
    assert checked.is_good
