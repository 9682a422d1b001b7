"""What Nagare's commands share: refusals on standard error with exit code 1, one JSON document with `--json`."""

from __future__ import annotations

import getpass
import os
import sys
from argparse import RawDescriptionHelpFormatter
from datetime import datetime
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from journal.access.projects import DEFAULT_PROJECT, ensure_project
from journal.domain import codec
from journal.domain.moment import in_utc
from journal.domain.text import printable
from journal.errors import JournalError
from journal.store import EventStore, get_store


class Command(BaseCommand):
    """Base of the commands. `example` stands under `--help`."""

    example = ""
    takes_json = True
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Put the example under the help."""
        parser = super().create_parser(
            prog_name,
            subcommand,
            epilog=f"example:\n  {self.example}",
            formatter_class=RawDescriptionHelpFormatter,
            conflict_handler="resolve",  # an event has a version: `--version` is not Django's here
            **kwargs,
        )
        if self.takes_json:
            parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command; a refusal becomes a message and exit code 1."""
        try:
            self.run(**options)
        except JournalError as refusal:
            raise CommandError(printable(str(refusal)), returncode=1) from refusal
        except BrokenPipeError:  # whoever read the output has seen enough, as `| head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def run(self, **options: Any) -> None:
        """Do the work. Raises `JournalError` for a refusal."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Print a line for people. Journals hold what strangers wrote: none of it steers the terminal."""
        self.stdout.write(printable(text))

    def print_json(self, document: object) -> None:
        """Print one JSON document, indented."""
        self.stdout.write(msgspec.json.format(codec.encode(document), indent=2).decode())


def moment(text: str) -> datetime:
    """Return an ISO 8601 moment in UTC, which one without a zone is in already.

    Raises:
        ValueError: it is none; argparse then says so.
    """
    return in_utc(text)


def operator() -> str:
    """Return who runs a command, as events name them: the machine's name for its user."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"operator:{os.getuid()}"


def wrong_usage(message: str) -> CommandError:
    """Return the error for arguments that do not go together; exit code 2, as for those argparse refuses."""
    return CommandError(message, returncode=2)


def add_project_argument(parser: CommandParser) -> None:
    """Add `--project`."""
    parser.add_argument("--project", default=DEFAULT_PROJECT, metavar="P", help="the project (default: %(default)s)")


def add_stream_argument(parser: CommandParser) -> None:
    """Add the stream, and the project it is looked for in."""
    parser.add_argument("stream", metavar="STREAM", help="the run, as `nagare runs` names it")
    add_project_argument(parser)


def store_of(project: str) -> EventStore:
    """Return the journal of a project that exists.

    Raises:
        ProjectRefused: it does not.
    """
    return get_store(ensure_project(project).slug)


def on_terminal() -> bool:
    """Return whether a person watches standard error."""
    return sys.stderr.isatty()
