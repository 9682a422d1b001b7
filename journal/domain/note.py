"""Signed notes, checkpoints and proofs as text: what leaves the house and is checked without us.

Sources: C2SP signed-note (text, blank line, signature lines), tlog-checkpoint (origin, size, root), tlog-proof (index,
path, checkpoint), tlog-cosignature (a witness's timestamped signature). Signatures are Ed25519.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from enum import IntEnum
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
MOST_SIGNATURES: Final = 64
_MOST_BYTES: Final = 64 * 1024
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_KEY_BYTES: Final = 32
_DASH: Final = "\N{EM DASH} "


class NoteRefused(ValueError):
    """A text that is no note, or none by the key that was asked for."""


class Kind(IntEnum):
    """What a key's signature says (signed-note, "Signature types")."""

    LOG = 0x01
    WITNESS = 0x04


class Verifier(msgspec.Struct, frozen=True, kw_only=True):
    """A public key with the name it signs under."""

    name: str
    public: bytes
    kind: Kind = Kind.LOG

    @property
    def id(self) -> bytes:
        """The four bytes that name the key in a signature line."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as one line of text: name, id and key, joined by plus signs."""
        return f"{self.name}+{self.id.hex()}+{_base64(bytes([self.kind]) + self.public)}"

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the key's line, in hex: what two people read to each other."""
        return sha256(self.vkey.encode()).hexdigest()

    def check(self, text: str, signature: bytes) -> bool:
        """Return whether the bytes behind a key's id are its signature of the text."""
        message = text.encode()
        if self.kind is Kind.WITNESS:
            if len(signature) <= _TIME_BYTES:
                return False
            message = _cosigned(text, int.from_bytes(signature[:_TIME_BYTES], "big"))
            signature = signature[_TIME_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """A private key with the name it signs under."""

    name: str
    private: Ed25519PrivateKey
    kind: Kind = Kind.LOG

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return Verifier(name=self.name, public=self.private.public_key().public_bytes_raw(), kind=self.kind)

    def line(self, text: str, *, at: int = 0) -> str:
        """Return the signature line for a text; `at`, seconds since 1970, goes into a witness's signature."""
        if self.kind is Kind.WITNESS:
            signature = at.to_bytes(_TIME_BYTES, "big") + self.private.sign(_cosigned(text, at))
        else:
            signature = self.private.sign(text.encode())
        return f"{_DASH}{self.name} {_base64(self.verifier.id + signature)}\n"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A log's head: so many leaves with this root, signed under this origin."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A note whose signature by a known key was checked: its checkpoint, and which of the keys signed it."""

    checkpoint: Checkpoint
    signed_by: tuple[Verifier, ...]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That an entry stands in a log, with the signed checkpoint it stands under."""

    index: int
    path: tuple[bytes, ...]
    note: str

    @property
    def text(self) -> str:
        """The proof as a `.tlog-proof` file."""
        hashes = "".join(f"{_base64(step)}\n" for step in self.path)
        return f"{PROOF_HEADER}\nindex {self.index}\n{hashes}\n{self.note}"


def sign(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """Return the checkpoint as a note, signed by each."""
    return checkpoint.text + "\n" + "".join(signer.line(checkpoint.text) for signer in signers)


def cosign(note: str, line: str) -> str:
    """Return the note with one more signature line."""
    split_note(note)
    return note + line


def open_checkpoint(note: str, verifiers: Sequence[Verifier]) -> Opened:
    """Return what a note says, once a log key's signature on it is checked.

    Raises:
        NoteRefused: it is no checkpoint, no log key among `verifiers` signed it, or the signature of one of them
            is wrong.
    """
    text, signatures = split_note(note)
    signed_by = []
    for verifier in verifiers:
        for name, key_id, signature in signatures:
            if (name, key_id) == (verifier.name, verifier.id):
                if not verifier.check(text, signature):
                    raise NoteRefused(f"the signature of {verifier.name} is not one of this text")
                signed_by.append(verifier)
    if not any(verifier.kind is Kind.LOG for verifier in signed_by):
        names = ", ".join(name for name, _, _ in signatures) or "nobody"
        raise NoteRefused(f"it is signed by {names}, and by none of the keys that are trusted here")
    return Opened(checkpoint=parse_checkpoint(text), signed_by=tuple(signed_by))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint, whose signatures are not looked at.

    Raises:
        NoteRefused: it is none.
    """
    lines = text.split("\n")
    try:
        origin, size, root = lines[:3]
        hashed = base64.b64decode(root, validate=True)
    except (ValueError, binascii.Error) as error:
        raise NoteRefused("a checkpoint has three lines: origin, size and root") from error
    if not origin or not _is_count(size) or len(hashed) != _KEY_BYTES or lines[-1]:
        raise NoteRefused("a checkpoint has three lines: origin, size and a root of 32 bytes in base64")
    return Checkpoint(origin=origin, size=int(size), root=hashed)


def parse_proof(text: str) -> Proof:
    """Read a `.tlog-proof` file. The `extra` line, which nobody signs, is passed over.

    Raises:
        NoteRefused: it is none.
    """
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != PROOF_HEADER:
        raise NoteRefused(f"a proof begins with {PROOF_HEADER}")
    if lines and lines[0].startswith("extra "):
        lines.pop(0)
    word, _, index = lines.pop(0).partition(" ") if lines else ("", "", "")
    if word != "index" or not _is_count(index):
        raise NoteRefused("a proof names the entry's index")
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines)
    except binascii.Error as error:
        raise NoteRefused("a line of the path is not base64") from error
    if any(len(step) != _KEY_BYTES for step in path):
        raise NoteRefused("a line of the path is not a hash of 32 bytes")
    return Proof(index=int(index), path=path, note=note)


def parse_vkey(line: str) -> Verifier:
    """Read a public key from its line.

    Raises:
        NoteRefused: it is none, or of a kind that is not known here, or its id is not its own.
    """
    name, plus, rest = line.strip().partition("+")
    key_id, second, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
        kind = Kind(raw[0])
    except (binascii.Error, ValueError, IndexError) as error:
        raise NoteRefused(f"no public key in {line[:80]!r}") from error
    if not name or not plus or not second or len(raw) != 1 + _KEY_BYTES or any(mark.isspace() for mark in name):
        raise NoteRefused(f"no public key in {line[:80]!r}")
    verifier = Verifier(name=name, public=raw[1:], kind=kind)
    if verifier.id.hex() != key_id:
        raise NoteRefused(f"the key of {name} has the id {verifier.id.hex()}, not {key_id[:16]}")
    return verifier


def split_note(note: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return a note's text, and of each signature line the name, the key's id and the signature.

    Raises:
        NoteRefused: it is no note.
    """
    if len(note.encode()) > _MOST_BYTES:
        raise NoteRefused(f"a note is at most {_MOST_BYTES} bytes long")
    if any(mark < " " and mark != "\n" for mark in note):
        raise NoteRefused("a note holds no control characters")
    text, blank, lines = note.rpartition("\n\n")
    signatures = [_signature(line) for line in lines.removesuffix("\n").split("\n")] if lines else []
    if not blank or not lines.endswith("\n") or not 0 < len(signatures) <= MOST_SIGNATURES:
        raise NoteRefused("a note is a text, a blank line, and signature lines")
    return text + "\n", signatures


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise NoteRefused("a signature is not base64") from error
    if not line.startswith(_DASH) or not name or not space or len(raw) <= _ID_BYTES:
        raise NoteRefused("a signature line names a key and holds a signature")
    return name, raw[:_ID_BYTES], raw[_ID_BYTES:]


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdecimal() and str(int(text)) == text


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
