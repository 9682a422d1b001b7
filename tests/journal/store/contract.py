"""What every event store promises: each store runs this suite. A store's test module gives the `new_store` fixture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from journal.domain.sieve import Types
from journal.domain.stream import ANY_VERSION, NO_STREAM
from journal.errors import EventIdReused, EventNotFound, PayloadRefused, WrongExpectedVersion
from journal.store.protocol import EventStore
from journal.store.sql import moment
from tests.builders import identity, raw

EVERY = Types(frozenset(), are_left_out=True)
NewStore = Callable[[str], EventStore]


class StoreContract:
    """The promises, one test each."""

    @pytest.fixture
    def store(self, new_store: NewStore) -> EventStore:
        """An empty journal of one project."""
        return new_store("default")

    def test_a_late_writer_learns_the_actual_version(self, store: EventStore) -> None:
        """Appending at an old version raises, names both versions, and stores nothing."""
        store.append("run-7", [raw(), raw()], expected_version=NO_STREAM)
        with pytest.raises(WrongExpectedVersion) as caught:
            store.append("run-7", [raw()], expected_version=1)
        assert (caught.value.expected, caught.value.actual) == (1, 2)
        assert versions(store, "run-7") == [1, 2]

    @pytest.mark.parametrize("expected", [3, 7])
    def test_an_expected_version_ahead_of_the_stream_leaves_no_hole(self, store: EventStore, expected: int) -> None:
        """A writer that is ahead of the stream is refused like one that is behind."""
        store.append("run-7", [raw(), raw()], expected_version=NO_STREAM)
        with pytest.raises(WrongExpectedVersion):
            store.append("run-7", [raw()], expected_version=expected)
        assert versions(store, "run-7") == [1, 2]

    def test_any_version_appends_at_the_end(self, store: EventStore) -> None:
        """Whoever does not mind appends behind what is there, also to a new stream."""
        store.append("run-7", [raw()], expected_version=ANY_VERSION)
        assert store.append("run-7", [raw()], expected_version=ANY_VERSION).version == 2

    def test_bytes_come_back_as_they_went_in(self, store: EventStore) -> None:
        """Key order, spacing, big integers and escapes of data and metadata are kept."""
        data = b'{ "z": 1.0, "a": 123456789012345678901234567890,\n "\\u00e9": "\xc3\xa9\xf0\x9f\xa6\x80" }'
        metadata = b'{"correlationId": "c-1",  "extra": [1e2]}'
        store.append("run-7", [raw(data=data, metadata=metadata)], expected_version=NO_STREAM)
        (event,) = store.read_stream("run-7")
        assert (event.data, event.metadata) == (data, metadata)

    def test_a_megabyte_comes_back(self, store: EventStore) -> None:
        """Payloads may be large."""
        data = b'{"text": "' + b"x" * 3_000_000 + b'"}'
        store.append("run-7", [raw(data=data)], expected_version=NO_STREAM)
        assert next(store.read_stream("run-7")).data == data

    def test_five_thousand_events_in_one_append_return(self, store: EventStore) -> None:
        """A large batch is one append, ten megabytes of it too."""
        large = b'{"text": "' + b"x" * 2_000 + b'"}'
        events = [raw(data=large) for _ in range(5000)]
        assert store.append("run-7", events, expected_version=NO_STREAM).version == 5000
        assert versions(store, "run-7") == list(range(1, 5001))

    @pytest.mark.parametrize(
        "bad",
        [b'{"a": "\\u0000"}', b'{"a": "\\ud800"}', b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[]", b"no", b'{"\xff": 1}'],
    )
    def test_a_batch_with_one_bad_payload_stores_nothing(self, store: EventStore, bad: bytes) -> None:
        """What could not be kept unchanged is refused, and everything that came with it."""
        with pytest.raises(PayloadRefused, match="event 2"):
            store.append("run-7", [raw(), raw(data=bad), raw()], expected_version=NO_STREAM)
        assert store.stream_version("run-7") == 0
        assert store.head() == 0

    @pytest.mark.parametrize("stream", ["", "Run-7", "run", "run-", "run-a/b", "run-é"])
    def test_a_stream_name_that_no_address_carries_is_refused(self, store: EventStore, stream: str) -> None:
        """Names are checked before anything is written."""
        with pytest.raises(PayloadRefused):
            store.append(stream, [raw()], expected_version=NO_STREAM)

    def test_streams_that_differ_in_case_only_are_two(self, store: EventStore) -> None:
        """Stream names are compared byte by byte."""
        store.append("run-a", [raw()], expected_version=NO_STREAM)
        store.append("run-A", [raw()], expected_version=NO_STREAM)
        assert (store.stream_version("run-a"), store.stream_version("run-A")) == (1, 1)

    def test_the_same_append_again_is_the_same_event(self, store: EventStore) -> None:
        """Known ids with the same content store nothing and answer as before, whatever version is expected."""
        events = [raw(id=identity("one")), raw(id=identity("two"))]
        first = store.append("run-7", events, expected_version=NO_STREAM)
        store.append("run-7", [raw()], expected_version=2)
        again = store.append("run-7", events, expected_version=NO_STREAM)
        assert (again.version, again.ids, again.is_new) == (2, first.ids, False)
        assert store.stream_version("run-7") == 3

    def test_a_known_id_with_other_content_is_refused(self, store: EventStore) -> None:
        """One id is one event, in all of the project."""
        store.append("run-7", [raw(data=b'{"a": 1}', id=identity("one"))], expected_version=NO_STREAM)
        for stream, data in (("run-7", b'{"a": 2}'), ("run-8", b'{"a": 1}')):
            with pytest.raises(EventIdReused, match="other content"):
                store.append(stream, [raw(data=data, id=identity("one"))], expected_version=ANY_VERSION)

    def test_known_and_new_ids_do_not_mix(self, store: EventStore) -> None:
        """A batch that is half there is refused whole: nobody can say where its rest belongs."""
        store.append("run-7", [raw(id=identity("one"))], expected_version=NO_STREAM)
        with pytest.raises(EventIdReused, match="1 of the 2"):
            store.append("run-7", [raw(id=identity("one")), raw(id=identity("two"))], expected_version=ANY_VERSION)
        assert versions(store, "run-7") == [1]

    def test_an_id_twice_in_one_append_is_refused(self, store: EventStore) -> None:
        """Also before anything is written."""
        with pytest.raises(PayloadRefused, match="twice"):
            store.append("run-7", [raw(id=identity("one")), raw(id=identity("one"))], expected_version=NO_STREAM)
        assert store.stream_version("run-7") == 0

    def test_many_streams_are_told_at_once(self, store: EventStore) -> None:
        """The first event and those of some types, each stream up to its version, in order; others are not there."""
        for name, kinds in (("run-1", "abab"), ("run-2", "bbab"), ("run-3", "a")):
            store.append(name, [raw(f"test.{kind}") for kind in kinds], expected_version=NO_STREAM)
        wanted = {"run-1": 4, "run-2": 3, "run-3": 1, "run-missing": 2}
        assert told(store, wanted, Types(frozenset({"test.a"}))) == {"run-1": [1, 3], "run-2": [1, 3], "run-3": [1]}
        assert told(store, wanted, Types(frozenset({"test.a"}), are_left_out=True)) == {
            "run-1": [1, 2, 4],
            "run-2": [1, 2],
            "run-3": [1],
        }
        assert told(store, wanted, Types(frozenset())) == {"run-1": [1], "run-2": [1], "run-3": [1]}
        assert store.read_places({"run-1": 2, "run-3": 2, "run-missing": 1}) == {
            "run-1": list(store.read_stream("run-1"))[1]
        }

    def test_a_long_stream_is_told_in_pieces(self, store: EventStore) -> None:
        """Every event of it once, with what is stored of it."""
        events = [raw("test.a", data=b'{"n": %d}' % at) for at in range(5_100)]
        store.append("run-1", events, expected_version=NO_STREAM)
        store.append("run-2", [raw("test.a")], expected_version=NO_STREAM)
        pieces = [rows for name, rows in store.read_told({"run-1": 5_099, "run-2": 1}, types=EVERY) if name == "run-1"]
        rows = [row for piece in pieces for row in piece]
        assert [row[1] for row in rows] == list(range(1, 5_100))
        last = next(store.read_stream("run-1", after=5_098))
        assert rows[-1][2:5] == (last.type, last.schema, last.data)
        assert moment(rows[-1][5]) == last.occurred_at

    def test_an_id_is_given_where_the_caller_has_none(self, store: EventStore) -> None:
        """Ids of the store's own rise with time."""
        ids = store.append("run-7", [raw(), raw(), raw()], expected_version=NO_STREAM).ids
        assert list(ids) == sorted(set(ids))
        assert store.event(ids[1]).version == 2

    def test_events_are_found_by_their_ids(self, new_store: NewStore) -> None:
        """Those that there are, of this project alone, however many are asked for."""
        ours, theirs = new_store("ours"), new_store("theirs")
        ids = ours.append("run-7", [raw() for _ in range(3)], expected_version=0).ids
        other = theirs.append("run-7", [raw()], expected_version=0).ids[0]
        asked = [ids[2], other, *(identity(at) for at in range(1_100)), ids[0]]
        assert {name: event.version for name, event in ours.events(asked).items()} == {ids[2]: 3, ids[0]: 1}
        assert ours.events([]) == {}

    def test_positions_rise_over_all_streams(self, store: EventStore) -> None:
        """The journal's order is the order of appends, and each stream's order within it."""
        for at in range(12):
            store.append(f"run-{at % 3}", [raw(), raw()], expected_version=ANY_VERSION)
        events = list(store.read_all())
        positions = [event.position for event in events]
        assert positions == sorted(set(positions))
        assert store.head() == positions[-1]
        for stream in ("run-0", "run-1", "run-2"):
            assert [event.version for event in events if event.stream == stream] == list(range(1, 9))

    def test_reading_on_from_a_position_misses_and_repeats_nothing(self, store: EventStore) -> None:
        """A checkpoint goes in as it is."""
        for at in range(10):
            store.append(f"run-{at}", [raw()], expected_version=NO_STREAM)
        seen, after = [], 0
        while page := list(store.read_all(after=after, limit=3)):
            seen += [event.stream for event in page]
            after = page[-1].position
        assert seen == [f"run-{at}" for at in range(10)]

    def test_the_newest_are_the_end_of_what_is_read(self, new_store: NewStore) -> None:
        """In the order of positions, of this project alone; all of them where there are fewer."""
        ours, theirs = new_store("ours"), new_store("theirs")
        for at in range(6):
            ours.append(f"run-{at % 2}", [raw(), raw()], expected_version=ANY_VERSION)
            theirs.append("run-0", [raw()], expected_version=ANY_VERSION)
        events = list(ours.read_all())
        assert list(ours.read_newest(5)) == events[-5:]
        assert list(ours.read_newest(100)) == events
        assert list(new_store("empty").read_newest(3)) == []

    def test_a_range_is_after_exclusive_and_until_inclusive(self, store: EventStore) -> None:
        """Also where it reaches past the stream, and where there is none."""
        store.append("run-7", [raw() for _ in range(5)], expected_version=NO_STREAM)
        assert [event.version for event in store.read_stream("run-7", after=1, until=3)] == [2, 3]
        assert [event.version for event in store.read_stream("run-7", after=3, until=99)] == [4, 5]
        assert list(store.read_stream("run-7", after=9)) == []
        assert list(store.read_stream("run-none")) == []

    def test_a_category_is_every_stream_of_that_name(self, store: EventStore) -> None:
        """And no stream whose name only begins alike."""
        for stream in ("order-1", "order_line-1", "order-2"):
            store.append(stream, [raw()], expected_version=NO_STREAM)
        assert [event.stream for event in store.read_category("order")] == ["order-1", "order-2"]

    def test_projects_do_not_see_each_other(self, new_store: NewStore) -> None:
        """The same names and ids in two projects are two things, by every way of reading."""
        ours, theirs = new_store("ours"), new_store("theirs")
        ours.append("run-7", [raw(data=b'{"a": 1}', id=identity("one"))], expected_version=NO_STREAM)
        theirs.append("run-7", [raw(data=b'{"a": 2}', id=identity("one"))], expected_version=NO_STREAM)
        theirs.append("run-8", [raw(id=identity("two"))], expected_version=NO_STREAM)
        assert [event.data for event in ours.read_stream("run-7")] == [b'{"a": 1}']
        assert [event.stream for event in ours.read_all()] == ["run-7"]
        assert next(iter(ours.read_category("run"))).project == ours.project
        assert (ours.stream_version("run-8"), ours.versions_of("run-8")) == (0, {})
        with pytest.raises(EventNotFound):
            ours.event(identity("two"))

    def test_times_are_utc_to_the_microsecond(self, new_store: NewStore) -> None:
        """What came with another offset is the same instant, in UTC."""
        store = new_store("default")
        at = datetime(2026, 3, 29, 3, 30, 0, 123457, tzinfo=timezone(timedelta(hours=2)))
        event = raw()
        store.append("run-7", [type(event)(type="t.x", data=b"{}", occurred_at=at)], expected_version=NO_STREAM)
        (found,) = store.read_stream("run-7")
        assert (found.occurred_at, found.occurred_at.tzinfo) == (at, UTC)
        assert found.recorded_at.tzinfo is UTC

    def test_a_time_without_a_zone_is_refused(self, store: EventStore) -> None:
        """Nobody can say which instant it is."""
        event = type(raw())(type="t.x", data=b"{}", occurred_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point
        with pytest.raises(PayloadRefused, match="time zone"):
            store.append("run-7", [event], expected_version=NO_STREAM)

    def test_an_empty_append_changes_nothing(self, store: EventStore) -> None:
        """No stream comes into being by it."""
        assert store.append("run-7", [], expected_version=NO_STREAM).version == 0
        assert list(store.read_all()) == []


def versions(store: EventStore, stream: str) -> list[int]:
    """Return the versions a stream has."""
    return [event.version for event in store.read_stream(stream)]


def told(store: EventStore, wanted: dict[str, int], types: Types) -> dict[str, list[int]]:
    """Return by stream the versions that are told."""
    return {name: [row[1] for row in rows] for name, rows in store.read_told(wanted, types=types)}
