"""Appending over HTTP: as exact as in Python, and refused with the place."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from journal.api import asked
from journal.domain import codec
from journal.store import get_store
from tests.api import Api, noted, program
from tests.builders import identity

pytestmark = pytest.mark.django_db
STREAM = "test-1"


@pytest.fixture
def api() -> Api:
    """A program that may write and read."""
    return program("ingest", "read")


def append(api: Api, *events: Any, version: Any = "any", stream: str = STREAM) -> Any:
    """Append events to the stream."""
    return api.post(f"/streams/{stream}/events", {"expected_version": version, "events": list(events)})


def raw(api: Api, event: bytes, version: bytes = b'"any"') -> Any:
    """Append an event that is these very bytes."""
    body = b'{"expected_version": %s, "events": [%s]}' % (version, event)
    return api.post(f"/streams/{STREAM}/events", raw=body)


def test_an_append_says_where_the_stream_is(api: Api) -> None:
    """201 with version and ids; they are those that were given, or new ones."""
    given = identity("a")
    told = append(api, noted(id=given), noted(), version="none")
    assert api.status == 201
    assert (told["stream"], told["version"], told["ids"][0]) == (STREAM, 2, given)
    assert set(told) == {"stream", "version", "ids"}
    assert [event.id for event in get_store().read_stream(STREAM)] == told["ids"]


def test_the_same_ids_again_store_nothing(api: Api) -> None:
    """200 with the same answer, whatever version is expected by now."""
    event = noted(id=identity("a"))
    first = append(api, event, version=0)
    append(api, noted())
    assert append(api, event, version=0) == {**first, "version": 1}
    assert api.status == 200
    assert get_store().stream_version(STREAM) == 2


def test_a_late_writer_learns_the_actual_version(api: Api) -> None:
    """409 as a problem with the error's own fields, and nothing is stored."""
    append(api, noted(), noted())
    told = append(api, noted(), version=1)
    assert api.status == 409
    assert api.response["Content-Type"] == "application/problem+json"
    assert (told["type"], told["status"]) == ("/api/docs/#wrong-expected-version", 409)
    assert (told["stream"], told["expected"], told["actual"]) == (STREAM, 1, 2)
    assert "load it and decide again" in told["detail"]
    assert append(api, noted(), version="none")["actual"] == 2
    assert get_store().stream_version(STREAM) == 2


def test_an_id_with_other_content_is_a_conflict(api: Api) -> None:
    """And so is a batch of which only a part is known."""
    given = identity("a")
    append(api, noted('{"n": 1}', id=given))
    told = append(api, noted('{"n": 2}', id=given))
    assert (api.status, told["type"], told["event_id"]) == (409, "/api/docs/#event-id-reused", given)
    append(api, noted('{"n": 1}', id=given), noted())
    assert api.status == 409
    assert get_store().stream_version(STREAM) == 1


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,  "a" : [1e2, 1.0,-0.0, 1E+2]}',
        b'{"big":123456789012345678901234567890,"long":9007199254740993}',
        b'{"text":"\\u00e9\\/ \\ud83d\\ude00","also":"\xc3\xa9"}',
        b"{}",
    ],
)
def test_payload_bytes_come_back_as_they_were_sent(api: Api, data: bytes) -> None:
    """Key order, white space, numbers of any length and escapes: nothing is parsed and written again."""
    event_id = raw(api, b'{"type":"test.noted","data":%s,"metadata":%s}' % (data, data))["ids"][0]
    stored = get_store().event(event_id)
    assert (stored.data, stored.metadata) == (data, data)
    api.get(f"/events/{event_id}")
    assert api.raw == codec.line(stored) + b"\n"
    api.get(f"/streams/{STREAM}/events")
    assert codec.line(stored) in api.raw


def test_a_payload_over_lines_comes_back_as_text_beside_it(api: Api) -> None:
    """The wire is a line an event, so bytes with a line break stand in `data_raw`, as in an export."""
    data = b'{\n  "n": 1\n}'
    event_id = raw(api, b'{"type":"test.noted","data":%s}' % data)["ids"][0]
    assert api.get(f"/events/{event_id}")["data_raw"].encode() == data


@pytest.mark.parametrize(
    ("event", "status", "words"),
    [
        (b'{"type":"a","data":{"x":"\\u0000"}}', 422, "NUL"),
        (b'{"type":"a","data":{"x":"\\ud800"}}', 422, "surrogate at /events/0/data/x"),
        (b'{"type":"a","data":{"x":1,"x":2}}', 422, "stands twice"),
        (b'{"type":"a","data":[1]}', 422, "a JSON list"),
        (b'{"type":"a","data":NaN}', 400, "not JSON"),
        (b'{"type":"a","data":{"x":1e999}}', 422, "as text"),
        (b'{"type":"a","data":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}", 422, "nested deeper"),
        (b'{"type":"a","data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "deeper than can be read"),
        (b'{"type":"a","data":{"x":"\xff"}}', 422, "not UTF-8"),
        (b'{"type":"a b","data":{}}', 422, "/events/0/type"),
        (b'{"type":"a"}', 422, "missing required field `data`"),
        (b'{"type":"a","data":{},"version":3}', 422, "unknown field `version`"),
        (b'{"type":"a","data":{},"schema":0}', 422, "/events/0/schema"),
        (b'{"type":"a","data":{},"schema":99999999999999999999}', 422, "/events/0/schema"),
        (b'{"type":"a","data":{},"id":"no uuid"}', 422, "not a UUID"),
        (b'{"type":"a","data":{},"occurred_at":"2026-11-22T18:55:03"}', 422, "/events/0/occurred_at"),
        (b'{"type":"a","data":{},"occurred_at":"0001-01-01T00:00:00+14:00"}', 422, "/events/0/occurred_at"),
        (b'{"type":"a","data":{}', 400, "not JSON"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_place(api: Api, event: bytes, status: int, words: str) -> None:
    """400 for what is no JSON, 422 for JSON that is not an event; nothing is stored."""
    told = raw(api, event)
    assert (api.status, told["status"]) == (status, status)
    assert words in told["detail"]
    assert get_store().head() == 0


@pytest.mark.parametrize(
    "stream", ["log-default", "audit-1", "incident-1", "retention-holds", "redaction-rules", "grades-1.1"]
)
def test_what_the_journal_itself_writes_is_written_by_no_program(api: Api, stream: str) -> None:
    """Neither may it set what is redacted, nor say how runs were judged; nothing is stored."""
    told = append(api, noted(), stream=stream)
    assert (api.status, told["type"]) == (422, "/api/docs/#payload-refused")
    assert "only the journal itself" in told["detail"]
    assert get_store().head() == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"events": [noted()]}, ""),
        ({"expected_version": -1, "events": [noted()]}, "/expected_version"),
        ({"expected_version": 10**30, "events": [noted()]}, "/expected_version"),
        ({"expected_version": "newest", "events": [noted()]}, "/expected_version"),
        ({"expected_version": True, "events": [noted()]}, "/expected_version"),
        ({"expected_version": "any", "events": []}, "/events"),
        ({"expected_version": "any", "events": [noted()] * 1001}, "/events"),
        ({"expected_version": "any", "events": [noted(), 3]}, "/events/1"),
        ([], ""),
        (None, ""),
    ],
)
def test_a_body_of_another_shape_is_refused_with_a_pointer(api: Api, body: Any, pointer: str) -> None:
    """A JSON Pointer to the place, for programs."""
    told = api.post(f"/streams/{STREAM}/events", body)
    assert (api.status, told["pointer"]) == (422, pointer)


@pytest.mark.parametrize("stream", ["Nothing", "a b-1", "test", "test-%00", "test-" + "x" * 300, "test-é"])
def test_a_stream_has_a_name_that_addresses_carry(api: Api, stream: str) -> None:
    """Anything else is refused before anything is stored."""
    append(api, noted(), stream=stream)
    assert api.status in (404, 422)
    assert get_store().head() == 0


def test_ids_twice_in_one_append_are_refused(api: Api) -> None:
    """Each event is one event."""
    told = append(api, noted(id=identity("a")), noted(id=identity("a").upper()))
    assert (api.status, told["type"]) == (422, "/api/docs/#payload-refused")


# --- How bodies travel ------------------------------------------------------------------------------------------------


def test_a_body_may_come_as_gzip(api: Api) -> None:
    """And is what it was before."""
    body = json.dumps({"expected_version": "none", "events": [noted('{"n": 1}')] * 50}).encode()
    assert api.post(f"/streams/{STREAM}/events", raw=gzip.compress(body), Content_Encoding="gzip")["version"] == 50
    assert api.status == 201


@pytest.mark.parametrize(
    ("packed", "status"),
    [
        (gzip.compress(b" " * 2**25), 413),
        (gzip.compress(b'{"expected_version":"any"}')[:-9], 400),
        (gzip.compress(b"{}") + b"more", 400),
        (b"no gzip", 400),
    ],
    ids=["a bomb", "cut", "something behind", "none"],
)
def test_gzip_that_is_none_or_too_much_is_refused(api: Api, packed: bytes, status: int) -> None:
    """A bomb gets no further than a hundred times its length."""
    api.post(f"/streams/{STREAM}/events", raw=packed, Content_Encoding="gzip")
    assert api.status == status


def test_a_body_that_is_too_long_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its announced length before it is read, and by what is read."""
    monkeypatch.setattr(asked, "MAX_BODY", 1000)
    told = api.post(f"/streams/{STREAM}/events", raw=b" " * 1001)
    assert (api.status, told["type"], told["limit"]) == (413, "/api/docs/#too-large", 1000)
    api.post(f"/streams/{STREAM}/events", raw=gzip.compress(b" " * 1001), Content_Encoding="gzip")
    assert api.status == 413


@pytest.mark.parametrize(
    "headers", [{"content_type": "text/plain"}, {"content_type": "multipart/form-data"}, {"Content_Encoding": "br"}]
)
def test_other_types_are_refused(api: Api, headers: dict[str, str]) -> None:
    """With what is taken."""
    told = api.post(f"/streams/{STREAM}/events", raw=b"{}", **headers)
    assert (api.status, told["type"]) == (415, "/api/docs/#wrong-media-type")
    assert told["takes"]


def test_a_trace_of_the_caller_is_noted_and_none_is_made_up(api: Api) -> None:
    """Metadata stay as they were sent, but for the `traceparent` of a request that has one."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"expected_version": "any", "events": [noted(metadata={"actor": "agent:a"})]}
    api.post(f"/streams/{STREAM}/events", body)
    api.post(f"/streams/{STREAM}/events", body, traceparent=trace)
    plain, traced = get_store().read_stream(STREAM)
    assert plain.metadata == b'{"actor": "agent:a"}'
    assert (traced.meta.traceparent, traced.meta.actor) == (trace, "agent:a")
