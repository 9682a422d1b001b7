"""Measurements that a user can repeat: ratios to a floor measured in the same run, as machines differ."""

from __future__ import annotations

from journal.benches import importing, receiving, regrading, store, whowhen
from journal.benches.registry import Asked, Bench, Report, Say, register


def _import(say: Say, asked: Asked) -> Report:
    found = importing.run()
    line = (
        f"{found.name}: {found.events:,} events of {found.bytes:,} bytes in {found.seconds:.2f} s,"
        f" {found.events_per_second:,.0f} events/s;"
        f" {found.ratio:.1f} times the floor of {found.floor_seconds:.2f} s"
    )
    return Report(document=found, lines=(line,))


def _store(say: Say, asked: Asked) -> Report:
    ratios = store.run(say=say)
    lines = (
        f"{one.operation:<40} {one.store_per_s:>9,.0f} events/s  {one.ratio:.2f} of the raw driver's"
        f" {one.floor_per_s:,.0f}  (goal {one.goal:.2f})"
        for one in ratios
    )
    return Report(document={"name": "store", "ratios": ratios}, lines=tuple(lines))


def _whowhen(say: Say, asked: Asked) -> Report:
    say("conversations")
    cases = whowhen.run(asked.data)
    scores, leads = whowhen.scores(cases), whowhen.leads(cases)
    lines = [
        f"{one.name:<16}{one.cases:>4} conversations, {one.guessed:>4} with a guess: at the mistake"
        f" {one.exact:.1%}, within 1 step {one.within_1:.1%}, within 3 {one.within_3:.1%}"
        for one in scores
    ]
    lines += [
        f"the most suspect over the {one.over}, within {one.within}: {100 * one.lead:+.1f} points,"
        f" 95 % interval {100 * one.low:+.1f} to {100 * one.high:+.1f}"
        for one in leads
    ]
    return Report(document={"name": "whowhen", "scores": scores, "leads": leads}, lines=tuple(lines))


def _regrade(say: Say, asked: Asked) -> Report:
    found = [line for events in asked.sizes for line in regrading.run(events, say=say)]
    lines = (
        f"{one.rule:<24}{one.workers} at work {one.events:>11,} events {one.events_per_s:>9,.0f} events/s"
        f"  {one.ratio:.2f} of the floor's rate, {one.cpu_ratio:.2f} by processor time"
        for one in found
    )
    return Report(document={"name": "regrade", "lines": found}, lines=tuple(lines))


def _ingest(say: Say, asked: Asked) -> Report:
    found = receiving.run(say=say)
    lines = [
        f"{one.clients} client{'s' if one.clients > 1 else ' '} {one.spans_per_s:>9,.0f} spans/s  a request"
        f" {one.p50_ms:,.1f} ms, p95 {one.p95_ms:,.1f} ms  {one.ratio:.2f} of the floor's rate"
        for one in found.received
    ]
    lines.append(f"the floor  {found.floor_spans_per_s:>9,.0f} spans/s  p95 {found.floor_p95_ms:,.1f} ms")
    lines.append(f"processor time of a request {found.cpu_ms:.1f} ms, of the floor {found.floor_cpu_ms:.1f} ms")
    if found.rss_growth_mb is not None:
        lines.append(f"the process that answers grew by {found.rss_growth_mb:,.0f} MB")
    lines.append(f"told as runs afterwards: {found.told_spans_per_s:,.0f} spans/s")
    return Report(document=found, lines=tuple(lines))


register(
    Bench(
        name="ingest",
        about=(
            "spans over HTTP, a hundred a request, by one client, eight and 64, in a scratch journal on SQLite; the"
            " floor parses the same requests and commits a row for each span"
        ),
        run=_ingest,
    )
)
register(
    Bench(
        name="import",
        about=(
            "made-up sessions into a journal of its own; the floor decodes the same files and inserts the same rows"
            " into a bare SQLite table"
        ),
        run=_import,
    )
)
register(
    Bench(
        name="store",
        about=(
            "append, read, replay and catch-up on the configured kind of database, in a scratch one of its own; the"
            " floor is the raw driver"
        ),
        run=_store,
    )
)
register(
    Bench(
        name="whowhen",
        about=(
            "how often the most suspect event, and the first failing one, are the annotated mistake of a Who&When"
            " conversation, beside the first error, a random step and others"
        ),
        run=_whowhen,
        data="conversations of Who&When with their annotations",
    )
)
register(
    Bench(
        name="regrade",
        about=(
            "a whole re-grade, by one and by two workers, in a scratch journal on SQLite; the floor scans the same"
            " events in order and decodes each to its type"
        ),
        run=_regrade,
        sizes=(200_000,),
    )
)
