"""A folder with a small invented billing project, and its tests really run.

The project lies beside this module as `.txt` files, so that no tool takes it for ours. Its tests run in a process of
their own: without our environment, our packages or any file written, and only for so long.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import msgspec

_SUFFIX: Final = ".txt"
_PATIENCE_S: Final = 20

NEWEST_TEST: Final = "test_refund_rounding"
"""The test that fails. Only the runs about it have it in their checkout; for all others it is not written yet."""

_RUNNER: Final = """
import importlib, json, pathlib, resource, sys, traceback
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
root = pathlib.Path(sys.argv[1]).resolve()
sys.path.insert(0, str(root))
passed, failed = [], []
for path in json.loads(sys.argv[2]):
    name = path.removesuffix(".py").replace("/", ".")
    try:
        module = importlib.import_module(name)
    except Exception as error:
        failed.append([path, f"{type(error).__name__}: {error}", path, 0])
        continue
    for test in [test for test in vars(module) if test.startswith("test_")]:
        try:
            getattr(module, test)()
            passed.append(f"{path}::{test}")
        except Exception as error:
            frames = [(pathlib.Path(f.filename).resolve(), f.lineno) for f in traceback.extract_tb(error.__traceback__)]
            own = [(str(f.relative_to(root)), line) for f, line in frames if f.is_relative_to(root)]
            where = [place for place in own if place[0] != "tests/__init__.py"][-1]
            failed.append([f"{path}::{test}", f"{type(error).__name__}: {error}", *where])
print(json.dumps({"passed": passed, "failed": failed}))
"""


class Failure(msgspec.Struct, frozen=True, array_like=True):
    """A test that failed: its file and name, its error, and the place that raised it."""

    test: str
    error: str
    path: str
    line: int


class Outcome(msgspec.Struct, frozen=True):
    """How a run of tests ended."""

    passed: tuple[str, ...]
    failed: tuple[Failure, ...]


class OutsideSandbox(Exception):
    """A path that leads out of the folder."""


class Sandbox:
    """A fresh copy of the billing project in a folder that an agent may change, with or without its newest test."""

    def __init__(self, root: Path, *, has_newest_test: bool = False) -> None:
        self.root = root.resolve()
        for path, content in _project(has_newest_test).items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")

    def path(self, relative: str) -> Path:
        """Return the place of a file or folder.

        Raises:
            OutsideSandbox: it is not inside the folder.
        """
        place = (self.root / relative).resolve()
        if not place.is_relative_to(self.root):
            raise OutsideSandbox(relative)
        return place

    def paths(self, under: str = ".") -> list[str]:
        """Return all files below a folder, or the file itself, relative to the sandbox and sorted."""
        place = self.path(under)
        found = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
        return sorted(str(path.relative_to(self.root)) for path in found)

    def run_tests(self, under: str = "tests/") -> Outcome:
        """Run the test functions of a file or a folder.

        All tests of the project run together, once for each state of its files, and the outcome is kept: tests of the
        same code give the same result.
        """
        digest = sha256(b"".join(_framed(path, self.path(path).read_bytes()) for path in self.paths())).digest()
        if digest not in _outcomes:
            _outcomes[digest] = _run(self.root, [path for path in self.paths("tests/") if "/test_" in path])
        wanted, whole = set(self.paths(under)), _outcomes[digest]
        return Outcome(
            passed=tuple(test for test in whole.passed if _file_of(test) in wanted),
            failed=tuple(failure for failure in whole.failed if _file_of(failure.test) in wanted),
        )


_outcomes: dict[bytes, Outcome] = {}


def _framed(path: str, content: bytes) -> bytes:
    return f"{path}\0{len(content)}\0".encode() + content


def _file_of(test: str) -> str:
    return test.partition("::")[0]


def _run(root: Path, paths: list[str]) -> Outcome:
    command = [sys.executable, "-I", "-S", "-B", "-c", _RUNNER, str(root), json.dumps(paths)]
    ended = subprocess.run(  # noqa: S603 -- the command is ours, and so is the code it runs
        command, cwd=root, env={}, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE_S, check=True
    )
    return msgspec.json.decode(ended.stdout.replace(f"{root}/".encode(), b""), type=Outcome)


@cache
def _project(has_newest_test: bool) -> dict[str, str]:  # noqa: FBT001 -- cached by it
    project = dict(_texts(files(__package__) / "project", ""))
    if not has_newest_test:
        path = "tests/test_refunds.py"
        parts = project[path].split("\n\n\n")
        project[path] = "\n\n\n".join(part for part in parts if not part.startswith(f"def {NEWEST_TEST}("))
    return project


def _texts(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _texts(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            found.append((prefix + entry.name.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")))
    return found
