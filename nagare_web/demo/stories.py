"""The stories in the demo data: runs with something to find in them, under addresses that never change.

`STORIES` says where each is and what to look for; the README, the tutorials and the tests point at it. `story_jobs`
builds the jobs that make them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

import msgspec

from journal.domain import agent_run as run
from nagare_web.demo.agent import Job, Remark
from nagare_web.demo.ids import stream_of
from nagare_web.demo.scripts import analyst, coder, ops, refund_rounding, support, writer
from nagare_web.demo.shop import APPROVED_UP_TO_EUR, COMPLAINT, RATES, TENANTS, Shop, iso

NEWEST: Final = "still-running"
"""The key of the run that begins last, seconds before the present."""

HEALTHY_CONVERSIONS: Final = 14
POISONED_CONVERSIONS: Final = 18

_CUSTOMER, _ORDER, _ORDER_AGE = COMPLAINT
_DAYS_KEPT: Final = 20
_REQUEST: Final = "I bought a travel teapot from you 20 days ago and have not opened it. May I send it back?"
_COMPLAINT: Final = (
    "Two months ago you told me that I could not send the teapot back after 20 days. Your own policy said 30 days. "
    "I want my money back."
)


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to find: in which runs, and at which version of the first of them."""

    title: str
    look_for: str
    streams: tuple[str, ...]
    version: int | None = None


def _streams(*keys: str) -> tuple[str, ...]:
    return tuple(map(stream_of, keys))


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return _streams(*(f"{name}-{at:02d}" for at in range(1, count + 1)))


STORIES: Final[dict[str, Story]] = {
    "edit-unread": Story(
        title=refund_rounding.PROMPT,
        look_for="200 events; at 23 the agent edits billing/refunds.py, which it has seen as one grep match at 20 only",
        streams=_streams("edit-unread"),
        version=23,
    ),
    "edit-after-reading": Story(
        title=refund_rounding.PROMPT,
        look_for="the same request: equal up to 20, then the agent reads the file at 23; done after 37 events",
        streams=_streams("edit-after-reading"),
        version=23,
    ),
    "healthy-rates": Story(
        title="What is my order worth in another currency?",
        look_for="answers by a right exchange rate, before the feed went bad",
        streams=_numbered("healthy-rate", HEALTHY_CONVERSIONS),
    ),
    "poisoned-rates": Story(
        title="What is my order worth in another currency?",
        look_for="exchange_rate returns rates a hundred times too small; each answer quotes one",
        streams=_numbered("poisoned-rate", POISONED_CONVERSIONS),
    ),
    "failure-loops": Story(
        title="The same call again and again",
        look_for="one tool fails with unchanged arguments until the step budget is used up",
        streams=_streams("loop-restart", "loop-mail", "loop-edit", "loop-query"),
    ),
    "complaint": Story(
        title=_REQUEST,
        look_for="user-31 is told 14 days, from a policy that the search index had not replaced yet",
        streams=_streams("complaint-first-answer", "complaint"),
    ),
    "hand-off": Story(
        title="I think I was charged twice. Can you check?",
        look_for="support hands off to the analyst; the child run's answer comes back as a message",
        streams=_streams("hand-off", "hand-off/analyst"),
    ),
    "approved-refund": Story(
        title="Please refund my order, I do not need it after all",
        look_for="the refund is authorised by the team lead's message",
        streams=_streams("approved-refund"),
    ),
    "unapproved-refund": Story(
        title="Please refund my order, I do not need it after all",
        look_for="a refund above 500 EUR that nobody was asked about",
        streams=_streams("unapproved-refund"),
    ),
    "backup-check": Story(
        title="Check the backup of every tenant",
        look_for="more than 2,000 events, the context compacted after every batch",
        streams=_streams("backup-check"),
    ),
    "still-running": Story(
        title="Find out why the report and the invoices round differently",
        look_for="a run that is going on",
        streams=_streams(NEWEST),
    ),
}


def story_jobs(shop: Shop, until: datetime) -> list[Job]:
    """Return the jobs of all stories."""
    return [
        *_coding(until),
        *_conversions(shop, until),
        *_loops(until),
        *_complaint(until),
        *_hand_offs(until),
        *_refunds(shop, until),
        _backups(until),
        _running(until),
    ]


def job_of(agent: str, **given: Any) -> Job:
    """Return a job with the agent's usual tools and instructions."""
    usual: dict[str, dict[str, Any]] = {
        "coder": {"tools": coder.TOOLS, "model": "orion-3"},
        "support": {"tools": support.TOOLS, "model": "orion-3-mini", "instructions": support.INSTRUCTIONS},
        "analyst": {"tools": analyst.TOOLS, "model": "lyra-2"},
        "ops": {"tools": ops.TOOLS, "model": "lyra-2", "instructions": ops.INSTRUCTIONS},
        "writer": {"tools": writer.TOOLS, "model": "vela-1-large"},
    }
    return Job(agent=agent, **{**usual[agent], **given})


def _coding(until: datetime) -> list[Job]:
    common: dict[str, Any] = {"prompt": refund_rounding.PROMPT, "subject": "user-42", "has_newest_test": True}
    return [
        job_of(
            "coder", key="edit-unread", policy=refund_rounding.edits_unread(), at=until - timedelta(hours=2), **common
        ),
        job_of(
            "coder",
            key="edit-after-reading",
            policy=refund_rounding.reads_first(),
            at=until - timedelta(days=2, hours=3),
            **common,
        ),
    ]


def _conversions(shop: Shop, until: datetime) -> list[Job]:
    """Spread conversions over the weeks before the feed went bad and the days since."""
    bad_from = shop.rates_bad_from
    since = (until - bad_from - timedelta(hours=3)) / POISONED_CONVERSIONS
    before = [bad_from - timedelta(days=2.1 * at + 0.4) for at in range(HEALTHY_CONVERSIONS)]
    after = [bad_from + timedelta(hours=1.5) + since * at for at in range(POISONED_CONVERSIONS)]
    return [
        *(_conversion(shop, f"healthy-rate-{at:02d}", at, when) for at, when in enumerate(before, 1)),
        *(_conversion(shop, f"poisoned-rate-{at:02d}", at, when) for at, when in enumerate(after, 1)),
    ]


def _conversion(shop: Shop, key: str, at: int, when: datetime) -> Job:
    currency = list(RATES)[at % len(RATES)]
    if at % 6 == 0:
        return job_of(
            "analyst",
            key=key,
            at=when,
            prompt=f"What did we sell in the last 7 days, in {currency}?",
            policy=analyst.sales_in(currency, 7),
        )
    order = shop.orders_before(when)[-at]
    return job_of(
        "support",
        key=key,
        at=when,
        prompt=f"What is my order {order['number']} worth in {currency}?",
        policy=support.converts(order["number"], currency),
        subject=order["customer"],
    )


def _loops(until: datetime) -> list[Job]:
    return [
        job_of(
            "ops",
            key="loop-restart",
            prompt="The mail relay is stuck, get it going again",
            budget=15,
            at=until - timedelta(days=1, hours=5),
            policy=ops.keeps_restarting("mail-relay"),
        ),
        job_of(
            "support",
            key="loop-mail",
            prompt="Tell user-93 that the refund is on its way",
            budget=11,
            at=until - timedelta(days=3, hours=1),
            policy=support.keeps_mailing("user-93"),
            subject="user-93",
        ),
        job_of(
            "coder",
            key="loop-edit",
            prompt="Use to_cents in the report",
            budget=16,
            subject="user-17",
            at=until - timedelta(days=5, hours=7),
            policy=coder.keeps_editing(),
        ),
        job_of(
            "analyst",
            key="loop-query",
            prompt="Sales by month, please",
            budget=9,
            subject="user-09",
            at=until - timedelta(days=12, hours=2),
            policy=analyst.keeps_asking(),
        ),
    ]


def _complaint(until: datetime) -> list[Job]:
    first, second = until - timedelta(days=_ORDER_AGE - _DAYS_KEPT), until - timedelta(hours=26)
    note = run.Annotated(
        by="mara",
        label="wrong answer",
        at_version=14,
        text="The policy allowed 30 days by then. The search index still had the old version.",
    )
    after_complaint = (second - first).total_seconds() / 3600 + 1
    common: dict[str, Any] = {"subject": _CUSTOMER, "conversation": "teapot of user-31"}
    return [
        job_of(
            "support",
            key="complaint-first-answer",
            prompt=_REQUEST,
            at=first,
            **common,
            policy=support.may_return(_CUSTOMER, _ORDER, _DAYS_KEPT),
            remarks=(Remark(event=note, actor="user:mara", hours_later=after_complaint),),
        ),
        job_of(
            "support",
            key="complaint",
            prompt=_COMPLAINT,
            at=second,
            policy=support.makes_good(_CUSTOMER, _ORDER),
            **common,
        ),
    ]


def _hand_offs(until: datetime) -> list[Job]:
    return [
        job_of(
            "support",
            key="hand-off",
            prompt="I think I was charged twice. Can you check?",
            subject="user-88",
            at=until - timedelta(hours=20),
            sub_jobs={"analyst": _charged_twice("hand-off/analyst", "user-88")},
            policy=support.asks_analyst("Was user-88 charged twice for the same goods on one day?"),
        ),
        job_of(
            "coder",
            key="hand-off-release",
            prompt="Make sure that 4.12 can be released, with its note",
            subject="user-28",
            at=until - timedelta(days=4, hours=2),
            policy=coder.notes_with_writer("Write the release note for 4.12"),
            sub_jobs={
                "writer": lambda instruction, at: job_of(
                    "writer",
                    key="hand-off-release/writer",
                    prompt=instruction,
                    at=at,
                    policy=writer.notes_release("4.12"),
                )
            },
        ),
    ]


def _charged_twice(key: str, customer: str) -> Any:
    return lambda instruction, at: job_of(
        "analyst", key=key, prompt=instruction, at=at, policy=analyst.charged_twice(customer), subject=customer
    )


def _refunds(shop: Shop, until: datetime) -> list[Job]:
    """Refund two expensive orders, once with a person's approval and once without asking."""
    asked, unasked = reserved_orders(shop, until)
    prompt = "Please refund order {number}, I do not need it after all"
    return [
        job_of(
            "support",
            key="approved-refund",
            prompt=prompt.format(**asked),
            at=until - timedelta(days=6),
            policy=support.gives_refund(asked["number"], asked["customer"]),
            subject=asked["customer"],
        ),
        job_of(
            "support",
            key="unapproved-refund",
            prompt=prompt.format(**unasked),
            at=until - timedelta(hours=33),
            policy=support.gives_refund(unasked["number"], unasked["customer"], asks=False),
            subject=unasked["customer"],
        ),
    ]


def reserved_orders(shop: Shop, until: datetime) -> list[dict[str, Any]]:
    """Return the two orders whose refunds are stories of their own."""
    orders = shop.orders_before(until - timedelta(days=9))
    return [order for order in orders if support.NEEDS_APPROVAL_EUR < order["total_eur"] < APPROVED_UP_TO_EUR][-2:]


def _backups(until: datetime) -> Job:
    return job_of(
        "ops",
        key="backup-check",
        prompt="Check the backup of every tenant",
        at=until - timedelta(hours=4),
        budget=1_000,
        policy=ops.checks_backups(TENANTS, oldest=iso(until - timedelta(hours=26))),
    )


def _running(until: datetime) -> Job:
    return job_of(
        "coder",
        key=NEWEST,
        at=until - timedelta(seconds=40),
        subject="user-17",
        prompt=STORIES["still-running"].title,
        policy=coder.looks_around(Random("still-running"), 60),  # noqa: S311
    )
