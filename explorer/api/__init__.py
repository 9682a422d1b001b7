"""The part of the REST API that rests on the explorer's read models, or is about runs. See `journal.api`."""

from __future__ import annotations
