"""Runs `verify.py` for another process, under limits of its own: what somebody hands in may be made to exhaust it.

Run as a file, on the file to check: memory and processor time are bounded by the kernel, whoever started it ends it at
a deadline, and it can write no file.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

MEMORY = 1 << 30
PROCESSOR_S = 60
MOST_BYTES = 256 << 20
"""Unpacked."""


def main() -> int:
    """Check what the arguments name."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    sys.path.insert(0, str(Path(__file__).parent))
    import verify  # type: ignore[import-not-found]  # noqa: PLC0415 - beside this file, and under the limits

    verify.MOST_BYTES = MOST_BYTES
    try:
        return int(verify.main(sys.argv[1:]))
    except MemoryError:
        print(f"????  file: to check it takes more than {MEMORY >> 20:,} MB of memory")  # noqa: T201 - its one way out
        return 2


if __name__ == "__main__":
    sys.exit(main())
