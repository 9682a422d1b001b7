"""A process of the benchmark `regrade`, in a scratch journal that the environment names. Prints one JSON line.

fill EVENTS         write runs of about a hundred events
floor               scan all events in order and decode each to its type: the least that judging them takes
submit RULE         ask for a re-grade, force it
work JOB            work on it until there is nothing left to do, from when a line comes in
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zlib import crc32

import django
import msgspec

_BATCH: Final = 100
_WORDS: Final = (
    "def refund(amount: Decimal) -> Decimal: return amount.quantize(CENT, ROUND_HALF_UP)  # half a cent goes up "
)
_TOOLS: Final = ("read_file", "grep", "edit_file", "run_tests")
_BEGAN: Final = datetime(2026, 11, 1, 9, tzinfo=UTC)


def fill(events: str) -> dict[str, Any]:
    """Write the runs. Sizes are drawn so that an event has about 600 bytes, few a great many; always the same ones."""
    from django.core.management import call_command  # noqa: PLC0415 - after set-up, as all below

    from journal.access import add_project  # noqa: PLC0415
    from journal.runtime.projection import catch_up, named  # noqa: PLC0415
    from journal.store import get_store  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    add_project("bench")
    drawn, store, runs = random.Random(7), get_store("bench"), int(events) // _BATCH  # noqa: S311 - not for secrets
    for number in range(runs):
        store.append(f"agent_run-{number:06}", _run(drawn, number), expected_version=0)
    catch_up(named("grades"), patience_s=0)
    return {"events": runs * _BATCH}


def _run(drawn: random.Random, number: int) -> list[Any]:
    from journal.domain import agent_run as run  # noqa: PLC0415
    from journal.domain import codec  # noqa: PLC0415
    from journal.domain.catalog import catalog  # noqa: PLC0415
    from journal.domain.event import EventData, Metadata  # noqa: PLC0415

    made: list[msgspec.Struct] = [run.Started(prompt=_text(drawn), model=f"orion-{number % 3}", agent="coder")]
    while len(made) < _BATCH - 1:
        call, tool = f"c_{len(made)}", drawn.choice(_TOOLS)
        arguments = codec.text({"path": f"src/{drawn.randrange(50)}.py"})
        made.append(run.ModelResponded(content=_text(drawn), input_tokens=8_000, output_tokens=60, cost_usd=0.02))
        made.append(run.Reasoned(thought=_text(drawn), tool_name=tool, args_json=arguments, call_id=call))
        made.append(
            run.ToolFailed(tool_name=tool, call_id=call, message="exit 1", latency_ms=900.0)
            if drawn.random() < 0.05  # noqa: PLR2004 - one in twenty
            else run.ToolReturned(tool_name=tool, call_id=call, response_json=codec.text(_text(drawn)), latency_ms=52.0)
        )
    made = [*made[: _BATCH - 1], run.Answered(response=_text(drawn))]
    metadata = codec.encode(Metadata(correlation_id=f"bench-{number}", actor="agent:coder"))
    return [
        EventData(
            type=catalog.name_of(type(each)),
            data=codec.encode(each),
            metadata=metadata,
            occurred_at=_BEGAN + timedelta(minutes=number, milliseconds=700 * at),
        )
        for at, each in enumerate(made)
    ]


def _text(drawn: random.Random) -> str:
    size = min(8_000, int(drawn.lognormvariate(5.7, 1.0)))
    return (_WORDS * (1 + size // len(_WORDS)))[:size]


def floor() -> dict[str, Any]:
    """Scan and decode, in pages as large as the store's, through the driver alone."""
    from django.db import connection  # noqa: PLC0415

    from journal.domain.catalog import catalog  # noqa: PLC0415
    from journal.store.sql import PAGE  # noqa: PLC0415

    sql = "SELECT position, version, type, data FROM journal_event WHERE position > %s ORDER BY position LIMIT %s"
    decoders = catalog._decoders  # noqa: SLF001 - what the catalog itself decodes with
    events = after = 0
    began = _now()
    with connection.cursor() as cursor:
        while True:
            cursor.execute(sql, [after, PAGE])
            rows = cursor.fetchall()
            if not rows:
                break
            for _, _, kind, data in rows:
                decoder = decoders.get(kind)
                if decoder is not None and kind.startswith("agent_run."):
                    decoder.decode(data)
                    events += 1
            after = rows[-1][0]
    return {"events": events, **_since(began)}


def submit(rule: str) -> dict[str, Any]:
    """Ask for a re-grade; a rule with a space is an expression, and is saved first, each under a name of its own."""
    from journal.runtime import regrade, saved_rules  # noqa: PLC0415

    if " " in rule:
        name = f"bench-{crc32(rule.encode())}"  # a second version would have the first one evaluated beside it
        saved_rules.save(project="bench", name=name, description="", expression=rule, monotone=False, by=None)
        rule = name
    return {"job": regrade.submit(project="bench", rule=rule, force=True).id}


def work(job_id: str) -> dict[str, Any]:
    """Work on the job, with others or alone."""
    from journal.runtime import regrade, rule_process  # noqa: PLC0415
    from journal.runtime.job import ENDED  # noqa: PLC0415

    sys.stdout.write('"ready"\n')
    sys.stdout.flush()
    sys.stdin.readline()
    began = _now()
    while (job := regrade.find(job_id, project="bench")) is not None and job.status not in ENDED:
        if regrade.run(job_id) is None:
            time.sleep(0.02)
    took = _since(began)
    rule_process.close_idle()  # what a child has used counts when it has ended
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    took["cpu_s"] += children.ru_utime + children.ru_stime
    found = (job.result if job else None) or {}
    return {"events": found["events"], "fails": found["fails"], **took}


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(began: tuple[float, float]) -> dict[str, float]:
    return {"seconds": time.perf_counter() - began[0], "cpu_s": time.process_time() - began[1]}


def main() -> None:
    """Do what the command line says."""
    django.setup()
    what, *arguments = sys.argv[1:]
    commands: dict[str, Callable[..., Any]] = {"fill": fill, "floor": floor, "submit": submit, "work": work}
    found = commands[what](*arguments)
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()
