"""Which witnesses this installation asks to sign the heads of its logs, as the operator named them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from journal.domain.note import Kind, NoteRefused, Verifier, parse_vkey
from journal.errors import ConfigurationRefused
from journal.runtime import http_out

VARIABLE: Final = "NAGARE_WITNESSES"


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """A witness: its public key, and the address that `/add-checkpoint` is put behind."""

    key: Verifier
    url: str


def parse(text: str) -> tuple[Witness, ...]:
    """Read the setting: witnesses parted by commas, each its public key, a space, and its address.

    Raises:
        ConfigurationRefused: one of them is no witness.
    """
    return tuple(_parsed(part) for part in text.split(",") if part.strip())


def _parsed(part: str) -> Witness:
    line, _, url = part.strip().partition(" ")
    try:
        key = parse_vkey(line)
        http_out.checked_url(url.strip())
    except (NoteRefused, http_out.AddressRefused) as error:
        raise ConfigurationRefused(variable=VARIABLE, reason=f"{part.strip()[:80]!r}: {error}") from error
    if key.kind is not Kind.WITNESS:
        raise ConfigurationRefused(variable=VARIABLE, reason=f"the key of {key.name} is no witness's")
    return Witness(key=key, url=url.strip().rstrip("/"))


_in_use: tuple[Witness, ...] = ()


def use(witnesses: Sequence[Witness]) -> None:
    """Say which witnesses are asked."""
    global _in_use  # noqa: PLW0603 - set once, as the app is loaded
    _in_use = tuple(witnesses)


def in_use() -> tuple[Witness, ...]:
    """Return the witnesses that are asked."""
    return _in_use
