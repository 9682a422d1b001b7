"""Stream names."""

from __future__ import annotations

import pytest

from journal.domain.stream import category, checked
from journal.errors import PayloadRefused


@pytest.mark.parametrize("name", ["agent_run-0192f0c1", "order-A.b:c~d_e-f"])
def test_a_name_is_category_dash_id(name: str) -> None:
    """The category ends at the first dash."""
    assert category(checked(name)) == name.split("-", maxsplit=1)[0]


@pytest.mark.parametrize(
    "name", ["", "order", "-1", "Order-1", "order-", "order-a/b", "order-a b", "order-é", "a-" + "x" * 300]
)
def test_a_name_no_address_would_carry_is_refused(name: str) -> None:
    """Spaces, slashes, other alphabets and over-long names are refused, not folded."""
    with pytest.raises(PayloadRefused):
        checked(name)
