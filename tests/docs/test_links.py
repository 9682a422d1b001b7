"""Links between documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    """Each link to another file of the repository names one that exists."""
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_decision_is_in_the_index() -> None:
    """A record that no index names is not found."""
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    records = [path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")]
    assert records
    assert [name for name in records if f"({name})" not in index] == []
