"""The live socket: every event in order, whatever gets lost; and nothing for whoever may not, or may no longer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from django.contrib.auth import get_user_model
from django.db import OperationalError

from explorer import consumers
from explorer.live import feed
from explorer.live.speaking import Speaker
from journal.access import add_project, revoke_token
from journal.access.projects import ensure_project
from journal.access.sessions import SessionStore
from journal.domain.stream import ANY_VERSION
from journal.models import ApiToken, Job, Membership, Session
from journal.store import EventStore, get_store
from nagare_web.asgi import application
from tests.api import secret
from tests.builders import raw
from tests.explorer.live.conftest import HOST, PATIENCE_S, aside, ends_of, is_accepted, opened, scope_of, session, token

__all__ = ["session", "token"]

MANY = 5_000 if os.environ.get("FULL") else 400


def put(stream: str = "run-7", number: int = 1, project: str = "default", **of_event: Any) -> list[str]:
    """Append events and return their ids."""
    events = [raw(**of_event) for _ in range(number)]
    return list(get_store(project).append(stream, events, expected_version=ANY_VERSION).ids)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a story on a loop of its own."""
    asyncio.run(story())


@pytest.fixture
def small_layer() -> Iterator[None]:
    """Let the channel layer hold one message: nearly every nudge is dropped."""
    before = channel_layers.set("default", InMemoryChannelLayer(capacity=1))
    yield
    if before is None:
        channel_layers.backends.pop("default")
    else:
        channel_layers.set("default", before)


# --- What is sent -----------------------------------------------------------------------------------------------------


def test_none_is_missing_while_nearly_every_nudge_is_dropped(token: str, small_layer: None) -> None:
    """In the order of positions, as the journal has them, while another thread appends."""

    def append() -> list[str]:
        return [event for at in range(MANY // 20) for event in put(f"run-{at % 7}", 20)]

    async def story() -> None:
        async with opened(token=token, after=0) as socket:
            appending = asyncio.create_task(aside(append))
            heard = await socket.events(MANY)
            assert [event["id"] for event in heard] == await appending
            positions = [event["position"] for event in heard]
            assert positions == sorted(set(positions))

    run(story)


def test_whoever_was_away_goes_on_from_their_last_position(token: str) -> None:
    """What was appended meanwhile comes first; nothing comes twice."""

    async def story() -> None:
        first = await aside(put, number=3)
        async with opened(token=token, after=0) as socket:
            heard = await socket.events(3)
        missed = await aside(put, number=250)
        async with opened(token=token, after=heard[-1]["position"]) as socket:
            heard += await socket.events(250)
            last = await aside(put)
            heard += await socket.events(1)
        assert [event["id"] for event in heard] == [*first, *missed, *last]

    run(story)


def test_without_a_position_it_begins_now(token: str) -> None:
    """What was there before is not sent."""

    async def story() -> None:
        await aside(put, number=3)
        async with opened(token=token) as socket:
            assert (await socket.frame())["type"] == "horizon"
            new = await aside(put)
            assert [event["id"] for event in await socket.events(1)] == new

    run(story)


def test_the_horizon_says_how_far_everything_was_sent(token: str) -> None:
    """It comes behind the events it covers, and again as a sign of life."""

    async def story() -> None:
        await aside(put, number=120)
        async with opened(token=token, after=0) as socket:
            heard = await socket.events(120)
            horizon = await socket.frame()
            assert (horizon["type"], horizon["position"]) == ("horizon", heard[-1]["position"])
            assert (await socket.frame())["position"] == heard[-1]["position"]

    run(story)


def test_an_event_is_as_on_the_wire(token: str) -> None:
    """The stored bytes are in it as they are."""

    async def story() -> None:
        await aside(put, data=b'{"big": 12345678901234567890, "text": "</script>"}', metadata=b'{"actor":"a"}')
        async with opened(token=token, after=0) as socket:
            event = (await socket.events(1))[0]
        assert set(event) >= {"position", "project", "stream", "version", "id", "type", "schema", "recorded_at"}
        assert event["data"]["text"] == "</script>"
        assert event["project"] == "default"

    run(story)


def test_one_stream_is_followed_from_a_position(token: str) -> None:
    """Others are not sent, nor what stands at or before the position."""

    async def story() -> None:
        for _ in range(5):
            await aside(put, "run-7")
            await aside(put, "run-8")
        ours = list(await aside(lambda: list(get_store().read_stream("run-7"))))
        async with opened(token=token, after=ours[1].position, stream="run-7") as socket:
            assert [event["version"] for event in await socket.events(3)] == [3, 4, 5]
            await aside(put, "run-8")
            await aside(put, "run-7")
            assert [(event["stream"], event["version"]) for event in await socket.events(1)] == [("run-7", 6)]

    run(story)


def test_who_asks_for_the_edge_only_reads_no_event(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to find out where to begin."""
    looked: list[str] = []

    def look(_store: EventStore, stream: str, _position: int) -> int:
        looked.append(stream)
        return 0

    monkeypatch.setattr(feed, "version_at", look)

    async def story() -> None:
        await aside(put, number=3)
        async with opened(cookie=session, stream="run-7", **{"as": "edge"}) as socket:
            assert await socket.until("edge") == {"type": "edge", "version": 3}
        assert looked == []
        async with opened(cookie=session, stream="run-7") as socket:
            await socket.until("horizon")
        assert looked == ["run-7"]

    run(story)


def test_a_page_that_reads_by_itself_is_told_how_far_a_stream_goes(session: str) -> None:
    """At once, and whenever that changed: a number, and nothing of what the events say."""

    async def story() -> None:
        await aside(put, number=3)
        async with opened(cookie=session, stream="run-7", **{"as": "edge"}) as socket:
            assert await socket.frame() == {"type": "edge", "version": 3}
            await socket.until("horizon")
            await aside(put, "run-8")
            await aside(put, number=250)
            assert await socket.until("edge") == {"type": "edge", "version": 253}

    run(story)


def test_jobs_are_told_of_when_they_change(token: str) -> None:
    """Those of the project, and once each way they are."""

    def job(done: int) -> None:
        Job.objects.update_or_create(
            id="j-1", defaults={"kind": "import", "project_id": "default", "status": "running", "done": done}
        )

    async def story() -> None:
        await aside(lambda: Job.objects.create(id="j-2", kind="import", project=add_project("theirs")))
        await aside(job, 1)
        async with opened(token=token) as socket:
            first = (await socket.until("job"))["job"]
            assert (first["id"], first["status"], first["progress"]["done"]) == ("j-1", "running", 1)
            await socket.until("horizon")
            await aside(job, 2)
            assert (await socket.until("job"))["job"]["progress"]["done"] == 2

    run(story)


def test_a_page_of_one_job_is_told_of_that_alone(session: str) -> None:
    """No events, no other jobs, and nobody else's; at once, and once each way it is."""

    def job(name: str, **how: Any) -> None:
        named = {"kind": "import", "project_id": "default", "status": "running"}
        Job.objects.update_or_create(id=name, defaults=named | how)

    async def story() -> None:
        await aside(lambda: Job.objects.create(id="j-3", kind="import", project=add_project("theirs")))
        await aside(job, "j-1")
        await aside(job, "j-2")
        await aside(put, number=3)
        async with opened(cookie=session, job="j-1", after=0, **{"as": "jobs"}) as socket:
            frames = [await socket.frame() for _ in range(3)]
            assert [frame["type"] for frame in frames] == ["job", "horizon", "horizon"]
            assert frames[0]["job"]["id"] == "j-1"
            await aside(job, "j-2", done=5)
            await aside(job, "j-1", done=5)
            assert (await socket.until("job"))["job"]["progress"]["done"] == 5
        async with opened(cookie=session, job="j-3", **{"as": "jobs"}) as socket:
            assert [(await socket.frame())["type"] for _ in range(2)] == ["horizon", "horizon"]
        async with opened(cookie=session, **{"as": "jobs"}) as socket:
            assert {(await socket.until("job"))["job"]["id"] for _ in range(2)} == {"j-1", "j-2"}

    run(story)


def test_a_slow_reader_is_read_for_slowly(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next page is read when the one before was taken."""
    read: list[int] = []
    following = Speaker.next

    def next_page(self: Any) -> Any:
        said = following(self)
        read.append(len(said.frames))
        return said

    monkeypatch.setattr(Speaker, "next", next_page)

    async def story() -> None:
        await aside(put, number=350)
        may_go_on, is_full, is_through = asyncio.Event(), asyncio.Event(), asyncio.Event()
        sent = 0

        async def send(message: dict[str, Any]) -> None:
            nonlocal sent
            if message["type"] == "websocket.send":
                sent += 1
                if sent == 5:
                    is_full.set()
                    await may_go_on.wait()
                if sent == 351:
                    is_through.set()

        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        await incoming.put({"type": "websocket.connect"})
        headers = [(b"host", HOST.encode()), (b"authorization", f"Bearer {token}".encode())]
        scope = scope_of("/ws/live/", "after=0", headers)
        served_by: Any = application
        served = asyncio.create_task(served_by(scope, incoming.get, send))
        async with asyncio.timeout(PATIENCE_S):
            await is_full.wait()
        assert read == [100]
        may_go_on.set()
        async with asyncio.timeout(PATIENCE_S):
            await is_through.wait()
        assert read[:4] == [100, 100, 100, 51]
        await incoming.put({"type": "websocket.disconnect", "code": 1000})
        await served

    run(story)


# --- Who is answered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": f"http://{HOST}:8000"},
        {"origin": f"http://{HOST}.evil.example"},
        {"origin": "null"},
        {},
        {"origin": "http://evil.example", "host": "evil.example"},
        {"origin": "http://[", "host": HOST},
    ],
    ids=["other site", "other port", "alike", "none of the web", "no origin", "rebound name", "broken"],
)
def test_a_page_of_another_site_is_denied(session: str, headers: dict[str, str]) -> None:
    """Before the handshake, although the browser sent the cookie."""

    async def story() -> None:
        sent = {"host": HOST, "cookie": f"sessionid={session}", **headers}
        assert not await _is_let_in([(name.encode(), value.encode()) for name, value in sent.items()])

    run(story)


def test_a_token_does_not_open_a_socket_for_another_site(token: str) -> None:
    """A program needs no origin; one that names an origin is held to it."""

    async def story() -> None:
        headers = [(b"host", HOST.encode()), (b"authorization", f"Bearer {token}".encode())]
        assert not await _is_let_in([*headers, (b"origin", b"https://evil.example")])
        assert await _is_let_in(headers)

    run(story)


def test_other_addresses_lead_nowhere(session: str) -> None:
    """They are denied, and no error."""

    async def story() -> None:
        headers = [(b"host", HOST.encode()), (b"origin", f"http://{HOST}".encode())]
        assert not await _is_let_in(headers, "/ws/else/")

    run(story)


async def _is_let_in(headers: list[tuple[bytes, bytes]], path: str = "/ws/live/") -> bool:
    communicator = ends_of(path, "", headers)
    is_in = await is_accepted(communicator)
    await communicator.send_input({"type": "websocket.disconnect", "code": 1000})
    await communicator.wait(PATIENCE_S)
    return is_in


def _code(**how: Any) -> int:
    async def story() -> int:
        async with opened(**how) as socket:
            return await socket.code()

    return asyncio.run(story())


def test_strangers_are_sent_away(transactional_db: None) -> None:
    """Without a session, with one that is none, with a token that is none."""
    ensure_project("default")
    assert _code() == 4401
    assert _code(cookie="nonsense") == 4401
    assert _code(token="ngr_nonsense") == 4401


def test_a_foreign_project_or_stream_is_not_there(session: str, token: str) -> None:
    """As where there is none: also where it exists, and by its own name in it."""
    add_project("theirs")
    put("run-9", project="theirs")
    assert _code(cookie=session, project="theirs") == 4404
    assert _code(cookie=session, project="nowhere") == 4404
    assert _code(token=token, project="theirs") == 4404
    assert _code(cookie=session, stream="run-9") == 4404
    assert _code(cookie=session, stream="run-nowhere") == 4404


def test_a_token_without_the_scope_may_not(transactional_db: None) -> None:
    """One that only appends."""
    assert _code(token=secret("ingest")) == 4403


@pytest.mark.parametrize(
    "query",
    [
        {"after": "-1"},
        {"after": "1e3"},
        {"after": "٣"},
        {"after": "9" * 19},
        {"after": "1;drop"},
        {"stream": "run\x00"},
        {"stream": "x" * 300},
        {"as": "html"},
        {"as": "edge"},
        {"as": "jobs", "job": "x" * 40},
        {"as": "rows", "q": "x" * 3_000},
        {"project": "a\x00"},
        {f"k{at}": "" for at in range(20)},
        {"q": "y" * 9_000},
    ],
    ids=str,
)
def test_an_odd_address_is_not_understood(session: str, query: dict[str, str]) -> None:
    """It is closed, and nothing is asked of the database with it."""
    assert _code(cookie=session, **query) == 4400


def test_other_projects_events_are_never_sent(session: str) -> None:
    """Two projects of one shape: only ours comes."""
    add_project("theirs")

    async def story() -> None:
        async with opened(cookie=session, after=0) as socket:
            await aside(put, "run-7", 3, project="theirs")
            ours = await aside(put, "run-7")
            assert [event["id"] for event in await socket.events(1)] == ours

    run(story)


# --- What ends while it is open ---------------------------------------------------------------------------------------


def _ended(how: dict[str, Any], ends: Callable[[], Any]) -> int:
    """Open a socket, hear an event, let something end, append again, and return the code: that event never comes."""

    async def story() -> int:
        async with opened(after=0, **how) as socket:
            await aside(put, type="test.before")
            assert (await socket.events(1))[0]["type"] == "test.before"
            await aside(ends)
            await aside(put, type="test.after")
            while True:
                message = await socket._communicator.receive_output(PATIENCE_S)
                assert "test.after" not in message.get("text", "")
                if message["type"] == "websocket.close":
                    return int(message["code"])

    return asyncio.run(story())


def test_a_token_that_is_revoked(token: str) -> None:
    """From then on nothing is sent."""
    assert _ended({"token": token}, lambda: revoke_token(ApiToken.objects.get().id)) == 4401


def test_a_token_that_expires(transactional_db: None) -> None:
    """The same."""
    given = secret("read")

    def expires() -> None:
        ApiToken.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))

    assert _ended({"token": given}, expires) == 4401


def test_a_session_that_ends(session: str) -> None:
    """Signed out elsewhere, or over."""
    assert _ended({"cookie": session}, lambda: SessionStore(session).delete(session)) == 4401


def test_a_session_that_expires(session: str) -> None:
    """The row is there still."""

    def expires() -> None:
        Session.objects.update(expire_date=datetime.now(UTC) - timedelta(seconds=1))

    assert _ended({"cookie": session}, expires) == 4401


def test_a_person_who_is_switched_off(session: str) -> None:
    """Their session counts no more."""
    assert _ended({"cookie": session}, lambda: get_user_model().objects.update(is_active=False)) == 4401


def test_a_member_who_is_removed(session: str) -> None:
    """To them the project is not there."""
    assert _ended({"cookie": session}, lambda: Membership.objects.all().delete()) == 4404


def test_the_sessions_page_moves_on_and_the_socket_does_not(session: str) -> None:
    """It stays in the project that it was opened in."""
    add_project("theirs")

    def turns() -> None:
        kept = SessionStore(session)
        kept["project"] = "theirs"
        kept.save()

    async def story() -> None:
        async with opened(cookie=session, after=0) as socket:
            await socket.until("horizon")
            await aside(turns)
            await aside(put, "run-7", project="theirs")
            ours = await aside(put, "run-7")
            assert [event["id"] for event in await socket.events(1)] == ours

    run(story)


def test_a_right_that_goes_while_a_slow_reader_takes_a_page(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the page is not sent."""
    monkeypatch.setattr(consumers, "EVERY_S", 0.0005)  # less than taking the right away takes

    async def story() -> None:
        await aside(put, number=90)
        is_waiting, may_go_on, is_closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if message["type"] == "websocket.close":
                is_closed.set()
            if len(sent) == 6:
                is_waiting.set()
                await may_go_on.wait()

        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        await incoming.put({"type": "websocket.connect"})
        headers = [(b"host", HOST.encode()), (b"authorization", f"Bearer {token}".encode())]
        served_by: Any = application
        served = asyncio.create_task(served_by(scope_of("/ws/live/", "after=0", headers), incoming.get, send))
        async with asyncio.timeout(PATIENCE_S):
            await is_waiting.wait()
            await aside(lambda: revoke_token(ApiToken.objects.get().id))
            may_go_on.set()
            await is_closed.wait()
        assert (len(sent), sent[-1]["code"]) == (7, 4401)
        await incoming.put({"type": "websocket.disconnect", "code": 4401})
        await served

    run(story)


# --- What comes in ----------------------------------------------------------------------------------------------------


def test_short_frames_are_taken_and_long_ones_end_it(token: str) -> None:
    """A ping as text does no harm; a frame beyond what is taken closes the socket."""

    async def story() -> None:
        async with opened(token=token) as socket:
            await socket.send("ping")
            await socket.until("horizon")
            await socket.send("x" * (consumers.LONGEST_FRAME + 1))
            assert await socket.code() == 1009

    run(story)


def test_many_frames_end_it_too(token: str) -> None:
    """Whoever talks and talks."""

    async def story() -> None:
        async with opened(token=token) as socket:
            for _ in range(consumers.MOST_FRAMES + 1):
                await socket.send("x")
            assert await socket.code() == 1009

    run(story)


def test_one_person_has_so_many_sockets(session: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is closed; when one has ended there is room again."""
    monkeypatch.setattr(consumers, "MOST_SOCKETS", 1)

    async def story() -> None:
        async with opened(cookie=session) as socket:
            await socket.until("horizon")
            async with opened(cookie=session) as other:
                assert await other.code() == 4429
        async with opened(cookie=session) as again:
            await again.until("horizon")

    run(story)
    assert not consumers._open


def test_a_database_that_is_away_closes_it(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the code that says to come again, and without a word of what went wrong."""

    def fails(_speaker: Speaker) -> Any:
        raise OperationalError("secret words of a driver")

    monkeypatch.setattr(Speaker, "next", fails)
    assert _code(token=token) == consumers.TRY_AGAIN


def test_a_layer_that_is_away_costs_time_only(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes gets in, and is sent what there is."""
    from explorer.live import bell  # noqa: PLC0415

    class Away:
        async def new_channel(self) -> str:
            raise ConnectionError

        async def group_send(self, *_arguments: Any) -> None:
            raise ConnectionError

    monkeypatch.setattr(bell, "get_channel_layer", Away)

    async def story() -> None:
        async with opened(token=token, after=0) as socket:
            await socket.until("horizon")
            new = await aside(put)
            assert [event["id"] for event in await socket.events(1)] == new

    run(story)
