"""How a failed step says what it expected and what came."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def listed(things: Iterable[object]) -> str:
    """Return one thing a line."""
    return "\n".join(f"  {at}. {thing!r}" for at, thing in enumerate(things, 1)) or "  nothing"


def differences(expected: dict[str, Any], came: dict[str, Any]) -> str:
    """Return the keys whose values differ, a line each."""
    return "\n".join(
        f"  {name}: expected {expected.get(name)!r}, came {came.get(name)!r}"
        for name in {**expected, **came}
        if expected.get(name) != came.get(name)
    )
