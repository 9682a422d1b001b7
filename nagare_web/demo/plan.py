"""Which runs there are: the stories, and a few hundred ordinary runs spread over the last seventy days."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from journal.domain import agent_run as run
from nagare_web.demo.agent import Job, Remark
from nagare_web.demo.prices import PRICES
from nagare_web.demo.scripts import analyst, coder, ops, support, writer
from nagare_web.demo.shop import FIRST_ORDER, ORDERS, PEOPLE, SERVICES, Shop, iso
from nagare_web.demo.stories import job_of, reserved_orders, story_jobs

DAYS: Final = 70
ORDINARY: Final = 260

_DECLINED: Final = (
    "Delete the staging tenants that nobody used for 90 days",
    "Archive the old product photos",
    "Close tickets older than a year",
)
_GOOD_ENOUGH: Final = 0.7
_STALE_HOURS: Final = 26


def plan(shop: Shop, *, until: datetime, seed: int, ordinary: int = ORDINARY) -> list[Job]:
    """Return all jobs in the order of their beginning; the newest is still running at `until`."""
    rng = Random(seed)  # noqa: S311 -- invented data, not secrets
    planner = Planner(shop, until, rng)
    jobs = [*story_jobs(shop, until), *(planner.job(at) for at in range(1, ordinary + 1))]
    return sorted(jobs, key=lambda job: (job.at, job.key))


class Planner:
    """Draws ordinary jobs. No order is refunded by two of them, and those of the stories by none."""

    def __init__(self, shop: Shop, until: datetime, rng: Random) -> None:
        self._shop = shop
        self._until = until
        self._rng = rng
        self._taken = {order["number"] for order in reserved_orders(shop, until)}
        self._kinds: list[Callable[[datetime], Job]] = []
        for kind, weight in (
            (self._whereabouts, 6),
            (self._wrong_number, 2),
            (self._history, 3),
            (self._refund, 6),
            (self._change, 12),
            (self._query, 8),
            (self._services, 4),
            (self._some_backups, 3),
            (self._declined, 1),
            (self._letter, 3),
            (self._release_note, 1),
            (self._revision, 2),
        ):
            self._kinds += [kind] * weight

    def job(self, number: int) -> Job:
        """Return the next ordinary job; a third of them fall into the last week, few into the night."""
        rng = self._rng
        days = rng.uniform(0.08, 7) if rng.random() < 0.35 else rng.uniform(7, DAYS)  # noqa: PLR2004
        at = self._until - timedelta(days=days)
        if at.hour < 6:  # noqa: PLR2004
            at += timedelta(hours=7) if self._until - at > timedelta(hours=10) else timedelta()
        kind = rng.choice(self._kinds)(at)
        return replace(kind, key=f"ordinary-{number:03d}", at=at, remarks=self._remarks(at))

    def _remarks(self, at: datetime) -> tuple[Remark, ...]:
        """Let a reviewer grade some of the runs, days after they ended."""
        if self._rng.random() > 0.1 or self._until - at < timedelta(days=4):  # noqa: PLR2004
            return ()
        score = self._rng.choice((0.4, 0.7, 0.8, 0.9, 1.0))
        grade = run.Graded(
            rule="answers-the-request",
            by="review:weekly",
            verdict="holds" if score >= _GOOD_ENOUGH else "fails",
            score=score,
            message="Read by a person in the weekly review.",
        )
        return (Remark(event=grade, actor="user:mara", hours_later=self._rng.uniform(20, 70)),)

    def _order(self, at: datetime) -> dict[str, Any]:
        return self._rng.choice(self._shop.orders_before(at)[-200:])

    def _whereabouts(self, at: datetime) -> Job:
        order = self._order(at)
        asked = self._rng.choice(
            (
                "Where is order {number}?",
                "Where is order {number}? It left on Monday",
                "注文{number}はどこですか？",
                "Has my order {number} been sent 📦?",
                "أين طلبي رقم {number}؟",
            )
        )
        return job_of(
            "support",
            key="",
            at=at,
            prompt=asked.format(**order),
            policy=support.where_is(order["number"]),
            subject=order["customer"],
        )

    def _wrong_number(self, at: datetime) -> Job:
        customer = self._rng.choice(PEOPLE)[0]
        number = FIRST_ORDER + ORDERS + self._rng.randint(50, 9_000)
        return job_of(
            "support",
            key="",
            at=at,
            prompt=f"Where is order {number}?",
            policy=support.wrong_number(number, customer),
            subject=customer,
        )

    def _history(self, at: datetime) -> Job:
        customer = self._rng.choice(PEOPLE)[0]
        return job_of(
            "support",
            key="",
            at=at,
            prompt="What have I ordered so far, and what would it cost today?",
            policy=support.history(customer, self._rng.choice((3, 5, 12, 25, 40))),
            subject=customer,
        )

    def _refund(self, at: datetime) -> Job:
        free = [order for order in self._shop.orders_before(at)[-200:] if order["number"] not in self._taken]
        order = self._rng.choice(free)
        self._taken.add(order["number"])
        return job_of(
            "support",
            key="",
            at=at,
            prompt=f"Refund order {order['number']} and tell the customer",
            policy=support.gives_refund(order["number"], order["customer"]),
            subject=order["customer"],
        )

    def _change(self, at: datetime) -> Job:
        change, rng = self._rng.choice(coder.CHANGES), self._rng
        looks = rng.choice((0, 1, 2, 3, 5, 8, 12, 20, 30, 45, 70))
        policy = coder.changes(change, Random(rng.random()), looks=looks, slips=rng.random() < 0.25)  # noqa: S311, PLR2004
        return job_of(
            "coder",
            key="",
            at=at,
            prompt=change.title,
            policy=policy,
            subject=rng.choice(PEOPLE)[0],
            model=rng.choice(("orion-3", "orion-3", "vela-1-large")),
        )

    def _query(self, at: datetime) -> Job:
        rng = self._rng
        questions = analyst.queries(rng, rng.choice((1, 1, 2, 3, 4, 6, 10, 16, 30, 60)))
        compacts = 20 if len(questions) > 20 else 0  # noqa: PLR2004
        prompt = (
            questions[0][0] if len(questions) == 1 else f"{questions[0][0]} And {len(questions) - 1} more questions"
        )
        return job_of(
            "analyst",
            key="",
            at=at,
            prompt=prompt,
            subject=rng.choice(PEOPLE)[0],
            model=rng.choice(("lyra-2", "orion-3")),
            policy=analyst.digs(questions, slips=rng.random() < 0.2, compacts_every=compacts),  # noqa: PLR2004
        )

    def _services(self, at: datetime) -> Job:
        return job_of(
            "ops",
            key="",
            at=at,
            prompt="Are the services well? Restart what holds too much memory",
            policy=ops.looks_after(self._rng.randint(2, len(SERVICES))),
        )

    def _some_backups(self, at: datetime) -> Job:
        count = self._rng.choice((10, 20, 40, 60))
        return job_of(
            "ops",
            key="",
            at=at,
            prompt=f"Check the backups of the first {count} tenants",
            policy=ops.checks_backups(count, oldest=iso(self._until - timedelta(hours=_STALE_HOURS))),
        )

    def _declined(self, at: datetime) -> Job:
        return job_of(
            "ops",
            key="",
            at=at,
            prompt=self._rng.choice(_DECLINED),
            policy=ops.declines("no tool for this; left to a person, nothing was changed"),
        )

    def _letter(self, at: datetime) -> Job:
        letter = self._rng.choice(writer.LETTERS)
        return job_of("writer", key="", at=at, prompt=letter.title, policy=writer.translates(letter), subject="user-28")

    def _release_note(self, at: datetime) -> Job:
        version = f"4.{self._rng.randint(6, 12)}"
        return job_of(
            "writer",
            key="",
            at=at,
            prompt=f"Write the release note for {version}",
            policy=writer.notes_release(version),
            model=self._rng.choice(tuple(PRICES)),
            subject="user-28",
        )

    def _revision(self, at: datetime) -> Job:
        rounds = self._rng.choice((1, 2, 4, 8, 15))
        return job_of(
            "writer",
            key="",
            at=at,
            prompt="Make our style guide clearer ✍️",
            policy=writer.revises(rounds),
            subject="user-51",
        )
