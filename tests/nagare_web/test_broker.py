"""The embedded broker: messages are files that appear whole, are taken once, and stay in their folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kombu import Connection

from nagare_web.broker import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def connect(folder: Path) -> Connection:
    """Return a connection whose messages lie below `folder`."""
    options = {
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "processed_folder": str(folder / "taken"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.01,
    }
    return Connection("localhost", transport=Transport, transport_options=options)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """Return a connection to a broker in a fresh folder, whose queues this process has not declared yet."""
    Transport.global_state.clear()
    with connect(tmp_path) as connection:
        yield connection


def test_messages_come_in_order(connection: Connection) -> None:
    """The oldest message is taken first."""
    with connection.SimpleQueue("work") as queue:
        for number in range(3):
            queue.put({"number": number})
        assert [queue.get(timeout=5).payload["number"] for _ in range(3)] == [0, 1, 2]


def test_a_message_is_taken_by_one_reader(connection: Connection, tmp_path: Path) -> None:
    """A second process on the same folder does not see a message that is taken."""
    with connect(tmp_path) as other, connection.SimpleQueue("work") as queue, other.SimpleQueue("work") as other_queue:
        queue.put({"number": 1})
        assert queue.get(timeout=5).payload == {"number": 1}
        with pytest.raises(other_queue.Empty):
            other_queue.get(timeout=0.05)


def test_queues_share_a_folder_and_not_their_messages(connection: Connection) -> None:
    """A message for one queue is not given to another."""
    with connection.SimpleQueue("a") as a, connection.SimpleQueue("a.b") as b:
        a.put("for a")
        with pytest.raises(b.Empty):
            b.get(timeout=0.05)
        assert a.get(timeout=5).payload == "for a"


def test_an_unfinished_message_is_not_taken(connection: Connection, tmp_path: Path) -> None:
    """What is still being written has another name until it is whole."""
    with connection.SimpleQueue("work") as queue:
        (tmp_path / "queue" / "1_0.unfinished").write_text('{"half": ')
        with pytest.raises(queue.Empty):
            queue.get(timeout=0.05)


def test_a_taken_message_leaves_no_file(connection: Connection, tmp_path: Path) -> None:
    """The folders do not grow with use."""
    with connection.SimpleQueue("work") as queue:
        queue.put("once")
        queue.get(timeout=5).ack()
    assert list((tmp_path / "queue").iterdir()) == []
    assert list((tmp_path / "taken").iterdir()) == []
