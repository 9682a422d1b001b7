"""Processes stopped where it is fair to the others."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any


def stop_between_transactions(process: subprocess.Popen[Any], folder: Path) -> None:
    """Send SIGSTOP between two transactions: in the middle of one it would keep SQLite's lock from everybody."""
    (file,) = folder.glob("*.sqlite3")
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # a call that it is in comes to its end first, and may take the lock
        with closing(sqlite3.connect(file, timeout=0.2, isolation_level=None)) as probe:
            try:
                probe.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                process.send_signal(signal.SIGCONT)
            else:
                return
