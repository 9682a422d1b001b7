"""One audit in a process of its own: `python -m audits.child ID`.

Laying out pages takes memory that no worker gives back, and libraries of C that may end the process they run in. The
job's row is what both go by: the child claims it, beats, and hears there that it was cancelled.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MODULE: Final = "audits.child"


def run(job_id: str) -> None:
    """Make one audit in a child, and wait for it. A child that died leaves a job that is taken up again."""
    done = subprocess.run([sys.executable, "-m", _MODULE, job_id], check=False)  # noqa: S603 -- our own module
    if done.returncode:
        log.error("audit_child_died", job=job_id, status=done.returncode)


def main(job_id: str) -> None:
    """Be the child."""
    import django  # noqa: PLC0415 -- the parent has it

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nagare_web.settings")
    django.setup()
    from audits import jobs  # noqa: PLC0415 -- needs what was set up above

    jobs.run(job_id)


if __name__ == "__main__":
    main(sys.argv[1])
