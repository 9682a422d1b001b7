"""Rebuilds: beside the live read model, in pieces, swapped in one step, and equal to what the journal says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import TestCase as DjangoTestCase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from journal.models import Checkpoint, Job, Lease, ParkedEvent, Project
from journal.runtime import beside, checkpoint, job_process, lease, parked, rebuilds
from journal.runtime import job as jobs
from journal.runtime import projection as projections
from journal.runtime.checkpoint import Fenced
from journal.runtime.subscription import HandlingStopped, run_once
from journal.store import every_project
from journal.tasks import reap
from tests.journal.runtime.names import Names, append, generations

pytestmark = pytest.mark.django_db


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A registered projection in small batches, over a journal of seven events."""
    monkeypatch.setattr(projections, "BATCH", 2)
    made = Names()
    monkeypatch.setitem(projections._projections, made.name, made)
    append("a", "b", "a", "c", "b", "a", "d")
    projections.catch_up(made)
    return made


NOW = {"a": "3", "b": "2", "c": "1", "d": "1"}


def die(names: Names, *, at_batch: int) -> None:
    """Let the process end in a batch of the generation that is being built."""
    batches = iter(range(100))

    def before(generation: int) -> None:
        if generation and next(batches) == at_batch:
            raise Crash

    names.before = before


def forget_the_dead() -> None:
    """Let the time of dead workers be over: leases expire, heartbeats are old."""
    Lease.objects.update(expires_at="2000-01-01T00:00:00Z")
    Job.objects.filter(status="running").update(heartbeat_at=datetime.now(UTC) - timedelta(minutes=1))


def test_a_rebuild_gives_what_the_journal_says(names: Names) -> None:
    """Whatever became of the rows meanwhile; the old ones are gone afterwards."""
    Project.objects.filter(slug="run-0-a").update(name="spoilt")
    done = projections.rebuild(names)
    assert (done.handled, names.rows()) == (7, NOW)
    assert len(generations()) == 1


def test_pages_see_the_old_rows_until_the_swap(names: Names) -> None:
    """All of them at every moment, while events go on coming in."""
    seen: list[dict[str, str]] = []

    def meanwhile(_position: int, _head: int) -> None:
        if len(seen) < 5:
            append("e")
            projections.catch_up(names)
            seen.append(names.rows())

    with beside.sole(names) as term:
        building = beside.begin(names, term=term, batch=2)
        beside.build(building, on_progress=meanwhile)
        assert names.rows() == {**NOW, "e": "5"}
        beside.swap(building)
    assert seen == [{**NOW, "e": str(at)} for at in (1, 2, 3, 4, 5)]
    assert names.rows() == {**NOW, "e": "5"}


def test_the_swap_takes_pages_back_in_no_respect(names: Names) -> None:
    """What the live read model handled between the last batch and the swap is handled within the swap."""
    with beside.sole(names) as term:
        building = beside.begin(names, term=term)
        beside.build(building)
        append("a", "f")
        projections.catch_up(names)
        assert beside.swap(building) == 2
    assert names.rows() == {**NOW, "a": "4", "f": "1"}
    append("g")
    projections.catch_up(names)
    assert names.rows()["g"] == "1"


def test_a_live_batch_that_was_begun_before_the_swap_is_undone(names: Names) -> None:
    """Its rows belong to the old generation; the new one gets the events again."""
    outdated = projections.current(names)
    append("h")
    projections.rebuild(names)
    append("i")
    with pytest.raises(checkpoint.Overtaken):
        run_once(outdated)
    projections.catch_up(names)
    assert names.rows() == {**NOW, "h": "1", "i": "1"}
    assert len(generations()) == 1


def test_a_builder_that_was_replaced_neither_builds_nor_swaps(names: Names) -> None:
    """Its token is old: it was paused past its lease, and another process went on."""
    with beside.sole(names) as term:
        old = beside.begin(names, term=term)
        Lease.objects.filter(name=beside.lease_name(names.name)).update(expires_at="2000-01-01T00:00:00Z")
        with beside.sole(names) as later:
            new = beside.begin(names, term=later, resume=old.generation)
            with pytest.raises(Fenced):
                beside.build(old)
            beside.build(new)
            with pytest.raises(Fenced):
                beside.swap(old)
            beside.swap(new)
        with pytest.raises(Fenced):
            beside.swap(old)
    assert names.rows() == NOW


def test_two_do_not_rebuild_at_once(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is told after a while."""
    monkeypatch.setattr(lease, "TTL", timedelta(0))
    with (
        lease.guard(beside.lease_name(names.name), ttl=timedelta(hours=1)),
        pytest.raises(beside.RebuildUnderWay, match="being rebuilt already"),
    ):
        projections.rebuild(names)


def test_a_rebuild_stops_at_an_event_that_only_it_cannot_take(names: Names) -> None:
    """Pages keep the read model that could."""
    names.poison = set(append("z"))
    names.poison, poison = set(), names.poison
    projections.catch_up(names)
    names.poison = poison
    with pytest.raises(HandlingStopped, match="poison"):
        projections.rebuild(names)
    assert names.rows() == {**NOW, "z": "1"}


def test_a_rebuild_passes_what_is_parked_already_and_mends_what_it_can(names: Names) -> None:
    """An event the live read model could not take holds no rebuild up; one it can take now leaves the list."""
    both = append("y", "z")
    names.poison = set(both)
    projections.catch_up(names)
    names.poison = {both[1]}
    projections.rebuild(names)
    assert names.rows() == {**NOW, "y": "1"}
    assert list(ParkedEvent.objects.values_list("subscription", "event_id")) == [(names.name, both[1])]


def test_what_a_person_gave_up_stays_given_up(names: Names) -> None:
    """A rebuild that cannot take it either does not try it again; one that can takes it off the list."""
    given_up, waiting = append("y", "z")
    names.poison = {given_up, waiting}
    projections.catch_up(names)
    assert parked.skip(ParkedEvent.objects.get(event_id=given_up).id)
    projections.rebuild(names)
    states = dict(ParkedEvent.objects.values_list("event_id", "state"))
    assert states == {given_up: "skipped", waiting: "waiting"}
    names.poison = set()
    projections.rebuild(names)
    assert not ParkedEvent.objects.exists()


def test_a_read_model_equals_its_rebuild(names: Names) -> None:
    """Compared by the digest of its rows; nothing is left behind."""
    verdict = beside.verify(names)
    assert verdict.agrees
    assert verdict.position == checkpoint.read(names.name).position
    assert generations() == {0}
    assert not Checkpoint.objects.filter(name=beside.building_name(names.name)).exists()


def test_a_spoilt_read_model_is_told_from_its_rebuild(names: Names) -> None:
    """One value is enough."""
    Project.objects.filter(slug="run-0-a").update(name="9")
    assert not beside.verify(names).agrees


# --- As a job ---------------------------------------------------------------------------------------------------------


def test_a_job_rebuilds_and_tells_how_far_it_is(names: Names) -> None:
    """Progress is a position, and ends where the journal did."""
    job = rebuilds.submit(names.name)
    head = projections.progress(names).head
    assert rebuilds.submit(names.name).id == job.id
    done = job_process.run(job.id)
    assert done is not None
    assert (done.status, done.done) == ("done", done.total)
    assert done.done >= head
    assert (done.result or {})["swapped"]
    assert names.rows() == NOW


@pytest.mark.parametrize("at_batch", range(4))
def test_a_worker_that_dies_is_followed_by_one_that_goes_on(names: Names, at_batch: int) -> None:
    """In the same generation, from the batch after the last that was finished; the row says so to both."""
    job = rebuilds.submit(names.name)
    die(names, at_batch=at_batch)
    with pytest.raises(Crash):
        job_process.run(job.id)
    handled_before = checkpoint.read(beside.building_name(names.name)).position
    job.refresh_from_db()
    generation = (job.result or {})["generation"]
    forget_the_dead()
    names.before = lambda _: None
    names.taken.clear()
    done = job_process.run(job.id)
    assert done is not None
    assert (done.status, done.attempt, (done.result or {})["generation"]) == ("done", 2, generation)
    next_one = next(iter(every_project().read_all(after=handled_before)))
    assert min(names.taken) == (generation, next_one.position)
    assert names.rows() == NOW


@pytest.mark.parametrize("step", ["begin", "swap", "discard_old"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_may_die_between_any_two_steps(
    names: Names, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """The next one does what is left, and the swap happens once."""
    job = rebuilds.submit(names.name)
    right = getattr(beside, step)

    def dies(*args: object, **kwargs: object) -> None:
        if when == "after":
            right(*args, **kwargs)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(beside, step, dies)
        with pytest.raises(Crash):
            job_process.run(job.id)
    assert names.rows() == NOW
    forget_the_dead()
    done = job_process.run(job.id)
    assert done is not None
    assert done.status == "done"
    assert names.rows() == NOW
    assert len(generations()) == 1
    assert beside.verify(names).agrees


def test_a_cancelled_rebuild_changes_nothing_and_can_be_resumed(names: Names) -> None:
    """It stops at its next batch and keeps what it has built; resumed, it goes on from there."""
    job = rebuilds.submit(names.name)
    built: list[int] = []

    def before(generation: int) -> None:
        if generation:
            built.append(generation)
            if len(built) == 2:
                assert jobs.cancel(job.id)

    names.before = before
    assert job_process.run(job.id) is None
    assert checkpoint.read(names.name).generation == 0
    assert jobs.resume(job.id)
    names.before = built.append
    forget_the_dead()
    done = job_process.run(job.id)
    assert done is not None
    assert done.status == "done"
    assert (len(set(built)), names.rows()) == (1, NOW)


def test_a_new_rebuild_begins_anew_and_removes_what_a_cancelled_one_left(names: Names) -> None:
    """It may have been cancelled because it was wrong."""
    job = rebuilds.submit(names.name)
    die(names, at_batch=2)
    with pytest.raises(Crash):
        job_process.run(job.id)
    jobs.cancel(job.id)
    forget_the_dead()
    names.before = lambda _: None
    other = rebuilds.submit(names.name)
    assert other.id != job.id
    assert job_process.run(other.id) is not None
    assert names.rows() == NOW
    assert len(generations()) == 1


def test_the_reaper_rebuilds_what_other_code_filled(names: Names) -> None:
    """Once: a rebuild that fails under this code is not asked for again."""
    names.code_version = 2
    reap()
    assert not projections.is_outdated(names)
    assert names.rows() == NOW
    names.code_version = 3
    names.poison = set(append("z"))
    Checkpoint.objects.filter(name=names.name).update(position=projections.progress(names).head)
    reap()
    reap()
    assert list(Job.objects.order_by("created_at").values_list("status", flat=True)) == ["done", "failed"]


def test_the_command_cancels_resumes_waits_and_compares(names: Names, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says is what happened."""
    for words in (["--json"], ["--cancel"], ["--cancel"], ["--resume", "--wait"], ["--verify"]):
        call_command("rebuild", names.name, *words)
    told = capsys.readouterr().out
    assert '"status": "queued"' in told
    assert f"{names.name}: cancelled" in told
    assert f"{names.name}: no rebuild is under way" in told
    assert f"{names.name}: rebuilt, at position" in told
    assert f"{names.name} equals its rebuild" in told
    assert list(Job.objects.values_list("status", flat=True)) == ["done"]
    Project.objects.filter(slug__endswith="-a").update(name="spoilt")
    with pytest.raises(CommandError, match=f"nagare rebuild {names.name}"):
        call_command("rebuild", names.name, "--verify")
    with pytest.raises(CommandError, match="no projection 'nothing'; there is"):
        call_command("rebuild", "nothing")


class TestAnyOrder(TestCase, DjangoTestCase):
    """Whatever happens in whatever order, the read model is the one the journal says."""

    @settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.sampled_from(["append", "catch up", "rebuild", "die", "verify"]), max_size=12))
    def test_the_read_model_is_a_function_of_the_journal(self, story: list[str]) -> None:
        """Appends, catching up, rebuilds, deaths in the middle of them, comparisons."""
        names = Names()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(projections, "BATCH", 2)
            for what in story:
                self._do(names, what)
            projections.catch_up(names)
        assert beside.verify(names).agrees
        assert len(generations()) <= 1

    def _do(self, names: Names, what: str) -> None:
        forget_the_dead()
        names.before = lambda _: None
        if what == "append":
            append("a", "b", "a")
        elif what == "catch up":
            projections.catch_up(names)
        elif what == "rebuild":
            projections.rebuild(names)
        elif what == "die":
            die(names, at_batch=1)
            try:
                projections.rebuild(names)
            except Crash:
                return
        elif what == "verify":
            projections.catch_up(names)
            assert beside.verify(names).agrees
