"""What `nagare serve` becomes once everything is prepared: a process that keeps the others running, and holds nothing.

Preparing takes the whole of the application: migrations, static files, in the demo its runs. A process that did that
keeps its memory for as long as it lives, so it puts this one in its place, under the same number.
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from nagare_web import logs
from nagare_web.supervisor import Program, Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping

_OK: Final = 200
_PIPE_TAKES: Final = 1 << 16
"""Bytes that Linux keeps in a pipe which nobody reads yet."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Where to ask whether the web server answers, and under which of its names."""

    host: str
    port: int
    name: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to keep running, when it counts as ready, what is said on standard output then, and how to log."""

    programs: tuple[Program, ...]
    probe: Probe | None
    line: str
    logging: dict[str, Any]


def become(plan: Plan, *, environ: Mapping[str, str]) -> None:
    """Go on as the supervising process; does not return, unless on a system that has no such thing.

    The plan may hold a password: it goes through a pipe, as the words of a command are everybody's to read.
    """
    said = msgspec.json.encode(plan)
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "posix" or len(said) > _PIPE_TAKES:
        run(plan, environ=environ)
        return
    reading, writing = os.pipe()
    os.write(writing, said)
    os.close(writing)
    os.set_inheritable(reading, True)
    os.execve(sys.executable, [sys.executable, "-m", __name__, str(reading)], dict(environ))  # noqa: S606 -- ourselves


def run(plan: Plan, *, environ: Mapping[str, str]) -> None:
    """Keep the programs running until a signal ends it, and say once that they are ready."""
    Supervisor(plan.programs, environ=environ).run(
        is_ready=lambda: plan.probe is None or answers(plan.probe.host, plan.probe.port, name=plan.probe.name),
        announce=lambda: _say(plan.line),
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def answers(host: str, port: int, *, name: str) -> bool:
    """Ask /healthz once. An address that means every interface is asked on loopback."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    connection = http.client.HTTPConnection(reachable, port, timeout=1)
    try:
        connection.request("GET", "/healthz", headers={"Host": name})
        with connection.getresponse() as answer:
            return answer.status == _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(words: list[str]) -> None:
    """Read the plan from the pipe with this number, and keep to it."""
    with os.fdopen(int(words[0]), "rb") as pipe:
        plan = msgspec.json.decode(pipe.read(), type=Plan)
    logs.configure(logs.logging_config(**plan.logging))
    run(plan, environ=os.environ)


if __name__ == "__main__":
    main(sys.argv[1:])
