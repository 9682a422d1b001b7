"""Lines of the spool: what is whole comes back, what is torn does not, and costs nothing but itself."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from journal.recorder.frames import Ended, Header, Kept, Line, Sent, SetAside, framed, read

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
payloads = st.dictionaries(texts, texts, max_size=3).map(lambda value: msgspec.Raw(msgspec.json.encode(value)))
lines: st.SearchStrategy[Line] = st.one_of(
    st.builds(Header, stream=texts, to=st.none() | texts),
    st.builds(Kept, id=texts, type=texts, schema=st.integers(1, 9), at=texts, data=payloads, metadata=payloads),
    st.builds(Sent, count=st.integers(0, 99), version=st.integers(0, 99)),
    st.builds(SetAside, reason=texts),
    st.just(Ended()),
)


def told(found: list[Line]) -> list[bytes]:
    """Return lines in a form that compares."""
    return [framed(line) for line in found]


@settings(max_examples=30)
@given(st.lists(lines, max_size=8))
def test_what_is_written_is_read(written: list[Line]) -> None:
    """In order, with the offset behind each."""
    raw = b"".join(map(framed, written))
    found = list(read(raw))
    assert told([line for _, line in found]) == told(written)
    assert [offset for offset, _ in found] == [sum(map(len, told(written[: at + 1]))) for at in range(len(written))]


@settings(max_examples=30)
@given(st.lists(lines, min_size=1, max_size=8), st.data())
def test_a_torn_tail_costs_the_torn_line_alone(written: list[Line], data: st.DataObject) -> None:
    """Cut anywhere: every line that is whole is there, and nothing that was never written."""
    raw = b"".join(map(framed, written))
    cut = data.draw(st.integers(0, len(raw)))
    found = [line for _, line in read(raw[:cut])]
    ends = [sum(map(len, told(written[: at + 1]))) for at in range(len(written))]
    assert told(found) == told(written[: sum(end <= cut for end in ends)])


@settings(max_examples=30)
@given(st.lists(lines, min_size=1, max_size=4), st.lists(lines, min_size=1, max_size=4), st.data())
def test_a_line_that_a_full_disk_cut_short_is_passed_over(
    before: list[Line], after: list[Line], data: st.DataObject
) -> None:
    """What is written behind it, on a line of its own, is read."""
    whole = framed(before[-1])
    torn = whole[: data.draw(st.integers(1, len(whole) - 2))]
    raw = b"".join(map(framed, before[:-1])) + torn + b"\n" + b"".join(map(framed, after))
    assert told([line for _, line in read(raw)]) == told(before[:-1] + after)


@settings(max_examples=30)
@given(lines, st.data())
def test_a_flipped_bit_is_not_read(line: Line, data: st.DataObject) -> None:
    """The checksum tells."""
    raw = bytearray(framed(line)[:-1])
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    assert told([found for _, found in read(bytes(raw) + b"\n")]) in ([], [bytes(raw) + b"\n"])
    if bytes(raw[9:]) != framed(line)[9:-1]:
        assert list(read(bytes(raw) + b"\n")) == []
