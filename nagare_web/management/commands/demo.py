"""`nagare demo`: a journal full of runs to look at, and a user to look at them with."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser

from journal.access import Role, add_user
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, moment, store_of
from journal.runtime import regrade, sealer
from journal.runtime.projection import catch_up_all
from journal.tasks import wake
from nagare_web.demo.fill import SEED, Filled, fill
from nagare_web.demo.plan import ORDINARY
from nagare_web.demo.stories import STORIES
from nagare_web.management.commands import serve

USER: Final = "demo"
HOST: Final = "127.0.0.1"
WRONG_USAGE: Final = 2
GRADED: Final = ("edit-after-reading", "no-failure-loop", "no-loop", "cost-budget")
"""Rules put to all of the runs, by whatever worker the dashboard has, so that its list says which ones need a look."""


class Command(Base):
    """Fill the journal with demo runs and let somebody in."""

    help = (
        "Fill a project with demo runs, once, and make the user `demo`, an admin of it, with a new password each time."
        " The runs are made by a real agent loop with real tools; only the model is a scripted stand-in, and every run"
        " says that it is synthetic."
    )
    example = "nagare demo --serve --port 8080"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        add_project_argument(parser)
        parser.add_argument(
            "--port", type=serve.port_number, default=8000, help="the dashboard's port (default: %(default)s)"
        )
        parser.add_argument("--serve", action="store_true", help="also start the dashboard, and stop it with Ctrl-C")
        parser.add_argument(
            "--seed", type=int, default=SEED, help="another seed gives other runs (default: %(default)s)"
        )
        parser.add_argument(
            "--runs",
            type=int,
            default=ORDINARY,
            metavar="N",
            help="ordinary runs beside the stories (default: %(default)s)",
        )
        parser.add_argument("--until", type=moment, metavar="T", help="the present the runs lead up to (default: now)")

    def run(self, **options: Any) -> None:
        """Refuse what cannot work, then migrate, fill, make the user, and say how to get in."""
        if options["serve"] and options["json"]:
            raise CommandError(
                "--serve never ends and --json prints one document at the end; leave one out", returncode=WRONG_USAGE
            )
        if options["serve"]:
            serve.refuse_taken_port(HOST, options["port"])
        call_command("migrate", interactive=False, verbosity=0)
        store = store_of(options["project"])
        filled = fill(
            store, until=options["until"] or datetime.now(UTC), seed=options["seed"], ordinary=max(options["runs"], 0)
        )
        catch_up_all()
        sealer.catch_up()
        if options["serve"] and not filled.was_full:
            ask_for_verdicts(options["project"])
        self.stderr.write(_said(filled, options["project"]))
        address, password = f"http://{HOST}:{options['port']}/", new_password(options["project"])
        if options["json"]:
            self.print_json(_document(filled, options["project"], address, password))
            return
        lines = (
            f"Dashboard  {address}",
            f"User       {USER}",
            f"Password   {password}  (made for this start; the next start makes another)",
        )
        if options["serve"]:
            call_command(Announcing(lines, stdout=self.stdout), host=HOST, port=options["port"])
        else:
            self.stdout.write("\n".join(lines))


class Announcing(serve.Command):
    """`nagare serve` that says how to get in as soon as it answers."""

    def __init__(self, lines: tuple[str, ...], **given: Any) -> None:
        super().__init__(**given)
        self._lines = lines

    def announcement(self, ready: str) -> str:
        """Return how to get in."""
        return "\n".join(self._lines)


def ask_for_verdicts(project: str) -> None:
    """Write the re-grades of `GRADED`: the dashboard's worker takes them once it is there."""
    for rule in GRADED:
        job = regrade.submit(project=project, rule=rule)
        wake(job.id, kind=job.kind)


def new_password(project: str) -> str:
    """Give the demo user a new password and the role of admin, making the user on the first call.

    Whoever is signed in as `demo` is signed out by it.
    """
    user, generated = add_user(USER, role=Role.ADMIN, project=project)
    password = generated or secrets.token_urlsafe(12)
    if generated is None:
        user.set_password(password)
        user.save(update_fields=["password"])
    return password


def _said(filled: Filled, project: str) -> str:
    if filled.was_full:
        return f"The demo runs are in project {project} already; nothing was added."
    return (
        f"Added {filled.added_events:,} events of {filled.runs} demo runs to project {project}. All of it is synthetic."
    )


def _document(filled: Filled, project: str, address: str, password: str) -> dict[str, Any]:
    return {
        "project": project,
        "runs": filled.runs,
        "added_events": filled.added_events,
        "dashboard": address,
        "user": USER,
        "password": password,
        "stories": {name: story.streams for name, story in STORIES.items()},
    }
