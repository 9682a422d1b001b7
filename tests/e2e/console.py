"""Runs commands on the site's journal in one process: to start one for each costs more than the commands do.

`python -m tests.e2e.console` reads a list of arguments a line, as JSON, and answers each with one line of JSON.
"""

from __future__ import annotations

import io
import json
import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "nagare_web.settings"
django.setup()

from django.core.management import call_command  # noqa: E402 - it needs the settings


def main() -> None:
    """Answer until there are no more lines."""
    for line in sys.stdin:
        printed = io.StringIO()
        call_command(*json.loads(line), "--json", stdout=printed)
        sys.stdout.write(json.dumps(json.loads(printed.getvalue())) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
