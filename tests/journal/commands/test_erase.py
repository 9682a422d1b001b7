"""Erasing from outside: what was planted is in no file of the installation any more, and old evidence verifies."""

from __future__ import annotations

import json
from pathlib import Path

from journal.domain import agent_run as run
from journal.domain import codec
from tests.builders import reasoned, recorded, responded, returned, started
from tests.commands import Nagare

PLANTED = ("Hidden Lane 4711", "ada@example.org", "c0ffee-of-ada")
OTHERS = "Bob prefers tea"


def runs(folder: Path) -> Path:
    """Write a run that names Ada and one that names Bob, as exports are."""
    file = folder / "runs.jsonl"
    said = {"agent_run-a": (" ".join(PLANTED), "ada@example.org"), "agent_run-b": (OTHERS, "bob@example.org")}
    lines = []
    for stream, (words, subject) in said.items():
        events = [started(prompt=words), responded(words), reasoned(path=words), returned(words)]
        told = recorded([*events, run.Answered(response=words)], stream=stream, subjects=(subject,))
        lines += [codec.line(one) for one in told]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def found(data_dir: Path, word: str) -> list[str]:
    """Return the files of an installation that have a word in them."""
    files = (file for file in data_dir.rglob("*") if file.is_file())
    return sorted(file.name for file in files if word.encode() in file.read_bytes())


def test_nothing_of_what_was_planted_is_left_in_any_file(nagare: Nagare, data_dir: Path, tmp_path: Path) -> None:
    """Neither in the database with its write-ahead log nor beside it; the other's is; and everything verifies."""
    assert nagare("import", str(runs(tmp_path))).returncode == 0
    bundle = tmp_path / "before.zip"
    assert nagare("audit", "--subject", "ada@example.org", "--out", str(bundle)).returncode == 0
    assert all(found(data_dir, word) for word in PLANTED)
    erased = nagare("erase", "--subject", "ada@example.org", "--ground", "Art. 17, request 12", "--json")
    assert erased.returncode == 0, erased.stderr
    told = json.loads(erased.stdout)
    assert told["database"]["is_done"] is True
    assert told["certificate"]["order_proof"].startswith("c2sp.org/tlog-proof@v1")
    assert [found(data_dir, word) for word in PLANTED] == [[], [], []]
    assert found(data_dir, OTHERS)
    verified = nagare("verify")
    assert verified.returncode == 0, verified.stdout
    assert "erased at" in verified.stdout
    assert nagare("verify", str(bundle)).returncode == 0
