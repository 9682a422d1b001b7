"""Evaluates expressions for another process, which ends this one when an expression takes too long.

Run as a file: it imports nothing of the journal, so that it starts quickly and holds nothing worth reaching. A request
and an answer are a line of JSON each. An expression can be made to run for ever and does not let go of the interpreter,
so that no thread or signal handler in its own process could stop it.
"""

from __future__ import annotations

import json
import resource
import sys
from functools import lru_cache
from typing import Any

import cel

_MEMORY = 1 << 30


@lru_cache(maxsize=64)
def _program(text: str) -> Any:
    return cel.compile(text)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        context = cel.Context(variables=request["variables"], functions={"json": json.loads})
        value = _program(request["text"]).execute(context)
    except KeyError as missing:
        return {"missing": str(missing.args[0])}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the expression's
        return {"error": f"{type(error).__name__}: {error}"}
    return (
        {"value": value}
        if isinstance(value, bool)
        else {"error": f"the expression gives {value!r:.60}, not true or false"}
    )


def main() -> None:
    """Answer line by line until there are no more."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
