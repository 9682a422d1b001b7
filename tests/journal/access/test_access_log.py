"""The access log: every action is found again, in order; floods are summed; nothing fails for want of a record."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from journal.access import Role, add_project, add_user, note_access, recording, remove_member, set_role
from journal.access.acting import Actor, acting, actor
from journal.access.recording import MOST_REFUSED, Recorder
from journal.domain import access_log
from journal.domain.access_log import AccessKind, shortened
from journal.domain.explain import explain
from journal.models import StreamRow
from journal.store import get_store
from tests.access import recorder, records, told
from tests.api import Api, program
from tests.run_pages import put_coding_run, signed_in
from tests.triggers import taken_away

__all__ = ["recorder"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("recorder")]


def browser(name: str, role: Role = Role.VIEWER, project: str = "default") -> Client:
    """Return a browser that signed in by its form's own way."""
    add_user(name, role=role, project=project, password="a long password")
    client = Client()
    assert client.login(username=name, password="a long password")
    return client


def test_ten_actions_of_several_people_are_ten_records_in_order() -> None:
    """From the journal as from the page, the API and the command; each says who, what and to which object."""
    run = put_coding_run(8)
    ada = browser("ada", Role.ENGINEER)
    eve = browser("eve", Role.AUDITOR)
    root = browser("root", Role.ADMIN)
    machine = program("read", user="machine", role=Role.VIEWER)
    before = len(records())
    ada.get(f"/runs/{run}/?v=3&tab=payload")
    ada.get(f"/runs/{run}/events/3/?download=data")
    recording.in_use().flush()
    b"".join(ada.get(f"/runs/{run}/export/jsonl/"))
    machine.get(f"/streams/{run}/events")
    assert ada.get("/audits/").status_code == 403
    recording.in_use().flush()
    root.post("/settings/members/", {"name": "eve", "role": "engineer"})
    root.post("/settings/members/", {"name": "eve", "role": "auditor"})
    ada.post("/settings/tokens/", {"scope": "read", "days": "30"})
    Api(token="ngr_nobody-has-this").get("/runs")
    recording.in_use().flush()
    eve.get("/access/export/csv/").getvalue()
    wanted = [
        ("ada", "run, payload tab", run),
        ("ada", "stored bytes", run),
        ("ada", "run as a file", run),
        ("machine", "events of a stream", run),
        ("ada", "audits", ""),
        ("root", "role given", "eve"),
        ("root", "role given", "eve"),
        ("ada", "token made", "ngr_"),
        ("", "runs", ""),
        ("eve", "access log as a file", ""),
    ]
    found = records()[before:]
    objects = [said.object[:4] if "token" in said.what else said.object for _, said in found]
    assert [(said.by, said.what, object_) for (_, said), object_ in zip(found, objects, strict=True)] == wanted
    outcomes = {said.what: said.outcome for _, said in found}
    assert (outcomes["audits"], outcomes["runs"], outcomes["stored bytes"]) == ("refused", "refused", "done")
    assert [said.first_version for _, said in found[:2]] == [3, 3]
    assert {said.origin for _, said in found} == {"this machine"}
    assert all(event.meta.correlation_id for event, _ in found)
    shown = eve.get("/access/").content.decode()
    items = program("audit", user="judge").get("/access?limit=12")["items"][2:]  # before the judge came
    assert [item["what"] for item in reversed(items)] == [what for _, what, _ in wanted]
    assert all(what in shown for _, what, _ in wanted)
    out = StringIO()
    call_command("access", "--user", "machine", stdout=out)
    assert f"machine read events of a stream of {run}, by token ngr_" in out.getvalue()


def test_a_record_that_is_taken_out_behind_the_journals_back_is_named_by_verify() -> None:
    """Its stream and version, and its place in the log."""
    run = put_coding_run(4)
    ada = browser("ada")
    for tab in ("payload", "state", "context"):
        ada.get(f"/runs/{run}/?tab={tab}")
        recording.in_use().flush()
    call_command("seal", stdout=StringIO())
    gone, said = next(found for found in records() if found[1].what == "run, state tab")
    assert said.by == "ada"
    with taken_away(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM journal_event WHERE position = %s", [gone.position])
    out = StringIO()
    with pytest.raises(CommandError, match="something is wrong"):
        call_command("verify", stdout=out)
    assert f"{gone.stream} version {gone.version} is missing" in out.getvalue()


def test_the_same_again_is_counted_and_written_as_a_sum() -> None:
    """A cursor that moves over a run: one record at once, and at the end how often and over which events."""
    run = put_coding_run(40)
    ada = browser("ada")
    before = len(records())
    for version in (7, 30, 12):
        ada.get(f"/runs/{run}/?v={version}&tab=payload")
    recording.in_use().flush(all_windows=True)
    first, total = [said for _, said in records()[before:]]
    assert (first.count, first.first_version) == (1, 7)
    assert (total.count, total.first_version, total.last_version) == (2, 12, 30)
    assert access_log.sentence(total) == f"ada read run, payload tab of {run}, 2 times"


def test_a_read_costs_its_page_no_statement() -> None:
    """What is noted waits in memory: the thread behind the pages writes it."""
    run = put_coding_run(8)
    ada = browser("ada")
    recording.use(Recorder())
    with _counted() as without:
        ada.get(f"/runs/{run}/?v=3", headers={"HX-Request": "true"})
    recording.use(Recorder(is_on=True))
    with _counted() as recorded:
        ada.get(f"/runs/{run}/?v=3", headers={"HX-Request": "true"})
    assert len(recorded) <= len(without)


def _counted() -> Any:
    return CaptureQueriesContext(connection)


def test_a_flood_of_refusals_is_summed() -> None:
    """However many tokens a stranger makes up, the journal grows by so many records and one sum."""
    add_project("default")
    for number in range(MOST_REFUSED + 150):
        note_access("default", AccessKind.REFUSED, "runs", detail=str(number), outcome="refused")
    recording.in_use().flush(all_windows=True)
    found = [said for _, said in records()]
    assert len(found) == MOST_REFUSED + 2
    assert sum(said.count for said in found) == MOST_REFUSED + 150


def test_a_stranger_fills_no_log_by_asking_for_projects_that_are_none() -> None:
    """However many names are made up: so many records and one sum, in the log of a project that exists."""
    add_project("main")
    nobody = Api(token="ngr_nobody-has-this")
    for number in range(MOST_REFUSED + 50):
        nobody.get(f"/runs?project=p{number}")
    for text in ("%00", "%C3%A9", "a%20b", "A"):  # no project can have these names: they are all one
        nobody.get(f"/runs?project={text}")
    recording.in_use().flush(all_windows=True)
    assert set(StreamRow.objects.values_list("project", flat=True)) == {"main"}
    found = [said for _, said in records("main")]
    assert len(found) == MOST_REFUSED + 2
    assert sum(said.count for said in found) == MOST_REFUSED + 54
    assert recording.in_use().failed == 0
    assert not recording.in_use()._refused


@pytest.mark.parametrize("address", ["/runs?project=%00", "/events/é", "/events/%00", "/streams/é/events", "/runs/%00"])
def test_no_address_holds_up_the_log(address: str) -> None:
    """Text that some database does not take, in place of a name: what others do is written all the same."""
    add_user("ada", role=Role.VIEWER, project="default", password="a long password")
    Api(token="ngr_nobody-has-this").get(address)
    program("read", user="machine").get(address)
    note_access("default", AccessKind.READ, "run list", who=Actor(by="ada"))
    assert ("ada", "run list", "") in told()
    assert (recording.in_use().failed, recording.in_use().lost) == (0, 0)


def test_a_record_that_cannot_be_written_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never can be is given up; one that may be, later, waits by itself, and not for ever."""
    add_project("default")

    def never(_record: Any) -> Any:
        raise ValueError

    def not_yet(_record: Any) -> Any:
        raise OperationalError

    note_access("default", AccessKind.REFUSED, "a", resolve=never)
    note_access("default", AccessKind.REFUSED, "b", resolve=not_yet)
    note_access("default", AccessKind.READ, "c", who=Actor(by="ada"))
    assert told() == [("ada", "c", "")]
    assert (recording.in_use().lost, len(recording.in_use()._waiting)) == (1, 1)
    monkeypatch.setattr(recording, "_MOST_TRIES", 3)
    for _ in range(3):
        recording.in_use().flush()
    assert (recording.in_use().lost, len(recording.in_use()._waiting)) == (2, 0)


def test_a_commit_whose_answer_got_lost_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the journal already stays there once, and what came meanwhile is written."""
    add_project("default")
    append = recording._append

    def lost(part: Any) -> None:
        append(part)
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(recording, "_append", lost)
        for what in ("a", "b"):
            note_access("default", AccessKind.READ, what, who=Actor(by="ada"))
        recording.in_use().flush()
    note_access("default", AccessKind.READ, "c", who=Actor(by="ada"))
    assert [what for _, what, _ in told()] == ["a", "b", "c"]
    assert not recording.in_use()._waiting


def test_a_database_that_is_away_uses_up_no_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long: nothing is lost."""
    add_project("default")

    def away(*_: Any) -> Any:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(recording, "_MOST_TRIES", 1)
        patch.setattr(recording, "_append", away)
        patch.setattr(recording, "_is_answering", lambda: False)
        for what in ("a", "b"):
            note_access("default", AccessKind.READ, what, who=Actor(by="ada"))
        for _ in range(5):
            recording.in_use().flush()
    assert [what for _, what, _ in told()] == ["a", "b"]
    assert recording.in_use().lost == 0


def test_text_in_a_query_that_names_no_run_makes_no_record_of_its_own() -> None:
    """A reader's log grows by what was read, not by what stands in the address."""
    run = put_coding_run(8)
    ada = browser("ada")
    before = len(records())
    for number in range(5):
        assert ada.get(f"/runs/?a=x{number}&b=y&with=z{number}").status_code == 200
        assert ada.get(f"/compare/?a=x{number}").status_code == 200
    assert ada.get(f"/compare/?a={run}@3&b={run}@5").status_code == 200
    found = [(said.what, said.object) for _, said in records()[before:]]
    assert found == [("run list", ""), ("comparison", ""), ("comparison", f"{run} {run}")]


def test_a_journal_that_cannot_be_written_costs_no_page_and_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted, waits, and is written once the journal answers again."""
    add_project("default")

    def down(*_: Any, **__: Any) -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr("journal.access.recording.get_store", down)
        add_user("ada", role=Role.VIEWER, project="default", password="a long password")
    assert recording.in_use().failed == 1
    assert told() == [(actor().by, "account made", "ada")]


def test_what_was_rolled_back_is_not_recorded() -> None:
    """Inside a transaction a record waits for the commit."""
    add_user("ada", role=Role.ADMIN, project="default", password="a long password")
    before = told()
    with transaction.atomic():
        add_user("bob", role=Role.ADMIN, project="default", password="a long password")
        transaction.set_rollback(True)
    assert told() == before
    with transaction.atomic():
        add_user("bob", role=Role.ADMIN, project="default", password="a long password")
        assert len(list(get_store().read_category(access_log.CATEGORY))) == len(before)
    assert told()[-1][1:] == ("account made", "bob")


def test_sign_ins_are_told_to_the_accounts_projects_and_unknown_names_are_not_kept() -> None:
    """A password typed where the name goes is nobody's to read."""
    add_user("ada", role=Role.VIEWER, project="default", password="a long password")
    client = Client()
    login = {"username": "ada", "password": "wrong"}
    client.post("/accounts/login/", login)
    client.post("/accounts/login/", {**login, "username": "hunter2-my-secret"})
    client.post("/accounts/login/", {**login, "password": "a long password"})
    found = {(said.by, said.what, said.outcome) for _, said in records() if said.what != "account made"}
    assert found == {
        ("ada", "sign-in failed", "refused"),
        ("", "sign-in failed", "refused"),
        ("ada", "signed in", "done"),
    }
    assert not any(b"hunter2" in event.data + event.metadata for event, _ in records())


def test_who_asks_for_another_projects_run_is_told_there_too() -> None:
    """Both projects' auditors see it; the asker's own log does not say that the run is there."""
    add_project("theirs")
    run = put_coding_run(3, stream="agent_run-secret", project="theirs")
    mallory = browser("mallory", project="default")
    assert mallory.get(f"/runs/{run}/").status_code == 404
    assert mallory.get(f"/runs/{run}/?project=theirs").status_code == 404
    here = [said for _, said in records() if said.outcome == "refused"]
    there = [said for _, said in records("theirs") if said.outcome == "refused"]
    assert {(said.by, said.object) for said in (*here, *there)} == {("mallory", run)}
    assert not any("another project" in said.detail for said in here)
    assert any("from another project" in said.detail for said in there)


def test_the_log_is_read_by_auditors_alone_and_written_by_nobody() -> None:
    """Over the API as in the browser; a program that may write events may not write these."""
    run = put_coding_run(3)
    ada, machine = browser("ada", Role.ENGINEER), program("read", "ingest", user="machine")
    ada.get(f"/runs/{run}/")
    event, _ = records()[-1]
    for path in (f"/streams/{event.stream}/events", f"/events/{event.id}", f"/events/{event.id}/causes"):
        machine.get(path)
        assert machine.status == 403, path
    assert not any(item["stream"] == event.stream for item in machine.get("/events?limit=1000")["items"])
    forged = {"expected_version": "any", "events": [{"type": "access.read", "data": {}}]}
    machine.post(f"/streams/{event.stream}/events", forged)
    assert machine.status == 403
    assert ada.get(f"/runs/{event.stream}/events/1/", headers={"Accept": "application/json"}).status_code == 403
    judge = program("audit", "read", user="judge", role=Role.AUDITOR)
    assert judge.get(f"/events/{event.id}")["type"] == "access.read"
    assert ada.get(f"/runs/{event.stream}/").status_code == 403
    listed = browser("boss", Role.ADMIN).get("/runs/").content.decode()
    assert event.stream not in listed


def test_memberships_say_who_gave_and_took_them() -> None:
    """Whoever acts, by a page or a command, is found without being handed on."""
    add_user("ada", role=Role.VIEWER, project="default", password="a long password")
    with acting(lambda: Actor(by="root", via="browser", origin="203.0.113.0/24")):
        set_role("default", "ada", Role.ENGINEER)
        remove_member("default", "ada")
    found = [said for _, said in records()][-2:]
    assert [(said.by, said.what, said.detail, said.origin) for said in found] == [
        ("root", "role given", "engineer", "203.0.113.0/24"),
        ("root", "role taken", "engineer", "203.0.113.0/24"),
    ]
    told_as = [explain(event).summary for event, _ in records()][-1]
    assert told_as == "root members: role taken of ada (engineer)"


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
        ("::ffff:198.51.100.9", "198.51.100.0/24"),
        ("127.0.0.1", "this machine"),
        ("<script>", ""),
        ("", ""),
    ],
)
def test_an_address_is_kept_without_the_machine(address: str, kept: str) -> None:
    """By the rule in the documentation."""
    assert shortened(address) == kept


def test_no_record_holds_a_payload() -> None:
    """A search's words, a token's secret and an address's query stay out."""
    run = put_coding_run(6)
    ada = signed_in("ada", "default")
    ada.get("/runs/?q=refund-of-mrs-smith")
    ada.get(f"/runs/{run}/find/?q=refund-of-mrs-smith")
    Api(token="ngr_a-secret-that-was-guessed").get("/runs?q=refund-of-mrs-smith")
    held = b"".join(event.data + event.metadata for event, _ in records())
    assert len(records()) >= 3
    assert not re.search(rb"smith|guessed", held)
