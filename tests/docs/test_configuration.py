"""The reference of the configuration is complete, and promises nothing that is not there."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from nagare_web.config import PREFIX, Config

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOT_A_VARIABLE = {"given"}


def documented() -> set[str]:
    """Return the variables that have a row of their own."""
    text = (DOCS / "reference" / "configuration.md").read_text()
    return set(re.findall(rf"^\| `({PREFIX}[A-Z_]+)` \|", text, flags=re.MULTILINE))


def test_every_variable_is_documented_and_nothing_else() -> None:
    """The table has a row for each field of Config that a variable sets."""
    fields = {field.name for field in dataclasses.fields(Config)} - NOT_A_VARIABLE
    assert documented() == {PREFIX + name.upper() for name in fields}
