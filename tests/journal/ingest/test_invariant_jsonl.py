"""Invariant traces: a run per line, and notes at the places they are about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import Annotated, Started
from journal.ingest import invariant_jsonl
from journal.ingest.counts import reported
from journal.ingest.draft import RunDraft
from journal.ingest.openai_chat import version_of
from journal.ingest.source import Source

MESSAGES = [
    {"role": "user", "content": "Water the plants."},
    {
        "role": "assistant",
        "content": "Yes.",
        "tool_calls": [{"id": "c1", "function": {"name": "pour", "arguments": {}}}],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "poured"},
]


def source(*lines: object) -> Source:
    """Return a file of traces."""
    return Source(name="traces.jsonl", data="\n".join(json.dumps(line) for line in lines).encode())


def read(*lines: object) -> list[RunDraft]:
    """Return the drafts of a file of traces."""
    return list(invariant_jsonl.read(source(*lines)))


def noted(address: object) -> Annotated:
    """Return the note that an annotation with this address becomes."""
    annotation = {"id": "n1", "content": "Too much!", "address": address, "time_created": "2024-12-13T12:31:09+00:00"}
    (run,) = read({"messages": MESSAGES, "annotations": [annotation]})
    return next(draft.event for draft in run if isinstance(draft.event, Annotated))


def test_a_line_is_a_run_as_an_object_or_as_a_bare_list() -> None:
    """Both shapes give the same events, and metadata is the context."""
    bare, whole = read(MESSAGES, {"messages": MESSAGES, "metadata": {"garden": 2}})
    assert list(bare)[1:] == list(whole)[1:]
    started = next(iter(whole)).event
    assert isinstance(started, Started)
    assert (started.prompt, started.context) == ("Water the plants.", {"garden": 2})


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("messages[2].content:L0", "m2"),
        ("messages[1].tool_calls[0].function.arguments:5-20", "m1.call0"),
        ("messages[9].content", None),
        ("elsewhere", None),
        (None, None),
        (7, None),
    ],
)
def test_a_note_stands_at_the_event_its_address_means(address: object, key: str | None) -> None:
    """The address itself, which is finer, is the note's label."""
    note = noted(address)
    assert note.at_version == (version_of(key) if key else None)
    assert (note.text, note.label) == ("Too much!", address if isinstance(address, str) else None)


def test_errors_and_tokens_are_not_recorded() -> None:
    """What the format does not tell is null."""
    (run,) = read(MESSAGES)
    assert reported(run, run.events) == {
        "decisions": 1,
        "tool_calls": 1,
        "tool_errors": None,
        "input_tokens": None,
        "output_tokens": None,
        "cost_usd": None,
    }


def test_the_same_conversation_twice_is_two_runs() -> None:
    """Ids come from the content; a repeated line is told apart by its count."""
    first, second = read(MESSAGES, MESSAGES)
    assert second.source_id == f"{first.source_id}#2"


def test_more_lines_leave_the_first_runs_as_they_are() -> None:
    """A file that grew begins with the same runs."""
    assert list(read(MESSAGES)[0]) == list(read(MESSAGES, MESSAGES[:1])[0])


def test_a_bad_line_costs_only_itself() -> None:
    """It is noted with its number."""
    file = Source(
        name="traces.jsonl", data=b'{"messages": [{"role"\n{"messages": []}\n' + json.dumps(MESSAGES).encode()
    )
    assert len(list(invariant_jsonl.read(file))) == 1
    assert [problem.line for problem in file.problems] == [1, 2]


@pytest.mark.parametrize(
    ("line", "claimed"),
    [
        ({"messages": MESSAGES}, True),
        (MESSAGES, True),
        ({"messages": MESSAGES, "response": {}}, False),
        ({"messages": []}, False),
        ({"messages": [{"role": {}, "content": ""}]}, False),
        ([], False),
        (3, False),
    ],
)
def test_only_lines_of_conversations_and_nothing_more_are_claimed(line: Any, claimed: bool) -> None:  # noqa: FBT001
    """Another key, or no messages, is another format."""
    assert invariant_jsonl.detect(source(line)) is claimed


@pytest.mark.parametrize("data", [b"", b"junk", b"\xff\xfe"])
def test_junk_is_not_claimed(data: bytes) -> None:
    """Detection never raises."""
    assert not invariant_jsonl.detect(Source(name="a.jsonl", data=data))
