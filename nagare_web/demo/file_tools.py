"""Tools on the sandbox folder: list, read, search, edit, create, run the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nagare_web.demo.sandbox import OutsideSandbox
from nagare_web.demo.toolbox import ToolError, World, tool


@tool(slowest_ms=60)
def list_dir(world: World, *, path: str = ".") -> list[str]:
    """Return the names in a folder, folders with a slash."""
    place = _place(world, path)
    if not place.is_dir():
        raise ToolError("not_a_folder", f"{path} is not a folder")
    return sorted(entry.name + "/" * entry.is_dir() for entry in place.iterdir())


@tool(slowest_ms=80)
def read_file(world: World, *, path: str) -> dict[str, Any]:
    """Return a whole file."""
    content = _content(world, path)
    return {"path": path, "lines": content.count("\n"), "content": content}


@tool(slowest_ms=120)
def grep(world: World, *, pattern: str, path: str = ".") -> dict[str, Any]:
    """Return every line that contains the pattern, as it stands, with its file and number."""
    _place(world, path)
    found = [
        {"path": name, "line": number, "text": line}
        for name in world.sandbox.paths(path)
        for number, line in enumerate(_content(world, name).splitlines(), 1)
        if pattern in line
    ]
    return {"matches": len(found), "files": len({match["path"] for match in found}), "lines": found}


@tool(slowest_ms=90)
def edit_file(world: World, *, path: str, old: str, new: str) -> dict[str, Any]:
    """Put `new` in the place of `old`, which must stand in the file exactly once."""
    content = _content(world, path)
    count = content.count(old)
    if count == 0:
        raise ToolError("old_text_not_found", f"old text not found in {path}; nothing was changed")
    if count > 1:
        raise ToolError("old_text_not_unique", f"old text stands {count} times in {path}; nothing was changed")
    _place(world, path).write_text(content.replace(old, new), encoding="utf-8")
    return {"path": path, "replacements": 1, "line": content[: content.index(old)].count("\n") + 1}


@tool(slowest_ms=70)
def create_file(world: World, *, path: str, content: str) -> dict[str, Any]:
    """Write a file that is not there yet."""
    place = _place(world, path)
    if place.exists():
        raise ToolError("exists", f"{path} exists already; edit it instead")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content, encoding="utf-8")
    return {"path": path, "lines": content.count("\n")}


@tool(slowest_ms=5200)
def run_tests(world: World, *, path: str = "tests/") -> dict[str, Any]:
    """Run the tests of a file or folder; failing tests are the tool's failure, each with its error and line."""
    _place(world, path)
    outcome = world.sandbox.run_tests(path)
    if outcome.failed:
        lines = [
            f"{failure.test}\n    {failure.error}\n    at {failure.path}:{failure.line}" for failure in outcome.failed
        ]
        message = f"{len(outcome.failed)} failed, {len(outcome.passed)} passed\n" + "\n".join(lines)
        raise ToolError("tests_failed", message)
    return {"passed": len(outcome.passed), "failed": 0}


def _place(world: World, path: str) -> Path:
    try:
        return world.sandbox.path(path)
    except OutsideSandbox:
        raise ToolError("outside", f"{path} leads out of the project folder") from None


def _content(world: World, path: str) -> str:
    place = _place(world, path)
    if not place.is_file():
        raise ToolError("not_found", f"there is no file {path}")
    return place.read_text(encoding="utf-8")
