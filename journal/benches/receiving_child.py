"""The process of the benchmark `ingest`, in a scratch journal that the environment names. Prints one JSON line.

CLIENTS…            send with so many clients at once, one number after the other
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import django
import msgspec

_SPANS: Final = 100
_REQUESTS: Final = 40
"""Of the floor, and of each client; many clients share so many times `_BUSY`."""

_BUSY: Final = 4
_BUSY_STATUS: Final = 503
_MEGABYTE: Final = 2**20

_ROUNDS: Final = 3
_TEXT: Final = "The order was paid twice, so the second payment goes back to the card that it came from. " * 4
_KIND: Final = "application/x-protobuf"
_PERCENT: Final = 20
_TABLE: Final = (
    "CREATE TABLE span (id INTEGER PRIMARY KEY, trace BLOB, span BLOB, body BLOB, UNIQUE (trace, span));"
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
)


def requests(count: int) -> list[bytes]:
    """Return export requests of a hundred spans, each a trace of its own: an agent's, its calls' and its tools'."""
    return [_request(secrets.token_bytes(16)) for _ in range(count)]


def _request(trace: bytes) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415
        ExportTraceServiceRequest,
    )

    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    said = msgspec.json.encode([{"role": "assistant", "parts": [{"type": "text", "content": _TEXT}]}]).decode()
    for number in range(1, _SPANS + 1):
        kind = "invoke_agent" if number == 1 else "execute_tool" if number % 2 else "chat"
        span = scope.spans.add(trace_id=trace, span_id=number.to_bytes(8, "big"), name=kind, kind=3)
        span.parent_span_id = b"" if number == 1 else (1).to_bytes(8, "big")
        span.start_time_unix_nano = 1_764_000_000_000_000_000 + number * 10**9
        span.end_time_unix_nano = span.start_time_unix_nano + 10**8
        given = {"gen_ai.operation.name": kind, "gen_ai.request.model": "orion-3", "gen_ai.agent.name": "planner"}
        given |= {"gen_ai.output.messages": said} if kind == "chat" else {"gen_ai.tool.name": "refund"}
        for name, value in given.items():
            span.attributes.add(key=name).value.string_value = value
    return bytes(request.SerializeToString())


def floor(folder: Path) -> list[float]:
    """Parse each request and commit its spans; return the seconds of each."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415
        ExportTraceServiceRequest,
    )

    bare = sqlite3.connect(folder / f"floor-{secrets.token_hex(4)}.sqlite3")
    bare.executescript(_TABLE)
    took = []
    for raw in requests(_REQUESTS):
        began = time.perf_counter()
        request = ExportTraceServiceRequest.FromString(raw)
        spans = request.resource_spans[0].scope_spans[0].spans
        with bare:
            rows = ((span.trace_id, span.span_id, span.SerializeToString()) for span in spans)
            bare.executemany("INSERT INTO span (trace, span, body) VALUES (?, ?, ?)", rows)
        took.append(time.perf_counter() - began)
    bare.close()
    return took


def send(clients: int, token: str) -> tuple[float, list[float]]:
    """Let clients send, each its own requests one after the other; return the seconds of all and of each request."""
    bodies = [requests(_each(clients)) for _ in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        took = [one for each in threads.map(lambda mine: _send(mine, token), bodies) for one in each]
    return time.perf_counter() - began, took


def _each(clients: int) -> int:
    return max(1, _REQUESTS * min(clients, _BUSY) // clients)


def _send(bodies: list[bytes], token: str) -> list[float]:
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    client, took = Client(headers={"Authorization": f"Bearer {token}", "Host": "localhost"}), []
    try:
        for raw in bodies:
            began = time.perf_counter()
            while (answer := client.post("/v1/traces", raw, content_type=_KIND)).status_code == _BUSY_STATUS:
                pass  # the database was busy with others: exporters send again too, and the time counts
            took.append(time.perf_counter() - began)
            if answer.status_code != 200 or answer.content:  # noqa: PLR2004 - what OTLP says of a full success
                raise RuntimeError(f"a request was answered {answer.status_code}: {answer.content[:200]!r}")
    finally:
        connection.close()
    return took


def settle() -> float:
    """Tell all that waits; return the spans a second."""
    from journal.ingest import span_settler  # noqa: PLC0415

    began, traces = time.perf_counter(), 0
    while told := span_settler.settle_due(now=datetime.now(UTC), quiet=timedelta(0), at_once=True).traces:
        traces += told
    return traces * _SPANS / (time.perf_counter() - began)


def main() -> None:
    """Measure what the command line says."""
    django.setup()
    from django.conf import settings  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415

    from journal.access import Role, add_project, add_user, create_token  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    add_project("bench")
    add_user("bench", role=Role.ENGINEER, project="bench", password=secrets.token_urlsafe(16))
    token = create_token(user="bench", project="bench", scopes=["ingest"]).secret
    send(1, token)  # what is loaded once is loaded
    before = _rss_bytes()
    cpu_ms, floor_cpu_ms = _cpu_ms(settings.CONFIG.data_dir, token)
    rounds = [
        (floor(settings.CONFIG.data_dir), {count: send(count, token) for count in map(int, sys.argv[1:])})
        for _ in range(_ROUNDS)
    ]
    after = _rss_bytes()
    grown = (after - before) / _MEGABYTE if before is not None and after is not None else None
    found = _report(rounds) | {"cpu_ms": cpu_ms, "floor_cpu_ms": floor_cpu_ms, "rss_growth_mb": grown}
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def _cpu_ms(folder: Path, token: str) -> tuple[float, float]:
    """Return the processor time of one request of one client, and of its floor, in which making it does not count."""
    began = time.process_time()
    requests(_REQUESTS)
    made = time.process_time() - began
    took = []
    for work in (lambda: send(1, token), lambda: floor(folder)):
        began = time.process_time()
        work()
        took.append(1_000 * max(0.0, time.process_time() - began - made) / _REQUESTS)
    return took[0], took[1]


def _rss_bytes() -> int | None:
    """Return how much memory this process holds, where the system tells."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _report(rounds: list[tuple[list[float], dict[int, tuple[float, list[float]]]]]) -> dict[str, Any]:
    floors = [sum(took) for took, _ in rounds]
    return {
        "name": "ingest",
        "bytes_per_span": len(requests(1)[0]) / _SPANS,
        "floor_spans_per_s": _REQUESTS * _SPANS / statistics.median(floors),
        "floor_p95_ms": _p95([one for took, _ in rounds for one in took]),
        "received": [_line(count, rounds, floors) for count in rounds[0][1]],
        "told_spans_per_s": settle(),
    }


def _line(clients: int, rounds: list[Any], floors: list[float]) -> dict[str, Any]:
    seconds = [sent[clients][0] for _, sent in rounds]
    each = [one for _, sent in rounds for one in sent[clients][1]]
    sent_each = clients * _each(clients)
    return {
        "clients": clients,
        "requests": sent_each,
        "spans": sent_each * _SPANS,
        "spans_per_s": sent_each * _SPANS / statistics.median(seconds),
        "p50_ms": 1_000 * statistics.median(each),
        "p95_ms": _p95(each),
        "ratio": statistics.median(
            sent_each / _REQUESTS * bare / own for bare, own in zip(floors, seconds, strict=True)
        ),
    }


def _p95(seconds: list[float]) -> float:
    return 1_000 * statistics.quantiles(seconds, n=_PERCENT)[-1]


if __name__ == "__main__":
    main()
