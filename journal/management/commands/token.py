"""`nagare token`: API tokens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandParser

from journal.access.tokens import (
    LONGEST_OVERLAP,
    SCOPES,
    NewToken,
    TokenRefused,
    create_token,
    revoke_token,
    rotate_token,
)
from journal.domain.event import instant
from journal.management.base import Command as Base
from journal.management.base import add_project_argument, wrong_usage
from journal.models import ApiToken


class Command(Base):
    """Create, list, rotate and revoke API tokens."""

    help = (
        "Create a token (its secret is printed once), list tokens, revoke one at once, or rotate one: make a new one"
        " that may do the same, while the old one goes on for some hours."
    )
    example = "nagare token create --user m.kato --scope ingest --expires 2027-01-01"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare what the command takes."""
        parser.add_argument("what", choices=["create", "list", "revoke", "rotate"])
        parser.add_argument("id", nargs="?", metavar="ID", help="the token to revoke or rotate")
        parser.add_argument("--user", metavar="NAME")
        parser.add_argument("--scope", action="append", default=[], metavar="S", help=f"one of {', '.join(SCOPES)}")
        parser.add_argument("--expires", metavar="T", help="ISO 8601; no zone means UTC")
        parser.add_argument(
            "--overlap", type=float, default=24.0, metavar="H", help="hours that a rotated token goes on (default: 24)"
        )
        add_project_argument(parser)

    def run(self, **options: Any) -> None:
        """Do what was asked."""
        getattr(self, f"_{options['what']}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        if not options["user"] or not options["scope"]:
            raise wrong_usage("`nagare token create` needs --user NAME and at least one --scope S")
        new = create_token(
            user=options["user"],
            project=options["project"],
            scopes=options["scope"],
            expires_at=_time(options["expires"]),
        )
        self._tell(new, as_json=options["json"])

    def _rotate(self, options: dict[str, Any]) -> None:
        if not options["id"]:
            raise wrong_usage("`nagare token rotate` needs the ID of the token, as `nagare token list` shows it")
        if not 0 <= options["overlap"] <= LONGEST_OVERLAP / timedelta(hours=1):
            raise wrong_usage(f"--overlap is a number of hours, {LONGEST_OVERLAP.days} days at most")
        now = datetime.now(UTC)
        new = rotate_token(options["id"], keep_until=now + timedelta(hours=options["overlap"]), now=now)
        self._tell(new, as_json=options["json"])

    def _tell(self, new: NewToken, *, as_json: bool) -> None:
        document = {"token": new.secret, **_shown(new.row)}
        if as_json:
            self.print_json({name: document[name] for name in ("token", "id", "project", "scopes", "expires_at")})
        else:
            self.say(f"token, shown once: {new.secret}\nid: {new.row.id}")

    def _list(self, options: dict[str, Any]) -> None:
        rows = ApiToken.objects.filter(project_id=options["project"]).select_related("user").order_by("created_at")
        found = [{**_shown(row), "user": row.user.get_username(), "prefix": row.prefix} for row in rows]
        if options["json"]:
            self.print_json({"tokens": found})
            return
        for token in found:
            state = "revoked" if token["revoked_at"] else "valid"
            self.say(f"{token['id']}  {token['prefix']}…  {token['user']}  {','.join(token['scopes'])}  {state}")

    def _revoke(self, options: dict[str, Any]) -> None:
        if not options["id"]:
            raise wrong_usage("`nagare token revoke` needs the ID of the token, as `nagare token list` shows it")
        row = revoke_token(options["id"])
        if options["json"]:
            self.print_json(_shown(row))
        else:
            self.say(f"token {row.id} is revoked")


def _shown(row: ApiToken) -> dict[str, Any]:
    return {
        "id": row.id,
        "project": row.project_id,
        "scopes": row.scopes,
        "expires_at": instant(row.expires_at) if row.expires_at else None,
        "revoked_at": instant(row.revoked_at) if row.revoked_at else None,
    }


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise TokenRefused(f"--expires {text!r} is no ISO 8601 time, such as 2027-01-01T00:00:00Z") from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
