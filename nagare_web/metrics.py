"""Metrics for a scraper, as OpenMetrics: how far readers are, what waits, what needs a person.

Told to whoever asks from this machine itself, and to tokens with the scope `admin` from anywhere: the numbers are about
the whole installation. A request that came through a proxy is not from this machine.

Source: OpenMetrics 1.0, text format.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from journal.access import Permission, bearer_of, public, recording
from journal.runtime import status
from journal.runtime.status import Status

MEDIA_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip")


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """One family: its name without the prefix, and a value for each set of labels. Units stand in names."""

    name: str
    words: str
    samples: list[tuple[Mapping[str, str], float]]


@public
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the metrics; 403 to whoever may not see them."""
    if not (_is_local(request) or _has_token(request)):
        refusal = "Metrics are for this machine itself; from elsewhere send a token with the scope admin.\n"
        return HttpResponse(refusal, status=403, content_type="text/plain; charset=utf-8")
    return HttpResponse("".join(text_of(status.read())), content_type=MEDIA_TYPE)


def _is_local(request: HttpRequest) -> bool:
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _has_token(request: HttpRequest) -> bool:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    found = bearer_of(secret.strip(), now=datetime.now(UTC)) if scheme.casefold() == "bearer" else None
    return found is not None and Permission.ADMIN in found.permissions


def text_of(found: Status) -> Iterator[str]:
    """Yield the exposition, family by family."""
    for gauge in (*_journal(found), *_outbox(found), *_work(found)):
        name = f"nagare_{gauge.name}"
        yield f"# TYPE {name} gauge\n"
        if name.endswith("_seconds"):
            yield f"# UNIT {name} seconds\n"
        yield f"# HELP {name} {gauge.words}\n"
        for labels, value in gauge.samples:
            yield f"{name}{_labelled(labels)} {value!r}\n"
    yield "# EOF\n"


def _journal(found: Status) -> Iterator[Gauge]:
    yield _one("journal_head", "Highest position a reader may be given.", found.horizon.head)
    yield _one("journal_held_back", "Positions past the horizon that wait for a writer.", found.horizon.held_back)
    readers = {
        "lag": "Events between a reader of the journal and its head.",
        "behind_seconds": "How old the next event is that a reader has to handle.",
        "parked": "Events that a reader has set aside.",
    }
    for name, words in readers.items():
        field = name.replace("seconds", "s")
        rows = [({"subscription": one.name}, getattr(one, field)) for one in found.subscriptions]
        yield Gauge(name=f"subscription_{name}", words=words, samples=_rows(rows))


def _outbox(found: Status) -> Iterator[Gauge]:
    for state in ("pending", "due", "retrying", "dead"):
        rows = [
            ({"effect": one.effect, "project": one.project or ""}, getattr(one, state)) for one in found.outbox.effects
        ]
        yield Gauge(name=f"outbox_{state}", words=f"Dispatches that are {state}.", samples=_rows(rows))
    oldest = found.outbox.oldest_due_s or 0.0
    yield _one("outbox_oldest_due_seconds", "How long the oldest due dispatch has waited.", oldest)


def _work(found: Status) -> Iterator[Gauge]:
    held = [({"lease": one.name}, float(bool(one.holder))) for one in found.leases]
    yield Gauge(name="lease_held", words="1 where somebody holds the lease.", samples=_rows(held))
    tokens = [({"lease": one.name}, one.token) for one in found.leases]
    yield Gauge(name="lease_token", words="Fencing token: how often the lease was granted.", samples=_rows(tokens))
    old = [({"projection": one.name}, float(one.rows_version != one.code_version)) for one in found.projections]
    yield Gauge(name="projection_outdated", words="1 where the rows were made by other code.", samples=_rows(old))
    counted = Counter((one.kind, one.state) for one in found.jobs)
    jobs = [({"kind": kind, "state": state}, counted[kind, state]) for kind, state in sorted(counted)]
    yield Gauge(name="jobs", words="Jobs that are open, or failed lately.", samples=_rows(jobs))
    access = recording.in_use()
    yield _one("access_records_failed", "Records of access that were not written at the first try.", access.failed)
    yield _one("access_records_lost", "Records of access that were given up.", access.lost)
    yield _one("alarms", "What stays as it is until a person acts.", len(found.alarms))


def _one(name: str, words: str, value: float) -> Gauge:
    return Gauge(name=name, words=words, samples=[({}, value)])


def _rows(rows: Iterable[tuple[dict[str, str], float]]) -> list[tuple[Mapping[str, str], float]]:
    return list(rows)


def _labelled(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
