"""Langfuse's export: observations are spans, scores are verdicts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import Answered, Graded, Reasoned, Started, ToolFailed, ToolReturned
from journal.ingest import langfuse
from journal.ingest.counts import reported
from journal.ingest.draft import RunDraft
from journal.ingest.source import Source

TRACE: dict[str, Any] = {
    "id": "0af7651916cd43dd8448eb211c80319c", "name": "trip", "sessionId": "s1", "userId": "u1", "metadata": '{"a": 1}',
    "scores": [{"id": "1", "name": "helpful", "value": 1, "source": "EVAL", "comment": "yes"}],
}  # fmt: skip


def observation(number: int, kind: str, **more: Any) -> dict[str, Any]:
    """An observation of half a second, `number` seconds after midnight."""
    return {
        "id": f"{number:016x}", "type": kind, "name": more.pop("name", kind.lower()), "level": "DEFAULT",
        "startTime": f"2025-01-01T00:00:0{number}.000Z", "endTime": f"2025-01-01T00:00:0{number}.500Z", **more,
    }  # fmt: skip


GENERATION = observation(
    1, "GENERATION", model="m-1", input='[{"role": "user", "content": "weather?"}]',
    output='{"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "sky", "input": {"at": 1}}]}',
    usageDetails={"input": 9, "output": 3}, costDetails={"total": 0.25},
)  # fmt: skip
TOOL = observation(2, "TOOL", name="sky", input='{"at": "Ulm"}', output='"grey"')
FINAL = observation(
    3,
    "GENERATION",
    model="m-1",
    output='{"role": "assistant", "content": "Grey."}',
    usageDetails={"input": 12, "output": 2},
)


def source(value: Any, name: str = "t.trace.json") -> Source:
    """A file of this document."""
    return Source(name=name, data=json.dumps(value).encode())


def read(*observations: dict[str, Any]) -> RunDraft:
    """Read the one run of a trace with these observations."""
    given = source({"trace": TRACE, "observations": list(observations)})
    assert langfuse.detect(given)
    (draft,) = langfuse.read(given)
    return draft


def test_a_trace_is_a_run() -> None:
    """Generations are decisions with their tokens and cost, a tool's observation answers its call."""
    draft = read(GENERATION, TOOL, FINAL)
    events = [one.event for one in draft]
    assert [type(event).__name__ for event in events] == [
        "Started", "MessageReceived", "ModelCalled", "ModelResponded", "Reasoned", "ToolReturned", "ModelCalled",
        "ModelResponded", "Answered", "Graded",
    ]  # fmt: skip
    assert reported(draft, list(draft)) == {
        "decisions": 2, "tool_calls": None, "tool_errors": 0, "input_tokens": 21, "output_tokens": 5, "cost_usd": 0.25,
    }  # fmt: skip
    asked, returned = (next(event for event in events if isinstance(event, kind)) for kind in (Reasoned, ToolReturned))
    assert asked.call_id == returned.call_id == "c1"
    assert (draft.source_id, draft.correlation) == (TRACE["id"], "s1")


def test_the_trace_stands_in_the_runs_context_and_its_scores_are_verdicts() -> None:
    """Name, session and user are kept; a score keeps its value, comment and source."""
    events = [one.event for one in read(FINAL)]
    (started,) = [event for event in events if isinstance(event, Started)]
    (graded,) = [event for event in events if isinstance(event, Graded)]
    assert started.context["trace"] == {"name": "trip", "userId": "u1", "sessionId": "s1", "metadata": {"a": 1}}
    assert (graded.rule, graded.by, graded.score, graded.message) == ("helpful", "EVAL", 1.0, "yes")


def test_every_generation_is_a_decision_even_inside_another() -> None:
    """Langfuse lists what a framework wrapped twice twice, and so do we; the call in both is told once."""
    outer = {**GENERATION, "costDetails": {}}
    inner = {**GENERATION, "id": "f" * 16, "parentObservationId": outer["id"], "startTime": "2025-01-01T00:00:01.100Z"}
    draft = read(outer, inner, TOOL)
    assert reported(draft, list(draft))["decisions"] == 2
    assert len([one for one in draft if isinstance(one.event, Reasoned)]) == 1


def test_an_error_level_is_a_failure() -> None:
    """A tool whose observation has level ERROR failed, with the status message as the reason."""
    failed = {**TOOL, "level": "ERROR", "statusMessage": "no sky today", "output": None}
    failures = [one.event for one in read(GENERATION, failed) if isinstance(one.event, ToolFailed)]
    assert [failure.message for failure in failures] == ["no sky today"]


def test_the_instrumentations_own_attributes_are_read_first() -> None:
    """What Langfuse shortened is taken from the attributes it keeps in the metadata."""
    attributes = {
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "whole"}]}])
    }
    shortened = {**FINAL, "output": "sho", "metadata": json.dumps({"attributes": attributes})}
    assert [one.event.response for one in read(shortened) if isinstance(one.event, Answered)] == ["whole"]


def test_the_api_form_is_accepted() -> None:
    """A trace with its observations inside, as the API gives it, is the same run."""
    given = source({**TRACE, "observations": [GENERATION, TOOL, FINAL]})
    assert langfuse.detect(given)
    (draft,) = langfuse.read(given)
    assert [one.key for one in draft] == [one.key for one in read(GENERATION, TOOL, FINAL)]


def test_normalised_messages_are_a_companion() -> None:
    """They repeat what the trace says."""
    given = source({"a": {"input": {"success": True, "data": []}, "output": {}}}, name="t.chatml.json")
    assert not langfuse.detect(given)
    assert langfuse.companion(given) == (
        "t.chatml.json holds messages of a trace's observations once more, normalised by Langfuse"
    )


@pytest.mark.parametrize(
    "junk",
    [b"", b"[]", b'{"observations": []}', b'{"trace": {"id": "x"}, "observations": [{}]}', b'"observations"', b"\xff"],
)
def test_junk_is_not_claimed(junk: bytes) -> None:
    """Detection neither fails nor guesses."""
    assert not langfuse.detect(Source(name="x.json", data=junk))


def test_a_prefix_of_the_observations_gives_a_prefix_of_the_events() -> None:
    """A trace exported again when it has grown keeps every event's key."""
    whole = [one.key for one in read(GENERATION, TOOL, FINAL)]
    part = [one.key for one in read(GENERATION, TOOL)]
    assert part[:-1] == whole[: len(part) - 1]
