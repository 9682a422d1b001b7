"""The key that signs the log's checkpoints: outside the database, one line of text, replaced by rotation.

The line is that of signed-note tools: ``PRIVATE+KEY+name+id+base64``. Whoever can read it can sign for the log, so it
is never part of a message, and its file is readable by its owner alone. Former keys stay known by their public halves:
what they signed is still to be checked.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from journal.domain.note import Kind, NoteRefused, Signer, Verifier, parse_vkey
from journal.errors import ConfigurationRefused, Refused
from journal.runtime import private_file
from journal.runtime.in_use import InUse

PREFIX: Final = "PRIVATE+KEY+"
VARIABLE: Final = "NAGARE_SIGNING_KEY"
_SEED_BYTES: Final = 32


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """The key in use and the public halves of those before it, newest first."""

    current: Signer
    former: tuple[Verifier, ...] = ()

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """All keys whose signatures count, the one in use first."""
        return (self.current.verifier, *self.former)


class KeyPlace:
    """Where the key is: given by the operator, or in a file that is made on first use."""

    def __init__(self, folder: Path, *, given: str | None = None, host: str = "localhost") -> None:
        """Read nothing yet. `host` goes into the name of a key that is made here."""
        self._file = folder / "log_key"
        self._former = folder / "log_keys_former"
        self._given = given
        self._host = host

    @property
    def is_given(self) -> bool:
        """Whether the operator hands the key in, so that only they can replace it."""
        return self._given is not None

    def keyring(self) -> Keyring:
        """Return the keys, made on the first call where none is given.

        Raises:
            ConfigurationRefused: the key or the list of former ones cannot be read.
        """
        line = self._given or self._kept()
        return Keyring(current=parse_signer(line), former=tuple(self._former_keys()))

    def rotate(self) -> tuple[Keyring, Keyring]:
        """Replace the key in the file by a new one of the same name. Returns the keys before and after.

        Raises:
            Refused: the operator hands the key in.
        """
        if self._given is not None:
            raise Refused(
                f"the key is given by {VARIABLE}: rotate by giving another there, with the public line of this one"
                f" added to {self._former}"
            )
        before = self.keyring()
        former = "".join(f"{known.vkey}\n" for known in before.verifiers)
        # First, so that a crash between the two leaves the old key listed twice, and in use.
        private_file.replace(self._former, former.encode())
        private_file.replace(self._file, f"{made_line(before.current.name)}\n".encode())
        return before, self.keyring()

    def _kept(self) -> str:
        try:
            if not self._file.exists():
                private_file.place(self._file, f"{made_line(f'{self._host}/{secrets.token_hex(4)}')}\n".encode())
            return self._file.read_text().strip()
        except OSError as error:
            raise _refused(f"is not set, and no key can be kept in {self._file}: {error.strerror}") from error

    def _former_keys(self) -> list[Verifier]:
        if not self._former.exists():
            return []
        try:
            return [parse_vkey(line) for line in self._former.read_text().splitlines() if line.strip()]
        except (NoteRefused, OSError) as error:
            raise _refused(f"has former keys in {self._former} that cannot be read: {error}") from error


def made_line(name: str) -> str:
    """Return a new private key as a line."""
    return signer_line(Signer(name=name, private=Ed25519PrivateKey.generate()))


def signer_line(signer: Signer) -> str:
    """Return a private key as a line."""
    raw = bytes([signer.kind]) + signer.private.private_bytes_raw()
    return f"{PREFIX}{signer.name}+{signer.verifier.id.hex()}+{base64.b64encode(raw).decode()}"


def parse_signer(line: str) -> Signer:
    """Read a private key from its line.

    Raises:
        ConfigurationRefused: it is none; what it is instead is not repeated.
    """
    name, _, rest = line.strip().removeprefix(PREFIX).partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
        kind = Kind(raw[0])
    except (binascii.Error, ValueError, IndexError) as error:
        raise _refused("is no private key of a signed-note tool; `nagare keys new` prints one") from error
    if not line.strip().startswith(PREFIX) or not name or len(raw) != 1 + _SEED_BYTES or kind is not Kind.LOG:
        raise _refused("is no private key of a signed-note tool; `nagare keys new` prints one")
    signer = Signer(name=name, private=Ed25519PrivateKey.from_private_bytes(raw[1:]))
    if signer.verifier.id.hex() != key_id:
        raise _refused("is a private key whose id does not belong to its name and key")
    return signer


def _refused(reason: str) -> ConfigurationRefused:
    return ConfigurationRefused(variable=VARIABLE, reason=reason)


_known: Final = InUse[KeyPlace]("journal")
use = _known.use
in_use = _known.in_use
"""Where the key of this installation is."""
