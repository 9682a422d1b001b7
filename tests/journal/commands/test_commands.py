"""The commands as other programs call them: exit codes, one JSON document, errors on standard error only."""

from __future__ import annotations

import io
import json
import re
import subprocess
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.utils import timezone

from journal.domain import agent_run as run
from journal.domain import catalog
from journal.domain.catalog import Catalog
from journal.domain.stream import ANY_VERSION
from journal.models import ApiToken, Checkpoint, Project
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests import servers
from tests.builders import NOON, event, failed, reasoned, responded, returned, started
from tests.commands import Nagare, command, environment, session

STREAM: Final = "agent_run-7"
NAMES: Final = sorted(file.stem for file in Path("journal/management/commands").glob("[a-z]*.py"))


@pytest.fixture
def skewed(db: None) -> str:
    """A journal with a run whose clock ran backwards once, and the run's name."""
    Project.objects.create(slug="default", name="Default")
    seconds = (0, 30, 10, 40)
    events = [event(responded(), at=NOON + timedelta(seconds=at)) for at in seconds]
    get_store("default").append("agent_run-skewed", events, expected_version=ANY_VERSION)
    return "agent_run-skewed"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A session of three records: one decision, one call, one error."""
    path = tmp_path / "session.jsonl"
    path.write_text(session(turns=1, fails=True))
    return path


@pytest.fixture
def journal(db: None) -> None:
    """A journal with one run."""
    Project.objects.create(slug="default", name="Default")
    events = [started(), responded(), reasoned(path="a.py"), returned(), reasoned(call_id="c2"), failed(call_id="c2")]
    get_store("default").append(STREAM, [event(data) for data in events], expected_version=ANY_VERSION)
    catch_up_all()


def ran(*arguments: str) -> str:
    """Return what a command prints in this process."""
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def told(*arguments: str) -> Any:
    """Return the one JSON document a command prints."""
    return json.loads(ran(*arguments, "--json"))


# --- As processes


def test_an_import_tells_each_file_each_run_and_the_sums(nagare: Nagare, file: Path) -> None:
    """`import --json` prints the contract's document and nothing else."""
    done = nagare("import", str(file), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    (only,) = report["files"]
    assert {"path", "format", "status", "reason", "runs"} <= only.keys()
    assert (only["path"], only["format"], only["status"]) == (str(file), "claude-code", "imported")
    (run,) = only["runs"]
    assert run == {
        "stream": run["stream"], "source_id": "s-1", "events": run["events"], "decisions": 1, "tool_calls": 1,
        "tool_errors": 1, "outcome": {"status": "unknown", "raw": None}, "input_tokens": 100, "output_tokens": 10,
        "cost_usd": None,
    }  # fmt: skip
    assert report["totals"] == {
        "files": 1, "runs": 1, "events": run["events"], "decisions": 1, "tool_calls": 1, "tool_errors": 1, "refused": 0,
    }  # fmt: skip
    assert [one["stream"] for one in json.loads(nagare("runs", "--json").stdout)["runs"]] == [run["stream"]]


def test_a_refused_file_is_exit_code_1_and_the_document_is_still_whole(nagare: Nagare, file: Path) -> None:
    """The good file is in; the reason stands in the document, the sum of refusals on standard error."""
    bad = file.with_name("cut.json")
    bad.write_text('{"steps": [')
    done = nagare("import", str(file), str(bad), "--json")
    assert done.returncode == 1
    assert [one["status"] for one in json.loads(done.stdout)["files"]] == ["imported", "refused"]
    assert "1 of 2 files refused" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["state", "agent_run-none", "--json"], 1, "no stream 'agent_run-none'"),
        (["state", "agent_run-1", "--project", "nowhere", "--json"], 1, "nagare project add nowhere"),
        (["diff", "agent_run-1", "--json"], 2, "--from"),
        (["import"], 2, "PATH"),
        (["explain", "agent_run-1", "--after", "soon"], 2, "invalid int"),
        (["token", "create", "--json"], 2, "--user"),
        (["token", "rotate"], 2, "needs the ID"),
        (["token", "rotate", "x", "--overlap", "721"], 2, "30 days"),
    ],
)
def test_errors_go_to_standard_error_with_1_for_a_refusal_and_2_for_wrong_usage(
    nagare: Nagare, arguments: list[str], code: int, says: str
) -> None:
    """And standard output stays empty, so that a pipe never reads half a document."""
    done = nagare(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(nagare: Nagare, data_dir: Path, file: Path) -> None:
    """`nagare explain … | head -0` ends quietly."""
    stream = json.loads(nagare("import", str(file), "--json").stdout)["files"][0]["runs"][0]["stream"]
    with subprocess.Popen(
        command("explain", stream), env=environment(data_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


# --- In this process


@pytest.mark.parametrize("name", NAMES)
def test_help_ends_with_an_example(name: str) -> None:
    """Whoever asks how a command is called is shown a call."""
    parser = load_command_class("journal", name).create_parser("nagare", name)
    text = parser.format_help()
    assert re.search(rf"example:\n  nagare {name}\b", text)
    assert "--json" in text or name in ("export", "run-outbox", "run-projections")


@pytest.mark.usefixtures("journal")
def test_the_state_has_every_name_of_the_contract_and_its_blame() -> None:
    """Each leaf that came from an event names its version."""
    state = told("state", STREAM, "--version", "6")
    assert {
        "stream", "version", "status", "agent", "model", "prompt", "context", "open_calls", "last_decision", "known",
        "failures", "totals", "blame",
    } <= state.keys()  # fmt: skip
    assert set(state["totals"]) == {
        "decisions", "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cost_usd", "duration_ms",
    }  # fmt: skip
    assert all(set(item) == {"version", "role", "kind", "preview", "size_bytes"} for item in state["context"])
    assert state["failures"]["read_file"]["in_a_row"] == 1
    assert state["blame"]["/totals/tool_errors"] == 6
    assert told("state", STREAM, "--version", "0")["version"] == 0


def test_a_state_at_a_time_is_that_of_the_last_event_by_then(skewed: str) -> None:
    """`state --at` says which event it came to, and how many before it carry a later time."""
    state = told("state", skewed, "--at", "2026-11-22T12:00:15Z")
    assert state["version"] == state["at"]["version"] == 3
    assert state["at"]["events_before_with_a_later_time"] == 1
    assert "clocks ran backwards: 1 event before it tell a later time" in ran(
        "state", skewed, "--at", "2026-11-22T12:00:15"
    )
    assert "nothing had occurred by 2026-11-22" in ran("state", skewed, "--at", "2026-11-22")


@pytest.mark.parametrize("wrong", ["yesterday", "2026-13-01", ""])
def test_a_time_that_is_none_is_refused(skewed: str, wrong: str) -> None:
    """The refusal says how a time is written."""
    with pytest.raises(CommandError, match="write it as 2026-11-22T18:55:03Z"):
        ran("state", skewed, "--at", wrong)


@pytest.mark.usefixtures("journal")
def test_a_version_that_is_not_there_is_refused() -> None:
    """The message says which there are."""
    with pytest.raises(CommandError, match="has versions 1 to 6, not 7") as caught:
        ran("state", STREAM, "--version", "7")
    assert caught.value.returncode == 1


@pytest.mark.usefixtures("journal")
def test_explain_tells_an_event_a_line() -> None:
    """In both forms, and only the asked ones."""
    lines = ran("explain", STREAM, "--after", "2", "--until", "4").splitlines()
    assert [line.split()[0] for line in lines] == ["3", "Because:", "4"]
    document = told("explain", STREAM, "--after", "4")
    assert [(one["version"], one["summary"]) for one in document["events"]] == [
        (5, "Call read_file"), (6, "read_file failed: no such file"),
    ]  # fmt: skip


def test_explain_shows_data_as_stored_beside_what_was_read(journal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upcaster's work on a line of its own; what cannot be read with the reason; the stored bytes are untouched."""
    known = Catalog()
    known.event("agent_run.started", schema=2)(run.Started)
    known.upcaster("agent_run.started", schema=1)(lambda old: {**old, "agent": "renamed"})
    monkeypatch.setattr(catalog, "catalog", known)
    lines = [line.strip() for line in ran("explain", STREAM, "--raw", "--until", "2").splitlines()]
    assert [line.partition(":")[0] for line in lines if ":" in line][:2] == ["stored, schema 1", "read, schema 2"]
    assert "not read: this type is not in the catalog" in lines
    first, second = told("explain", STREAM, "--raw", "--until", "2")["events"]
    assert first["read"]["data"] == {**first["stored"]["data"], "agent": "renamed"}
    assert (second["read"], second["not_read"]) == (None, "this type is not in the catalog")


@pytest.mark.usefixtures("journal")
def test_a_diff_names_each_change_with_the_event_that_made_it() -> None:
    """A missing side is left out."""
    document = told("diff", STREAM, "--from", "5", "--to", "6")
    assert document.keys() == {"stream", "from", "to", "changes"}
    changes = {change["path"]: change for change in document["changes"]}
    assert changes["/totals/tool_errors"] == {"path": "/totals/tool_errors", "before": 0, "after": 1, "version": 6}
    assert "before" not in next(change for path, change in changes.items() if path.startswith("/failures"))
    assert "~ /totals/tool_errors: 0 -> 1" in ran("diff", STREAM, "--from", "5", "--to", "6")
    assert "nothing differs" in ran("diff", STREAM, "--from", "6", "--to", "6")


@pytest.mark.usefixtures("journal")
def test_projections_are_listed_with_their_lag_and_rebuilt() -> None:
    """A rebuild ends at the head."""
    listed = {one["name"]: one for one in told("projections")["projections"]}
    head = listed["explorer"]["head"]
    assert {name: (one["position"], one["lag"]) for name, one in listed.items()} == {
        "access": (head, 0),
        "causes": (head, 0),
        "explorer": (head, 0),
        "grades": (head, 0),
        "names": (head, 0),
        "notes": (head, 0),
        "rules": (head, 0),
        "search": (head, 0),
        "subjects": (head, 0),
    }
    Checkpoint.objects.update(position=head - 2)
    assert {one["lag"] for one in told("projections")["projections"]} == {2}
    rebuilt = told("rebuild", "explorer", "--wait")
    assert (rebuilt["status"], rebuilt["position"]) == ("done", rebuilt["head"])
    with pytest.raises(CommandError, match="no projection 'none'; there is"):
        ran("rebuild", "none")


@pytest.mark.django_db
def test_a_project_is_added_once() -> None:
    """And then stands in the list."""
    assert told("project", "add", "checkout-agents", "--name", "Checkout") == {
        "slug": "checkout-agents", "name": "Checkout",
    }  # fmt: skip
    with pytest.raises(CommandError, match="exists already"):
        ran("project", "add", "checkout-agents")
    with pytest.raises(CommandError, match="lower-case"):
        ran("project", "add", "Not a slug")
    with pytest.raises(CommandError, match="needs the SLUG") as caught:
        ran("project", "add")
    assert caught.value.returncode == 2
    assert {"slug": "checkout-agents", "name": "Checkout"} in told("project", "list")["projects"]


@pytest.mark.django_db
def test_a_token_is_printed_once_listed_without_its_secret_and_revoked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document of `token create` is the contract's."""
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough password\n"))
    user = told("user", "add", "m.kato", "--role", "engineer")
    assert user == {"user": "m.kato", "role": "engineer", "project": "default", "password": None}
    made = told("token", "create", "--user", "m.kato", "--scope", "ingest", "--expires", "2999-01-01")
    assert list(made) == ["token", "id", "project", "scopes", "expires_at"]
    assert (made["scopes"], made["expires_at"]) == (["ingest"], "2999-01-01T00:00:00.000000Z")
    assert made["token"] not in ran("token", "list", "--json") + ran("token", "list")
    rotated = told("token", "rotate", made["id"], "--overlap", "2")
    assert list(rotated) == ["token", "id", "project", "scopes", "expires_at"]
    assert (rotated["scopes"], rotated["id"] != made["id"]) == (["ingest"], True)
    assert told("token", "revoke", made["id"])["revoked_at"] is not None
    assert ApiToken.objects.filter(revoked_at__lte=timezone.now()).count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["token", "create", "--user", "nobody", "--scope", "read"], "there is no user 'nobody'"),
        (["token", "create", "--user", "x", "--scope", "everything"], "use one or more of"),
        (["token", "create", "--user", "x", "--scope", "read", "--expires", "soon"], "is no ISO 8601 time"),
        (["token", "create", "--user", "x", "--scope", "read", "--expires", "2001-01-01"], "which is past"),
        (["token", "revoke", "none"], "there is no token 'none'"),
    ],
)
def test_a_token_that_cannot_be_made_says_why(arguments: list[str], says: str) -> None:
    """With exit code 1."""
    with pytest.raises(CommandError, match=says) as caught:
        ran(*arguments)
    assert caught.value.returncode == 1


@pytest.mark.django_db
def test_a_generated_password_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not made again for a user there is."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert len(told("user", "add", "m.kato")["password"]) >= 12
    assert told("user", "add", "m.kato", "--role", "admin")["password"] is None


@pytest.mark.usefixtures("journal")
def test_the_doctor_says_what_is_wrong_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 while something needs a person."""
    out = io.StringIO()
    with pytest.raises(CommandError, match="needs a person") as caught:
        call_command("doctor", "--json", stdout=out)
    assert caught.value.returncode == 1
    found = {one["what"]: one for one in json.loads(out.getvalue())["findings"]}
    assert (found["people"]["ok"], "nagare user add" in found["people"]["says"]) == (False, True)
    assert all(found[what]["ok"] for what in ("migrations", "journal", "projection explorer"))
    assert found["database"]["ok"] != servers.is_hasty()  # a server that does not wait for its disk is told of
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough password\n"))
    ran("user", "add", "m.kato", "--role", "admin")
    out = io.StringIO()
    with suppress(CommandError) if servers.is_hasty() else nullcontext():
        call_command("doctor", stdout=out)
    assert "ok   people: 1 admins" in out.getvalue()


@pytest.mark.slow
def test_a_benchmark_tells_its_ratio_to_the_floor(nagare: Nagare) -> None:
    """Measured in the same run, on a journal that is thrown away."""
    done = nagare("bench", "import", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (one,) = json.loads(done.stdout)["benchmarks"]
    assert list(one) == ["name", "events", "bytes", "seconds", "floor_seconds", "events_per_second", "ratio"]
    assert one["ratio"] == pytest.approx(one["seconds"] / one["floor_seconds"])
    assert json.loads(nagare("runs", "--json").stdout)["runs"] == []
    assert nagare("bench", "nothing").returncode == 2
