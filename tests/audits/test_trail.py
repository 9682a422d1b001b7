"""The agent audit trail: a chain a run, recomputed here by another canonicaliser, and tied to the evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from django.core.management import call_command

from audits import making
from audits.selection import Query
from journal.access.projects import ensure_project
from journal.domain import agent_run as run
from journal.domain.stream import ANY_VERSION
from journal.runtime import erasing, log_keys, projection, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import event, identity, reasoned, responded, returned, started

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
MANDATORY = {
    "record_id", "timestamp", "agent_id", "agent_version", "session_id", "action_type", "action_detail", "outcome",
    "trust_level", "parent_record_id", "prev_hash", "record_phase",
}  # fmt: skip
"""The draft's own list, not what the exporter writes."""

ACTIONS = {"tool_call", "tool_response", "decision", "delegation", "escalation", "error", "lifecycle"}


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


@pytest.fixture
def journal() -> None:
    """A run with each kind of action and a failure, and another that is covered from its third event on."""
    ensure_project("default")
    told(
        "agent_run-1",
        started(agent="support desk", model="m-1"),
        run.MessageReceived(role="user", content="Refund 88162, née Müller, €20"),
        responded("It is within 45 days."),
        reasoned("refund", "c1", order=88162),
        run.ToolFailed(tool_name="refund", call_id="c1", error_code="timeout", latency_ms=52.4),
        reasoned("refund", "c2", order=88162),
        returned({"done": True}, call_id="c2"),
        run.MemoryWritten(key="refunded", value=88162),
        run.HandedOff(to_agent="billing", instruction="book it"),
        run.Answered(response="Done."),
    )
    told("agent_run-2", started(), responded(), reasoned("search", "d1"), run.Aborted(reason="lost"), days=1)


def told(stream: str, *data: Any, days: int = 0) -> None:
    """Append a run about user-42, a second an event."""
    events = [
        event(one, id=identity((stream, at)), at=DAY + timedelta(days=days, seconds=at), subjects=("user-42",))
        for at, one in enumerate(data)
    ]
    get_store().append(stream, events, expected_version=ANY_VERSION)


def trail(**narrowed: Any) -> list[dict[str, Any]]:
    """Return the trail's records."""
    made = making.trail(making.gathered(Query(project="default", subject="user-42", **narrowed)))
    return [json.loads(line) for line in made.splitlines()]


def broken(records: list[dict[str, Any]]) -> list[str]:
    """Return the records that do not hold on to the one before, by rules that are the draft's and none of ours."""
    found = []
    for _, session in groupby(records, key=lambda record: record["session_id"]):
        before: dict[str, Any] | None = None
        for record in session:
            digest = hashlib.sha256(rfc8785.dumps(before)).hexdigest() if before else None
            parent = before["record_id"] if before else None
            if (record["prev_hash"], record["parent_record_id"]) != (digest, parent):
                found.append(record["record_id"])
            before = record
    return found


def test_each_run_is_a_chain_that_anybody_can_recompute(journal: None) -> None:
    """Whatever is changed, dropped or moved breaks it, and a line's digest is that of the line as it stands."""
    records = trail()
    assert broken(records) == []
    assert [len(list(session)) for _, session in groupby(records, key=lambda one: one["session_id"])] == [8, 3]
    for at in range(1, 7):
        assert broken(records[:at] + records[at + 1 :]), f"record {at} dropped"
        changed = [*records[:at], {**records[at], "outcome": "denied"}, *records[at + 1 :]]
        assert broken(changed) == [records[at + 1]["record_id"]], f"record {at} changed"
    assert broken([records[0], records[2], records[1], *records[3:]])
    lines = making.trail(making.gathered(Query(project="default", subject="user-42"))).splitlines()
    assert records[1]["prev_hash"] == hashlib.sha256(lines[0]).hexdigest()
    assert all(rfc8785.dumps(json.loads(line)) == line for line in lines)


def test_every_record_has_what_the_draft_asks_for(journal: None) -> None:
    """Twelve fields, of the kinds and words it lists; a chain begins with the session's start."""
    for record in trail():
        assert set(record) >= MANDATORY
        assert record["action_type"] in ACTIONS
        assert record["outcome"] in {"success", "failure", "timeout", "denied", "escalated"}
        assert record["record_phase"] in {"pre_execution", "post_execution", "concurrent"}
        assert record["trust_level"] == "L0"
        assert record["agent_id"].startswith("urn:agent:")
        UUID(record["record_id"])
        UUID(record["session_id"])
        assert (record["prev_hash"] is None) == (record["action_detail"].get("event") == "session_start")


def test_actions_and_their_outcomes_are_told_in_order(journal: None) -> None:
    """A call and what came of it are two records, tied together; a failure is no success."""
    records = trail()[:8]
    assert [(one["action_type"], one["outcome"]) for one in records] == [
        ("lifecycle", "success"), ("tool_call", "success"), ("tool_response", "timeout"), ("tool_call", "success"),
        ("tool_response", "success"), ("decision", "success"), ("delegation", "success"), ("decision", "success"),
    ]  # fmt: skip
    assert records[2]["action_detail"]["parent_call_id"] == records[1]["record_id"]
    assert records[4]["action_detail"]["parent_call_id"] == records[3]["record_id"]
    arguments = hashlib.sha256(b'{"order":88162}').hexdigest()
    assert records[1]["action_detail"]["parameters_hash"] == arguments
    assert (records[0]["agent_id"], records[1]["model_id"]) == ("urn:agent:support%20desk", "m-1")
    assert records[2]["latency_ms"] == 52
    assert records[6]["action_detail"]["delegate_agent_id"] == "urn:agent:billing"
    assert trail()[-1]["action_detail"]["event"] == "session_end"


def test_each_record_leads_to_the_evidence_and_holds_no_payload(journal: None) -> None:
    """By the event's id, its leaf and its place in the log; and the checkpoint stands where a chain begins."""
    evidence = making.gathered(Query(project="default", subject="user-42"))
    made = making.trail(evidence)
    proofs = json.loads(evidence.files["proofs.json"])["proofs"]
    for record in map(json.loads, made.splitlines()):
        own = record["action_detail"]["nagare"]
        assert own["log_index"] == proofs[record["record_id"]]["index"]
    begun = json.loads(made.splitlines()[0])["action_detail"]["nagare"]
    assert begun["log"]["root"] == evidence.checkpoint.root.hex()
    for said in ("Refund", "Müller", "book it", "45 days", "Done."):
        assert said not in made.decode()
    assert making.trail(making.gathered(Query(project="default", subject="user-42"))) == made


def test_a_chain_may_begin_in_the_middle_of_a_run(journal: None) -> None:
    """The record that it begins with then stands for no event, and says from where on the run is covered."""
    records = trail(since=DAY + timedelta(days=1, seconds=2))
    assert [one["action_type"] for one in records] == ["lifecycle", "tool_call", "lifecycle"]
    assert records[0]["action_detail"]["nagare"]["first_version"] == 3
    assert "log_index" not in records[0]["action_detail"]["nagare"]
    assert broken(records) == []


def test_a_call_counts_as_recorded_beforehand_only_where_the_journal_had_it(journal: None) -> None:
    """Most of these runs came in long after they happened; of one, the outcome came about later."""
    assert {one["record_phase"] for one in trail() if one["action_type"] == "tool_call"} == {"post_execution"}
    later = datetime.now(UTC) + timedelta(minutes=1)
    events = [started(), reasoned("a", "e1"), returned(tool="a", call_id="e1")]
    get_store().append(
        "agent_run-3",
        [event(one, at=later, subjects=("user-42",)) for one in events],
        expected_version=ANY_VERSION,
    )
    last = [one for one in trail() if one["action_detail"]["nagare"]["stream"] == "agent_run-3"]
    assert [one["record_phase"] for one in last] == ["concurrent", "pre_execution", "post_execution"]


def test_what_was_erased_is_a_record_without_what_was_in_it(journal: None) -> None:
    """It says what kind of action it was and under which request it went; the chain still holds."""
    data = [started(), reasoned("secret_tool", "s1"), run.Answered(response="Hidden.")]
    whose = ["bob", "ada", "bob"]
    events = [event(one, subjects=(name,)) for one, name in zip(data, whose, strict=True)]
    get_store().append("agent_run-9", events, expected_version=ANY_VERSION)
    projection.catch_up_all()
    sealer.catch_up()
    erasing.erase("default", subject="ada", ground="Art. 17, request of 3 November", by="user:ann")
    made = making.trail(making.gathered(Query(project="default", subject="bob")))
    records = [json.loads(line) for line in made.splitlines()]
    assert [one["action_type"] for one in records] == ["lifecycle", "tool_call", "decision"]
    detail = records[1]["action_detail"]
    assert set(detail) == {"nagare"}
    assert detail["nagare"]["withdrawn"].startswith("erased on ")
    assert b"secret_tool" not in made
    assert broken(records) == []


def test_the_command_writes_it(journal: None, tmp_path: Path) -> None:
    """By the name's ending."""
    out = tmp_path / "user-42.jsonl"
    call_command("audit", subject="user-42", out=out)
    assert broken([json.loads(line) for line in out.read_text().splitlines()]) == []
