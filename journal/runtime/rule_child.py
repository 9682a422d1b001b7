"""Evaluates expressions for another process, which ends this one when an expression takes too long.

Run as a file: it imports nothing of the journal, so that it starts quickly and holds nothing worth reaching. A request
is a line of JSON with the expression and how many lines of variables follow; each of those is answered with a line. An
expression can be made to run for ever and does not let go of the interpreter, so that no thread or signal handler in
its own process could stop it.
"""

from __future__ import annotations

import json
import resource
import sys
from functools import lru_cache
from time import monotonic
from types import ModuleType
from typing import Any

# The package loads its command line, and with it a terminal's whole machinery, which takes ten times as long as the
# rest and is of no use here.
sys.modules["cel.cli"] = ModuleType("cel.cli")
import cel  # noqa: E402

_MEMORY = 1 << 30
_SHORT = {True: b"1\n", False: b"0\n"}
_SILENT_S = 0.05
"""How long answers may be held back: whoever waits takes a longer silence for an expression without end."""

_FUNCTIONS = {"json": json.loads}


@lru_cache(maxsize=64)
def _program(text: str) -> Any:
    return cel.compile(text)


def _answer(text: str, line: bytes) -> bytes:
    try:
        value = _program(text).execute(cel.Context(variables=json.loads(line), functions=_FUNCTIONS))
    except KeyError as missing:
        return _long({"missing": str(missing.args[0])})
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the expression's
        return _long({"error": f"{type(error).__name__}: {error}"})
    if isinstance(value, bool):
        return _SHORT[value]
    return _long({"error": f"the expression gives {value!r:.60}, not true or false"})


def _long(answer: dict[str, str]) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def main() -> None:
    """Answer line by line until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    lines, out = sys.stdin.buffer, sys.stdout.buffer
    while header := lines.readline():
        request = json.loads(header)
        spoken = monotonic()
        for _ in range(request["count"]):
            out.write(_answer(request["text"], lines.readline()))
            if monotonic() - spoken > _SILENT_S:
                out.flush()
                spoken = monotonic()
        out.flush()


if __name__ == "__main__":
    main()
