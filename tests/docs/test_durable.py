"""The pages on LangGraph's checkpoints and Temporal's histories say what works: their programs and files are runs."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to"


def block(page: str, language: str) -> str:
    """Return the one block of a page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", (HOW_TO / page).read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


def printed(capsys: pytest.CaptureFixture[str], *command: str) -> Any:
    """Run a command, and return the document it prints."""
    call_command(*command, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.django_db
@pytest.mark.parametrize("command", [("import",), ("bridge", "langgraph", "--database")])
def test_bring_in_langgraph_checkpoints(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program's thread is the two runs that the page tells of, and a second look finds nothing new."""
    pytest.importorskip("langgraph.checkpoint.sqlite")
    monkeypatch.chdir(tmp_path)
    page = "bring-in-langgraph-checkpoints.md"
    exec(compile(block(page, "python"), page, "exec"), vars(type(sys)("page")))
    report = printed(capsys, *command, "checkpoints.sqlite")
    first, fork = report["files"][0]["runs"]
    assert (first["decisions"], first["tool_calls"], fork["decisions"], fork["tool_calls"]) == (2, 1, 1, 0)
    state = printed(capsys, "state", fork["stream"])
    assert (state["parent_run"], state["status"]) == (first["stream"], "answered")
    assert "It is three." in state["answer"]["preview"]
    assert "It is 3." in printed(capsys, "state", first["stream"])["answer"]["preview"]
    again = printed(capsys, *command, "checkpoints.sqlite")
    assert [file["status"] for file in again["files"]] == (["unchanged"] if command == ("import",) else [])


@pytest.mark.django_db
def test_import_temporal_histories(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file on the page is the run that the page tells of."""
    file = tmp_path / "trip-7.json"
    file.write_text(block("import-temporal-histories.md", "json"))
    report = printed(capsys, "import", str(file))
    (run,) = report["files"][0]["runs"]
    assert (report["files"][0]["format"], run["tool_calls"], run["decisions"]) == ("temporal", 1, None)
    state = printed(capsys, "state", run["stream"])
    assert (state["agent"], state["prompt"], state["status"]) == ("BookTrip", "Oslo", "answered")
    assert "Booked" in state["answer"]["preview"]
    (known,) = state["known"]["results"].values()
    assert (known["tool"], known["preview"]) == ("search", "SK 1")
