"""Redis as broker, channel layer and bell: what is sent arrives, what arrives twice is done once."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import pytest
from asgiref.sync import async_to_sync
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from channels_redis.pubsub import RedisPubSubChannelLayer  # type: ignore[import-untyped]
from django.db import connections

from journal.access import add_project
from journal.api import rates
from journal.api.refusals import TooManyRequests
from journal.domain.stream import stream_name
from journal.models import Job
from journal.runtime import job as jobs
from journal.runtime import job_process
from journal.runtime.job_process import runs
from journal.runtime.wakeup import Nudges, nudge, wakeups
from journal.store import get_store
from tests import servers

PATIENCE_S: Final = 60


@pytest.fixture(scope="session")
def redis() -> str:
    """Return the URL of the one Redis of these tests."""
    try:
        return servers.redis_url()
    except servers.Missing as missing:
        pytest.skip(f"no Redis: {missing}")


# --- Waking -----------------------------------------------------------------------------------------------------------


@contextmanager
def following(url: str) -> Iterator[threading.Semaphore]:
    """Follow the journal as programs do, with a poll that never comes: only the bell wakes. Counts the looks."""
    stop, looks = threading.Event(), threading.Semaphore(0)

    def follow() -> None:
        for _ in wakeups(poll_s=PATIENCE_S, stop=stop, redis_url=url):
            looks.release()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        while thread.is_alive():
            nudge(redis_url=url)
            thread.join(0.05)


def test_a_nudge_over_redis_wakes_who_follows_the_journal(redis: str) -> None:
    """Long before the poll would; an append's nudge, which goes out on the side, as well."""
    with following(redis) as looks:
        assert looks.acquire(timeout=PATIENCE_S)  # it is listening
        assert nudge(redis_url=redis)
        assert looks.acquire(timeout=PATIENCE_S / 2)
        Nudges(redis_url=redis).ring()
        assert looks.acquire(timeout=PATIENCE_S / 2)


# --- Browsers ---------------------------------------------------------------------------------------------------------


def test_the_channel_layer_carries_a_message_from_one_process_to_another(redis: str) -> None:
    """Two layers, as two web processes have, one group."""

    async def told() -> dict[str, Any]:
        here, there = (RedisPubSubChannelLayer(hosts=[redis]) for _ in range(2))
        try:
            channel = await here.new_channel()
            await here.group_add("run-7", channel)
            await there.group_send("run-7", {"type": "appended", "version": 3})
            return dict(await here.receive(channel))
        finally:
            await here.flush()
            await there.flush()

    assert async_to_sync(told)() == {"type": "appended", "version": 3}


# --- Jobs -------------------------------------------------------------------------------------------------------------


class Dawdling:
    """A kind of job that ends once its task was delivered for the second time."""

    name = "dawdling"

    def __init__(self) -> None:
        self.again, self.steps_done = threading.Event(), 0

    def steps(self, job: Job) -> Sequence[str]:
        """One, and it takes long."""
        return ["wait"]

    def run_step(self, job: Job, step: str, *, done: int) -> int:
        """Take longer than the broker is patient."""
        assert self.again.wait(PATIENCE_S)
        self.steps_done += 1
        jobs.beat(job, done=1, result={"deliveries": 2})
        return 1

    def clean_up(self, job: Job) -> None:
        """Leave nothing behind."""


@pytest.fixture
def dawdling(monkeypatch: pytest.MonkeyPatch) -> Dawdling:
    """Register that kind of job for a test."""
    kind = Dawdling()
    monkeypatch.setattr(job_process, "_kinds", dict(job_process._kinds))
    runs(kind)
    return kind


@contextmanager
def worker(url: str) -> Iterator[Celery]:
    """Run a worker on Redis with the project's settings, which takes work for lost after two seconds."""
    app = Celery("test", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    impatient = {"visibility_timeout": 2, "unacked_restore_interval": 0.5, "unacked_restore_throttle": 1}
    app.conf.update(task_always_eager=False, broker_url=url, broker_transport=None, broker_transport_options=impatient)
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False, shutdown_timeout=PATIENCE_S):
        yield app


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_job_that_outlasts_the_brokers_patience_is_done_once(redis: str, dawdling: Dawdling) -> None:
    """Its task comes again while it is at work: one result, one outcome in the journal, one attempt."""
    add_project("default")
    job = jobs.enqueue(kind=dawdling.name, project="default", user_id=None, arguments={}, unit="steps")
    delivered, ended = threading.Semaphore(0), threading.Semaphore(0)

    def on_delivery(**_: Any) -> None:
        delivered.release()

    def on_end(**_: Any) -> None:
        connections.close_all()
        ended.release()

    signals.task_prerun.connect(on_delivery)
    signals.task_postrun.connect(on_end)
    try:
        with worker(redis) as app:
            app.tasks["journal.tasks.run_import"].apply_async((job.id,))
            for _ in range(2):
                assert delivered.acquire(timeout=PATIENCE_S)
            assert ended.acquire(timeout=PATIENCE_S)  # the second one found the job taken
            dawdling.again.set()
            assert ended.acquire(timeout=PATIENCE_S)
    finally:
        signals.task_prerun.disconnect(on_delivery)
        signals.task_postrun.disconnect(on_end)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.result, dawdling.steps_done) == ("done", 1, {"deliveries": 2}, 1)
    told = [event.type for event in get_store("default").read_stream(stream_name("job", job.id))]
    assert told == ["job.submitted", "job.step_done", "job.ended"]


# --- Rates of the API -------------------------------------------------------------------------------------------------


def test_all_processes_count_requests_together(redis: str, settings: Any) -> None:
    """What another process counted counts here; each holder by itself, each minute anew."""
    settings.API_RATE, settings.CONFIG = 3, replace(settings.CONFIG, redis_url=redis)
    here, there = f"token:{secrets.token_hex(8)}", rates._Redis(redis)
    assert [there.count(here, 7), there.count(here, 7)] == [1, 2]
    rates.check(here, now=7 * 60.0)
    with pytest.raises(TooManyRequests):
        rates.check(here, now=7 * 60.0 + 59)
    rates.check(f"{here}-other", now=7 * 60.0)
    rates.check(here, now=8 * 60.0)


def test_without_redis_each_process_counts_by_itself(settings: Any) -> None:
    """A server that does not answer is left alone for a while, and nobody waits for it."""
    url = f"redis://127.0.0.1:{servers.free_port()}/0"
    settings.API_RATE, settings.CONFIG = 1, replace(settings.CONFIG, redis_url=url)
    rates.forget()
    rates.check("token:a", now=0.0)
    with pytest.raises(TooManyRequests):
        rates.check("token:a", now=1.0)
    assert rates._shared(url)._not_before > 0
    rates.forget()
