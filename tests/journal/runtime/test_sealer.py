"""The sealer: each event once, in its project's log; and whatever is done to the journal afterwards is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from journal.domain.leaf import leaf_of, occurred_leaf
from journal.domain.merkle import Frontier, grow, root_of
from journal.domain.note import open_checkpoint
from journal.domain.proof import check_inclusion
from journal.errors import Refused
from journal.models import Dispatch, EventRow, Log, LogHead, LogTile
from journal.runtime import checkpoint, log_check, log_heads, log_keys, log_rows, sealer
from journal.runtime.checkpoint import Fenced
from journal.runtime.log_heads import Heads
from journal.runtime.log_keys import KeyPlace
from journal.runtime.subscription import run_once
from journal.store import get_store
from journal.store.sql import SqlStore
from tests.builders import identity, raw
from tests.triggers import put_back, take_away

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keys(tmp_path: Path) -> Iterator[KeyPlace]:
    """A key of the test's own."""
    before, place = log_keys.in_use(), KeyPlace(tmp_path, host="nagare.example")
    log_keys.use(place)
    yield place
    log_keys.use(before)


@pytest.fixture
def heads(tmp_path: Path) -> Iterator[Heads]:
    """Heads that are kept outside the database."""
    kept = Heads(tmp_path / "heads")
    log_heads.use(kept)
    yield kept
    log_heads.use(Heads(None))


@pytest.fixture(scope="module", autouse=True)
def _rows_can_be_altered(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Take the append-only triggers away, as whoever owns the database can."""
    with django_db_blocker.unblock():
        take_away()
    yield
    with django_db_blocker.unblock():
        put_back()


def written(count: int, *, project: str = "default", stream: str = "run-1") -> None:
    """Append so many events, one at a time."""
    store = get_store(project)
    start = store.stream_version(stream)
    for at in range(start + 1, start + count + 1):
        event = raw(data=f'{{"at":{at}}}'.encode(), id=identity((project, stream, at)))
        store.append(stream, [event], expected_version=at - 1)


def sealed(count: int = 0, *, project: str = "default", stream: str = "run-1") -> Log:
    """Append, seal, and return the project's log."""
    written(count, project=project, stream=stream)
    assert sealer.catch_up()
    found = log_rows.newest(project)
    assert found is not None
    return found


def answer(project: str = "default", previous: str | None = None) -> dict[str, str]:
    """Return what is wrong with a project's log, by the check that found it."""
    found = log_check.check_project(project, previous=previous)
    return {check.name: check.words for check in found.checks if check.is_good is not True}


def newest_note(log: Log) -> str:
    """Return the newest signed checkpoint."""
    head = log_rows.head(log)
    assert head is not None
    return head.note


def test_every_event_stands_in_its_projects_log_in_order(keys: KeyPlace) -> None:
    """The signed root is the root over the events' leaves, a log a project, however they came among each other."""
    for stream in ("run-1", "run-2", "run-1"):
        written(3, stream=stream)
        written(2, project="other", stream=stream)
    sealed()
    for project, count in (("default", 9), ("other", 6)):
        log = log_rows.newest(project)
        assert log is not None
        signed = open_checkpoint(newest_note(log), keys.keyring().verifiers).checkpoint
        leaves = [leaf_of(event).hash for event in get_store(project).read_all()]
        assert (signed.size, len(leaves)) == (count, count)
        assert signed.root == root_of(leaves) == log_rows.tiles(log).root()
        assert signed.origin == f"{keys.keyring().current.name}/log/{project}"
        assert answer(project) == {}


def test_in_batches_or_at_once_the_tree_is_the_same() -> None:
    """300 events, sealed here and there, have the tiles of 300 sealed at once; a full tile is not written again."""
    for count in (1, 7, 248, 44):
        log = sealed(count)
    once = root_of([leaf_of(event).hash for event in get_store().read_all()])
    assert log.size == 300
    assert log_rows.tiles(log).root() == once
    places = {
        (tile.level, tile.index): len(tile.hashes) // 32 for tile in LogTile.objects.filter(log=log, level__lt=64)
    }
    assert places == {(0, 0): 256, (0, 1): 44, (1, 0): 1}
    assert answer() == {}


def test_a_leaf_is_the_same_whatever_database_holds_the_event() -> None:
    """The bytes and times that were appended give it, and those that are read back."""
    data, now = '{"z":1e2, "a":"ü\u2028","n":9007199254740993}'.encode(), datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC)
    kind: type[SqlStore] = type(get_store())  # type: ignore[assignment]
    store = kind("default", clock=lambda: now)
    store.append("run-1", [raw(data=data, id=identity("one"))], expected_version=0)
    entry = leaf_of(next(iter(store.read_all()))).entry
    assert entry == (
        b'{"data_sha256":"'
        + sha256(data).hexdigest().encode()
        + b'","event_id":"'
        + identity("one").encode()
        + b'","meta_sha256":"'
        + sha256(b"{}").hexdigest().encode()
        + b'","project":"default",'
        b'"recorded_at":"2026-11-22T01:02:03.000004Z","schema":1,"stream":"run-1","subject_keys":[],'
        b'"type":"test.noted","v":1,"version":1}'
    )


def test_a_log_from_before_there_was_a_tree_over_the_times_gets_one() -> None:
    """With the next batch, over every event; and until then nothing is said of times."""
    log = sealed(3)
    LogTile.objects.filter(log=log, level__gte=log_rows.OCCURRED).delete()
    LogHead.objects.filter(log=log).update(occurred_note="")
    Log.objects.filter(pk=log.pk).update(occurred=b"")
    alter(1, occurred_us=1_000_000)
    assert answer() == {}
    log = sealed(1)
    assert log_rows.tiles(log, base=log_rows.OCCURRED).root() == root_of(
        [occurred_leaf(event) for event in get_store().read_all()]
    )
    alter(1, occurred_us=2_000_000)
    assert "entry 1 of the log is not what was sealed" in answer()["events"]


def _no_times(log: Log) -> None:
    Log.objects.filter(pk=log.pk).update(occurred=b"")


def _no_times_at_all(log: Log) -> None:
    _no_times(log)
    LogTile.objects.filter(log=log, level__gte=log_rows.OCCURRED).delete()
    LogHead.objects.filter(log=log).update(occurred_note="")


def _no_head_of_times(log: Log) -> None:
    LogHead.objects.filter(log=log).update(occurred_note="")


def _head_of_events(log: Log) -> None:
    LogHead.objects.filter(log=log).update(occurred_note=newest_note(log))


def _no_tiles_of_times(log: Log) -> None:
    LogTile.objects.filter(log=log, level__gte=log_rows.OCCURRED).delete()


def _other_row_and_tiles(log: Log) -> None:
    """Let row and tiles hold the altered times, signed by nobody."""
    growth = grow(Frontier(), [occurred_leaf(event) for event in get_store().read_all()], lambda *_: b"")
    Log.objects.filter(pk=log.pk).update(occurred=b"".join(growth.frontier.roots))
    for (level, index), hashes in growth.tiles.items():
        LogTile.objects.filter(log=log, level=log_rows.OCCURRED + level, index=index).update(hashes=hashes)


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (_no_times, "the log's tree over them is gone"),
        (_no_times_at_all, "the log's tree over them is gone"),
        (_no_head_of_times, "the head over the times is not this installation's"),
        (_head_of_events, "they give another root"),
        (_no_tiles_of_times, "was given another time of occurrence"),
        (_other_row_and_tiles, "they give another root"),
    ],
)
def test_times_that_were_sealed_are_never_sealed_anew(
    heads: Heads, tamper: Callable[[Log], None], words: str, django_capture_on_commit_callbacks: Any
) -> None:
    """Whoever takes their tree away to give an event another time stops the log, and a check says so before that."""
    with django_capture_on_commit_callbacks(execute=True):
        log = sealed(5)
    assert answer() == {}
    if tamper is not _no_head_of_times and tamper is not _head_of_events:
        alter(2, occurred_us=1_000_000)
    tamper(log)
    assert words in " ".join(answer().values())
    log = sealed(1)
    assert (log.size, bool(log.broken)) == (5, True)
    assert "sealing" in answer()


def test_a_second_look_seals_nothing_twice() -> None:
    """Nothing new is no new checkpoint."""
    log = sealed(5)
    before = LogHead.objects.count()
    assert sealed().size == log.size
    assert LogHead.objects.count() == before


def test_a_sealed_event_has_a_proof_and_a_new_one_has_not() -> None:
    """Of each event, under the newest checkpoint and under every earlier one that holds it."""
    for count in (3, 1, 260):
        log = sealed(count)
    events = list(get_store().read_all())
    written(1, stream="run-9")
    late = list(get_store().read_all())[-1]
    assert log_rows.proof_of(log, late.position) is None
    for head in LogHead.objects.filter(log=log):
        for index in {0, 2, 3, head.size - 1} & set(range(head.size)):
            proof = log_rows.proof_of(log, events[index].position, under=head)
            assert proof is not None
            assert proof.index == index
            leaf = leaf_of(events[index]).hash
            check_inclusion(leaf, index=index, size=head.size, path=proof.path, root=bytes(head.root))


def test_a_sealer_that_lost_its_lease_writes_nothing() -> None:
    """The checkpoint carries a later token: the whole batch is undone."""
    sealed(3)
    token = checkpoint.read(sealer.NAME).token
    checkpoint.take(sealer.NAME, token=token + 1)
    written(2)
    with pytest.raises(Fenced):
        run_once(sealer.subscription(), token=token)
    log = log_rows.newest("default")
    assert log is not None
    assert log.size == 3
    assert run_once(sealer.subscription(), token=token + 1).events == 2


def test_a_log_that_moved_meanwhile_is_not_written_over() -> None:
    """Two histories of one size cannot both be signed: the row moves on from the size that was read, or not at all."""
    stale = sealed(3)
    log = sealed(1)
    assert (stale.size, log.size) == (3, 4)
    frontier, occurred = log_rows.frontier_of(log), log_rows.occurred_frontier_of(log)
    assert not log_rows.move_on(stale, frontier=frontier, occurred=occurred, position=log.position)


def at(index: int) -> EventRow:
    """Return the row of the event at a place in the order."""
    return list(EventRow.objects.order_by("position"))[index]


def alter(index: int, **fields: object) -> None:
    """Change a row as whoever owns the database can."""
    EventRow.objects.filter(pk=at(index).pk).update(**fields)


def drop(index: int) -> None:
    """Remove a row."""
    EventRow.objects.filter(pk=at(index).pk).delete()


def swap(first: int, second: int) -> None:
    """Let two events exchange what they say."""
    one, other = at(first), at(second)
    alter(first, data=bytes(other.data), metadata=bytes(other.metadata))
    alter(second, data=bytes(one.data), metadata=bytes(one.metadata))


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda: alter(4, data=b'{"at":6}'), "entry 4 of the log is not what was sealed: run-1 version 5"),
        (lambda: alter(4, metadata=b'{"actor":"me"}'), "was altered"),
        (lambda: alter(4, type="test.other"), "was altered"),
        (lambda: alter(4, recorded_us=1_000_000), "was altered"),
        (lambda: alter(4, occurred_us=1_000_000), "run-1 version 5 (test.noted, event"),
        (lambda: drop(4), "entry 4 of the log is missing: 1 events were removed before run-1 version 6"),
        (lambda: drop(9), "entry 9 of the log has no event any more: the last 1 sealed events are gone"),
        (lambda: swap(2, 7), "entry 2 of the log is not what was sealed"),
    ],
    ids=[
        "data",
        "metadata",
        "type",
        "back-dated",
        "said to have occurred before",
        "dropped",
        "last dropped",
        "swapped",
    ],
)
def test_what_was_done_to_a_sealed_event_is_found(tamper: Callable[[], None], words: str) -> None:
    """And where; the log itself is as it was."""
    sealed(10)
    tamper()
    found = answer()
    assert list(found) == ["events"]
    assert words in found["events"]


def test_an_event_that_was_slipped_in_is_found() -> None:
    """At a position of the past that no event had."""
    sealed(3)
    written(1, stream="gap-1")
    hole = at(3).position
    drop(3)  # it was never sealed: positions may have holes
    sealed(3, stream="run-2")
    assert answer() == {}
    slipped = at(2)
    slipped.pk, slipped.event_id, slipped.version = hole, identity("slipped in"), 4
    slipped.save(force_insert=True)
    assert "entry 3 of the log: run-1 version 4" in answer()["events"]
    assert "was not sealed" in answer()["events"]


def test_a_whole_rewritten_log_is_found_by_a_checkpoint_from_elsewhere() -> None:
    """Whoever holds the key and the database can sign another history, but not one that goes on from yesterday's."""
    note = newest_note(sealed(5))
    alter(1, data=b'{"at":99}')
    for model in (LogHead, LogTile, Log):
        model.objects.all().delete()
    checkpoint.advance(checkpoint.read(sealer.NAME), to=0, token=checkpoint.read(sealer.NAME).token)
    sealed(2)
    assert answer() == {}
    assert "does not go on from 5 events" in answer(previous=note)["previous checkpoint"]


@pytest.mark.parametrize("model", [LogTile, LogHead])
def test_a_log_with_rows_missing_is_signed_no_further(model: type[LogTile | LogHead]) -> None:
    """It stops, says why, and asks for an alert; another project's goes on."""
    log = sealed(5)
    sealed(5, project="other")
    model.objects.filter(log=log).delete()
    written(2)
    other = sealed(2, project="other")
    log.refresh_from_db()
    assert log.size == 5
    assert "default" in log.broken
    assert other.size == 7
    assert [row.effect for row in Dispatch.objects.filter(project="default")] == ["alert"]
    assert "sealing" in answer()
    assert answer("other") == {}


def test_a_head_of_another_key_stops_the_log(tmp_path: Path) -> None:
    """Somebody else's signature is none."""
    sealed(3)
    (tmp_path / "elsewhere").mkdir()
    log_keys.use(KeyPlace(tmp_path / "elsewhere", host="elsewhere.example"))
    log = sealed(1)
    assert "not signed by this installation" in log.broken
    assert "checkpoint" in answer()


def test_a_broken_log_goes_on_as_another_one_once_a_person_says_so() -> None:
    """The new log holds every event, and the one that says what happened."""
    log = sealed(4)
    LogTile.objects.filter(log=log).delete()
    written(1)
    sealed()
    log.refresh_from_db()
    sealer.reopen(log, note=newest_note(log), reason="the tiles were lost with a disk", by="anna")
    fresh = sealed(1)
    assert (fresh.epoch, fresh.broken) == (2, "")
    assert fresh.origin == f"{log.origin}/2"
    assert fresh.size == 7
    told = list(get_store().read_stream("log-default"))
    assert [(event.type, event.payload["origin"]) for event in told] == [("log.reopened", log.origin)]
    assert told[0].payload["checkpoint"] == newest_note(log)
    assert answer() == {}


def test_a_database_put_back_to_yesterday_opens_another_log(
    heads: Heads, django_capture_on_commit_callbacks: Any
) -> None:
    """The head outside the database is of more events than it holds: no second history is signed under one name."""
    with django_capture_on_commit_callbacks(execute=True):
        yesterday = sealed(3)
    newest = heads.newest(yesterday.origin)
    assert newest is not None
    assert newest[1].size == 3
    kept = list(LogHead.objects.values_list("pk", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        sealed(4)
    _put_back(yesterday, kept)
    with django_capture_on_commit_callbacks(execute=True):
        today = sealed(1)
    assert (today.epoch, today.size) == (2, 5)
    assert "put back to an earlier day" in Log.objects.get(pk=yesterday.pk).broken
    assert answer() == {}


def _put_back(log: Log, heads: list[int]) -> None:
    LogHead.objects.exclude(pk__in=heads).delete()
    EventRow.objects.filter(position__gt=log.position).delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE journal_stream SET version = 3 WHERE name = 'run-1'")
        cursor.execute("UPDATE journal_checkpoint SET position = %s WHERE name = 'sealer'", [log.position])
    LogTile.objects.update(hashes=bytes(LogTile.objects.get(level=0, index=0).hashes)[: 3 * 32])
    Log.objects.filter(pk=log.pk).update(size=log.size, position=log.position, frontier=log.frontier)


def test_a_database_that_holds_something_else_than_was_signed_stops(
    heads: Heads, django_capture_on_commit_callbacks: Any
) -> None:
    """As many events as were signed elsewhere, but not those."""
    with django_capture_on_commit_callbacks(execute=True):
        log = sealed(3)
    alter(1, data=b'{"at":99}')
    for model in (LogHead, LogTile):
        model.objects.all().delete()
    Log.objects.update(size=0, position=0, frontier=b"", occurred=b"")
    kept = heads.newest(log.origin)
    log_heads.use(Heads(None))
    checkpoint.advance(checkpoint.read(sealer.NAME), to=0, token=checkpoint.read(sealer.NAME).token)
    sealed(1)
    log_heads.use(heads)
    assert kept is not None
    assert "no longer holds the first 3 events" in sealed().broken


def test_a_rotated_key_goes_on_with_the_log_and_former_ones_still_count(keys: KeyPlace) -> None:
    """The old key signs the new one's line; heads of both can be checked."""
    before = newest_note(sealed(3))
    was, now = keys.rotate()
    log = sealed(2)
    assert was.current.verifier == now.former[0]
    assert was.current.name == now.current.name
    opened = open_checkpoint(newest_note(log), [now.current.verifier])
    assert opened.checkpoint.size == 5
    assert answer(previous=before) == {}


def test_a_key_that_is_handed_in_is_not_replaced_here(tmp_path: Path) -> None:
    """Whoever handed it in does that."""
    place = KeyPlace(tmp_path, given=log_keys.made_line("nagare.example/log"))
    with pytest.raises(Refused, match="NAGARE_SIGNING_KEY"):
        place.rotate()
    assert place.keyring().current.name == "nagare.example/log"


def test_the_keys_file_is_its_owners_alone(keys: KeyPlace, tmp_path: Path) -> None:
    """And made once."""
    first = keys.keyring().current.verifier
    assert keys.keyring().current.verifier == first
    assert (tmp_path / "log_key").stat().st_mode & 0o777 == 0o600
