"""`python -m journal.recorder`: sends what earlier processes recorded and could not send."""

from __future__ import annotations

import argparse
import sys

from journal.domain.text import amount
from journal.recorder.connection import connect
from journal.recorder.spool import SUFFIX


def main() -> int:
    """Send, and say what is left."""
    parser = argparse.ArgumentParser(
        prog="python -m journal.recorder",
        description="Send what agents on this machine recorded and could not send, to NAGARE_URL with NAGARE_TOKEN.",
        epilog="example: NAGARE_URL=https://nagare.example.com NAGARE_TOKEN_FILE=token python -m journal.recorder",
    )
    parser.add_argument("--spool", help="the folder they are in; default: NAGARE_SPOOL_DIR, else the user's own")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to try for; default: %(default)s")
    given = parser.parse_args()
    connection = connect(spool=given.spool)
    if connection.server is None:
        return 1
    connection.deliver(given.timeout)
    connection.close(0)
    left = sorted(connection.folder.glob(f"*{SUFFIX}"))
    waiting = f"{connection.folder}: {amount(len(left), 'run')} left to be sent"
    sys.stdout.write(f"{waiting if left else 'Everything is sent.'}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
