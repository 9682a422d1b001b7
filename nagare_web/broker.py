"""The embedded broker: kombu's file-system transport, made safe for several processes.

Kombu's own one writes a message under its final name, so that a reader can take it half written, and hands it over
through the machine's shared temporary folder. Here a message appears whole or not at all, and none leaves the data
directory.
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """A channel whose messages are files, one folder for all queues."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for folder in (self.data_folder_in, self.data_folder_out, self.processed_folder, self.control_folder):
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)

    def _put(self, queue: str, payload: Any, **_kwargs: Any) -> None:  # type: ignore[override] # as kombu's own does
        """Write beside the folder's names first, then rename: a rename is atomic, a write is not."""
        name = f"{time.time_ns()}_{secrets.token_hex(8)}"
        unfinished = Path(self.data_folder_out) / f"{name}.unfinished"
        unfinished.write_text(dumps(payload))
        unfinished.replace(unfinished.with_name(f"{name}.{queue}.msg"))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Take the oldest message. The rename succeeds for one reader; the others go on to the next message."""
        for name in sorted(os.listdir(self.data_folder_in)):  # noqa: PTH208 -- names alone, many times a second
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = Path(self.processed_folder) / name
            try:
                (Path(self.data_folder_in) / name).rename(taken)
            except FileNotFoundError:
                continue
            payload = taken.read_text()
            taken.unlink()
            return loads(payload)
        raise Empty


class Transport(filesystem.Transport):
    """What `CELERY_BROKER_TRANSPORT` names."""

    Channel = Channel
