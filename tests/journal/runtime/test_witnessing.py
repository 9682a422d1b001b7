"""Witnesses: asked over HTTP, they sign a log that only grew and no other; the standalone one and our client agree."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audits import making
from audits.bundle import archive
from audits.selection import Query
from audits.verifier.witness import Witness as Standalone
from audits.verifier.witness import handler, is_consistent
from audits.verifier.witness import main as _main
from journal.access.projects import add_project, ensure_project
from journal.domain.merkle import Frontier, Tiles, grow
from journal.domain.note import cosign, parse_vkey
from journal.errors import ConfigurationRefused
from journal.models import Log, LogHead, LogTile
from journal.runtime import log_keys, log_rows, sealer, witnesses, witnessing
from journal.runtime.log_keys import KeyPlace
from journal.runtime.witnesses import Witness
from journal.runtime.witnessing import WitnessRefused
from journal.store import get_store
from tests.builders import event, raw, started

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own, and no witness in use after it."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    _rested()
    yield
    log_keys.use(before)
    witnesses.use(())
    _rested()


def _rested() -> None:
    witnessing._next_at.clear()
    witnessing._away_until.clear()


class Served:
    """The standalone witness behind a port of this machine."""

    def __init__(self, folder: Path, server: ThreadingHTTPServer, line: str) -> None:
        self.folder = folder
        self.known = Witness(key=parse_vkey(line), url=f"http://127.0.0.1:{server.server_address[1]}")

    @property
    def seen(self) -> list[int]:
        """The sizes of the last heads it keeps."""
        place = self.folder / "heads.json"
        return [head["size"] for head in json.loads(place.read_text()).values()] if place.exists() else []


def serving(answers: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Serve in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A witness that lets our log in."""
    folder = tmp_path / "witness"
    standalone = Standalone(folder)
    line = standalone.new("example.org/witness")
    standalone.trust(log_keys.in_use().keyring().current.verifier.vkey)
    server = serving(handler(standalone))
    yield Served(folder, server, line)
    server.shutdown()
    server.server_close()


def sealed(count: int, *, data: bytes = b"{}") -> tuple[Log, LogHead]:
    """Append and seal, and return the log with its newest head."""
    ensure_project("default")
    store = get_store()
    version = store.stream_version("run-1")
    store.append("run-1", [raw(data=data) for _ in range(count)], expected_version=version)
    assert sealer.catch_up()
    log = log_rows.newest("default")
    head = log_rows.head(log) if log else None
    assert log is not None
    assert head is not None
    return log, head


def test_a_log_that_only_grew_is_signed_each_time(served: Served) -> None:
    """From nothing, further on, and once more at the same size; the signature stays with the head."""
    witnesses.use([served.known])
    for count, size in ((5, 5), (300, 305)):
        sealed(count)
        witnessing._next_at.clear()
        witnessing.ask_all()
        head = LogHead.objects.get(size=size)
        assert witnessing.is_signed_by(head.note, served.known.key)
        assert served.seen == [size]
    log, head = sealed(0)
    assert witnessing.ask(log, head, served.known).startswith("— example.org/witness ")
    witnessing._next_at.clear()
    witnessing.ask_all()
    assert LogHead.objects.get(size=305).note == head.note


def another_history() -> tuple[Log, LogHead]:
    """Forget the log and sign another one over all events but the first, under the same name and key."""
    for model in (LogHead, LogTile, Log):
        model.objects.all().delete()
    first = next(iter(get_store().read_all())).position
    log = sealer._opened("default", epoch=1)
    Log.objects.filter(pk=log.pk).update(position=first)
    sealer.catch_up_behind()
    forked = Log.objects.get(pk=log.pk)
    head = log_rows.head(forked)
    assert head is not None
    return forked, head


def test_a_split_view_is_refused(served: Served) -> None:
    """The same log signed once more over another history: by size, by root, and however the proof is made."""
    log, head = sealed(5)
    witnessing.ask(log, head, served.known)
    forked, other = another_history()
    assert forked.origin == log.origin
    with pytest.raises(WitnessRefused, match="it has seen 5 events of a log that has 4 now"):
        witnessing.ask(forked, other, served.known)
    forked, other = sealed(3)
    with pytest.raises(WitnessRefused, match="422 the log does not go on from the head that was seen here before"):
        witnessing.ask(forked, other, served.known)
    assert served.seen == [5]


def test_a_log_it_does_not_know_is_not_signed(served: Served, tmp_path: Path) -> None:
    """Nor one whose head somebody else signed."""
    log, head = sealed(2)
    (served.folder / "logs").write_text("")
    with pytest.raises(WitnessRefused, match="404 this log is not known here"):
        witnessing.ask(log, head, served.known)
    name = log_keys.in_use().keyring().current.name
    other = log_keys.parse_signer(log_keys.made_line(name)).verifier
    (served.folder / "logs").write_text(other.vkey + "\n")
    with pytest.raises(WitnessRefused, match="403"):
        witnessing.ask(log, head, served.known)
    assert served.seen == []


def test_an_answer_that_is_no_signature_of_its_key_is_not_kept(served: Served) -> None:
    """Whoever answers at the address is not believed."""
    log, head = sealed(2)

    class Lying(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write("— example.org/witness AAAAAAAA\nnonsense\n".encode())

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's own name
            pass

    server = serving(Lying)
    liar = Witness(key=served.known.key, url=f"http://127.0.0.1:{server.server_address[1]}")
    with pytest.raises(WitnessRefused, match="no signature of its key"):
        witnessing.ask(log, head, liar)
    server.shutdown()
    server.server_close()


def test_a_witness_that_is_down_holds_nothing_up(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """It is left alone for a while, and the next one is asked all the same."""
    server = serving(BaseHTTPRequestHandler)
    port = server.server_address[1]
    server.shutdown()
    server.server_close()
    witnesses.use([Witness(key=served.known.key, url=f"http://127.0.0.1:{port}"), served.known])
    sealed(2)
    witnessing.ask_all()
    assert served.seen == [2]
    assert "not_witnessed" in caplog.text


@pytest.mark.parametrize(("status", "asked"), [(None, 1), (404, 3)])
def test_one_that_gives_no_answer_is_waited_for_once(served: Served, status: int | None, asked: int) -> None:
    """Not once a log; one that refuses a log may sign another. After its rest it is asked again."""
    calls: list[str] = []

    class Absent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(self.path)
            if status is not None:
                self.send_response(status)
                self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's own name
            pass

    server = serving(Absent)
    absent = Witness(key=served.known.key, url=f"http://127.0.0.1:{server.server_address[1]}")
    for project in ("other", "third"):
        add_project(project)
        get_store(project).append("run-1", [raw(data=b"{}")], expected_version=0)
    sealed(2)
    witnesses.use([absent])
    for _ in range(2):
        witnessing.ask_all()
        assert len(calls) == asked
    _rested()
    witnessing.ask_all()
    assert len(calls) == asked * 2
    server.shutdown()
    server.server_close()


def test_a_bundle_shows_who_witnessed_and_the_verifier_asks_for_them(served: Served, tmp_path: Path) -> None:
    """One of one passes; of two, or of another, it fails."""
    ensure_project("default")
    get_store().append("agent_run-1", [event(started(), subjects=("user-42",))], expected_version=0)
    witnesses.use([served.known])
    sealer.catch_up()
    witnessing.ask_all()
    evidence = making.gathered(Query(project="default", subject="user-42"))
    checks = {check.name: check.words for check in making.made_report(evidence, by="anna").checks}
    assert "witnessed by example.org/witness" in checks["Signature valid"]
    path = tmp_path / "bundle.zip"
    path.write_bytes(archive(evidence.files))
    line = served.known.key.vkey
    call_command("verify", str(path), witness=[line], quorum=1)
    with pytest.raises(CommandError):
        call_command("verify", str(path), witness=[line], quorum=2)
    other = Standalone(tmp_path / "other").new("elsewhere")
    with pytest.raises(CommandError):
        call_command("verify", str(path), witness=[other])


def test_its_proofs_are_checked_as_ours_are() -> None:
    """Every pair of sizes to 40, and each proof with a step changed, left out or put in is refused."""
    leaves = [bytes([at]) * 32 for at in range(40)]
    stored = grow(Frontier(), leaves, lambda *_: b"").tiles
    tree = Tiles(40, lambda level, index, _: stored[level, index])
    for size in range(1, 41):
        for old in range(size + 1):
            path = tree.consistency(old, size)
            roots = (tree.root(old), tree.root(size))
            assert is_consistent(old, roots[0], size, roots[1], path), (old, size)
            assert not is_consistent(old, roots[0], size, roots[1], [*path, bytes(32)])
            if path:
                assert not is_consistent(old, roots[0], size, roots[1], path[:-1])
                assert not is_consistent(old, roots[0], size, roots[1], [bytes(32), *path[1:]])


def test_requests_that_are_none_are_refused(served: Served) -> None:
    """Whatever they are, with a status and a word."""
    head = sealed(2)[1]
    root = base64.b64encode(bytes(32)).decode()
    standalone = Standalone(served.folder)
    bodies = (b"", b"old 1\n", b"old x\n\n" + head.note.encode(), b"old 0\n!!\n\n" + head.note.encode(), b"\xff")
    for body in (*bodies, f"old 3\n\n{head.note}".encode(), f"old 0\n{root}\n\n{head.note}".encode()):
        with pytest.raises(Exception, match=r"request|old size|does not go on"):
            standalone.add_checkpoint(body, at=1)
    assert served.seen == []


def test_the_setting_names_keys_and_addresses(served: Served) -> None:
    """One that is no witness's key, or no address, refuses to start."""
    line = served.known.key.vkey
    assert witnesses.parse(f"{line} http://127.0.0.1:8400/, {line} https://w.example/a") == (
        Witness(key=served.known.key, url="http://127.0.0.1:8400"),
        Witness(key=served.known.key, url="https://w.example/a"),
    )
    own = log_keys.in_use().keyring().current.verifier.vkey
    for wrong in (line, f"{line} ftp://x", f"{own} http://x", "nothing http://x"):
        with pytest.raises(ConfigurationRefused, match="NAGARE_WITNESSES"):
            witnesses.parse(wrong)


def test_the_file_alone_makes_its_key_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And prints the line that others check it by; a log's key is let in, another is not."""
    folder = ["--folder", str(tmp_path / "w")]
    assert _main([*folder, "new", "example.org/w"]) == 0
    line = capsys.readouterr().out.strip()
    assert parse_vkey(line).vkey == line
    assert (tmp_path / "w" / "witness_key").stat().st_mode & 0o077 == 0
    assert _main([*folder, "new", "again"]) == 1
    assert _main([*folder, "trust", line]) == 1
    assert _main([*folder, "trust", log_keys.in_use().keyring().current.verifier.vkey]) == 0
    assert cosign(sealed(1)[1].note, "") == log_rows.head(Log.objects.get()).note  # type: ignore[union-attr]
