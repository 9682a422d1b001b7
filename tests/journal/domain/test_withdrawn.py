"""Marks: only one that is a mark from its first byte to its last stands for the payload that is gone."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from journal.domain.withdrawn import digest_of, is_withdrawn, mark_of, marked

ACT = "01900000-0000-7000-8000-000000000001"
AT = datetime(2026, 11, 30, 1, 2, 3, 4, tzinfo=UTC)
PAYLOAD = b'{"actor":"user:alice"}'
GOOD = marked(PAYLOAD, act=ACT, kind="erased", at=AT)


@pytest.mark.parametrize("keys", [(), ("k-1",), ("k-1", "k.2")])
@pytest.mark.parametrize("more", [{}, {"time": "unknown"}])
def test_a_mark_as_it_is_written_stands_for_the_payload(keys: tuple[str, ...], more: dict[str, str]) -> None:
    """With the keys that it named and the order that took it away."""
    written = marked(PAYLOAD, act=ACT, kind="purged", at=AT, keys=keys, **more)
    mark = mark_of(written)
    assert mark is not None
    assert (mark.act, mark.kind, mark.keys, mark.day) == (ACT, "purged", keys, "2026-11-30")
    assert digest_of(written) == sha256(PAYLOAD).hexdigest()


@pytest.mark.parametrize(
    "forged",
    [
        GOOD[:-1] + b',"actor":"user:bob"}',
        GOOD[:-1] + b',"time":"recorded"}',
        GOOD[:-1] + b',"time":"unknown","subjects":["bob"]}',
        GOOD + b" ",
        GOOD + b"{}",
        GOOD[:-2] + b',"keys":["a" "b"]}}',
        GOOD[:-2] + b',"keys":[]}}',
        GOOD.replace(b"2026-11-30T01:02:03.000004Z", b"user:bob approved of this!!"),
        GOOD.replace(b'"erased"', b'"denied"'),
    ],
)
def test_fields_beside_a_digest_have_their_own(forged: bytes) -> None:
    """So that whoever forges them has another leaf than the one that was sealed."""
    assert forged != GOOD
    assert is_withdrawn(forged)
    assert mark_of(forged) is None
    assert digest_of(forged) == sha256(forged).hexdigest()
