"""The report: what an auditor reads, as PDF/A-3a with the evidence attached; and what is done to one is found."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from audits import jobs, making, render, signing
from audits.bundle import Evidence
from audits.copies import Files
from audits.report import Fact, Report
from audits.selection import Query
from audits.verifier import verify
from journal.access.projects import ensure_project
from journal.domain import agent_run as run
from journal.domain.stream import ANY_VERSION
from journal.runtime import log_keys, regrade, saved_rules, sealer
from journal.runtime.copies import Gone
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import event, identity, reasoned, responded, started

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOSTILE = (
    '<img src="http://127.0.0.1:9/x"><link rel=attachment href="file:///etc/passwd"> \u202e hidden \x1b[31m 日本語'
)


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path, settings: Any) -> Iterator[None]:
    """Keys and a folder for files of the test's own."""
    settings.MEDIA_ROOT = tmp_path / "files"
    before, report_key = log_keys.in_use(), signing.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    signing.use(signing.ReportKey(tmp_path / "report_key.pem", name="nagare at nagare.example"))
    yield
    log_keys.use(before)
    signing.use(report_key)


@pytest.fixture
def journal() -> None:
    """One run that went wrong, with hostile text in it."""
    ensure_project("default")
    ids = [identity(("report", at)) for at in range(8)]
    data: list[Any] = [
        started(agent="support"),
        run.MessageReceived(role="user", content=f"Refund order 88162 {HOSTILE}"),
        responded("It is within 45 days, so I refund it."),
        run.Reasoned(tool_name="refund", call_id="c1", args_json='{"order": 88162}'),
        run.ToolFailed(tool_name="refund", call_id="c1", message="rounding differs", latency_ms=52),
        reasoned("refund", "c2", order=88162),
        run.Graded(rule="refund-needs-approval", verdict="fails", message="nobody approved it", at_version=6),
        run.Answered(response="Done."),
    ]
    causes = [None, None, ids[1], ids[2], ids[3], ids[4], None, ids[5]]
    get_store().append(
        "agent_run-1",
        [
            event(one, id=ids[at], at=DAY + timedelta(seconds=at), subjects=("user-42",), causation_id=causes[at])
            for at, one in enumerate(data)
        ],
        expected_version=ANY_VERSION,
    )


def evidence() -> Evidence:
    """Return what there is of user-42."""
    return making.gathered(Query(project="default", subject="user-42"))


def reported() -> Report:
    """Return the report on that."""
    return making.made_report(evidence(), by="anna", purpose="Complaint 2026-311")


def test_every_action_stands_in_the_report_with_what_was_recorded_of_it(journal: None) -> None:
    """In order: what was asked, the two decisions, the answer; outcome, reason, causes and failures of each."""
    found = reported()
    actions = found.runs[0].actions
    assert [(one.number, one.kind, one.version) for one in actions] == [
        (1, "message", 2), (2, "decision", 4), (3, "decision", 6), (4, "answer", 8),
    ]  # fmt: skip
    first, second = actions[1], actions[2]
    assert (first.reason, first.reason_at) == ("It is within 45 days, so I refund it.", 3)
    assert "not verified" in first.reason_note
    facts = {fact.name: fact for fact in first.facts}
    assert facts["Outcome"].is_wrong
    assert "52 ms (event 5)" in facts["Outcome"].value
    assert facts["Rests on"].value == "event 3, as recorded"
    assert {fact.name: fact.value for fact in second.facts}["Outcome"] == "not recorded in what is covered"
    assert second.fails == ("refund-needs-approval: nobody approved it",)
    assert (found.actions, found.failing, found.agents, found.runs[0].ended) == (4, 1, "support", "answered")


def test_its_result_box_is_what_the_verifier_finds(journal: None) -> None:
    """All of it good, and what could not be compared said to be that."""
    found = reported()
    assert found.is_good
    assert [check.name for check in found.checks if check.is_good is None] == ["Log only grew"]
    broken = evidence()
    broken.files["proofs.json"] = broken.files["proofs.json"].replace(b'"index":1', b'"index":2')
    assert not making.made_report(broken, by="anna").is_good


def settled(rule: str, expression: str) -> None:
    """Save a version of a rule and re-grade every run by it."""
    saved_rules.save(project="default", name=rule, description="", expression=expression, monotone=True, by="ada")
    regrade.regrade(rule, project="default")


def test_what_a_regrade_found_stands_in_the_report(journal: None) -> None:
    """By rule and version, at the event it is about; the newest of a rule alone; and the account says up to which."""
    account = {fact.name: fact.value for fact in reported().complete}
    assert account["Verdicts of re-grades, the newest of a rule on a run"] == "none found; 1 run not judged"
    settled("few-errors", "state.totals.tool_errors < 1")
    found = reported()
    assert found.runs[0].failing[0].startswith("few-errors, version 1")
    assert [rule[:25] for rule in found.runs[0].elsewhere] == ["Event 5. few-errors, vers"]
    assert "no failure recorded" not in render.html(found)
    account = {fact.name: fact.value for fact in found.complete}
    assert account["Verdicts of re-grades, the newest of a rule on a run"] == "1, 1 failing"
    assert account["The last of these that was recorded"].startswith("few-errors, version 1, entry ")
    (told,) = evidence().manifest["regrades"]
    assert (told["rule"], told["rule_version"], told["verdict"], told["at_version"]) == ("few-errors", 1, "fails", 5)
    settled("few-errors", "state.totals.tool_errors < 9")
    again = reported()
    assert [rule for rule in again.runs[0].failing if "few-errors" in rule] == []
    assert Fact(name="Verdicts of re-grades, the newest of a rule on a run", value="1") in again.complete
    assert again.is_good


def test_a_run_that_only_a_regrade_fails_is_a_failing_run(journal: None) -> None:
    """Also where nothing stands in the run itself, and an event outside what is covered is not quoted."""
    settled("no-answer", "state.status != 'answered'")
    query = Query(project="default", subject="user-42", until=DAY + timedelta(seconds=5))
    found = making.made_report(making.gathered(query), by="anna")
    assert found.failing == 1
    assert found.runs[0].failing == ("no-answer, version 1: at an event that this report does not cover",)


def test_a_regrade_after_the_checkpoint_changes_no_byte(journal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verdicts are not under it, so the same question at the same checkpoint is the same file."""
    before = evidence()
    page = render.html(making.made_report(before, by="anna"))
    monkeypatch.setattr(sealer, "catch_up", lambda: None)
    settled("few-errors", "state.totals.tool_errors < 1")
    after = evidence()
    assert after.note == before.note
    assert after.files == before.files
    assert render.html(making.made_report(after, by="anna")) == page
    monkeypatch.undo()
    assert evidence().regraded


def test_files_that_quote_a_verdict_go_with_it(journal: None) -> None:
    """A report says what a re-grade found: where that event's payload goes, so do report, bundle and trail."""
    settled("few-errors", "state.totals.tool_errors < 1")
    (told,) = evidence().manifest["regrades"]
    job = jobs.submit(Query(project="default", subject="user-42"), user_id=None, by="anna")
    for name in (jobs.BUNDLE, jobs.TRAIL):
        default_storage.save(jobs.place(job.id, name), ContentFile(making.bundle(evidence())))
    for event_id, left in ((identity("another"), True), (told["event_id"], False)):
        ids = frozenset({event_id})
        Files().clear(
            Gone(
                project="default", order="o", words="purged", streams=frozenset(), whole=frozenset(), event_ids=ids
            )
        )  # fmt: skip
        assert [default_storage.exists(jobs.place(job.id, name)) for name in (jobs.BUNDLE, jobs.TRAIL)] == [left] * 2


def test_the_sums_of_the_account_add_up(journal: None) -> None:
    """Of every event of the project in the period, and nothing is left blank."""
    complete = {fact.name: fact.value for fact in reported().complete}
    assert complete["Events of the project in the period"] == complete["In this report"] == "8"
    assert "" not in complete.values()
    assert complete["Left out: runs that name no subject"] == "none found"


@pytest.mark.skipif(bool(render.available()), reason="Pango, which lays out PDFs, is not installed")
def test_the_pdf_is_what_it_says(journal: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Made twice it is the same file; of hostile text, it fetches nothing; and other tools read it as we mean it."""
    asked: list[str] = []
    denying = render._denying

    def watched(weasyprint: Any) -> Any:
        fetcher = denying(weasyprint)
        monkeypatch.setattr(type(fetcher), "fetch", _refusing(asked))
        return fetcher

    monkeypatch.setattr(render, "_denying", watched)
    one = evidence()
    made = making.pdf(one, by="anna")
    assert making.pdf(one, by="anna") == made
    assert asked == []
    assert b"/Launch" not in made
    assert b"/JavaScript" not in made
    _is_archive(made, one.files)
    _is_checked(made, tmp_path / "report.pdf")


def _refusing(asked: list[str]) -> Any:
    def fetch(_fetcher: Any, url: str, _headers: Any = None) -> None:
        asked.append(url)
        raise ValueError(url)

    return fetch


def _is_archive(made: bytes, files: dict[str, bytes]) -> None:
    """PDF/A-3a, structure, language, bookmarks, and the very files attached."""
    with pikepdf.open(BytesIO(made)) as pdf, pdf.open_metadata() as meta:
        assert (meta["pdfaid:part"], meta["pdfaid:conformance"]) == ("3", "A")
        assert pdf.Root.MarkInfo.Marked
        assert str(pdf.Root.Lang) == "en"
        assert "/StructTreeRoot" in pdf.Root
        with pdf.open_outline() as outline:
            titles = [item.title for item in outline.root[0].children]
        assert "What was asked" in titles
        attached = {name: bytes(pdf.attachments[name].get_file().read_bytes()) for name in pdf.attachments}
        kinds = {str(spec.AFRelationship) for spec in pdf.Root.AF}
    assert attached == files
    assert kinds == {"/Source", "/Supplement"}


def _is_checked(made: bytes, path: Path) -> None:
    """By the verifier, and by poppler where it is there; unsigned that is said, and what is done to one is found."""
    key = log_keys.in_use().keyring().current.verifier.vkey
    said: list[str] = []
    path.write_bytes(made)
    assert verify.main([str(path), "--key", key], say=said.append) == 2
    assert said[0].startswith("????  pdf: the PDF itself is not signed")
    assert [line[:4] for line in said[1:]] == ["PASS"] * 7
    said.clear()
    path.write_bytes(whole := making.signed(made))
    assert whole.startswith(made)
    assert verify.main([str(path), "--key", key], say=said.append) == 0
    assert signing.in_use().fingerprint() in said[0]
    if shutil.which("pdfsig"):
        told = subprocess.run(["pdfsig", str(path)], capture_output=True, text=True, check=False).stdout
        assert "Total document signed" in told
        assert "Signature is Valid" in told
    for name, altered in {
        "appended": whole + b"\n1 0 obj\n<<>>\nendobj\n",
        "flipped": whole[:900] + bytes([whole[900] ^ 1]) + whole[901:],
        "cut": whole[:-7],
    }.items():
        path.write_bytes(altered)
        assert verify.main([str(path), "--key", key], say=said.append) == 1, name


def test_what_steers_or_hides_is_spelt_out(journal: None) -> None:
    """And markup is text."""
    page = render.html(reported())
    assert "&lt;img src=" in page
    assert "[U+202E] hidden [U+001B]" in page


def test_without_pango_the_bundle_still_works(journal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the package to install."""

    def missing() -> Any:
        raise render.PdfUnavailable(reason="cannot load library 'libpango-1.0-0'")

    monkeypatch.setattr(render, "_weasyprint", missing)
    assert "apt install libpangoft2-1.0-0" in render.available()
    with pytest.raises(render.PdfUnavailable):
        making.pdf(evidence(), by="anna")
    assert json.loads(evidence().files["manifest.json"])["counts"]["events"] == 8


def test_a_report_of_nothing_is_a_report(journal: None) -> None:
    """With its account."""
    found = making.made_report(making.gathered(Query(project="default", subject="nobody")), by="anna")
    assert (found.actions, found.runs) == (0, ())
    assert "That is an answer" in render.html(found)
