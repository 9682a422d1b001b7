"""Erasing a person and purging runs: what goes, what stays, what holds forbid; the log verifies as before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction

from audits import making
from audits.models import Mention
from audits.selection import Query
from audits.verifier import verify
from explorer.models import EventLine, NoteRow, RunSummary, SearchText, WhatIf
from journal.access import Role, add_user
from journal.access.projects import ensure_project
from journal.domain import agent_run as run
from journal.domain import codec, notes, retention
from journal.domain.event import EventData
from journal.domain.explain import explain
from journal.domain.invariant import all_invariants
from journal.domain.leaf import leaf_of
from journal.domain.proof import check_inclusion
from journal.domain.stream import ANY_VERSION
from journal.domain.withdrawn import mark_on, marked
from journal.errors import EventIdReused, PayloadRefused
from journal.ingest.writer import stream_of
from journal.models import Job, SpanRecord, SpanTrace
from journal.runtime import (
    certificates,
    erasing,
    log_check,
    log_keys,
    log_rows,
    projection,
    purged,
    purging,
    sealer,
    withdrawals,
)
from journal.runtime import retention as kept
from journal.runtime.grading import grade_stream
from journal.runtime.log_keys import KeyPlace
from journal.runtime.repository import repository
from journal.store import get_store
from journal.store.withdrawing import withdraw
from tests.builders import event, identity, reasoned, responded, returned, started

pytestmark = pytest.mark.django_db

DAY = datetime(2026, 11, 22, tzinfo=UTC)
NOW = datetime(2027, 11, 22, tzinfo=UTC)
ADA, BOB = "ada@example.org", "bob@example.org"
SECRET = "Ada lives at 4 Hidden Lane"
GROUND = "Art. 17, request of 3 November"


@pytest.fixture(autouse=True)
def _installation(tmp_path: Path, settings: Any) -> Iterator[None]:
    """A key and a media folder of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    settings.MEDIA_ROOT = tmp_path / "media"
    ensure_project("default")
    yield
    log_keys.use(before)


def told(stream: str, *subjects: str, at: datetime = DAY, said: str = SECRET) -> None:
    """Append a run; its first event names its subjects, the others name nobody."""
    events = [started(prompt=said), responded(said), reasoned(q=said), returned(said), run.Answered(response=said)]
    get_store().append(
        stream,
        [
            event(data, id=identity((stream, number)), at=at, subjects=subjects if number == 0 else ())
            for number, data in enumerate(events)
        ],
        expected_version=ANY_VERSION,
    )


def settled() -> None:
    """Seal and index all there is."""
    sealer.catch_up()
    projection.catch_up_all()


def gone(stream: str) -> list[int]:
    """Return the versions of a stream whose payload is gone."""
    return [one.version for one in get_store().read_stream(stream) if mark_on(one)]


def checks() -> dict[str, Any]:
    """Return what `nagare verify` says, by check."""
    sealer.catch_up()
    return {one.name: (one.is_good, one.words) for one in log_check.check_project("default").checks}


def test_an_erasure_takes_what_names_somebody_and_the_log_verifies_as_before() -> None:
    """Their run goes whole, the others stay; leaves, proofs and a bundle made before are as they were."""
    told("agent_run-1", ADA)
    told("agent_run-2", BOB)
    told("agent_run-3")
    settled()
    query = Query(project="default", subject=ADA)
    before = making.gathered(query)
    leaves = {one.id: leaf_of(one).hash for one in get_store().read_all()}
    done = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert (gone("agent_run-1"), gone("agent_run-2"), gone("agent_run-3")) == ([1, 2, 3, 4, 5], [], [])
    assert done.events == 5
    assert {one.id: leaf_of(one).hash for one in get_store().read_all()}.items() >= leaves.items()
    found = checks()
    assert found["events"][0]
    assert found["payloads"][1].startswith("5 payloads erased at ")
    keys = [verify.key_of(log_keys.in_use().keyring().current.verifier.vkey)]
    lines: list[str] = []
    assert verify.verify(before.files, keys=keys, say=lines.append) == 0
    assert making.gathered(query).selection.events == []


def test_the_events_say_so_wherever_they_are_read() -> None:
    """In prose, in the state, on the wire; a rule says that nothing can be said."""
    told("agent_run-1", ADA)
    settled()
    order = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann").outcomes[0].order
    first = next(get_store().read_stream("agent_run-1"))
    request = order.rpartition("-")[2]
    words = f"Erased on {datetime.now(UTC):%Y-%m-%d} under request {request}"
    assert explain(first).summary == words
    assert codec.on_the_wire(first)["data"]["$withdrawn"]["act"] == order
    state = repository().load("agent_run-1").to_json()
    assert state["withdrawn"] == {"erased": 5}
    assert (state["status"], state["totals"]["decisions"], state["totals"]["tool_calls"]) == ("answered", 1, 1)
    assert state["prompt"] is None
    found = grade_stream(get_store(), "agent_run-1", all_invariants())
    assert {one.outcome.verdict for one in found.values()} == {"raised"}


def test_an_event_that_names_others_alone_stays() -> None:
    """What is somebody else's is not erased with their neighbour; what names both goes."""
    told("agent_run-1", ADA)
    other = [event(responded("For Bob"), subjects=(BOB,)), event(responded("For both"), subjects=(ADA, BOB))]
    get_store().append("agent_run-1", other, expected_version=5)
    settled()
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert gone("agent_run-1") == [1, 2, 3, 4, 5, 7]
    assert RunSummary.objects.get(stream="agent_run-1").subject == BOB


def test_a_run_that_was_handed_on_to_and_names_nobody_goes_too() -> None:
    """It is theirs; one that names somebody else is not."""
    told("agent_run-1", ADA)
    handed = [event(run.HandedOff(to_agent="b", child_run=f"agent_run-{at}", instruction="x")) for at in (2, 3)]
    get_store().append("agent_run-1", handed, expected_version=5)
    told("agent_run-2")
    told("agent_run-3", BOB)
    settled()
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert (len(gone("agent_run-2")), gone("agent_run-3")) == (5, [])


@pytest.mark.parametrize("own", ["retention-holds", "retention-policies", "schedule-x", "agent_run-3", "agent_run-9"])
def test_a_run_that_is_said_to_be_handed_on_to_takes_nothing_of_others(own: str) -> None:
    """Neither the journal's own streams nor a run that came of another one; one that is not there changes nothing."""
    told("agent_run-1", ADA)
    get_store().append(
        "agent_run-1", [event(run.HandedOff(to_agent="b", child_run=own, instruction="x"))], expected_version=5
    )
    get_store().append("agent_run-3", [event(run.Started(parent_run="agent_run-2"))], expected_version=0)
    hold = kept.add_hold("default", stream="agent_run-3", reason="case 7", by="user:ann")
    kept.set_policy("default", floor_days=200, ceiling_days=None, by="user:ann")
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert (len(gone("agent_run-1")), gone(own)) == (6, [])
    assert [one.id for one in kept.active_holds("default")] == [hold.id]
    assert kept.policy_of("default").floor_days == 200


def test_of_the_journals_own_streams_only_what_names_them_goes() -> None:
    """One event of a stream of rules that names somebody makes none of the others theirs."""
    told("agent_run-1", ADA)
    stream = "rule-mine"
    own = [
        EventData(type="x.y", data=b"{}"),
        EventData(type="x.y", data=b"{}", metadata=b'{"subjects":["%s"]}' % ADA.encode()),
    ]
    get_store().append(stream, own, expected_version=0)
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert gone(stream) == [2]


def test_every_copy_goes() -> None:
    """Read models, search, notes and their stream, what-ifs, causes, spans, results of jobs, files of audits."""
    told("agent_run-1", ADA)
    user, _ = add_user("ann", role=Role.ADMIN, project="default", password="x")
    repository().execute(notes.stream_for("agent_run-1"), notes.Annotate(run="agent_run-1", by="ann", text=SECRET))
    settled()
    edits = [{"op": "drop", "version": 2}]
    WhatIf.objects.create(
        id=identity("w"), project="default", stream="agent_run-1", owner=user, edits=json.dumps([SECRET, edits])
    )
    result = {"first_failing": {"stream": "agent_run-1", "message": SECRET}, "asked": f"runs of {ADA}"}
    job = Job.objects.create(id=identity("j"), kind="bisect", project_id="default", result=result)
    trace = SpanTrace.objects.create(project="default", name="t", last_us=0)
    stream = stream_of("default", "otlp", "run-of-spans")
    told(stream, ADA)
    SpanRecord.objects.create(
        project="default", trace=trace, kind="span", digest="d", run="run-of-spans", body=SECRET.encode()
    )
    bundle = making.bundle(making.gathered(Query(project="default", subject=ADA)))
    audit = Job.objects.create(
        id=identity("a"), kind="audit", project_id="default", status="done",
        arguments={"query": Query(project="default", correlation="c").to_json(), "by": "ann", "purpose": ""},
    )  # fmt: skip
    default_storage.save(f"audits/{audit.id}/bundle.zip", ContentFile(bundle))
    settled()
    done = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    copies = {name for outcome in done.outcomes for name in outcome.copies}
    assert copies >= {"run lists", "search index", "subject index", "notes", "what-ifs", "spans", "jobs", "audit files"}
    assert not SearchText.every.filter(stream="agent_run-1").exists()
    assert not NoteRow.every.filter(run="agent_run-1").exists()
    assert [model.objects.count() for model in (WhatIf, SpanRecord)] == [0, 0]
    assert not Mention.every.filter(value=ADA).exists()
    assert EventLine.every.filter(summary__contains="Hidden").count() == 0
    assert not default_storage.exists(f"audits/{audit.id}/bundle.zip")
    job.refresh_from_db()
    assert job.result == {
        "first_failing": {"stream": "agent_run-1", "message": "[erased]"},
        "asked": "runs of [erased]",
    }
    everything = [bytes(one.data) + bytes(one.metadata) for one in get_store().read_all()]
    assert not any(word.encode() in raw for raw in everything for word in (ADA, "Hidden Lane"))


def test_a_rebuild_makes_what_an_erasure_left() -> None:
    """Read models are what their projections would make of the journal now, whatever went."""
    told("agent_run-1", ADA)
    told("agent_run-2", BOB, at=DAY - timedelta(days=900))
    settled()
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    purging.purge("default", before=DAY, by="user:ann", now=NOW)
    projection.catch_up_all()
    for name in ("explorer", "search", "subjects", "notes", "causes"):
        one = projection.named(name)
        live = one.digest(generation=projection.current(one).generation)
        projection.rebuild(one)
        assert one.digest(generation=projection.current(one).generation) == live, name


def test_a_hold_wins_over_erasure_and_the_refusal_is_journalled_without_the_name() -> None:
    """On the subject, on a run, and on another subject of the same run."""
    told("agent_run-1", ADA, BOB)
    for hold in ({"subject": ADA}, {"stream": "agent_run-1"}, {"subject": BOB}):
        kept.add_hold("default", reason="case 4", by="user:ann", **hold)  # type: ignore[arg-type]
        with pytest.raises(kept.Held, match="1 hold forbids it"):
            erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
        kept.release_hold("default", reason="closed", by="user:ann", **hold)
    assert gone("agent_run-1") == []
    refused = list(get_store().read_stream(retention.ERASURES))
    assert [one.type for one in refused] == ["retention.erasure_refused"] * 3
    assert not any(ADA.encode() in one.data for one in refused)
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert not any(ADA.encode() in one.data for one in get_store().read_all())


def test_a_purge_takes_whole_runs_past_the_time_and_the_floor_is_enforced() -> None:
    """A run with a later event stays, one that is held stays and is told; below the floor nothing goes."""
    told("agent_run-old", ADA)
    told("agent_run-held", ADA)
    told("agent_run-late", ADA)
    get_store().append("agent_run-late", [event(responded(), at=DAY + timedelta(days=9))], expected_version=5)
    settled()
    hold = kept.add_hold("default", stream="agent_run-held", kind="incident", reason="incident 12", by="user:ann")
    with pytest.raises(kept.RetentionRefused, match="184 days at least"):
        purging.purge("default", before=NOW - timedelta(days=183), by="user:ann", now=NOW)
    done = purging.purge("default", before=DAY + timedelta(days=1), by="user:ann", now=NOW)
    assert (done.runs, done.events) == (1, 5)
    assert (len(gone("agent_run-old")), gone("agent_run-held"), gone("agent_run-late")) == (5, [], [])
    assert done.held == {"agent_run-held": [hold.words]}
    told_of = [one.type for one in get_store().read_stream(retention.PURGES)]
    assert told_of == [f"retention.purge_{what}" for what in ("refused", "refused", "ordered", "done")]
    assert checks()["payloads"][1].startswith("5 payloads purged under the default retention policy at ")
    assert not RunSummary.objects.filter(stream="agent_run-old").exists()
    answer = purged.purge_of("default", "agent_run-old")
    assert answer is not None
    assert answer.policy == "the default retention policy"
    assert purged.purge_of("default", "agent_run-held") is None


def test_what_is_not_sealed_is_not_purged() -> None:
    """Its leaf could not be told from a made-up one."""
    told("agent_run-1", ADA)
    assert purging.purge("default", before=DAY + timedelta(days=1), by="user:ann", now=NOW).runs == 0


def test_an_order_that_was_cut_short_is_finished_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever asks again; it is told as done once."""
    told("agent_run-1", ADA)
    told("agent_run-2", ADA)
    settled()

    def dies(gone: Any) -> dict[str, int]:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("journal.runtime.copies.clear", dies)
        with pytest.raises(ConnectionError):
            erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert len(withdrawals.undone("default", retention.ERASURES)) == 1
    assert SearchText.objects.exists()
    done = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert (len(done.outcomes), done.events) == (1, 10)
    assert not SearchText.objects.filter(stream__startswith="agent_run").exists()
    assert [one.type.rpartition("_")[2] for one in get_store().read_stream(retention.ERASURES)] == ["ordered", "done"]


class _Cut(Exception):
    """The process ended."""


def _cut(done: int) -> None:
    raise _Cut(done)


def test_what_is_held_by_the_time_an_order_is_taken_up_again_stays() -> None:
    """With its notes, and it is told; the order is finished after the release."""
    for stream in ("agent_run-1", "agent_run-2"):
        told(stream)
        repository().execute(notes.stream_for(stream), notes.Annotate(run=stream, by="ann", text=SECRET))
    settled()
    limit = DAY + timedelta(days=1)
    with pytest.raises(_Cut):
        purging.purge("default", before=limit, by="user:ann", now=NOW, beat=_cut)
    assert (len(gone("agent_run-1")), gone("agent_run-2")) == (5, [])
    hold = kept.add_hold("default", stream="agent_run-2", reason="court", by="user:ann")
    done = purging.purge("default", before=limit, by="user:ann", now=NOW)
    assert (gone("agent_run-2"), gone("notes-agent_run-2"), gone("notes-agent_run-1")) == ([], [], [2])
    assert done.held == {name: [hold.words] for name in ("agent_run-2", "notes-agent_run-2")}
    assert not SearchText.objects.filter(stream="agent_run-1").exists()
    assert SearchText.objects.filter(stream="agent_run-2").exists()
    *_, refused = get_store().read_stream(retention.PURGES)
    assert refused.payload["streams"] == ["agent_run-2", "notes-agent_run-2"]
    assert len(withdrawals.undone("default", retention.PURGES)) == 1
    kept.release_hold("default", hold_id=hold.id, reason="over", by="user:ann")
    assert purging.purge("default", before=limit, by="user:ann", now=NOW).held == {}
    assert (len(gone("agent_run-2")), gone("notes-agent_run-2")) == (5, [2])
    assert withdrawals.undone("default", retention.PURGES) == []


@pytest.mark.parametrize("hold", [{"stream": "agent_run-1"}, {"subject": BOB}])
def test_a_hold_that_is_set_while_an_erasure_runs_binds(hold: dict[str, str]) -> None:
    """What it is on stays, and the erasure is refused; it is finished after the release."""
    told("agent_run-1", ADA, BOB)
    told("agent_run-2", ADA)
    settled()

    def sets(done: int) -> None:
        if done and not kept.active_holds("default"):
            kept.add_hold("default", reason="case 4", by="user:ann", **hold)  # type: ignore[arg-type]

    with pytest.raises(kept.Held, match="1 hold forbids it"):
        erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann", beat=sets)
    assert (gone("agent_run-1"), len(gone("agent_run-2"))) == ([], 5)
    kinds = [one.type.rpartition("_")[2] for one in get_store().read_stream(retention.ERASURES)]
    assert kinds == ["ordered", "refused"]
    kept.release_hold("default", reason="closed", by="user:ann", **hold)
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    assert len(gone("agent_run-1")) == 5


def test_notes_on_a_run_that_is_held_are_not_erased() -> None:
    """They have the person's name in them, and the run is somebody else's: the hold wins."""
    told("agent_run-1", ADA)
    told("agent_run-2", BOB)
    repository().execute(notes.stream_for("agent_run-2"), notes.Annotate(run="agent_run-2", by="ann", text=f"as {ADA}"))
    kept.add_hold("default", subject=BOB, reason="case 4", by="user:ann")
    with pytest.raises(kept.Held, match="1 hold forbids it"):
        erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")


def test_a_payload_that_goes_without_an_order_is_found() -> None:
    """An order that stands in the journal, but names other versions, does not cover it."""
    told("agent_run-1", ADA)
    told("agent_run-2", BOB)
    settled()
    order = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann").outcomes[0].order
    list(withdraw(get_store().read_stream("agent_run-2"), act=order, kind="erased", at=NOW))
    is_good, words = checks()["payloads"]
    assert is_good is False
    assert words.startswith("agent_run-2 version 1 (agent_run.started, event ")
    assert words.endswith("has lost its payload, and no order in the journal says so")


def _attempts(first: Any, order: str, other: str) -> list[tuple[str, list[Any]]]:
    good = marked(first.data, act=order, kind="erased", at=NOW)
    meta = marked(first.metadata, act=order, kind="erased", at=NOW)
    both = "UPDATE journal_event SET data = %s, metadata = %s"
    return [
        (both, [b"{}", b"{}"]),
        (both, [good, first.metadata]),
        (both, [marked(b"{}", act=order, kind="erased", at=NOW), meta]),
        (both, [marked(first.data, act=other, kind="erased", at=NOW), meta]),
        (both, [good + b" " * 5_000, meta]),
        (f"{both}, type = 'x.y'", [good, meta]),
        (f"{both}, version = 9", [good, meta]),
        (f"{both}, occurred_us = 1", [good, meta]),
    ]


@pytest.mark.parametrize("number", range(8))
def test_the_database_lets_no_other_change_through(number: int) -> None:
    """Not another digest, not an order that is none, nothing beside the payload; and a mark is never changed."""
    told("agent_run-1", ADA)
    told("agent_run-2", BOB)
    order = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann").outcomes[0].order
    first, mark = (next(get_store().read_stream(f"agent_run-{at}")) for at in (2, 1))
    statement, values = _attempts(first, order, first.id)[number]
    for one in (first, mark):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"{statement} WHERE position = %s", [*values, one.position])


def test_nobody_appends_a_mark_and_a_second_import_adds_nothing() -> None:
    """The mark's digest tells that it is the same event; another content under its id is refused as always."""
    told("agent_run-1", ADA)
    erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    told("agent_run-1", ADA)
    assert get_store().stream_version("agent_run-1") == 5
    with pytest.raises(EventIdReused):
        told("agent_run-1", ADA, said="something else")
    mark = next(get_store().read_stream("agent_run-1"))
    with pytest.raises(PayloadRefused, match="the mark of a payload"):
        get_store().append("x-1", [EventData(type="x.y", data=mark.data)], expected_version=0)


def test_a_certificate_proves_order_and_end() -> None:
    """By the log's own proofs, and names the subject by a pseudonym that only the key's owner can make again."""
    told("agent_run-1", ADA)
    done = erasing.erase("default", subject=ADA, ground=GROUND, by="user:ann")
    made = certificates.certificate("default", done.outcomes[0].order)
    assert (made.subject, made.events, made.ground) == (kept.pseudonym("default", ADA), 5, GROUND)
    assert ADA not in made.text
    log = log_rows.newest("default")
    assert log is not None
    for event_id, proof in ((made.order_event, made.order_proof), (made.done_event, made.done_proof)):
        one = get_store().event(str(event_id))
        found = log_rows.proof_of(log, one.position)
        assert found is not None
        assert proof == found.text
        tree = log_rows.tiles(log)
        check_inclusion(leaf_of(one).hash, index=found.index, size=log.size, path=found.path, root=tree.root())


@pytest.mark.parametrize(
    ("subject", "ground", "said"),
    [
        (ADA, "", "needs a reason"),
        ("", GROUND, "name the subject"),
        (ADA, f"{ADA} asked", "names the subject"),
        ("nobody", GROUND, "nothing in project"),
    ],
)
def test_an_erasure_that_cannot_be_is_refused(subject: str, ground: str, said: str) -> None:
    """With what is missing."""
    told("agent_run-1", ADA)
    with pytest.raises(Exception, match=said):
        erasing.erase("default", subject=subject, ground=ground, by="user:ann")


def test_a_short_name_is_not_found_inside_a_longer_one() -> None:
    """`user-4` is not `user-42`."""
    assert not retention.naming("user-4").search("about user-42, user-4-b")
    assert retention.naming("user-4").search("about user-4.")
