"""`nagare verify`, `keys` and `seal`: what they print, and their exit codes."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import CommandError, call_command

from journal.access.projects import ensure_project
from journal.domain.note import parse_vkey
from journal.domain.stream import ANY_VERSION
from journal.models import LogTile
from journal.runtime import lease, log_keys, log_rows, sealer
from journal.runtime.log_keys import KeyPlace, parse_signer
from journal.store import get_store
from tests.builders import raw

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(tmp_path: Path) -> Iterator[None]:
    """A key of the test's own."""
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


def nagare(*arguments: str, **options: Any) -> str:
    """Run a command and return what it printed."""
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO(), **options)
    return out.getvalue()


def written(count: int = 3) -> None:
    """Append so many events."""
    ensure_project("default")
    get_store().append("run-1", [raw() for _ in range(count)], expected_version=ANY_VERSION)


def test_a_journal_that_is_as_it_was_sealed_is_good() -> None:
    """What was not sealed yet is first; a project without events has nothing to be wrong."""
    ensure_project("default")
    assert "good  events: no events" in nagare("verify")
    written()
    told = nagare("verify").splitlines()
    assert told[0].startswith("default: nagare.example/")
    assert [line.split(":")[0].strip() for line in told[1:]] == [
        "good  checkpoint", "good  events", "good  tree", "good  times",
    ]  # fmt: skip
    document = json.loads(nagare("verify", "--json"))
    assert document["good"] is True
    assert [one["size"] for one in document["projects"]] == [3]


def test_something_wrong_is_exit_code_1_and_nothing_to_check_2() -> None:
    """Said in words as well."""
    written()
    with lease.guard(sealer.LEASE, holder="another"), pytest.raises(CommandError, match="not everything") as unchecked:
        nagare("verify")
    nagare("seal")
    LogTile.objects.all().delete()
    with pytest.raises(CommandError, match="something is wrong") as wrong:
        nagare("verify")
    assert (unchecked.value.returncode, wrong.value.returncode) == (2, 1)


def test_a_checkpoint_that_was_kept_is_compared(tmp_path: Path) -> None:
    """One of another log cannot be."""
    written()
    nagare("seal")
    log = log_rows.newest("default")
    assert log is not None
    head = log_rows.head(log)
    assert head is not None
    kept = tmp_path / "kept.checkpoint"
    kept.write_text(head.note)
    written()
    assert "good  previous checkpoint: the log goes on from its 3 events" in nagare("verify", "--previous", str(kept))
    kept.write_text("no checkpoint\n")
    with pytest.raises(CommandError) as unread:
        nagare("verify", "--previous", str(kept))
    assert unread.value.returncode == 2
    with pytest.raises(CommandError, match="cannot be read") as missing:
        nagare("verify", "--previous", str(tmp_path / "missing"))
    assert missing.value.returncode == 1


def test_the_exported_key_is_the_one_that_signs() -> None:
    """One line, as other tools read it."""
    exported = nagare("keys", "export").strip()
    assert parse_vkey(exported) == log_keys.in_use().keyring().current.verifier
    listed = json.loads(nagare("keys", "list", "--json"))["keys"]
    assert [(key["vkey"], key["in_use"]) for key in listed] == [(exported, True)]
    assert "PRIVATE" not in nagare("keys", "list")


def test_a_rotation_is_an_event_that_the_former_key_signed() -> None:
    """In every project's log; the former key stays known."""
    ensure_project("default")
    written()
    nagare("seal")
    former = nagare("keys", "export").strip()
    assert "written into the log of default" in nagare("keys", "rotate")
    now = nagare("keys", "export").strip()
    told = next(iter(get_store().read_stream("log-default"))).payload
    assert (told["vkey"], told["previousVkey"], told["size"]) == (now, former, 3)
    public = Ed25519PublicKey.from_public_bytes(parse_vkey(former).public)
    public.verify(base64.b64decode(told["signature"]), now.encode())
    assert [line.split()[0] for line in nagare("keys", "list").splitlines()[::2]] == ["in", "former"]
    assert json.loads(nagare("verify", "--json"))["good"] is True


def test_a_new_key_can_be_handed_in(tmp_path: Path) -> None:
    """As `NAGARE_SIGNING_KEY`."""
    line = nagare("keys", "new", "--name", "nagare.example/eu").strip()
    signer = parse_signer(line)
    assert signer.name == "nagare.example/eu"
    log_keys.use(KeyPlace(tmp_path, given=line))
    assert nagare("keys", "export").strip() == signer.verifier.vkey
    with pytest.raises(CommandError, match="NAGARE_SIGNING_KEY"):
        nagare("keys", "rotate")


def test_another_log_begins_only_with_a_reason() -> None:
    """And only where there was one."""
    ensure_project("default")
    with pytest.raises(CommandError, match="go together"):
        nagare("seal", "--reopen", "default")
    with pytest.raises(CommandError, match="no log yet"):
        nagare("seal", "--reopen", "default", "--reason", "lost")
    written()
    nagare("seal")
    told = json.loads(nagare("seal", "--reopen", "default", "--reason", "lost", "--json"))["logs"]
    assert [(log["origin"].endswith("/log/default/2"), log["size"]) for log in told] == [(True, 4)]
