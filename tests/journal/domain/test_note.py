"""Notes, checkpoints and proofs as text, as other people's tools read and write them."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from journal.domain.note import (
    Checkpoint,
    Kind,
    NoteRefused,
    Proof,
    Signer,
    Verifier,
    cosign,
    open_checkpoint,
    parse_checkpoint,
    parse_proof,
    parse_vkey,
    sign,
    split_note,
)

ORIGIN = "nagare.example/log/default"
HEAD = Checkpoint(origin=ORIGIN, size=20, root=bytes(range(32)))


def signer(seed: int, *, name: str = ORIGIN, kind: Kind = Kind.LOG) -> Signer:
    """A key that is the same in every run."""
    return Signer(name=name, private=Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), kind=kind)


LOG, OTHER = signer(1), signer(2)
WITNESS = signer(3, name="witness.example/w1", kind=Kind.WITNESS)


def test_a_checkpoint_is_three_lines_and_a_signature_over_them() -> None:
    """Taken apart by hand, as signed-note and tlog-checkpoint say it is put together."""
    text, _, line = sign(HEAD, [LOG]).partition("\n\n")
    assert text == f"{ORIGIN}\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    dash, name, encoded = line.removesuffix("\n").split(" ")
    raw, public = base64.b64decode(encoded), LOG.private.public_key()
    assert (dash, name) == ("—", ORIGIN)
    assert raw[:4] == sha256(ORIGIN.encode() + b"\n\x01" + public.public_bytes_raw()).digest()[:4]
    public.verify(raw[4:], (text + "\n").encode())


def test_a_cosignature_covers_the_time_and_the_whole_text() -> None:
    """As tlog-cosignature has it: a header, the time, and the checkpoint's text."""
    note = cosign(sign(HEAD, [LOG]), WITNESS.line(HEAD.text, at=1_679_315_147))
    _, _, raw = split_note(note)[1][1]
    signed = f"cosignature/v1\ntime 1679315147\n{HEAD.text}".encode()
    assert int.from_bytes(raw[:8], "big") == 1_679_315_147
    WITNESS.private.public_key().verify(raw[8:], signed)
    assert open_checkpoint(note, [LOG.verifier, WITNESS.verifier]).signed_by == (LOG.verifier, WITNESS.verifier)


def test_a_note_says_what_its_signed_text_says() -> None:
    """Unknown signatures beside the known one change nothing."""
    opened = open_checkpoint(sign(HEAD, [OTHER, LOG]), [LOG.verifier])
    assert opened.checkpoint == HEAD
    assert opened.signed_by == (LOG.verifier,)


@pytest.mark.parametrize(
    ("note", "why"),
    [
        (sign(HEAD, [OTHER]), "none of the keys that are trusted"),
        (sign(HEAD, [LOG]).replace("\n20\n", "\n21\n"), "is not one of this text"),
        (cosign(sign(HEAD, [OTHER]), WITNESS.line(HEAD.text, at=7)), "none of the keys that are trusted"),
        (sign(HEAD, [LOG]).replace("\n\n", "\n"), "a signature"),
        (sign(HEAD, [LOG]).removesuffix("\n"), "a note is a text, a blank line"),
        (sign(HEAD, [LOG]).replace("— ", "- "), "a signature"),
        (HEAD.text + "\n— a b!\n", "not base64"),
        (sign(HEAD, [LOG]).replace("\n20", "\n\t20"), "control characters"),
        (HEAD.text + "\n" + LOG.line(HEAD.text) * 65, "a note is a text, a blank line"),
        ("x" * 70_000, "at most 65536 bytes"),
    ],
)
def test_a_note_that_is_not_the_logs_is_refused(note: str, why: str) -> None:
    """A witness alone does not make a checkpoint."""
    with pytest.raises(NoteRefused, match=why):
        open_checkpoint(note, [LOG.verifier, WITNESS.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "\n1\nAAAA\n",
        "o\n01\n" + HEAD.text.split("\n")[2] + "\n",
        "o\n1\nAAAA\n",
        "o\n1\n!\n",
        "o\n٣\nAAAA\n",
    ],
)
def test_what_has_not_the_shape_of_a_checkpoint_is_none(text: str) -> None:
    """Sizes are plain decimals, roots 32 bytes."""
    with pytest.raises(NoteRefused, match="three lines"):
        parse_checkpoint(text)


def test_a_public_key_is_one_line() -> None:
    """Name, id and key; read back, it is the same key."""
    for key in (LOG.verifier, WITNESS.verifier):
        assert parse_vkey(key.vkey) == key
        assert key.vkey.startswith(f"{key.name}+{key.id.hex()}+")
        assert key.fingerprint == sha256(key.vkey.encode()).hexdigest()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name",
        "name+00000000",
        "+00000000+AQ==",
        LOG.verifier.vkey.replace("+A", "+/", 1),
        LOG.verifier.vkey[:-8],
        LOG.verifier.vkey.replace(LOG.verifier.id.hex(), "00000000"),
        LOG.verifier.vkey.replace(ORIGIN, "another.example"),
    ],
)
def test_a_line_that_is_no_public_key_is_refused(line: str) -> None:
    """Nor is one whose id belongs to another name or key."""
    with pytest.raises(NoteRefused, match=r"no public key|has the id"):
        parse_vkey(line)


def test_a_signature_of_another_kind_does_not_pass_for_one() -> None:
    """The same private key signs as a log and as a witness under two ids."""
    as_log = Verifier(name=WITNESS.name, public=WITNESS.verifier.public)
    note = HEAD.text + "\n" + WITNESS.line(HEAD.text, at=7)
    assert as_log.id != WITNESS.verifier.id
    with pytest.raises(NoteRefused):
        open_checkpoint(note, [as_log])
    assert not WITNESS.verifier.check(HEAD.text, b"short")


def test_a_proof_is_read_as_it_is_written() -> None:
    """Header, index, path, blank line, and the note as it came."""
    proof = Proof(index=7, path=(b"\x01" * 32, b"\x02" * 32), note=sign(HEAD, [LOG]))
    lines = proof.text.split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 7"]
    assert base64.b64decode(lines[2]) == b"\x01" * 32
    assert proof.text.endswith("\n\n" + proof.note)
    assert parse_proof(proof.text) == proof
    assert parse_proof(proof.text.replace("\nindex", "\nextra AAAA\nindex")) == proof
    alone = Proof(index=0, path=(), note=sign(HEAD, [LOG]))
    assert parse_proof(alone.text) == alone


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 7", "index 07"),
        ("index 7\n", ""),
        ("AQEB", "!"),
        ("AQEB", ""),
        ("\n\n", "\n"),
    ],
)
def test_what_has_not_the_shape_of_a_proof_is_none(before: str, after: str) -> None:
    """Each line has its form."""
    text = Proof(index=7, path=(b"\x01" * 32,), note=sign(HEAD, [LOG])).text
    with pytest.raises(NoteRefused):
        parse_proof(text.replace(before, after, 1) if before != "\n\n" else text.replace("\n\n", "\n"))
