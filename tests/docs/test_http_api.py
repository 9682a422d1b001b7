"""The API's documents tell of all there is, and their commands work as they stand."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from journal.access import Role
from journal.api import problems
from nagare_web.api_docs import document
from tests.api import secret

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "http-api.md").read_text()
WALK = (DOCS / "how-to" / "use-the-api.md").read_text()


def test_every_operation_is_described_and_nothing_else() -> None:
    """By verb, path and what it takes in its address."""
    told = {
        (verb.lower(), path.split("?")[0])
        for verb, path in re.findall(r"(GET|POST) (/api/v1/[^`, ]+)", REFERENCE.split("## Who asks")[0])
    }
    made = document()["paths"]
    assert told == {(verb, path) for path, verbs in made.items() for verb in verbs}
    for path, verbs in made.items():
        for parameter in verbs.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query" and parameter["name"] != "project":
                row = next(line for line in REFERENCE.splitlines() if f"`GET {path}?" in line)
                assert re.search(rf"[?&]{parameter['name']}=", row), (path, parameter["name"])


def test_every_problem_is_described_and_nothing_else() -> None:
    """By the end of its `type`, with its status."""
    rows = re.findall(r"^\| (`#[^|]+) \| ([^|]+) \|", REFERENCE, flags=re.MULTILINE)
    told = {name for names, _ in rows for name in re.findall(r"`#([a-z-]+)`", names)}
    made = {problems.slug(error): kind.status for error, kind in problems.KINDS.items()}
    made |= {name: status for status, (name, _) in problems.PLAIN.items()}
    assert told == set(made)
    for names, statuses in rows:
        for name in re.findall(r"`#([a-z-]+)`", names):
            assert str(made[name]) in statuses, name


def steps() -> list[tuple[str, str]]:
    """Return the how-to's shell commands and JSON answers, in order; an answer stands behind its command."""
    found = []
    for language, block in re.findall(r"^```(sh|json)\n(.*?)^```", WALK, flags=re.DOTALL | re.MULTILINE):
        if language == "json":
            found.append(("answer", block))
            continue
        status = "ok"
        for command in re.findall(r"(?:^# \d+$)|(?:^curl (?:[^\n]*\\\n|[^'\n]*'[^']*')*[^\n]*)", block, re.MULTILINE):
            if command.startswith("#"):
                status = command.removeprefix("# ")
            else:
                found.append((status, command))
                status = "ok"
    return found


def run(command: str, token: str) -> Any:
    """Do what a curl command does."""
    typed = command.replace("\\\n", " ").replace("$NAGARE_TOKEN", token).replace("$NAGARE", "")
    words = iter(shlex.split(typed)[1:])
    address, body, headers = "", None, {}
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = next(words)
        else:
            address = word
    client = Client()
    if body is None:
        return client.get(address, headers=headers)
    return client.post(address, body, content_type=headers.pop("Content-Type"), headers=headers)


@pytest.mark.django_db
def test_the_how_to_works() -> None:
    """Each command answers as is said, with the fields that are shown."""
    token = secret("ingest", "read", role=Role.ENGINEER)
    told = steps()
    assert sum(kind != "answer" for kind, _ in told) == WALK.count("\ncurl ")
    last: Any = None
    for kind, text in told:
        if kind == "answer":
            shown = json.loads(text)
            assert set(shown) == set(last)
            known = {name for name, value in shown.items() if isinstance(value, int | str) and "…" not in str(value)}
            changing = {"status", "created_at"} if "progress" in shown else set()
            assert {name: last[name] for name in known - changing} == {name: shown[name] for name in known - changing}
            continue
        response = run(text, token)
        assert response.status_code == int(kind) if kind != "ok" else response.status_code < 300, (text, response)
        last = json.loads(response.getvalue())
