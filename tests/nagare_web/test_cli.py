"""The console script."""

from __future__ import annotations

import pytest
from django.core.management import ManagementUtility

from nagare_web import cli


def test_an_unknown_command_is_wrong_usage_and_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, on standard error, with the way out."""
    monkeypatch.setattr("sys.argv", ["nagare", "improt", "x"])
    assert cli.main() == cli.WRONG_USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert "'improt'; nearest: import" in told.err


def test_the_version_is_nagares_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the framework's."""
    monkeypatch.setattr("sys.argv", ["nagare", "--version"])
    assert cli.main() == 0
    assert capsys.readouterr().out.startswith("nagare ")


def test_a_known_command_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its arguments as they came."""
    ran: list[list[str]] = []
    monkeypatch.setattr(ManagementUtility, "execute", lambda utility: ran.append(utility.argv))
    monkeypatch.setattr("sys.argv", ["nagare", "runs", "--limit", "3"])
    assert cli.main() == 0
    assert ran == [["nagare", "runs", "--limit", "3"]]
