"""`nagare keys`: the keys that sign the log."""

from __future__ import annotations

import base64
from typing import Any

from django.core.management.base import CommandParser

from journal.domain import codec
from journal.domain.catalog import catalog
from journal.domain.event import EventData
from journal.domain.sealing import KeyRotated, stream_of
from journal.domain.stream import ANY_VERSION
from journal.management.base import Command as Base
from journal.runtime import log_keys, log_rows
from journal.runtime.log_keys import Keyring
from journal.store import get_store


class Command(Base):
    """List, export, rotate."""

    help = (
        "The key that signs the log's checkpoints, and those before it. Hand the exported line to whoever is to check"
        " reports: a verifier trusts no key that comes with what it checks."
    )
    example = "nagare keys export > log.pub"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument(
            "action",
            choices=("list", "export", "rotate", "new"),
            help="list: all keys; export: the public key in use as one line (C2SP vkey); rotate: replace it; new: print"
            " a private key to be given in NAGARE_SIGNING_KEY",
        )
        parser.add_argument("--name", default="nagare", help="with new: the name the key signs under")

    def run(self, **options: Any) -> None:
        """Do what was asked."""
        getattr(self, f"_{options['action']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        keys = log_keys.in_use().keyring().verifiers
        shown = [
            {"id": key.id.hex(), "name": key.name, "in_use": at == 0, "fingerprint": key.fingerprint, "vkey": key.vkey}
            for at, key in enumerate(keys)
        ]
        if options["json"]:
            self.print_json({"keys": shown})
            return
        for key in shown:
            self.say(f"{'in use' if key['in_use'] else 'former'}  {key['vkey']}\n        SHA-256 {key['fingerprint']}")

    def _export(self, options: dict[str, Any]) -> None:
        key = log_keys.in_use().keyring().current.verifier
        if options["json"]:
            self.print_json({"vkey": key.vkey, "fingerprint": key.fingerprint})
        else:
            self.say(key.vkey)

    def _new(self, options: dict[str, Any]) -> None:
        line = log_keys.made_line(options["name"])
        if options["json"]:
            self.print_json({"key": line, "vkey": log_keys.parse_signer(line).verifier.vkey})
        else:
            self.say(line)

    def _rotate(self, options: dict[str, Any]) -> None:
        before, after = log_keys.in_use().rotate()
        told = _tell(before, after)
        now, former = after.current.verifier.vkey, before.current.verifier.vkey
        if options["json"]:
            self.print_json({"vkey": now, "previous": former, "told": told})
            return
        self.say(f"now     {now}\nbefore  {former}")
        self.say(f"written into the log of {', '.join(told) or 'no project: none has one yet'}")


def _tell(before: Keyring, after: Keyring) -> list[str]:
    """Append to each log that another key signs from here on, signed by the one before."""
    vkey, previous = after.current.verifier.vkey, before.current.verifier.vkey
    signature = base64.b64encode(before.current.private.sign(vkey.encode())).decode()
    logs = log_rows.all_newest()
    for log in logs:
        said = KeyRotated(vkey=vkey, previous_vkey=previous, signature=signature, size=log.size)
        event = EventData(type=catalog.name_of(KeyRotated), data=codec.encode(said))
        get_store(log.project).append(stream_of(log.project), [event], expected_version=ANY_VERSION)
    return [log.project for log in logs]
