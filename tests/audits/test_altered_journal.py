"""A journal that was altered behind its triggers: the command, a fresh report and a fresh bundle all say so."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits import making, render
from audits.bundle import archive
from audits.selection import AuditRefused, Query
from audits.verifier import verify
from journal.access.projects import ensure_project
from journal.domain import agent_run as run
from journal.domain.event import RecordedEvent
from journal.domain.leaf import leaf_of, occurred_leaf
from journal.models import EventRow
from journal.runtime import log_keys, sealer
from journal.runtime.log_keys import KeyPlace
from journal.runtime.projection import catch_up_all
from journal.store import get_store
from tests.builders import event, identity, raw, reasoned, responded, returned, started
from tests.tampering import TAMPERINGS, alter, row, rows_can_be_altered

__all__ = ["rows_can_be_altered"]
RUN = "agent_run-1"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rows_can_be_altered", "journal")]


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


@pytest.fixture
def journal(db: None) -> None:
    """A run for somebody between events of others, all of it sealed, in two batches."""
    ensure_project("default")
    store = get_store()
    store.append("other-1", [raw(id=identity("before"))], expected_version=0)
    data = [started(), responded(), reasoned(), returned(), run.Answered(response="Done, all is well.")]
    store.append(
        RUN,
        [event(one, id=identity((RUN, at)), subjects=("user-42",)) for at, one in enumerate(data)],
        expected_version=0,
    )
    catch_up_all()
    assert sealer.catch_up()
    store.append("other-1", [raw(id=identity("after"))], expected_version=1)
    assert sealer.catch_up()


def nagare_verify(*arguments: str) -> tuple[int, str]:
    """Run `nagare verify` and return its exit code and what it said."""
    out = StringIO()
    try:
        call_command("verify", *arguments, stdout=out)
    except CommandError as error:
        return int(error.returncode), out.getvalue()
    return 0, out.getvalue()


def test_a_journal_as_it_was_sealed_passes_everywhere(tmp_path: Path) -> None:
    """The measure for the rest."""
    assert nagare_verify()[0] == 0
    evidence = making.gathered(Query(project="default", subject="user-42"))
    assert making.made_report(evidence, by="anna").is_good
    path = tmp_path / "bundle.zip"
    path.write_bytes(archive(evidence.files))
    assert nagare_verify(str(path))[0] == 0


@pytest.mark.parametrize("at", [3, 5])
@pytest.mark.parametrize("how", TAMPERINGS)
def test_whatever_was_done_to_an_event_fails_everywhere(how: str, at: int, tmp_path: Path) -> None:
    """Of the run that is asked for, in its middle and at its end: cover, foot, command and bundle say so."""
    TAMPERINGS[how](RUN, at)
    code, said = nagare_verify()
    assert code == 1
    assert "BAD   events: entry" in said
    evidence = making.gathered(Query(project="default", subject="user-42"))
    report = making.made_report(evidence, by="anna")
    assert not report.is_good
    page = render.html(report)
    assert "Verification: FAIL" in page
    assert "· FAIL" in page
    path = tmp_path / "bundle.zip"
    path.write_bytes(archive(evidence.files))
    lines: list[str] = []
    key = log_keys.in_use().keyring().current.verifier.vkey
    assert verify.main([str(path), "--key", key], say=lines.append) == 1
    assert any(line.startswith("FAIL  journal: the journal it was made of was altered: entry") for line in lines)


@pytest.mark.parametrize("field", ["data", "occurred_us"])
def test_the_cover_names_the_first_wrong_entry_and_both_hashes(field: str) -> None:
    """The one that was sealed and the one that the event has now."""
    hashed = {"data": lambda one: leaf_of(one).hash, "occurred_us": occurred_leaf}[field]
    before = hashed(_third())
    alter(RUN, 3, **{field: b'{"toolName":"other"}' if field == "data" else 1_000_000})
    evidence = making.gathered(Query(project="default", subject="user-42"))
    failed = [check.words for check in making.made_report(evidence, by="anna").checks if check.is_good is False]
    told = next(words for words in failed if "entry 3 of the log is not what was sealed" in words)
    assert before.hex() in told
    assert hashed(_third()).hex() in told


def _third() -> RecordedEvent:
    return next(get_store().read_stream(RUN, after=2, until=3))


def test_an_event_of_somebody_else_that_was_removed_fails_the_report_too() -> None:
    """It could have been of the person who is asked about."""
    EventRow.objects.filter(pk=row("other-1", 2).pk).delete()
    evidence = making.gathered(Query(project="default", subject="user-42"))
    failed = [check.name for check in making.made_report(evidence, by="anna").checks if check.is_good is False]
    assert failed == ["Whole journal as sealed"]


def test_bytes_that_are_no_json_any_more_are_no_evidence() -> None:
    """Nothing can be said of them: the audit is refused in words, and the journal's own check names the event."""
    alter(RUN, 3, data=b"\xff garbage")
    with pytest.raises(AuditRefused, match="no JSON any more; nagare verify says which"):
        making.gathered(Query(project="default", subject="user-42"))
    assert "run-1 version 3" in nagare_verify()[1]
