"""The documentation names all there is: commands, events, errors, formats, pages, roles; its code blocks parse."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path

import msgspec
import pytest
from django.core.management import get_commands
from django.urls import URLPattern, URLResolver, get_resolver

from journal import errors, ingest
from journal.access import Role
from journal.domain.catalog import catalog
from journal.ingest import load_formats
from journal.ingest.source import Source

ROOT = Path(__file__).resolve().parents[2]
DOCS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference"
OURS = ("journal", "explorer", "audits", "nagare_web")


@pytest.mark.parametrize("name", sorted(name for name, app in get_commands().items() if app in OURS))
def test_every_command_is_described(name: str) -> None:
    """By how it is called."""
    assert f"`nagare {name}" in (REFERENCE / "commands.md").read_text()


@pytest.mark.parametrize("name", catalog.names())
def test_every_event_type_is_described_with_its_fields(name: str) -> None:
    """Each data field by its name on the wire."""
    page = (REFERENCE / "events.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
    struct = catalog._structs[name][0]
    missing = [field.encode_name for field in msgspec.structs.fields(struct) if field.encode_name not in row]
    assert missing == []


@pytest.mark.parametrize(
    "name", [name for name, member in inspect.getmembers(errors, inspect.isclass) if issubclass(member, Exception)]
)
def test_every_error_is_described(name: str) -> None:
    """By its name."""
    assert f"`{name}`" in (REFERENCE / "errors.md").read_text()


@pytest.mark.parametrize("name", [known.name for known in load_formats() if known.name != "nagare"])
def test_every_format_has_a_page(name: str) -> None:
    """Named like the format."""
    assert (REFERENCE / "formats" / f"{name}.md").is_file()


def _addresses(resolver: URLResolver, before: str = "/") -> list[str]:
    found = []
    for pattern in resolver.url_patterns:
        address = before + str(pattern.pattern)
        found += [address] if isinstance(pattern, URLPattern) else _addresses(pattern, address)
    return found


@pytest.mark.parametrize("address", [re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", at) for at in _addresses(get_resolver())])
def test_every_page_is_described(address: str) -> None:
    """By its address: the API's on a page of their own."""
    page = "http-api.md" if address.startswith("/api/v1/") else "pages.md"
    assert f"{address}" in (REFERENCE / page).read_text()


@pytest.mark.parametrize("role", list(Role))
def test_every_role_is_described(role: Role) -> None:
    """With what it may do."""
    assert f"| {role.value} |" in (ROOT / "docs" / "how-to" / "give-people-access.md").read_text()


def _blocks(language: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [(f"{page.name}:{at}", block) for page in DOCS for at, block in enumerate(pattern.findall(page.read_text()))]


@pytest.mark.parametrize(("where", "block"), _blocks("python"))
def test_python_in_the_docs_parses(where: str, block: str) -> None:
    """Every block is a whole program or a whole part of one."""
    ast.parse(block, where)


@pytest.mark.parametrize(("where", "block"), _blocks("json"))
def test_json_in_the_docs_parses(where: str, block: str) -> None:
    """Every block is one document."""
    json.loads(block)


@pytest.mark.parametrize(("where", "block"), _blocks("sh"))
def test_commands_in_the_docs_exist(where: str, block: str) -> None:
    """Every `nagare` line in a shell block names a command there is, with options it takes."""
    commands = get_commands()
    for line in block.splitlines():
        match = re.match(r"(?:\$ )?nagare ([a-z-]+)", line)
        if match and match[1] != "help":
            assert match[1] in commands, f"{where}: {line}"


def test_the_how_to_for_a_format_works() -> None:
    """The module shown there, run as it stands, reads the file it describes."""
    before = dict(ingest._formats)
    try:
        (block,) = [code for where, code in _blocks("python") if where.startswith("add-an-import-format")]
        exec(compile(block, "chatlog", "exec"), {})
        chatlog = ingest._formats["chatlog"]
        lines = b'{"kind": "chatlog", "ask": "Hi"}\n{"from": "model", "n": 1, "text": "Yes"}\n'
        source = Source(name="day.jsonl", data=lines)
        assert chatlog.detect(source)
        (run,) = chatlog.read(source)
        assert [draft.key for draft in run.events] == ["start", "m1"]  # type: ignore[union-attr]
    finally:
        ingest._formats.clear()
        ingest._formats.update(before)
