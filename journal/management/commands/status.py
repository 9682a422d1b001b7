"""`nagare status`: who holds what, who is behind, what waits, in words."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from journal.management.base import Command as Base
from journal.runtime import status
from journal.runtime.status import Status


class Command(Base):
    """Say how the installation is."""

    help = (
        "Say who holds which lease, how far each reader of the journal is, what waits in the outbox, and what needs a"
        " person. Computed when it is asked for."
    )
    example = "nagare status --measure 2"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("--measure", type=float, metavar="S", help="read twice, S seconds apart, and tell rates")

    def run(self, **options: Any) -> None:
        """Read and print."""
        found = status.read()
        if options["measure"]:
            time.sleep(min(max(options["measure"], 0.2), 60.0))
            found = status.read(since=found.sample)
        if options["json"]:
            self.print_json(found)
            return
        for line in status.in_words(found):
            self.stdout.write(line)
        for title, rows in _tables(found):
            if rows:
                self.stdout.write(f"\n{title}")
                for row in rows:
                    self.stdout.write(f"  {row}")


def _tables(found: Status) -> Iterable[tuple[str, list[str]]]:
    yield "Leases", [f"{one.state:<12} {one.what}: {one.holder or 'nobody'}; {one.words}" for one in found.leases]
    yield "Outbox", [_effect(one) for one in found.outbox.effects]
    yield "Subscriptions", [f"{one.state:<12} {one.name}: {one.words}{_rate(one)}" for one in found.subscriptions]
    yield (
        "Projections",
        [f"{one.state:<12} {one.name}, version {one.rows_version}: {one.words}" for one in found.projections],
    )
    yield "Process managers", [f"{one.state:<12} {one.name}: {one.words}" for one in found.processes]
    yield "Seal", [f"{one.state:<12} {one.project}: {one.words}" for one in found.seal]
    yield "Jobs", [f"{one.state:<12} {one.kind} {one.id}{_of(one.project)}: {one.words}" for one in found.jobs]


def _effect(one: status.EffectLine) -> str:
    error = f" ({one.last_error})" if one.last_error else ""
    return f"{one.state:<12} {one.effect}{_of(one.project)}: {one.words}{error}"


def _of(project: str | None) -> str:
    return f" of {project}" if project else ""


def _rate(one: status.SubscriptionLine) -> str:
    return f", {one.rate_per_s:,.0f} a second" if one.rate_per_s is not None else ""
