"""The reference names every span and metric there is."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from journal.runtime import repository
from journal.runtime import tracing as runtime
from journal.store import tracing as store

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "telemetry.md"


def _names(module: ModuleType) -> list[str]:
    return [value for value in vars(module).values() if isinstance(value, str) and value.startswith("nagare.")]


@pytest.mark.parametrize("name", sorted({*_names(store), *_names(runtime), *_names(repository)}))
def test_every_span_and_metric_is_described(name: str) -> None:
    """By its name, in a row of its own."""
    assert f"| `{name}` |" in PAGE.read_text()
