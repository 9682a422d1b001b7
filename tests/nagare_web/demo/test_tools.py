"""The demo's tools do what they say, on a real folder and a real database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nagare_web.demo import file_tools, shop_tools  # noqa: F401 -- they register their tools
from nagare_web.demo.clock import Clock, TimeIsUp
from nagare_web.demo.shop import Shop
from nagare_web.demo.toolbox import ToolError, World, use

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with a shop and a checkout that has the failing test."""
    shop = Shop(tmp_path / "shop.sqlite3", until=NOW, seed=7)
    yield World(shop=shop, folder=tmp_path / "run", clock=Clock(at=NOW, until=NOW), agent="coder", has_newest_test=True)
    shop.close()


def code_of(world: World, tool: str, **arguments: object) -> str:
    """Return the code of the error a call ends in."""
    with pytest.raises(ToolError) as caught:
        use(tool, world, arguments)
    return caught.value.code


def test_an_edit_changes_what_the_tests_say(world: World) -> None:
    """The tests really run: one fails, is mended by an edit, and passes."""
    assert code_of(world, "run_tests", path="tests/test_refunds.py") == "tests_failed"
    use("edit_file", world, {"path": "billing/refunds.py", "old": "round(x, 2)", "new": "float(f'{x + 1e-9:.2f}')"})
    assert use("run_tests", world, {"path": "tests/test_refunds.py"}) == {"passed": 12, "failed": 0}


def test_a_broken_module_is_a_failure_with_its_place(world: World) -> None:
    """Code that cannot be imported fails every test file that needs it; no path of this machine is in the message."""
    use("edit_file", world, {"path": "billing/tax.py", "old": "RATES = {", "new": "RATES = }"})
    with pytest.raises(ToolError) as caught:
        use("run_tests", world, {"path": "tests/test_tax.py"})
    assert caught.value.message.startswith("1 failed, 0 passed\ntests/test_tax.py\n    SyntaxError")
    assert str(world.folder) not in caught.value.message


@pytest.mark.parametrize("path", ["../shop.sqlite3", "/etc/passwd", "billing/../../shop.sqlite3"])
def test_no_path_leads_out_of_the_folder(world: World, path: str) -> None:
    """Reading outside is refused, whether by dots or from the root."""
    assert code_of(world, "read_file", path=path) == "outside"


def test_an_edit_needs_its_text_exactly_once(world: World) -> None:
    """Text that is not there, or there twice, changes nothing."""
    assert code_of(world, "edit_file", path="billing/tax.py", old="nowhere", new="") == "old_text_not_found"
    assert code_of(world, "edit_file", path="billing/tax.py", old="return", new="") == "old_text_not_unique"


def test_a_query_only_reads(world: World) -> None:
    """A statement that would change the data is refused by the database itself."""
    assert code_of(world, "query", sql="DELETE FROM orders") == "sql_error"
    assert use("query", world, {"sql": "SELECT COUNT(*) AS n FROM orders"}) == [{"n": 601}]


def test_an_order_is_refunded_once(world: World) -> None:
    """The second refund is refused, and so is more than was paid."""
    order = use("find_order", world, {"order": 88_001})
    assert code_of(world, "refund", order=88_001, amount_eur=order["total_eur"] + 1) == "amount_too_high"
    use("refund", world, {"order": 88_001, "amount_eur": order["total_eur"]})
    assert code_of(world, "refund", order=88_001, amount_eur=1.0) == "already_refunded"


def test_wrong_arguments_are_the_callers_error(world: World) -> None:
    """A tool that does not know an argument says so, and a tool that is not there too."""
    assert code_of(world, "find_order", number=1) == "bad_arguments"
    assert code_of(world, "teleport") == "unknown_tool"


def test_the_clock_never_passes_the_present() -> None:
    """Time that would lie in the future is not passed."""
    clock = Clock(at=NOW, until=NOW)
    with pytest.raises(TimeIsUp):
        clock.pass_time(1)
    assert clock.now == NOW
