"""Secrets that come in by every door: none is in the database, the search, logs, traces or evidence afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from audits import making, render
from audits.selection import Query
from explorer.queries import run as debugger
from explorer.queries.run_address import Address
from journal import recorder
from journal.access import Role, add_project, add_user
from journal.domain.redaction_rules import OwnPattern, RulesSaved
from journal.ingest.files import Found
from journal.ingest.importer import Importer
from journal.runtime import log_keys, redacting
from journal.runtime.log_keys import KeyPlace
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.api import program, secret
from tests.otel import telemetry
from tests.otlp import Sender, agent, chat, settle, tool, traces
from tests.secrets_seeded import lookalikes, seeded

pytestmark = pytest.mark.django_db(transaction=True)

SECRETS = seeded(42)
LOOKALIKES = lookalikes(100)
WORDS = "\n".join([*(text for _, _, text in SECRETS), *LOOKALIKES])
"""All of it in one payload, as a careless tool prints it."""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path) -> Iterator[None]:
    """A project with the default rules, and a key for its log."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    add_project("default")
    redacting.in_use().forget()
    yield
    redacting.in_use().forget()
    log_keys.use(before)


def dump() -> str:
    """Return every value of every table as text."""
    told: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                told += [_text(value) for value in row]
    return "\n".join(told)


def _text(value: Any) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode(errors="replace")
    return str(value)


def leaks(text: str) -> list[str]:
    """Return the kinds of secrets that stand in a text, whole or as a line of it."""
    parts = [(kind, line) for kind, whole, _ in SECRETS for line in whole.split("\n") if line]
    return sorted({kind for kind, part in parts if part in text or json.dumps(part)[1:-1] in text})


def _by_file(folder: Path) -> str:
    steps = [
        {"step_id": 1, "source": "user", "message": WORDS},
        {
            "step_id": 2,
            "source": "agent",
            "message": "I look.",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "bash", "arguments": {"command": WORDS, WORDS: 1}}],
            "observation": {"results": [{"source_call_id": "c1", "content": WORDS}]},
        },
    ]
    file = folder / "run.json"
    about = {"schema_version": "ATIF-v1.7", "session_id": "s-1", "agent": {"name": "planner", "version": "1"}}
    file.write_text(json.dumps({**about, "steps": steps}))
    out = StringIO()
    call_command("import", str(file), "--json", stdout=out, stderr=StringIO())
    (told,) = json.loads(out.getvalue())["files"]
    assert told["status"] == "imported"
    call_command("import", str(file), "--json", stdout=(again := StringIO()), stderr=StringIO())
    assert json.loads(again.getvalue())["files"][0]["status"] == "unchanged"
    file.unlink()
    return str(told["runs"][0]["stream"])


def test_what_came_in_before_the_rules_changed_is_the_same_afterwards() -> None:
    """Whether a kind was switched on or off since: an append again, with the same id, stores nothing."""
    api = program("ingest", user="writer")
    data = {"text": "mail a@b.example, https://me:hunter2x@db:5432"}
    event = {"type": "a.b", "data": data, "id": "0192f0c1-0000-7000-8000-000000000002"}
    body = {"expected_version": "any", "events": [event]}
    statuses = []
    for version, rules in enumerate([RulesSaved(), RulesSaved(on=("email",)), RulesSaved(off=("url_password",))]):
        redacting.save("default", rules, expected_version=version)
        api.post("/streams/agent_run-same/events", body)
        statuses.append(api.status)
    assert statuses == [201, 200, 200]
    event["data"] = {"text": "mail a@b.example, https://you:hunter2x@db:5432"}
    api.post("/streams/agent_run-same/events", body)
    assert api.status == 409


def _by_otlp(_folder: Path) -> str:
    sender = Sender(secret("ingest", user="exporter"))
    sender.send(traces(agent(1), chat(2, says=WORDS), tool(3, "bash", 2, gen_ai__tool__call__arguments=WORDS)))
    assert sender.status == 200
    assert leaks(dump()) == []  # as the spans wait
    settle()
    (stream,) = {event.stream for event in get_store().read_category("agent_run")}
    return stream


def _by_api(_folder: Path) -> str:
    api = program("ingest", user="writer")
    event = {
        "type": "agent_run.tool_returned",
        "data": {"toolName": "bash", "responseJson": json.dumps({"out": WORDS}), WORDS: None},
        "metadata": {"subjects": ["user-42"], "note": WORDS},
        "id": "0192f0c1-0000-7000-8000-000000000001",
    }
    body = {"expected_version": "any", "events": [event]}
    api.post("/streams/agent_run-api/events", body)
    assert api.status == 201
    api.post("/streams/agent_run-api/events", body)
    assert api.status == 200  # the same again is the same
    return "agent_run-api"


def _by_recorder(_folder: Path) -> str:
    with recorder.run(prompt=WORDS, agent="coder", to=get_store("default")) as run:
        with run.decide("bash", {"cmd": WORDS}, thought=WORDS) as call:
            call.returned({"out": WORDS})
        run.answer(WORDS)
    return str(run.stream)


@pytest.mark.parametrize("door", [_by_file, _by_otlp, _by_api, _by_recorder])
def test_no_secret_is_left_of_what_came_in_by_any_door(door: Any, tmp_path: Path, capfd: Any, caplog: Any) -> None:
    """Not in a table or its index, a file below the data folder, a log line or a span; look-alikes all stay."""
    with telemetry() as told:
        stream = door(tmp_path)
        catch_up_all()
    spans = "".join(str(span.to_json()) for span in told._spans.get_finished_spans())
    held = dump()
    assert leaks(held) == []
    assert leaks(spans + caplog.text + "".join(capfd.readouterr())) == []
    if connection.vendor == "sqlite":
        name = connection.settings_dict["NAME"]
        assert leaks("".join(_read(Path(f"{name}{end}")) for end in ("", "-wal"))) == []
    events = list(get_store().read_stream(stream))
    full = [event for event in events if event.meta.redacted]
    assert full
    assert all(set(event.meta.redacted) == {kind for kind, _, _ in SECRETS} for event in full)
    kept = "".join(str(event.payload) for event in full)
    assert [
        one for one in LOOKALIKES if one not in kept and repr(one)[1:-1] not in kept and _deep(one) not in kept
    ] == []
    shown = debugger.find("default", Address.of(stream, {"v": str(full[0].version)}))
    assert shown is not None
    assert "secrets were replaced (" in shown[0].redacted


def _deep(text: str) -> str:
    return repr(json.dumps(text)[1:-1])[1:-1]


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace") if path.exists() else ""


def test_evidence_and_error_pages_hold_none_and_count_them(tmp_path: Path) -> None:
    """The bundle, the PDF's text and what a refused append is answered."""
    _by_api(tmp_path)
    catch_up_all()
    call_command("seal", stdout=StringIO())
    evidence = making.gathered(Query(project="default", subject="user-42"))
    assert evidence.selection.completeness.redacted == sum(evidence.selection.events[0].meta.redacted.values()) > 80
    assert leaks(b"".join(evidence.files.values()).decode(errors="replace")) == []
    if not render.available() and (pdftotext := shutil.which("pdftotext")):
        import subprocess  # noqa: PLC0415

        made = making.pdf(evidence, by="eve")
        said = subprocess.run([pdftotext, "-", "-"], input=made, capture_output=True, check=True).stdout
        assert b"secrets replaced before they were stored" in b" ".join(said.split())
        assert leaks(said.decode(errors="replace")) == []
    api = program("ingest", user="breaker")
    api.post("/streams/agent_run-x/events", {"expected_version": 7, "events": [{"type": "a.b", "data": {"x": WORDS}}]})
    assert api.status == 409
    assert leaks(api.raw.decode()) == []


def test_a_report_of_an_import_quotes_no_secret() -> None:
    """What could not be read is told with how it begins."""
    _, key, _ = next(found for found in SECRETS if found[0] == "github_token")
    store = get_store()
    (report,) = Importer(store=store).run([Found(name="x.json", read=lambda: json.dumps({key: 1}).encode())]).files
    assert key in str(report.reason)
    from journal.ingest.jobs import _without_secrets  # noqa: PLC0415

    assert key not in str(_without_secrets(report, "default").reason)


def browser(role: Role) -> Client:
    """Return a browser of a member."""
    user, _ = add_user(role.value, role=role, project="default", password="a long password")
    client = Client()
    client.force_login(user)
    return client


def test_rules_are_tried_saved_and_in_force_at_once(caplog: Any) -> None:
    """A version each; of the text that was tried nothing is kept."""
    client = browser(Role.ADMIN)
    _, key, text = SECRETS[0]
    form = {"kind": ["aws_access_key", "email"], "name": ["ticket"], "pattern": [r"TCK-\d{6}"], "version": "0"}
    tried = client.post("/settings/redaction/", {**form, "do": "test", "text": f"{text} a@b.example TCK-123456"})
    html = tried.content.decode()
    assert "3 places would be replaced" in html
    assert html.count("[redacted:") == 3
    assert leaks(dump() + caplog.text) == []
    saved = client.post("/settings/redaction/", {**form, "do": "save"})
    assert saved.status_code == 302
    get_store().append("agent_run-1", [_noted(f"TCK-123456 {key} https://me:hunter2x@db:5432")], expected_version=0)
    (event,) = get_store().read_stream("agent_run-1")
    assert event.meta.redacted == {"aws_access_key": 1, "ticket": 1}
    assert "hunter2x" in event.payload["text"]
    stale = client.post("/settings/redaction/", {**form, "do": "save"})
    assert stale.status_code == 400
    assert "somebody saved version 1 meanwhile" in stale.content.decode()
    broken = client.post("/settings/redaction/", {**form, "pattern": ["("], "do": "save", "version": "1"})
    assert broken.status_code == 400
    assert redacting.current("default").version == 1


def test_only_an_admin_sees_the_rules() -> None:
    """Knowing what is replaced tells where to look for the rest."""
    for role in (Role.VIEWER, Role.ENGINEER, Role.AUDITOR):
        assert browser(role).get("/settings/redaction/").status_code == 403


def test_another_processes_rules_are_found_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the version of their stream, and not before it is looked at again."""
    here = redacting.Redaction("key")
    assert here.redactor("default").json(b'{"a":"TCK-123456"}') is None
    rules = RulesSaved(patterns=(OwnPattern(name="ticket", pattern=r"TCK-\d{6}"),), by="root")
    redacting.save("default", rules, expected_version=0)
    assert here.redactor("default").json(b'{"a":"TCK-123456"}') is None
    monkeypatch.setattr(redacting, "READ_AGAIN_S", 0.0)
    assert here.redactor("default").json(b'{"a":"TCK-123456"}') is not None


def test_the_journals_own_streams_keep_what_programs_read_again() -> None:
    """A rule's text with an address in it stays a rule; a secret goes there too."""
    redacting.save("default", RulesSaved(on=("email",), by="root"), expected_version=0)
    _, key, _ = SECRETS[0]
    get_store().append("rule-x", [_noted(f"user == 'a@b.example' && {key}")], expected_version=0)
    get_store().append("notes-agent_run-1", [_noted("ask a@b.example")], expected_version=0)
    (rule,) = get_store().read_stream("rule-x")
    (note,) = get_store().read_stream("notes-agent_run-1")
    assert "a@b.example" in rule.payload["text"]
    assert key not in rule.payload["text"]
    assert "a@b.example" not in note.payload["text"]


def _noted(text: str) -> Any:
    from journal.domain.event import EventData  # noqa: PLC0415

    return EventData(type="test.noted", data=json.dumps({"text": text}).encode())
