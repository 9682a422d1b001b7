"""Evidence bundles: what they cover and account for, and that the program in them finds whatever is done to one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audits import making
from audits.bundle import archive, gather
from audits.selection import AuditRefused, Query
from audits.verifier import verify
from journal.access.projects import add_project, ensure_project
from journal.domain import agent_run as run
from journal.domain.event import EventData
from journal.domain.stream import ANY_VERSION
from journal.runtime import log_keys, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import event, raw, reasoned, responded, returned, started

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


def told(stream: str, subject: str, *, hour: int, project: str = "default", **fields: Any) -> None:
    """Append a small run for somebody, a minute an event."""
    events = [started(**fields), responded(), reasoned(), returned(), run.Answered(response=f"Done for {subject}")]
    get_store(project).append(
        stream,
        [
            event(data, at=DAY + timedelta(hours=hour, minutes=minute), subjects=(subject,), correlation_id=f"c-{hour}")
            for minute, data in enumerate(events)
        ],
        expected_version=ANY_VERSION,
    )


@pytest.fixture
def journal() -> None:
    """Runs for two people, one of both, one of nobody, and a project beside."""
    ensure_project("default")
    add_project("other")
    told("agent_run-1", "user-42", hour=1)
    told("agent_run-2", "user-7", hour=2, agent="writer")
    told("agent_run-3", "user-42", hour=3, agent="writer")
    get_store().append(
        "agent_run-3",
        [event(returned(), subjects=("user-7",), at=DAY + timedelta(hours=3, minutes=5))],
        expected_version=5,
    )
    get_store().append("agent_run-3", [event(responded(), at=DAY + timedelta(hours=3, minutes=6))], expected_version=6)
    get_store().append("agent_run-4", [event(started(), at=DAY)], expected_version=0)
    told("agent_run-1", "user-42", hour=1, project="other")


def versions(query: Query) -> dict[str, list[int]]:
    """Return what a query covers, by stream."""
    found: dict[str, list[int]] = {}
    for one in gather(query).selection.events:
        found.setdefault(one.stream, []).append(one.version)
    return found


def lines(files: dict[str, bytes], **given: Any) -> list[str]:
    """Run the verifier in this process and return what it says."""
    said: list[str] = []
    keys = [verify.key_of(key.vkey) for key in log_keys.in_use().keyring().verifiers]
    code = verify.verify(files, **{"keys": keys, "say": said.append, **given})
    return [*said, str(code)]


def test_every_event_of_the_runs_that_name_somebody_is_covered(journal: None) -> None:
    """In the journal's order; one that names another only is left out, and said to be."""
    query = Query(project="default", subject="user-42")
    assert versions(query) == {"agent_run-1": [1, 2, 3, 4, 5], "agent_run-3": [1, 2, 3, 4, 5, 7]}
    evidence = gather(query)
    account = evidence.selection.completeness
    assert (account.covered, account.others, account.unnamed) == (11, 5, 1)
    assert account.left_out == {"names only other subjects": 1}
    assert account.in_period == 11 + 1 + 5 + 1 + account.own
    part = evidence.manifest["streams"]["agent_run-3"]
    assert part["left_out"] == [{"from": 6, "to": 6, "reason": "names only other subjects"}]
    assert (part["first"], part["last"], part["newest"], part["agent"]) == (1, 7, 7, "writer")


@pytest.mark.parametrize(
    ("asked", "covered"),
    [
        ({"since": DAY + timedelta(hours=2)}, {"agent_run-3": [1, 2, 3, 4, 5, 7]}),
        ({"until": DAY + timedelta(hours=1, minutes=2)}, {"agent_run-1": [1, 2, 3]}),
        (
            {"since": DAY + timedelta(hours=1, minutes=1), "until": DAY + timedelta(hours=3)},
            {"agent_run-1": [2, 3, 4, 5], "agent_run-3": [1]},
        ),
        ({"agent": "writer"}, {"agent_run-3": [1, 2, 3, 4, 5, 7]}),
        ({"tool": "read_file"}, {"agent_run-1": [3, 4], "agent_run-3": [3, 4]}),
        ({"agent": "nobody"}, {}),
    ],
)
def test_period_agent_and_tool_narrow_it(journal: None, asked: dict[str, Any], covered: dict[str, list[int]]) -> None:
    """Both ends of the period are in; and what is narrowed away still adds up."""
    query = Query(project="default", subject="user-42", **asked)
    assert versions(query) == covered
    assert lines(gather(query).files)[-1] == "0"


def test_a_correlation_id_is_asked_for_in_the_same_way(journal: None) -> None:
    """One conversation."""
    assert versions(Query(project="default", correlation="c-2")) == {"agent_run-2": [1, 2, 3, 4, 5]}
    assert versions(Query(project="other", correlation="c-2")) == {}


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"subject": "a", "correlation": "b"},
        {"subject": "a", "since": datetime(2026, 1, 1)},  # noqa: DTZ001 - without a zone is the point
        {"subject": "a", "since": DAY, "until": DAY - timedelta(days=1)},
    ],
)
def test_an_audit_that_asks_for_nothing_clear_is_refused(asked: dict[str, Any]) -> None:
    """With the reason."""
    with pytest.raises(AuditRefused, match="no audit"):
        Query(project="default", **asked)


def test_the_same_query_at_the_same_checkpoint_is_the_same_file(journal: None) -> None:
    """Byte for byte; at another one the proofs are others."""
    query = Query(project="default", subject="user-42")
    first = archive(gather(query).files)
    assert archive(gather(query).files) == first
    told("agent_run-9", "user-9", hour=9)
    assert archive(gather(query).files) != first


def test_the_program_in_the_bundle_checks_it_alone(journal: None, tmp_path: Path) -> None:
    """In another folder, without Django, its environment or anything of ours on the path."""
    query = Query(project="default", subject="user-42")
    path, key = tmp_path / "user-42.zip", tmp_path / "log.pub"
    path.write_bytes(archive(gather(query).files))
    key.write_text(log_keys.in_use().keyring().current.verifier.vkey + "\n")
    with zipfile.ZipFile(path) as bundle:
        bundle.extract("verify.py", tmp_path / "alone")
    command = [sys.executable, "-I", "verify.py", str(path), "--key", str(key)]
    done = subprocess.run(command, cwd=tmp_path / "alone", check=False, capture_output=True, text=True, env={})
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == ["PASS"] * 7
    unpinned = subprocess.run(command[:-2], cwd=tmp_path / "alone", check=False, capture_output=True, text=True, env={})
    assert unpinned.returncode == 2
    assert "no key was given" in unpinned.stdout


def changed(files: dict[str, bytes], name: str, change: Callable[[Any], Any]) -> dict[str, bytes]:
    """Return the files with one changed, and the manifest telling the change's digest, as a careful forger would."""
    decoded = [json.loads(line) for line in files[name].splitlines()] if name.endswith("l") else json.loads(files[name])
    decoded = change(decoded)
    text = "".join(json.dumps(one) + "\n" for one in decoded) if name.endswith("l") else json.dumps(decoded)
    files = {**files, name: text.encode()}
    if name != "manifest.json":
        manifest = json.loads(files["manifest.json"])
        manifest["files"][name] = hashlib.sha256(files[name]).hexdigest()
        files["manifest.json"] = json.dumps(manifest).encode()
    return files


def edited(events: list[dict[str, Any]], at: int, **fields: Any) -> list[dict[str, Any]]:
    """Return the events with one of them changed."""
    return [{**one, **fields} if index == at else one for index, one in enumerate(events)]


def inner(document: dict[str, Any], name: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the document with each value of one of its maps changed."""
    return {**document, name: {key: change(value) for key, value in document[name].items()}}


def without(document: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Return the proofs without one."""
    return {**document, "proofs": {key: value for key, value in document["proofs"].items() if key != event_id}}


@pytest.mark.parametrize(
    ("name", "change", "fails"),
    [
        ("events.jsonl", lambda e: edited(e, 2, data_raw='{"toolName":"other"}'), "events"),
        ("events.jsonl", lambda e: edited(e, 2, data={"toolName": "other"}), "events"),
        ("events.jsonl", lambda e: edited(e, 2, recorded_at="2020-01-01T00:00:00.000000Z"), "events"),
        ("events.jsonl", lambda e: edited(e, 2, occurred_at="2026-11-22T01:02:00.500000Z"), "times"),
        ("proofs.json", lambda p: {**p, "occurred_checkpoint": ""}, None),
        ("proofs.json", lambda p: inner(p, "proofs", lambda v: {**v, "occurred": v["occurred"][::-1]}), "times"),
        ("manifest.json", lambda m: {**m, "journal": {"checked": 1, "wrong": ["entry 1 is gone"]}}, "journal"),
        ("events.jsonl", lambda e: edited(e, 2, stream="agent_run-3"), "events"),
        ("events.jsonl", lambda e: edited(e, 2, log_index=0), "events"),
        ("events.jsonl", lambda e: e[:2] + e[3:], "events"),
        ("events.jsonl", lambda e: e[:-1], "events"),
        ("events.jsonl", lambda e: [e[1], e[0], *e[2:]], "events"),
        ("events.jsonl", lambda e: [*e, e[-1]], "events"),
        ("proofs.json", lambda p: inner(p, "proofs", lambda v: {**v, "index": v["index"] + 1}), "events"),
        ("proofs.json", lambda p: inner(p, "proofs", lambda v: {**v, "path": v["path"][:-1]}), "events"),
        ("manifest.json", lambda m: {**m, "counts": {**m["counts"], "events": 10}}, "query"),
        ("manifest.json", lambda m: {**m, "query": {**m["query"], "subject": "user-7"}}, "query"),
        ("manifest.json", lambda m: {**m, "completeness": {**m["completeness"], "others": 4}}, "query"),
        ("manifest.json", lambda m: {**m, "log": {**m["log"], "size": m["log"]["size"] + 1}}, "checkpoint"),
        ("manifest.json", lambda m: inner(m, "streams", lambda v: {**v, "left_out": []}), "streams"),
        ("manifest.json", lambda m: inner(m, "streams", lambda v: {**v, "last": v["last"] + 1}), "streams"),
        ("manifest.json", lambda m: {k: v for k, v in m.items() if k != "files"}, "files"),
        ("manifest.json", lambda _: [], "files"),
    ],
)  # fmt: skip
def test_whatever_is_changed_in_a_bundle_is_found(
    journal: None, name: str, change: Callable[[Any], Any], fails: str | None
) -> None:
    """Also by somebody who mends the manifest's digests after it."""
    files = gather(Query(project="default", subject="user-42")).files
    assert lines(files)[-1] == "0"
    *said, code = lines(changed(files, name, change))
    if fails is None:  # a proof that is not there proves nothing, and is no forgery either
        assert code == "2"
        return
    assert code == "1"
    assert f"FAIL  {fails}" in [line.partition(":")[0] for line in said]


def withdrawn(events: list[dict[str, Any]], at: int, marks: dict[str, bytes]) -> list[dict[str, Any]]:
    """Return the events with payloads of one replaced. DIGEST in what replaces them is the one of what stood there."""
    fields: dict[str, Any] = {}
    for name, mark in marks.items():
        digest = hashlib.sha256(events[at][f"{name}_raw"].encode()).hexdigest()
        fields[f"{name}_raw"] = mark.decode().replace("DIGEST", digest)
        fields[name] = json.loads(fields[f"{name}_raw"])
    keys = {"subject_keys": events[at].get("subject_keys", [])}
    return edited(events, at, **fields, **keys)


def _mark(act: str = "0", beside: str = "", at: str = "2026-11-30T00:00:00.000000Z") -> bytes:
    told = f'"act":"{act * 36}","kind":"erased","at":"{at}"'
    return f'{{"$withdrawn":{{"sha256":"DIGEST",{told}}}{beside}}}'.encode()


@pytest.mark.parametrize(
    ("marks", "verdict"),
    [
        ({"data": _mark(), "metadata": _mark()}, "PASS"),
        ({"data": _mark(), "metadata": _mark(beside=',"time":"unknown"')}, "PASS"),
        ({"data": b'{"$withdrawn":{"sha256":"DIGEST"},"toolName":"rm"}'}, "FAIL"),
        ({"metadata": b'{"$withdrawn":{"sha256":"DIGEST"},"actor":"user:bob"}'}, "FAIL"),
        ({"data": _mark(), "metadata": _mark(beside=',"actor":"user:bob"')}, "FAIL"),
        ({"data": _mark(beside=',"toolName":"rm"'), "metadata": _mark()}, "FAIL"),
        ({"data": _mark(at="user:bob approved of this!!"), "metadata": _mark()}, "FAIL"),
        ({"metadata": _mark()}, "FAIL"),
        ({"data": _mark()}, "FAIL"),
        ({"data": _mark(), "metadata": _mark(act="1")}, "FAIL"),
    ],
)
def test_nothing_can_be_said_beside_the_digest_of_what_is_gone(
    journal: None, marks: dict[str, bytes], verdict: str
) -> None:
    """A mark stands for a payload whole, and an event's data and metadata are gone by one order."""
    files = gather(Query(project="default", subject="user-42")).files
    forged = changed(files, "events.jsonl", partial(withdrawn, at=2, marks=marks))
    said = [line for line in lines(forged) if "  events: " in line]
    assert [line.partition("  ")[0] for line in said] == [verdict]
    assert ("the payloads of 1 were" in said[0]) is (verdict == "PASS")


def test_a_bundle_from_before_there_was_a_check_is_not_checked_for_that(journal: None) -> None:
    """It is no forgery: what it lacks is named, and all else passes."""
    files = gather(Query(project="default", subject="user-42")).files
    older = changed(files, "proofs.json", lambda p: {k: v for k, v in p.items() if k != "occurred_checkpoint"})
    older = changed(older, "manifest.json", lambda m: {k: v for k, v in m.items() if k != "journal"})
    *said, code = lines(older)
    assert code == "2"
    assert [line.partition(":")[0] for line in said if not line.startswith("PASS")] == ["????  times", "????  journal"]


def _instead(events: list[dict[str, Any]], _: object) -> list[dict[str, Any]]:
    return events


def test_an_event_and_its_proof_left_out_together_are_missed(journal: None) -> None:
    """Its version is a hole that the manifest does not name; of the last one the counts are wrong."""
    files = gather(Query(project="default", subject="user-42")).files
    for at in (1, -1):
        events = [json.loads(line) for line in files["events.jsonl"].splitlines()]
        gone = events.pop(at)
        cut = changed(files, "events.jsonl", partial(_instead, events))
        cut = changed(cut, "proofs.json", partial(without, event_id=gone["id"]))
        *said, code = lines(cut)
        assert code == "1"
        assert any(line.startswith("FAIL  streams") for line in said)
        assert any(line.startswith("FAIL  query") for line in said)


def test_files_that_do_not_belong_or_are_missing_are_found(journal: None) -> None:
    """And a checkpoint that another key signed."""
    files = gather(Query(project="default", subject="user-42")).files
    assert lines({**files, "extra.txt": b""})[0].startswith("FAIL  files: missing: none; not named")
    assert lines({k: v for k, v in files.items() if k != "proofs.json"})[-1] == "1"
    assert lines({**files, "README.txt": b"trust me"})[0].startswith("FAIL  files: README.txt is not")
    foreign = verify.key_of(log_keys.parse_signer(log_keys.made_line("elsewhere")).verifier.vkey)
    said = lines(files, keys=[foreign])
    assert "FAIL  checkpoint" in said[1]
    assert said[-1] == "1"


def test_a_later_audit_shows_that_the_log_only_grew(journal: None) -> None:
    """From the last one; a history that was rewritten in between has no such proof."""
    query = Query(project="default", subject="user-42")
    first = making.gathered(query)
    making.record(first, file="first.zip", content=making.bundle(first), by="anna")
    told("agent_run-1", "user-42", hour=20)
    second = making.gathered(query)
    said = lines(second.files, previous=first.files["checkpoint.txt"])
    assert [line[:12] for line in said[7:]] == ["PASS  growth", "PASS  earlie", "0"]
    unrelated = gather(query).files
    assert (
        "????  earlier report: this bundle holds no proof"
        in lines(unrelated, previous=first.files["checkpoint.txt"])[7]
    )
    forged = changed(second.files, "proofs.json", lambda p: {**p, "consistency": p["consistency"][::-1]})
    assert lines(forged, previous=first.files["checkpoint.txt"])[-1] == "1"


def test_an_audit_is_an_event_itself(journal: None) -> None:
    """Who, what for, over how many events, and the file's digest."""
    evidence = making.gathered(Query(project="default", subject="user-42"))
    making.record(evidence, file="a.zip", content=b"x", by="anna", purpose="Complaint 2026-311")
    made = next(iter(get_store().read_stream("audit-default")))
    assert made.type == "audit.made"
    assert made.payload["query"]["subject"] == "user-42"
    assert (made.payload["events"], made.payload["by"], made.payload["purpose"]) == (11, "anna", "Complaint 2026-311")
    sealer.catch_up()
    assert making.last_checkpoint("default") == evidence.note


def test_an_audit_of_nobody_is_an_audit(journal: None) -> None:
    """That nothing was found is an answer, with its account."""
    evidence = gather(Query(project="default", subject="user-99"))
    assert evidence.selection.completeness.covered == 0
    assert lines(evidence.files)[-1] == "0"


def test_odd_payloads_are_proved_as_they_were_recorded() -> None:
    """Key order, big integers, line separators and spelling of numbers are the recorded ones."""
    ensure_project("default")
    data = '{"z":9007199254740993, "a":1e2,"é":"\\u2028 \\" \\n"}'.encode()
    odd = EventData(type="test.noted", data=data, metadata=b'{ "subjects":["user-42"],"n":18446744073709551616}')
    get_store().append("odd-1", [odd, raw()], expected_version=0)
    files = gather(Query(project="default", subject="user-42")).files
    assert lines(files)[-1] == "0"
    line = json.loads(files["events.jsonl"].splitlines()[0])
    assert line["data_raw"].encode() == data
    assert line["data"]["z"] == "9007199254740993"


def test_the_command_writes_the_file_and_says_so(journal: None, tmp_path: Path) -> None:
    """And `nagare verify` takes it back."""
    path = tmp_path / "user-42.zip"
    call_command(
        "audit", "--subject", "user-42", "--from", "2026-11-22", "--to", "2026-11-22T23:59:59Z", "--out", str(path)
    )
    call_command("verify", str(path))
    altered = path.read_bytes().replace(b"manifest.json", b"manifesT.json")
    path.write_bytes(altered)
    with pytest.raises(CommandError, match="something is wrong") as wrong:
        call_command("verify", str(path))
    assert wrong.value.returncode == 1
    with pytest.raises(CommandError, match="has to end in") as usage:
        call_command("audit", "--subject", "user-42", "--out", str(tmp_path / "a.docx"))
    assert usage.value.returncode == 2
