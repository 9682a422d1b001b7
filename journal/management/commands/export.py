"""`nagare export`: a stream to a file."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from journal.access import record_access
from journal.domain.access_log import AccessKind
from journal.errors import StreamNotFound
from journal.exports import EXPORTS
from journal.management.base import Command as Base
from journal.management.base import add_stream_argument, store_of


class Command(Base):
    """Export a run."""

    help = (
        "Write a run to standard output: jsonl is the journal's own and loses nothing; atif and otlp are read by other"
        " tools and hold what those formats have a place for."
    )
    example = "nagare export agent_run-0192f0c1 --format jsonl > run.jsonl"
    takes_json = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_stream_argument(parser)
        parser.add_argument("--format", choices=list(EXPORTS), default="jsonl", help="default: %(default)s")

    def run(self, **options: Any) -> None:
        """Read and write, piece by piece."""
        store = store_of(options["project"])
        if not store.stream_version(options["stream"]):
            raise StreamNotFound(stream=options["stream"], project=store.project)
        kind = f"run as {options['format']}"
        record_access(store.project, AccessKind.EXPORT, kind, of=options["stream"])
        for piece in EXPORTS[options["format"]](store.read_stream(options["stream"])):
            self.stdout.write(piece.decode(), ending="")
