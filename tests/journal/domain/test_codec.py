"""What bytes are kept, and what is refused before it is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.domain import codec
from journal.errors import PayloadRefused
from tests.builders import recorded, started

_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="ascii", min_codepoint=33)), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": ["x", {"b\\u0000": 1}]}', "NUL"),
        (b'{"a": "\\ud800"}', "lone surrogate"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": {"b": 1, "b": 1}}', "twice"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"[1]", "JSON list"),
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "deeper"),
        (b'{"a":' * 100_000, "deeper"),
    ],
)
def test_bytes_that_readers_would_read_differently_are_refused(raw: bytes, reason: str) -> None:
    """Each refusal says what is wrong and the way out."""
    with pytest.raises(PayloadRefused, match=reason) as caught:
        codec.check_object(raw, what="data")
    assert caught.value.way_out


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), _json, max_size=4))
def test_what_can_be_kept_is_admitted(value: dict[str, object]) -> None:
    """Any JSON object without these faults passes, big integers and odd characters included."""
    codec.check_object(codec.encode(value), what="data")


def test_the_wire_writes_big_integers_as_text_and_a_line_keeps_the_bytes() -> None:
    """2^53 is the last number every reader of JSON holds exactly."""
    (event,) = recorded([started()])
    exact = msgspec.structs.replace(event, data=b'{"n": 9007199254740993, "m": 9007199254740992}')
    assert codec.on_the_wire(exact)["data"] == {"n": "9007199254740993", "m": 9007199254740992}
    assert msgspec.json.decode(codec.line(exact))["data_raw"] == exact.data.decode()


@given(
    st.sampled_from(
        [b'{"a":1}', b'{ "b" : 2,\n "a" : 1.0 }', b'{"z":12345678901234567890123}', b'{"k": "\xc3\xa9\\u00e9"}']
    )
)
def test_a_line_is_one_line_that_gives_the_bytes_back(data: bytes) -> None:
    """Whatever the stored bytes look like, the exported line holds them."""
    (event,) = recorded([started()])
    line = codec.line(msgspec.structs.replace(event, data=data))
    assert b"\n" not in line
    decoded = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    stored = msgspec.json.decode(decoded["data_raw"]).encode() if "data_raw" in decoded else bytes(decoded["data"])
    assert stored == data


@given(_json, st.integers(0, 3))
def test_text_that_is_sure_to_be_shallow_nests_no_deeper_than_the_limit(value: object, brackets: int) -> None:
    """Whatever brackets, quotes and escapes stand in its strings."""
    inner = codec.encode([value, "]" * brackets, '\\"[' * 150, "\\"])
    deep = codec.MAX_DEPTH - 1
    assert codec.is_shallow(codec.encode([value, "{[" * 300, '"']))
    assert not codec.is_shallow(b'{"a":[' * deep + inner + b"]}" * deep)


def test_the_limit_is_exact() -> None:
    """At the limit it is shallow, a level more and it is not."""
    at_the_limit = b'{"a":[' * (codec.MAX_DEPTH // 2) + b"]}" * (codec.MAX_DEPTH // 2)
    assert codec.is_shallow(at_the_limit)
    assert not codec.is_shallow(b"[" + at_the_limit + b"]")
