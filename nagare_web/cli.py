"""The console script `nagare`: Django's commands, with wrong usage and a refused configuration said in one line."""

from __future__ import annotations

import difflib
import os
import sys
from importlib.metadata import PackageNotFoundError, version

from journal.errors import ConfigurationRefused

WRONG_USAGE = 2


def main() -> int:
    """Run the command named on the command line; 2 where it is unknown or the configuration is refused.

    The configuration is read before Django is imported, so that every command refuses in the same words.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")
    import django  # noqa: PLC0415 -- needs the line above
    from django.core.management import execute_from_command_line, get_commands  # noqa: PLC0415

    from nagare_web import config  # noqa: PLC0415 -- so that `import nagare_web.cli` reads no environment

    if sys.argv[1:2] in (["--version"], ["version"]):
        sys.stdout.write(f"nagare {_version()}\n")
        return 0
    try:
        config.load()
    except ConfigurationRefused as refused:
        sys.stderr.write(f"nagare: configuration refused: {refused}\n")
        return WRONG_USAGE
    django.setup()  # before it, Django knows only its own commands, and remembers that
    if unknown := _unknown(sys.argv[1:2], {*get_commands(), "help"}):
        sys.stderr.write(unknown)
        return WRONG_USAGE
    execute_from_command_line(sys.argv)
    return 0


def _unknown(asked: list[str], known: set[str]) -> str:
    """Return what to say of a command that there is not; empty where there is."""
    if not asked or asked[0].startswith("-") or asked[0] in known:
        return ""
    near = difflib.get_close_matches(asked[0], known, n=1)
    hint = f"; nearest: {near[0]}" if near else ""
    return f"nagare: no command {asked[0]!r}{hint}. `nagare help` lists them\n"


def _version() -> str:
    try:
        return version("nagare-web")
    except PackageNotFoundError:
        return "(a checkout that is not installed)"
