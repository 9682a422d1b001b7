"""The page that checks a report: what it says of good and altered ones, and that none can exhaust it."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from audits import checking, making
from audits.bundle import archive
from audits.checking import CheckRefused
from audits.selection import Query
from audits.verifier import verify
from journal.access import Role, add_project, add_user
from journal.access.projects import ensure_project
from journal.runtime import log_keys
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store
from tests.builders import event, responded, started
from tests.run_pages import words

pytestmark = pytest.mark.django_db
PAGE = "/audits/verify/"


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


@pytest.fixture
def files(db: None) -> dict[str, bytes]:
    """Return the evidence for somebody."""
    ensure_project("default")
    get_store().append("agent_run-1", [event(started(), subjects=("user-42",)), event(responded())], expected_version=0)
    return making.gathered(Query(project="default", subject="user-42")).files


def member(project: str = "default") -> Client:
    """Return a browser of somebody who may read a project and nothing else."""
    if project != "default":
        add_project(project)
    user, _ = add_user(f"viewer-of-{project}", role=Role.VIEWER, project=project, password="a-long-password")
    client = Client()
    client.force_login(user)
    return client


def sent(client: Client, content: bytes, **fields: object) -> str:
    """Send a file and return what the page says."""
    return words(client.post(PAGE, {"report": SimpleUploadedFile("case.zip", content), **fields}).content.decode())


def own_keys() -> list[str]:
    """Return this installation's public keys."""
    return [key.vkey for key in log_keys.in_use().keyring().verifiers]


def said(content: bytes, *, deadline_s: float = checking.DEADLINE_S) -> list[tuple[bool | None, str]]:
    """Check something and return each line's verdict and words."""
    found = checking.check("case", content, keys=own_keys(), deadline_s=deadline_s)
    return [(line.is_good, line.words) for line in found.lines]


def test_a_bundle_as_it_was_handed_over_passes(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line a check, with the file's digest and the key; and nothing of it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        content = archive(files)
        told = sent(member(), content)
        assert list(Path(folder).iterdir()) == []
    assert "Every check passes." in told
    for name in ("Files as listed", "Signature valid", "Every event unchanged", "Every time unchanged"):
        assert name in told
    assert hashlib.sha256(content).hexdigest() in told
    assert "not checked" not in told


def test_an_altered_bundle_fails_with_what_is_wrong(files: dict[str, bytes]) -> None:
    """And one against another installation's key."""
    client = member()
    told = sent(client, archive(files | {"README.txt": b"trust me"}))
    assert "This file is not what was sealed." in told
    assert "Files as listed: fails README.txt is not the file that the manifest names" in told
    other = log_keys.parse_signer(log_keys.made_line("elsewhere")).verifier.vkey
    assert "it is not signed by a key that was given" in sent(client, archive(files), key=other)
    assert "Nothing was checked" not in sent(client, archive(files), key=own_keys()[0])
    assert "no public key in" in sent(client, archive(files), key="no key")


def test_an_earlier_one_shows_whether_the_log_only_grew(files: dict[str, bytes]) -> None:
    """As with `--previous`."""
    earlier = SimpleUploadedFile("earlier.txt", files["checkpoint.txt"])
    assert "Goes on from the earlier one" in sent(member(), archive(files), previous=earlier)


def test_what_is_no_report_is_not_checked() -> None:
    """In words, whatever it is."""
    ensure_project("default")
    for content in (b"hello", b"PK\x03\x04 broken", b"%PDF-1.7 nothing attached", b"%PDF-" + b"\x00" * 1000):
        assert [verdict for verdict, _ in said(content)] == [None]
    assert "Nothing was checked: choose a report" in sent(member(), b"")


def bomb(size: int) -> bytes:
    """Return a zip that unpacks to zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("manifest.json", bytes(size))
    return out.getvalue()


def test_bombs_end_themselves_and_nothing_else() -> None:
    """A zip by the sizes it names or by those it hides, a PDF by the memory it takes."""
    ensure_project("default")
    honest = bomb(300 << 20)
    assert "it unpacks to more than" in said(honest)[0][1]
    lying = honest.replace((300 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert said(lying)[-1][0] is not True
    packed = zlib.compress(bytes(200 << 20), 9)
    stream = b"<< /Type /EmbeddedFile /Filter /FlateDecode /Length %d >> stream\n%s\nendstream\n" % (
        len(packed),
        packed,
    )
    assert "memory" in said(b"%PDF-1.7\n" + stream * 6)[-1][1]


def forged(words: str) -> bytes:
    """Return a PDF whose attached manifest is a wrong one, signed in whole by a certificate of such a subject."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.ObjectIdentifier("2.5.4.13")
    subject = x509.Name([x509.NameAttribute(name, words)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    dated = builder.serial_number(1).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2100, 1, 1))  # noqa: DTZ001
    certificate, room = dated.sign(key, hashes.SHA256()), 60_000
    manifest = b'{"files":{},"completeness":{}}'
    head = b"%%PDF-1.7\n<</Type /EmbeddedFile /Length %d>>\nstream\n%s\nendstream\n" % (len(manifest), manifest)
    start = len(head) + len(b"/ByteRange []") + 60 + len(b" /Contents ")
    head += b"/ByteRange [" + (b"0 %d %d %d" % (start, start + room + 2, 7)).ljust(60) + b"] /Contents "
    tail = b"\n%%EOF\n"
    signed = pkcs7.PKCS7SignatureBuilder().set_data(head + tail).add_signer(certificate, key, hashes.SHA256())
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
    return head + b"<" + signed.sign(Encoding.DER, options).hex().encode().ljust(room, b"0") + b">" + tail


def test_what_a_file_says_of_itself_is_no_line_of_the_answer() -> None:
    """A signer's name with lines in it does not push the ones that fail out of sight."""
    ensure_project("default")
    checked = checking.check("case", forged("Acme\n" + "PASS  query: ok\n" * 250), keys=own_keys())
    assert checked.is_good is False
    assert [line.name for line in checked.lines if line.is_good] == ["pdf"]
    assert "Acme?PASS  query: ok?" in checked.lines[0].words
    assert {"files", "events"} <= {line.name for line in checked.lines if line.is_good is False}


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_counts_where_the_answer_was_cut(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines past those that are shown may be the ones that fail."""
    (tmp_path / "verifier").mkdir()
    (tmp_path / "verifier" / "child.py").write_text(f"print('PASS  a: b\\n' * 300)\nraise SystemExit({code})")
    monkeypatch.setattr(checking, "__file__", str(tmp_path / "checking.py"))
    checked = checking.check("case", b"x", keys=())
    assert checked.is_good is (True, False, None)[code]
    assert len(checked.lines) == 200 + (code != 0)


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 /Type /EmbeddedFile >> stream\n",
        b"%PDF-1.7 /Type /EmbeddedFile /FlateDecode /Length 4 >> stream\nnone",
        b"%PDF-1.7 /Type /EmbeddedFile /Length 99999 >> stream\n" + b'{"files":' + b"[" * 60_000 + b'"completeness"',
    ],
)
def test_a_file_that_cannot_be_taken_apart_is_not_checked(content: bytes, tmp_path: Path) -> None:
    """It is no traceback, and no forgery either."""
    said: list[str] = []
    path = tmp_path / "case.pdf"
    path.write_bytes(content)
    assert verify.main([str(path)], say=said.append) == 2
    assert [line[:12] for line in said] == ["????  file: "]


def test_a_check_that_takes_too_long_is_ended(files: dict[str, bytes]) -> None:
    """At its deadline, which here is shorter than a process takes to begin."""
    assert said(archive(files), deadline_s=0.001) == [(None, "not done after 0.001 s, and stopped")]


def test_no_more_than_a_few_are_checked_at_once_and_none_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are asked to come again."""
    with checking._one_of_few(), checking._one_of_few(), pytest.raises(CheckRefused, match="others are being checked"):
        said(b"hello")
    monkeypatch.setattr(checking, "MOST_BYTES", 3)
    with pytest.raises(CheckRefused, match="the limit is 3"):
        said(b"hello")


def test_it_is_for_signed_in_people_with_a_project(files: dict[str, bytes]) -> None:
    """Others are sent to sign in; the program is the one in the bundle."""
    assert Client().get(PAGE).status_code == 302
    assert Client().post(PAGE).status_code == 401
    assert Client().get("/audits/verify.py").status_code == 302
    client = member("other")
    page = client.get(PAGE).content.decode()
    program = client.get("/audits/verify.py")
    assert program.content == files["verify.py"]
    assert hashlib.sha256(program.content).hexdigest() in page
