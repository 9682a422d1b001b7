"""What of an event the log binds: the contract's envelope, in RFC 8785's spelling, over the bytes as stored."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from journal.domain.event import RecordedEvent
from journal.domain.leaf import leaf_of, subject_keys

EVENT = RecordedEvent(
    position=1042,
    project="default",
    stream="agent_run-7",
    version=17,
    id="01992f0c-0000-7000-8000-000000000001",
    type="agent_run.tool_returned",
    schema=1,
    data=b'{ "toolName": "grep","n":1e2 }',
    metadata=b'{"subjects":["user-42"]}',
    occurred_at=datetime(2026, 11, 22, 18, 55, 3, 120_000, tzinfo=UTC),
    recorded_at=datetime(2026, 11, 22, 18, 55, 3, 124_511, tzinfo=UTC),
)


def test_a_leaf_is_the_contracts_envelope() -> None:
    """Key by key; the hash is of a zero byte and the envelope."""
    envelope: dict[str, Any] = {
        "v": 1,
        "project": "default",
        "stream": "agent_run-7",
        "version": 17,
        "type": "agent_run.tool_returned",
        "schema": 1,
        "recorded_at": "2026-11-22T18:55:03.124511Z",
        "event_id": EVENT.id,
        "data_sha256": sha256(EVENT.data).hexdigest(),
        "meta_sha256": sha256(EVENT.metadata).hexdigest(),
        "subject_keys": [],
    }
    assert leaf_of(EVENT).entry == rfc8785.dumps(envelope)
    assert leaf_of(EVENT).hash == sha256(b"\x00" + rfc8785.dumps(envelope)).digest()


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=20)


@given(stream=names, kind=names, version=st.integers(1, 2**53 - 1), data=st.binary(max_size=20))
def test_whatever_the_names_are_the_spelling_is_rfc_8785s(stream: str, kind: str, version: int, data: bytes) -> None:
    """Control characters, quotes, other alphabets and emoji in names included."""
    leaf = leaf_of(msgspec.structs.replace(EVENT, stream=stream, type=kind, version=version, data=data))
    fields: dict[str, Any] = {"v": 1, **msgspec.structs.asdict(leaf)}
    assert leaf.entry == rfc8785.dumps(fields | {"subject_keys": []})


@pytest.mark.parametrize(
    "other",
    [
        {"project": "elsewhere"},
        {"stream": "agent_run-8"},
        {"version": 18},
        {"id": "01992f0c-0000-7000-8000-000000000002"},
        {"type": "agent_run.tool_failed"},
        {"schema": 2},
        {"data": b'{"toolName":"grep","n":1e2}'},
        {"metadata": b'{"subjects": ["user-42"]}'},
        {"recorded_at": datetime(2026, 11, 22, 18, 55, 3, 124_512, tzinfo=UTC)},
    ],
)
def test_each_thing_a_leaf_names_is_bound(other: dict[str, Any]) -> None:
    """A space in the payload or a microsecond later is another leaf."""
    assert leaf_of(msgspec.structs.replace(EVENT, **other)).hash != leaf_of(EVENT).hash


def test_a_leaf_names_the_keys_that_encrypted_fields_stand_under() -> None:
    """Each once, in order, from data and metadata; a text that only looks like one names none."""
    data = b'{"a":{"$enc":{"k":"k-2","n":"x","c":"y"}},"b":[{"$enc":{"k":"k-1","n":"x","c":"y"}}]}'
    assert subject_keys(data, b'{"actor":{"$enc":{"k":"k-2","n":"","c":""}}}') == ("k-1", "k-2")
    assert subject_keys(b'{"said":"\\"$enc\\":{\\"k\\":\\"k-1\\""}') == ()
    event = msgspec.structs.replace(EVENT, data=data)
    assert leaf_of(event).subject_keys == ("k-1", "k-2")
    assert b'"subject_keys":["k-1","k-2"]' in leaf_of(event).entry
