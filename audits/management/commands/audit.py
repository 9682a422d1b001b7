"""`nagare audit`: every action for a subject or under a correlation id, as evidence."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from audits import making
from audits.bundle import Evidence
from audits.selection import Query
from journal.access.projects import ensure_project
from journal.errors import Refused
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, moment, wrong_usage
from journal.runtime import private_file

KINDS = (".pdf", ".zip", ".jsonl")


class Command(Base):
    """Make an audit."""

    help = (
        "Every event of the runs that name a subject or a correlation id, in a period, in order, with proofs that an"
        " outsider can check without this installation. Made once more at the same checkpoint it is the same file, byte"
        " for byte; that it was made is an event itself."
    )
    example = "nagare audit --subject user-42 --from 2026-11-01 --until 2026-11-22T23:59:59Z --out user-42.zip"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--subject", metavar="ID", help="the person or thing that events name")
        who.add_argument("--correlation", metavar="ID", help="the conversation")
        parser.add_argument("--from", dest="since", metavar="T", type=moment, help="ISO 8601, included")
        parser.add_argument("--to", "--until", dest="until", metavar="T", type=moment, help="ISO 8601, included")
        parser.add_argument("--agent", metavar="A", help="only runs of this agent")
        parser.add_argument("--tool", metavar="NAME", help="only what this tool was asked and gave back")
        parser.add_argument(
            "--purpose", metavar="TEXT", default="", help="what for; kept with the record of this audit"
        )
        parser.add_argument("--previous", metavar="FILE", type=Path, help="a checkpoint that the log has to go on from")
        parser.add_argument(
            "--out",
            metavar="FILE",
            type=Path,
            required=True,
            help="where to write it: .pdf, .zip for the bundle, or .jsonl for the trail",
        )
        parser.add_argument("--unsigned", action="store_true", help="leave the PDF's own signature out")
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Make it, write it, and record that."""
        out: Path = options["out"]
        if out.suffix.lower() not in KINDS:
            raise wrong_usage(f"--out has to end in {', '.join(KINDS[:-1])} or {KINDS[-1]}")
        names = ("subject", "correlation", "since", "until", "agent", "tool")
        query = Query(project=ensure_project(options["project"]).slug, **{name: options[name] for name in names})
        previous = _read(options["previous"])
        evidence = making.gathered(query, previous=previous)
        content = _made(out, evidence, options)
        _write(out, content)
        making.record(evidence, file=out.name, content=content, by=BY, purpose=options["purpose"])
        if options["json"]:
            self.print_json(_document(out, evidence, content))
            return
        counts = evidence.selection.completeness
        runs = len(evidence.selection.parts)
        self.say(f"{counts.covered:,} of {counts.in_period:,} events of the period, in {runs:,} runs")
        self.say(f"under {evidence.checkpoint.origin} at {evidence.checkpoint.size:,} events")
        self.say(f"{out}  SHA-256 {hashlib.sha256(content).hexdigest()}")


BY = "nagare audit"


def _made(out: Path, evidence: Evidence, options: dict[str, Any]) -> bytes:
    if out.suffix.lower() == ".zip":
        return making.bundle(evidence)
    if out.suffix.lower() == ".jsonl":
        return making.trail(evidence)
    made = making.pdf(evidence, by=BY, purpose=options["purpose"])
    return made if options["unsigned"] else making.signed(made)


def _document(out: Path, evidence: Evidence, content: bytes) -> dict[str, Any]:
    return {
        "file": str(out),
        "sha256": hashlib.sha256(content).hexdigest(),
        "query": evidence.selection.query.to_json(),
        "events": len(evidence.selection.events),
        "runs": len(evidence.selection.parts),
        "completeness": evidence.selection.completeness.to_json(),
        "log": {"origin": evidence.checkpoint.origin, "size": evidence.checkpoint.size},
    }


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} cannot be read: {error}") from error


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or none of it."""
    try:
        private_file.replace(path, content, mode=private_file.AS_USUAL)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}") from error
