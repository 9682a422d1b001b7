"""The example app of the documentation works, and the how-to shows it as it is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = ROOT / "docs" / "how-to" / "bring-your-own-aggregates.md"
EXAMPLE = ROOT / "docs" / "example"
SHOWN = re.findall(r"^`([\w./]+\.py)`:?\n\n```python\n(.*?)^```", HOW_TO.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_a_project_that_installs_the_example_can_open_every_page() -> None:
    """Its own tests pass in a process where it is an installed app."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NAGARE_", "PYTEST_"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--ds=tests.example_settings",
            "-p",
            "no:cacheprovider",
            "tests/example",
        ],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.example_settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"\d+ passed", done.stdout)


@pytest.mark.parametrize(("file", "code"), SHOWN, ids=[file for file, _ in SHOWN])
def test_the_how_to_shows_the_example_as_it_is(file: str, code: str) -> None:
    """Each block stands in the file it is said to be of, methods indented there."""
    path = ROOT / "tests" / "example" / file if file.startswith("test_") else EXAMPLE / "orders" / file
    text = path.read_text()
    assert code.strip() in text or indent(code, "    ").rstrip() in text


def test_the_how_to_shows_something() -> None:
    """The pattern above has found its blocks."""
    assert len(SHOWN) >= 6
