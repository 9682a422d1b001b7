"""The log over HTTP: enough for somebody else's tool to compute any proof, and for readers of the project alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from audits import render
from journal.access import Role, add_user
from journal.access.projects import add_project, ensure_project
from journal.domain.leaf import leaf_of
from journal.domain.merkle import Tiles, tile_path, tile_width
from journal.domain.note import open_checkpoint, parse_proof
from journal.domain.proof import check_inclusion
from journal.domain.stream import ANY_VERSION
from journal.runtime import log_keys, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.api import secret
from tests.builders import event, raw, started

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


@pytest.fixture
def sealed() -> None:
    """300 events under a checkpoint."""
    ensure_project("default")
    get_store().append("run-1", [raw() for _ in range(300)], expected_version=ANY_VERSION)
    sealer.catch_up()


def program(*scopes: str, project: str = "default") -> dict[str, str]:
    """Return the headers of a program with a token."""
    return {"Authorization": f"Bearer {secret(*scopes, project=project)}"}


def test_checkpoint_and_tiles_are_enough_for_any_proof(sealed: None) -> None:
    """As a client of tlog-tiles would: the signed size and root, then the tiles, then the arithmetic."""
    client, headers = Client(), program("read")
    note = client.get("/log/default/checkpoint", headers=headers)
    head = open_checkpoint(note.content.decode(), log_keys.in_use().keyring().verifiers).checkpoint
    assert note["Content-Type"] == "text/plain; charset=utf-8"

    def read(level: int, index: int, width: int) -> bytes:
        answer = client.get(f"/log/default/tile/{tile_path(level, index, width)}", headers=headers)
        assert answer.status_code == 200
        return answer.content

    tree = Tiles(head.size, lambda level, index, _: read(level, index, tile_width(level, index, size=head.size)))
    assert tree.root() == head.root
    leaf = leaf_of(list(get_store().read_all())[123]).hash
    check_inclusion(leaf, index=123, size=head.size, path=tree.inclusion(123), root=head.root)


@pytest.mark.parametrize("path", ["0/002", "0/001.p/200", "1/000", "0/0", "x", "9/000", "0/001.p/0"])
def test_a_tile_that_the_log_has_not_is_none(sealed: None, path: str) -> None:
    """Wider than it is, of a place that is not there, or not an address."""
    assert Client().get(f"/log/default/tile/{path}", headers=program("read")).status_code == 404


def test_only_readers_of_the_project_have_its_log(sealed: None) -> None:
    """By token or session; others learn nothing of it."""
    add_project("other")
    user, _ = add_user("viewer", role=Role.VIEWER, project="default", password="correct horse battery")
    signed_in = Client()
    signed_in.force_login(user)
    assert signed_in.get("/log/default/checkpoint").status_code == 200
    assert signed_in.get("/log/other/checkpoint").status_code == 404
    for address in ("/log/default/checkpoint", "/log/default/tile/0/000"):
        assert Client().get(address).status_code == 401
        assert Client().get(address, headers=program("ingest")).status_code == 403
        assert Client().get(address, headers=program("read", project="other")).status_code == 404


def test_an_events_proof_is_a_file_that_others_check(sealed: None) -> None:
    """The API gives it once the event is sealed."""
    client, headers = Client(), program("read")
    known = list(get_store().read_all())[7]
    answer = client.get(f"/api/v1/events/{known.id}/proof", headers=headers)
    proof = parse_proof(answer.content.decode())
    head = open_checkpoint(proof.note, log_keys.in_use().keyring().verifiers).checkpoint
    check_inclusion(leaf_of(known).hash, index=proof.index, size=head.size, path=proof.path, root=head.root)
    late = get_store().append("run-2", [raw()], expected_version=0).ids[0]
    refused = client.get(f"/api/v1/events/{late}/proof", headers=headers)
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("#not-sealed")


def test_an_audit_is_asked_for_and_fetched_by_a_program(
    sealed: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    """A job, and its files once it is done."""
    monkeypatch.setattr(render, "available", lambda: "no PDF here")
    get_store().append("agent_run-1", [event(started(), subjects=("user-42",))], expected_version=0)
    client, headers = Client(), program("audit")
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        asked = client.post("/api/v1/audits", {"subject": "user-42"}, "application/json", headers=headers)
    assert asked.status_code == 202
    job = client.get(asked["Location"], headers=headers).json()
    assert (job["kind"], job["status"], job["result"]["events"]) == ("audit", "done", 1)
    trail = client.get(f"{asked['Location']}/trail.jsonl", headers=headers)
    assert (trail.status_code, trail["Content-Type"]) == (200, "application/jsonl")
    assert trail["Content-Disposition"].endswith('.jsonl"')
    assert json.loads(b"".join(trail).splitlines()[0])["action_type"] == "lifecycle"
    bundle = client.get(f"{asked['Location']}/bundle.zip", headers=headers)
    assert b"".join(bundle)[:2] == b"PK"
    assert client.get(f"{asked['Location']}/report.pdf", headers=headers).status_code == 404
    both = client.post("/api/v1/audits", {"subject": "a", "correlation": "b"}, "application/json", headers=headers)
    assert both.status_code == 422
    assert "either a subject or a correlation id" in both.json()["detail"]
