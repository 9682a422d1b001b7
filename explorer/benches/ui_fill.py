"""Fills the journal that `nagare bench ui` looks at: `python -m explorer.benches.ui_fill 200 2000`.

A process of its own, since the journal lies in a folder of its own. Prints what is where, as one JSON document.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from itertools import islice
from typing import Final

import django
import msgspec

django.setup()

from django.core.management import call_command  # noqa: E402 - this and what follows needs the settings

from explorer.benches.made_run import WORDS, coding_run  # noqa: E402
from explorer.benches.ui_site import Filled  # noqa: E402
from journal.access import Role, add_user  # noqa: E402
from journal.access.projects import DEFAULT_PROJECT  # noqa: E402
from journal.runtime.projection import catch_up_all  # noqa: E402
from journal.store import get_store  # noqa: E402

_BATCH: Final = 1_000


def main(sizes: Sequence[int]) -> None:
    """Fill the journal, bring the read models up to date, and say what is where."""
    call_command("migrate", interactive=False, verbosity=0)
    password = secrets.token_urlsafe(16)
    user, _ = add_user("bench", role=Role.ENGINEER, project=DEFAULT_PROJECT, password=password)
    streams = {size: _put(size) for size in sizes}
    catch_up_all()
    filled = Filled(user=user.get_username(), password=password, streams=streams, words=tuple(WORDS))
    sys.stdout.buffer.write(msgspec.json.encode(filled))


def _put(size: int) -> str:
    stream, store, version = f"agent_run-{size:06}", get_store(DEFAULT_PROJECT), 0
    events = coding_run(size)
    while batch := list(islice(events, _BATCH)):
        store.append(stream, batch, expected_version=version)
        version += len(batch)
    return stream


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]])
