"""What a model saw at a decision: which call an event belongs to, its messages, and what was new in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from explorer.context import (
    Call,
    Told,
    call_for,
    calls_in,
    reconstructed,
    recorded,
    reference,
    sent_before,
    tokens_about,
)
from journal.domain import agent_run as run
from journal.domain.aggregate import fold, initial
from journal.domain.catalog import catalog
from journal.domain.run_state import RunState
from journal.ingest.files import find
from journal.ingest.importer import Importer
from journal.store.memory import MemoryStore
from tests.builders import STREAM, reasoned, responded, returned, started
from tests.builders import recorded as as_recorded

TRAJECTORIES: Final = (Path(__file__).resolve().parents[2] / "../shared/data/trajectories").resolve()

HEARD = run.MessageReceived(content="Please")
ASKED = run.ModelCalled(model="orion")
STORY = (
    started(),  # 1
    HEARD,  # 2
    ASKED,  # 3
    responded("I will read."),  # 4
    reasoned(path="a"),  # 5
    reasoned("grep", "c2", pattern="b"),  # 6
    returned("text"),  # 7
    returned("hits", "grep", "c2"),  # 8
    ASKED,  # 9
    responded("Done."),  # 10
    run.Answered(response="Done."),  # 11
    run.Graded(rule="r", verdict="holds"),  # 12
)


def _told(story: Sequence[run.AgentRunEvent]) -> list[Told]:
    return [Told(version=version, event=event) for version, event in enumerate(story, 1)]


def _call(story: Sequence[run.AgentRunEvent], version: int) -> Call:
    call = call_for(_told(story), version)
    assert call is not None
    return call


def _before(story: Sequence[run.AgentRunEvent], version: int) -> RunState:
    state = fold(STREAM, as_recorded(story)[: version - 1])
    assert isinstance(state, RunState)
    return state


@pytest.mark.parametrize(
    ("version", "at", "relation"),
    [
        (1, 3, "next"),
        (2, 3, "next"),
        (3, 3, "this"),
        (4, 3, "this"),
        (5, 3, "decision"),
        (6, 3, "decision"),
        (7, 9, "next"),
        (8, 9, "next"),
        (10, 9, "this"),
        (11, 9, "decision"),
        (12, 9, "last"),
    ],
)
def test_each_event_belongs_to_a_call(version: int, at: int, relation: str) -> None:
    """A decision was made on what its own call saw; what came in is seen by the next call, and else by the last."""
    call = _call(STORY, version)
    assert (call.at, call.relation) == (at, relation)


def test_a_decision_between_results_belongs_to_its_answer() -> None:
    """Where a source tells calls and results by turns, the second call was decided on before the first result."""
    story = (
        started(),
        HEARD,
        responded(""),
        reasoned(path="a"),
        returned(),
        reasoned("grep", "c2"),
        returned("x", "grep", "c2"),
    )
    assert _call(story, 6).at == 3


def test_a_source_without_responses_has_calls_all_the_same() -> None:
    """Where only decisions are recorded, each one behind a result is a call of its own."""
    story = (started(), HEARD, reasoned(path="a"), returned(), reasoned("grep", "c2"), returned("x", "grep", "c2"))
    assert [call.at for call in calls_in(_told(story))] == [3, 5]
    assert (_call(story, 5).at, _call(story, 4).at) == (5, 5)


def test_a_run_without_a_model_has_no_call() -> None:
    """Nothing is made up where nothing was called."""
    assert call_for(_told((started(), HEARD)), 2) is None


def test_a_reconstruction_is_what_was_said_before() -> None:
    """All messages before the call are there, a model's words and calls as one, and nothing of its answer."""
    request = reconstructed(_before(STORY, 9).context, {one.version: one for one in _told(STORY)}, before=9)
    messages = request.page(0, len(request))
    assert [(message.version, message.role, message.parts) for message in messages] == [
        (2, "user", ()),
        (4, "assistant", (5, 6)),
        (7, "tool", ()),
        (8, "tool", ()),
    ]
    assert [message.body for message in messages] == [
        "Please",
        'I will read.\n\nread_file {"path":"a"}\n\ngrep {"pattern":"b"}',
        "text",
        "hits",
    ]


def test_what_comes_after_the_call_is_no_part_of_it() -> None:
    """A later state can be used: what was said at the call or after it is left out."""
    request = reconstructed(_before(STORY, 12).context, {}, before=9)
    assert request.versions() == [2, 4, 5, 6, 7, 8]


def test_two_answers_in_a_row_are_two_messages() -> None:
    """A call that came of a later answer without words is not taken for one of the answer before."""
    story = (started(), responded("One."), reasoned(path="a"), responded(""), reasoned("grep", "c2"))
    request = reconstructed(_before(story, 6).context, {one.version: one for one in _told(story)}, before=6)
    assert [(message.version, message.parts) for message in request.page(0, 9)] == [(2, (3,)), (5, ())]


def test_a_compaction_leaves_its_summary() -> None:
    """What was dropped is gone from the next request, and the summary is in it."""
    story = (*STORY[:8], run.ContextCompacted(summary="so far", dropped_versions=(2, 4, 5, 6, 7)), responded("On."))
    state = _before(story, 10)
    assert reconstructed(state.context, {}, before=10).versions() == [8, 9]
    assert list(state.compactions) == [(9, frozenset({2, 4, 5, 6, 7}))]


def test_a_recorded_request_is_shown_as_recorded() -> None:
    """References come with what the journal knows of them; messages of the request alone stand there in whole."""
    inline = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    call = run.ModelCalled(messages=(inline, {"version": 2}, {"version": 4}, {"version": 77}))
    told = {one.version: one for one in _told(STORY)}
    messages = recorded(call, _before(STORY, 9).context, told).page(0, 4)
    assert [(message.version, message.role, message.kind) for message in messages] == [
        (None, "system", "recorded"),
        (2, "user", "message"),
        (4, "assistant", "response"),
        (77, "", "reference"),
    ]
    assert messages[0].body == "Be brief."


@pytest.mark.parametrize("sent", ["text", None, 7, {"version": 1, "role": "user"}, {"version": "1"}, []])
def test_only_a_bare_version_is_a_reference(sent: object) -> None:
    """A message that has a version among other things is the message itself."""
    assert reference(sent) is None


def test_an_answer_without_words_is_a_message_too() -> None:
    """A recorded reference to a response that only called tools is told from the event."""
    story = (started(), HEARD, responded(""), reasoned(path="a"), returned())
    call = run.ModelCalled(messages=({"version": 2}, {"version": 3}))
    message = recorded(call, _before(story, 6).context, {one.version: one for one in _told(story)}).page(1, 2)[0]
    assert (message.role, message.size_bytes) == ("assistant", 0)


def test_new_is_what_the_call_before_did_not_have() -> None:
    """Recorded requests are compared entry by entry; of reconstructed ones the time of the last call decides."""
    first = Call(at=3, relation="this", asked=run.ModelCalled(messages=({"version": 2},)), answer=None)
    second = Call(at=9, relation="this", asked=run.ModelCalled(messages=({"version": 2}, {"version": 4})), answer=None)
    request = recorded(second.asked or ASKED, (), {})
    assert (sent_before(second, request, first), sent_before(first, request, None)) == (1, 0)
    implied = reconstructed(_before(STORY, 9).context, {}, before=9)
    assert sent_before(_call(STORY, 9), implied, _call(STORY, 3)) == 1


def test_a_changed_beginning_makes_all_new() -> None:
    """Where a source changes its first message, nothing of the rest counts as sent before: no cache holds it."""
    first = Call(at=3, relation="this", asked=run.ModelCalled(messages=("a", "b")), answer=None)
    second = Call(at=9, relation="this", asked=run.ModelCalled(messages=("A", "b")), answer=None)
    assert sent_before(second, recorded(second.asked or ASKED, (), {}), first) == 0


def test_sizes_are_counted_by_role() -> None:
    """The parts of a request, largest first, with estimates of their tokens."""
    sizes = reconstructed(_before(STORY, 9).context, {}, before=9).sizes
    assert list(sizes) == ["assistant", "tool", "user"]
    assert sizes["user"] == len("Please")
    assert [tokens_about(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]


@pytest.mark.skipif(not TRAJECTORIES.is_dir(), reason="the folder of real trajectories is not there")
@pytest.mark.parametrize(
    ("source", "requests", "equal"),
    [
        ("litellm-completion-logs", 6, 6),
        ("jaeger-json", 4, 4),
        ("otlp-genai", 46, 39),
        ("inspect", 26, 21),
        ("langfuse", 18, 11),
    ],
)
def test_real_requests_are_what_we_would_reconstruct(source: str, requests: int, equal: int) -> None:
    """Every event that a recorded request refers to is in its reconstruction.

    The two are equal but where several agents or a grader speak in one run, or the source tells messages twice.
    """
    seen = same = 0
    for versions, implied in _requests(source):
        assert set(versions) <= set(implied)
        seen, same = seen + 1, same + (sorted(versions) == sorted(implied))
    assert (seen, same) == (requests, equal)


def _requests(source: str) -> list[tuple[list[int], list[int]]]:
    """Return the recorded requests of a source as versions, each with those of its reconstruction."""
    pairs = []
    for found in find([str(TRAJECTORIES / source)]):
        store = MemoryStore("p")
        Importer(store=store).run([found])
        for stream in sorted({event.stream for event in store.read_all() if event.stream.startswith("agent_run")}):
            pairs += _requests_of(store, stream)
    return pairs


def _requests_of(store: MemoryStore, stream: str) -> list[tuple[list[int], list[int]]]:
    state, pairs = initial(stream), []
    heads: dict[int, int] = {}
    assert isinstance(state, RunState)
    answer = 0
    for event in store.read_stream(stream):
        match catalog.decode(event):
            case run.ModelCalled() as call if call.messages:
                sent = [version for entry in call.messages if (version := reference(entry))]
                implied = reconstructed(state.context, {}, before=event.version).versions()
                pairs.append((_answers(sent, heads), _answers(implied, heads)))
            case run.ModelResponded():
                answer = event.version
            case run.Reasoned():
                heads[event.version] = answer or event.version
            case _:
                pass
        state.apply(event)
    return pairs


def _answers(versions: Sequence[int], heads: dict[int, int]) -> list[int]:
    """Return the versions with calls told by the answer they stand in, each once."""
    return list(dict.fromkeys(heads.get(version, version) for version in versions))
