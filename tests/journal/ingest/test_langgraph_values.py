"""What LangGraph's serializer wrote comes out as plain data, and nothing in it is imported, called or built."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import ormsgpack
import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from journal.domain.codec import encode
from journal.errors import ImportRefused
from journal.ingest.langgraph_messages import messages_in, role_of
from journal.ingest.langgraph_values import plain_value

SINGLE, POSITIONAL, KEYWORDS, METHOD, PYDANTIC = 0, 1, 2, 3, 5


def extension(code: int, *parts: Any) -> bytes:
    """Return an object as the serializer names it: module, class, arguments."""
    return ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(list(parts))))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({1: UUID(int=7)}, {"1": "00000000-0000-0000-0000-000000000007"}),
        (datetime(2026, 11, 22, tzinfo=UTC), "2026-11-22T00:00:00+00:00"),
        (date(2026, 11, 2), "2026-11-02"),
        (Decimal("1.50"), "1.50"),
        ({3}, [3]),
        (Path("/srv/app"), "/srv/app"),
        (float("inf"), "inf"),
        (b"\x00\x01", {"$base64": "AAE="}),
        (None, None),
    ],
)
def test_values_are_shown_as_their_arguments(value: Any, plain: Any) -> None:
    """As the real serializer writes them."""
    assert plain_value(*JsonPlusSerializer().dumps_typed({"v": value})) == {"v": plain}


def test_messages_are_their_fields() -> None:
    """Whatever kind they are, in msgpack and in JSON."""
    spoken = [HumanMessage("Hi"), AIMessage("Hello"), ChatMessage(role="critic", content="No")]
    found = messages_in(plain_value(*JsonPlusSerializer().dumps_typed(spoken)))
    assert [(role_of(one), one["content"]) for one in found] == [
        ("user", "Hi"), ("assistant", "Hello"), ("critic", "No"),
    ]  # fmt: skip
    written = {"lc": 1, "type": "constructor", "id": ["langchain_core", "messages", "AIMessageChunk"]}
    (one,) = messages_in(plain_value("json", json.dumps([{**written, "kwargs": {"content": "Hey"}}]).encode()))
    assert (role_of(one), one["content"]) == ("assistant", "Hey")


@pytest.mark.parametrize("code", [SINGLE, POSITIONAL, KEYWORDS, METHOD, PYDANTIC])
def test_what_an_extension_names_is_not_imported(code: int) -> None:
    """A module that could be imported is not, and its class is only a word."""
    kept = plain_value("msgpack", extension(code, "this_module_is_nowhere", "Popen", ["touch x"], "run"))
    assert kept == {"$type": "this_module_is_nowhere.Popen", "value": ["touch x"]}


def test_nothing_runs_in_a_process_that_reads_a_trap() -> None:
    """Every shape of a call to a marker: neither the call nor the import of the module happens."""
    traps = [extension(code, "antigravity", "fly", ["x"], "run").hex() for code in range(8)]
    reads = (
        "import sys\nfrom journal.ingest.langgraph_values import plain_value\n"
        f"for trap in {traps!r}: plain_value('msgpack', bytes.fromhex(trap))\n"
        "assert plain_value('pickle', b'cantigravity\\nfly\\n.')['$serialized'] == 'pickle'\n"
        "print(sorted(name for name in sys.modules if name.startswith(('antigravity', 'langgraph', 'langchain'))))"
    )
    done = subprocess.run([sys.executable, "-c", reads], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("raw", [b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc1", b"", b"\xa1\xff"])
def test_bytes_that_are_no_msgpack_are_refused(raw: bytes) -> None:
    """Also those that claim four thousand million items."""
    with pytest.raises(ImportRefused):
        plain_value("msgpack", raw)


@pytest.mark.parametrize("depth", [300, 5_000])
def test_extensions_inside_extensions_end(depth: int) -> None:
    """However deep they nest."""
    nested = b"\xc0"
    head = ormsgpack.packb(["m", "c", None])[:-1]
    for _ in range(depth):
        nested = ormsgpack.packb(ormsgpack.Ext(SINGLE, head + nested))
    with pytest.raises(ImportRefused, match="nests deeper"):
        plain_value("msgpack", nested)


def test_extensions_inside_extensions_are_not_copied_at_every_level() -> None:
    """A value of a megabyte in a hundred of them is a megabyte."""
    size, snapshot = 2**20, 7
    nested = b"\xc6" + size.to_bytes(4) + bytes(size)
    for _ in range(100):
        nested = ormsgpack.packb(ormsgpack.Ext(snapshot, nested))
    tracemalloc.start()
    value = plain_value("msgpack", nested)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(value["$base64"]) > size
    assert peak < 10 * size


@pytest.mark.parametrize(
    ("module", "name", "odd"), [("uuid", "UUID", 5), ("re", "compile", {"a": 1}), ("datetime", "date", {"a": 1})]
)
def test_arguments_that_no_such_object_has_are_shown_as_they_are(module: str, name: str, odd: Any) -> None:
    """Nothing is raised about them."""
    assert plain_value("msgpack", extension(SINGLE, module, name, odd)) == odd


def test_unknown_ways_of_writing_are_kept_shut() -> None:
    """A pickle or an encrypted value is its bytes, and says how it is written."""
    assert plain_value("msgpack+aes", b"\x01") == {"$serialized": "msgpack+aes", "$base64": "AQ=="}
    assert encode(plain_value("pickle", b"\x80")) == b'{"$serialized":"pickle","$base64":"gA=="}'
