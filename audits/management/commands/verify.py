"""`nagare verify`: a bundle offline, or the journal against its signed log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from audits.verifier import verify
from journal.access.projects import ensure_project, slugs
from journal.errors import Refused
from journal.management.base import Command as Base
from journal.runtime import log_check, log_keys, log_rows, sealer
from journal.runtime.log_check import Checked

BAD, UNCHECKED = 1, 2
_WORDS = {BAD: "something is wrong", UNCHECKED: "not everything could be checked"}


class Command(Base):
    """Verify."""

    help = (
        "With FILE: check an evidence bundle offline, as the program inside it does. Without: read every sealed event"
        " of the journal again, hash it, and compare with what was signed; what is not sealed yet is sealed first. A"
        " line a check; exit code 0 where all is good, 1 where something is wrong, 2 where something could not be"
        " checked."
    )
    example = "nagare verify user-42.zip --key log.pub"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help="a bundle (default: the journal itself)")
        parser.add_argument(
            "--key",
            metavar="PUB",
            help="with FILE: the log's public key, a file or the line (default: this installation's)",
        )
        parser.add_argument(
            "--witness",
            metavar="PUB",
            action="append",
            default=[],
            help="with FILE: a witness's public key, a file or the line; again for more",
        )
        parser.add_argument(
            "--quorum", metavar="N", type=int, default=0, help="with FILE: how many witnesses have to have signed"
        )
        parser.add_argument("--project", metavar="P", help="without FILE: only this project (default: all)")
        parser.add_argument(
            "--previous",
            metavar="FILE",
            type=Path,
            help="an earlier bundle or checkpoint: the log has to go on from it",
        )

    def run(self, **options: Any) -> None:
        """Check and say."""
        code = self._file(options) if options["file"] else self._journal(options)
        if code:
            raise CommandError(f"verify: {_WORDS[code]}", returncode=code)

    def _file(self, options: dict[str, Any]) -> int:
        lines: list[str] = []
        keys = [options["key"]] if options["key"] else [key.vkey for key in log_keys.in_use().keyring().verifiers]
        previous = ["--previous", str(options["previous"])] if options["previous"] else []
        arguments = [str(options["file"]), *previous, "--quorum", str(options["quorum"])]
        named = [("--key", key) for key in keys] + [("--witness", key) for key in options["witness"]]
        arguments += [part for pair in named for part in pair]
        code = verify.main(arguments, say=lines.append if options["json"] else self.say)
        if options["json"]:
            checks = [dict(zip(("verdict", "name", "words"), _parted(line), strict=True)) for line in lines]
            self.print_json({"file": str(options["file"]), "good": _GOOD[code], "checks": checks})
        return int(code)

    def _journal(self, options: dict[str, Any]) -> int:
        if options["witness"] or options["quorum"]:
            raise Refused("--witness and --quorum are for a FILE")
        if options["key"]:
            raise Refused("--key is for a FILE; the journal's own keys are those of nagare keys list")
        previous = _read(options["previous"])
        wanted = [ensure_project(options["project"]).slug] if options["project"] else _projects()
        sealer.catch_up()
        found = [log_check.check_project(slug, previous=previous) for slug in wanted]
        code = _code(found)
        if options["json"]:
            self.print_json({"good": _GOOD[code], "projects": found})
        else:
            for one in found:
                self._say(one)
        return code

    def _say(self, found: Checked) -> None:
        self.say(f"{found.project}: {found.origin or 'no log yet'}")
        for check in found.checks:
            mark = {True: "good", False: "BAD", None: "?"}[check.is_good]
            self.say(f"  {mark:<5} {check.name}: {check.words}")
        if found.unsealed:
            self.say(f"  ?     {found.unsealed:,} events are not sealed yet")


_GOOD = {0: True, BAD: False, UNCHECKED: None}


def _code(found: list[Checked]) -> int:
    answers = [one.is_good for one in found]
    return BAD if False in answers else UNCHECKED if None in answers else 0


def _parted(line: str) -> tuple[str, str, str]:
    verdict, _, rest = line.partition("  ")
    name, _, words = rest.partition(": ")
    return verdict, name, words


def _projects() -> list[str]:
    """Every project that there is or that a log says there was."""
    return sorted({*slugs()} | {log.project for log in log_rows.all_newest()})


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error
