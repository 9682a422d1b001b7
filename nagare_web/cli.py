"""The console script `nagare`: Django's commands, with a refused configuration said in one line."""

from __future__ import annotations

import os
import sys

from journal.errors import ConfigurationRefused

WRONG_USAGE = 2


def main() -> int:
    """Run the command named on the command line; 2 where the configuration is refused.

    The configuration is read before Django is imported, so that every command refuses in the same words.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 -- needs the line above

    from nagare_web import config, telemetry  # noqa: PLC0415 -- so that `import nagare_web.cli` reads no environment

    try:
        settings = config.load()
    except ConfigurationRefused as refused:
        sys.stderr.write(f"nagare: configuration refused: {refused}\n")
        return WRONG_USAGE
    telemetry.configure(settings.otlp_endpoint, service="nagare")
    execute_from_command_line(sys.argv)
    return 0
