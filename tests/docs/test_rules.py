"""The page on rules names all that are built in, as they describe themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from journal.domain.invariant import Invariant, all_invariants

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "rules.md"
BUILT_IN = [rule for rule in all_invariants() if type(rule).__module__.startswith("journal.invariants")]


@pytest.mark.parametrize("rule", BUILT_IN, ids=lambda rule: rule.name)
def test_every_built_in_rule_is_described(rule: Invariant) -> None:
    """By name, theme, title and description, and whether it is monotone or remembers the journal."""
    row = next((line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{rule.name}` |")), "")
    assert f"| {rule.theme} | **{rule.title}.** {rule.description}" in row
    assert row.endswith(" Monotone. |") == rule.monotone
    assert ("Remembers the whole journal." in row) == (rule.remembers == "journal")


def test_no_rule_is_described_that_is_not_there() -> None:
    """The table has a row a rule."""
    rows = [line for line in PAGE.read_text().partition("## Built in")[2].splitlines() if line.startswith("| `")]
    table = rows[: len(BUILT_IN)]
    assert [row.split("`")[1] for row in table] == [rule.name for rule in BUILT_IN]
    assert not any(
        row.startswith("| `")
        and row.split("`")[1].rstrip(",") not in {"state", "event", "version", "runs", "grades", "rules"}
        for row in rows[len(BUILT_IN) :]
    )
