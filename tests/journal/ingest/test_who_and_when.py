"""Who&When: who spoke, what the code runner said, and who is blamed for which step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from journal.domain.agent_run import (
    Annotated,
    Answered,
    Graded,
    HandedOff,
    MessageReceived,
    ModelResponded,
    ToolFailed,
    ToolReturned,
)
from journal.errors import ImportRefused
from journal.ingest import who_and_when
from journal.ingest.counts import reported
from journal.ingest.draft import RunDraft
from journal.ingest.openai_chat import version_of
from journal.ingest.source import Source

LABELS = {"mistake_agent": "Searcher", "mistake_step": "1", "mistake_reason": "It asked for the wrong year."}


def crafted(**changes: Any) -> dict[str, Any]:
    """Return a conversation in which the role is the agent."""
    return {
        "question": "Which year?",
        "question_ID": "q1",
        "ground_truth": "1999",
        "is_corrected": False,
        **LABELS,
        "history": [
            {"role": "human", "content": "Which year?"},
            {"role": "Lead (-> Searcher)", "content": "Look up 1989."},
            {"role": "Searcher", "content": "I found 1989."},
            {"role": "Lead (thought)", "content": "Good.\nFINAL ANSWER: 1989\nDone."},
        ],
        **changes,
    }


def generated(**changes: Any) -> dict[str, Any]:
    """Return a conversation in which the name is the agent, and code is run."""
    history = [
        ("Searcher", "Run `1/0`."),
        ("Computer_terminal", "exitcode: 1 (execution failed)\nCode output: ZeroDivisionError"),
        ("Searcher", "Run `1/1`."),
        ("Computer_terminal", "exitcode: 0 (execution succeeded)\nCode output: 1"),
        ("Computer_terminal", "There is no code from the last 1 message for me to execute."),
        ("Searcher", "It is 1. TERMINATE"),
    ]
    return {
        "question": "What is it?",
        "question_ID": "q2",
        "is_correct": False,
        "system_prompt": {"Searcher": "You search."},
        **LABELS,
        "history": [{"name": name, "role": "user", "content": text} for name, text in history],
        **changes,
    }


def read(run: object) -> RunDraft:
    """Return the draft of a conversation."""
    (draft,) = who_and_when.read(Source(name="1.json", data=json.dumps(run).encode()))
    return draft


def test_the_speaker_is_the_actor_and_its_decoration_is_kept() -> None:
    """`Lead (thought)` is Lead; an arrow is an instruction, handed on; a person's words are no decision."""
    found = {event.key: event for event in read(crafted())}
    assert found["step0"].event == MessageReceived(role="user", content="Which year?", name="human")
    assert [found[f"step{step}"].actor for step in range(4)] == [
        "user:human",
        "agent:Lead",
        "agent:Searcher",
        "agent:Lead",
    ]
    assert found["step1.handoff"].event == HandedOff(to_agent="Searcher", instruction="Look up 1989.")
    response = found["step3"].event
    assert isinstance(response, ModelResponded)
    assert response.raw == {"speaker": "Lead (thought)"}
    assert found["step3.answer"].event == Answered(response="1989")


def test_the_blamed_step_is_marked_and_both_agents_are_named() -> None:
    """The note stands at the step with the reason; the verdict names who is blamed and who speaks there."""
    events = [event.event for event in read(crafted())]
    at = version_of("step1")
    assert Annotated(by="who-and-when", label="mistake", text="It asked for the wrong year.", at_version=at) in events
    verdict = events[-1]
    assert isinstance(verdict, Graded)
    assert verdict.at_version == at
    assert verdict.message == "Searcher is blamed for step 1, where Lead (-> Searcher) speaks"
    assert (verdict.raw["mistake_agent"], verdict.raw["speaker"]) == ("Searcher", "Lead (-> Searcher)")


@pytest.mark.parametrize("step", ["99", "-1", "one", "", None, "1" * 5000])
def test_a_step_that_is_not_there_is_blamed_without_a_place(step: object) -> None:
    """The annotation is kept, whatever its step says."""
    note = next(event.event for event in read(crafted(mistake_step=step)) if isinstance(event.event, Annotated))
    assert (note.at_version, note.text) == (None, "It asked for the wrong year.")


def test_the_code_runner_returns_and_fails_by_its_exit_code() -> None:
    """Its other words are a message of the environment; nothing it says is a decision."""
    draft = read(generated())
    spoken = [event.event for event in draft if event.actor == "tool:Computer_terminal"]
    assert [type(event) for event in spoken] == [ToolFailed, ToolReturned, MessageReceived]
    assert isinstance(spoken[0], ToolFailed)
    assert spoken[0].error_code == "exit 1"
    assert reported(draft, draft.events) == {
        "decisions": 3,
        "tool_calls": None,
        "tool_errors": 1,
        "input_tokens": None,
        "output_tokens": None,
        "cost_usd": None,
    }


def test_the_agents_prompts_come_first() -> None:
    """Each system prompt is a message under its agent's name."""
    prompts = [event.event for event in read(generated()) if event.key.startswith("system.")]
    assert prompts == [MessageReceived(role="system", content="You search.", name="Searcher")]


def test_both_shapes_say_that_the_answer_was_wrong() -> None:
    """One writes `is_correct`, the other `is_corrected`; the labels are kept as they are."""
    assert read(crafted()).outcome.status == read(generated()).outcome.status == "failure"
    assert read(crafted()).outcome.raw == {"is_corrected": False, **LABELS}


def test_a_longer_conversation_begins_with_the_same_steps() -> None:
    """Keys and events of a prefix stay as they are; only the run's own id tells another conversation."""
    run = crafted()
    whole = [event for event in read(run) if event.key.startswith("step")]
    part = [event for event in read({**run, "history": run["history"][:2]}) if event.key.startswith("step")]
    assert whole[: len(part)] == part


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"[]", b'{"history": [], "mistake": "mistake_step"}', b'["mistake_step"]']
)
def test_other_files_are_not_claimed(data: bytes) -> None:
    """Detection looks at what the document has, and never raises."""
    assert not who_and_when.detect(Source(name="a.json", data=data))


def test_a_document_forced_on_the_format_is_refused_with_the_reason() -> None:
    """`--format who-and-when` on something else says what is missing."""
    with pytest.raises(ImportRefused, match="no list `history`"):
        read(["hello"])
