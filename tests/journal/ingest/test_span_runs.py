"""Spans to runs: what is one run, one decision, one call, and what caused what."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    Graded,
    HandedOff,
    MessageReceived,
    ModelCalled,
    ModelResponded,
    Reasoned,
    Started,
    ToolFailed,
    ToolReturned,
)
from journal.ingest.counts import reported
from journal.ingest.draft import EventDraft, Opaque, Ref, RunDraft
from journal.ingest.span_runs import runs
from journal.ingest.spans import Batch, Log, Span, SpanEvent

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER_TRACE = "1" * 32
Kind = TypeVar("Kind")


def span(number: int, name: str = "", parent: int | None = None, *, trace: str = TRACE, **attributes: Any) -> Span:
    """A span that starts at `number` seconds and takes one; its attributes are written with `__` for a dot."""
    return Span(
        trace_id=trace, span_id=f"{number:016x}", parent_id=None if parent is None else f"{parent:016x}", name=name,
        start_ns=number * 10**9, end_ns=(number + 1) * 10**9,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    )  # fmt: skip


def chat(
    number: int,
    said: list[dict[str, Any]],
    given: list[dict[str, Any]] | None = None,
    parent: int | None = None,
    **more: Any,
) -> Span:
    """A model call in today's conventions: what it was given, and the parts it said."""
    content: dict[str, Any] = (
        {"gen_ai__output__messages": json.dumps([{"role": "assistant", "parts": said}])} if said else {}
    )
    content |= {"gen_ai__input__messages": json.dumps(given)} if given is not None else {}
    return span(
        number,
        "chat",
        parent,
        gen_ai__operation__name="chat",
        gen_ai__usage__input_tokens=10,
        gen_ai__usage__output_tokens=2,
        **content,
        **more,
    )


def tool(number: int, name: str, parent: int | None = None, **more: Any) -> Span:
    """A tool's span in today's conventions."""
    return span(
        number, f"execute_tool {name}", parent, gen_ai__operation__name="execute_tool", gen_ai__tool__name=name, **more
    )


def agent(number: int, name: str, parent: int | None = None, **more: Any) -> Span:
    """An agent's span in today's conventions."""
    return span(
        number, f"invoke_agent {name}", parent, gen_ai__operation__name="invoke_agent", gen_ai__agent__name=name, **more
    )


def text(content: str) -> dict[str, Any]:
    """A part that is text."""
    return {"type": "text", "content": content}


def call(name: str, identity: str | None = None, **arguments: Any) -> dict[str, Any]:
    """A part that is a call."""
    return {"type": "tool_call", "name": name, "arguments": arguments} | ({"id": identity} if identity else {})


def user(content: str) -> dict[str, Any]:
    """A message of the user."""
    return {"role": "user", "parts": [text(content)]}


def told(*spans: Span, **more: Any) -> list[RunDraft]:
    """The runs of these spans."""
    return list(runs(Batch(spans=list(spans)), format_name="otlp", **more))


def only(*spans: Span, **more: Any) -> tuple[RunDraft, list[EventDraft]]:
    """The one run of these spans, and its events."""
    (draft,) = told(*spans, **more)
    return draft, list(draft)


def kinds(events: list[EventDraft]) -> list[str]:
    """The names of the events, in order."""
    return [type(draft.event).__name__ for draft in events]


def of(events: list[EventDraft], kind: type[Kind]) -> list[Kind]:
    """The events of one kind."""
    return [draft.event for draft in events if isinstance(draft.event, kind)]


def test_a_tool_loop_is_told_in_order() -> None:
    """Messages, request, response, call, result, answer: one of each for what happened once."""
    first = chat(2, [text("Looking."), call("weather", "c1", city="Ulm")], [user("Weather in Ulm?")], parent=1)
    history = [
        user("Weather in Ulm?"), {"role": "assistant", "parts": [text("Looking."), call("weather", "c1", city="Ulm")]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"sky": "grey"}}]},
    ]  # fmt: skip
    result = tool(4, "weather", 1, gen_ai__tool__call__id="c1", gen_ai__tool__call__result='{"sky": "grey"}')
    draft, events = only(agent(1, "forecaster"), first, result, chat(6, [text("Grey.")], history, parent=1))
    assert kinds(events) == [
        "Started", "Opaque", "MessageReceived", "ModelCalled", "ModelResponded", "Reasoned", "ToolReturned",
        "ModelCalled", "ModelResponded", "Answered",
    ]  # fmt: skip
    (started,), (asked,), (returned,) = of(events, Started), of(events, Reasoned), of(events, ToolReturned)
    assert (started.prompt, started.agent, started.source, started.source_id) == (
        "Weather in Ulm?",
        "forecaster",
        "otlp",
        TRACE,
    )
    assert (asked.thought, asked.tool_name, asked.args_json, asked.call_id) == (
        "Looking.",
        "weather",
        '{"city":"Ulm"}',
        "c1",
    )
    assert (returned.call_id, returned.response_json, returned.latency_ms) == ("c1", '{"sky": "grey"}', 1000.0)
    assert reported(draft, events) == {
        "decisions": 2, "tool_calls": 1, "tool_errors": 0, "input_tokens": 20, "output_tokens": 4, "cost_usd": None,
    }  # fmt: skip
    by_key = {one.key: one for one in events}
    sent = [by_key[ref.key].event for ref in of(events, ModelCalled)[1].messages if isinstance(ref, Ref)]
    assert [type(one).__name__ for one in sent] == ["MessageReceived", "ModelResponded", "ToolReturned"]


def test_every_event_carries_its_spans_traceparent() -> None:
    """From an event one finds the span, and from the span the event."""
    _, events = only(chat(1, [text("hi")], [user("hello")]))
    assert {draft.traceparent for draft in events} == {f"00-{TRACE}-{1:016x}-01"}


def test_the_calls_id_makes_its_cause_recorded() -> None:
    """A result found by id is the source's own link; one found by tool and arguments is worked out."""
    for identity, certainty in (("c1", "recorded"), ("other", "inferred")):
        _, events = only(chat(1, [call("find", "c1", q=1)]), tool(3, "find", gen_ai__tool__call__id=identity))
        asked, returned = (next(d for d in events if isinstance(d.event, kind)) for kind in (Reasoned, ToolReturned))
        assert [(cause.key, cause.certainty) for cause in returned.causes] == [(asked.key, certainty)]


def test_results_in_another_order_find_their_calls() -> None:
    """Parallel calls of one tool are told apart by their arguments where the ids differ."""
    asked = chat(1, [call("find", q="a"), call("find", q="b")])
    results = [
        tool(3, "find", gen_ai__tool__call__arguments='{"q": "b"}', gen_ai__tool__call__result="B"),
        tool(4, "find", gen_ai__tool__call__arguments='{"q": "a"}', gen_ai__tool__call__result="A"),
    ]
    _, events = only(asked, *results)
    answers = {returned.call_id: returned.response_json for returned in of(events, ToolReturned)}
    assert [answers[one.call_id] for one in of(events, Reasoned)] == ['"A"', '"B"']


def test_content_that_was_not_captured_is_absent() -> None:
    """Without content a response is still a decision, its call stands at the tool's span, its cause is worked out."""
    _, events = only(agent(1, "a"), chat(2, [], parent=1), tool(4, "find", 1))
    (response,), (asked,) = of(events, ModelResponded), of(events, Reasoned)
    assert response.content is None
    assert (asked.thought, asked.args_json) == (None, "{}")
    drafts = {type(draft.event): draft for draft in events}
    assert [(cause.key, cause.certainty) for cause in drafts[Reasoned].causes] == [
        (drafts[ModelResponded].key, "inferred")
    ]


def test_a_model_span_around_another_is_the_same_call() -> None:
    """A framework's span and its client library's count once: tokens from the inner, content from who has it."""
    outer = chat(1, [text("hi")], [user("hello")])
    inner = span(
        2,
        "generate",
        1,
        gen_ai__operation__name="generate_content",
        gen_ai__usage__input_tokens=33,
        gen_ai__usage__output_tokens=4,
    )
    draft, events = only(outer, inner)
    assert reported(draft, events)["decisions"] == 1
    (response,) = of(events, ModelResponded)
    assert (response.content, response.input_tokens, response.output_tokens) == ("hi", 33, 4)
    assert f"{TRACE}/{1:016x}:responded" in {draft.key for draft in events}


def test_a_model_called_by_a_tool_is_another_call() -> None:
    """Between the two stands the tool: an agent used as a tool decides for itself, and its answer is the tool's."""
    _, events = only(
        chat(1, [call("ask_expert", "c1")]),
        tool(2, "ask_expert", 1, gen_ai__tool__call__id="c1"),
        chat(3, [text("42")], parent=2),
    )
    assert len(of(events, ModelResponded)) == 2
    assert of(events, Answered) == []


def test_attempts_under_one_span_are_decisions_each() -> None:
    """Where one span wraps two calls, the first tells with it and the second stands alone; tokens add up."""
    draft, events = only(chat(1, [text("hi")]), chat(2, [], parent=1), chat(4, [text("hi")], parent=1))
    assert reported(draft, events)["decisions"] == 2
    assert reported(draft, events)["input_tokens"] == 20


def test_a_tool_span_around_its_server_side_is_one_call() -> None:
    """An MCP client's span and the server's inside it are one call."""
    draft, events = only(
        chat(1, [call("find", "c1")]), tool(2, "find", gen_ai__tool__call__id="c1"), tool(3, "find", 2)
    )
    assert reported(draft, events)["tool_calls"] == 1
    assert len(of(events, ToolReturned)) == 1


def test_gathered_results_are_no_call() -> None:
    """A span that merges the results of parallel calls stays a plain record."""
    draft, events = only(chat(1, [text("x")]), tool(3, "(merged tools)", gcp__vertex__agent__event_id="e"))
    assert reported(draft, events)["tool_calls"] == 0


def test_a_result_only_the_next_request_holds_is_told_there() -> None:
    """Without a tool span the result is taken from what the model was sent, once."""
    history = [
        user("q"),
        {"role": "assistant", "parts": [call("find", "c1")]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "ok"}]},
    ]
    _, events = only(
        chat(1, [call("find", "c1")], [user("q")]), chat(3, [text("done")], history), chat(5, [text("bye")], history)
    )
    assert [(one.call_id, one.response_json) for one in of(events, ToolReturned)] == [("c1", '"ok"')]


def test_words_beside_a_result_are_a_message() -> None:
    """A user who answers a tool's result and says something in one message is heard."""
    blocks = [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}, {"type": "text", "text": "and now?"}]
    asked = {"role": "assistant", "parts": [call("find", "c1")]}
    later = chat(3, [text("done")], [user("q"), asked, {"role": "user", "content": blocks}])
    _, events = only(chat(1, [call("find", "c1")], [user("q")]), later)
    assert [one.response_json for one in of(events, ToolReturned)] == ['"ok"']
    assert [one.content for one in of(events, MessageReceived)] == ["q", "and now?"]


def test_a_history_that_is_not_in_the_trace_is_sent_as_recorded() -> None:
    """Responses and results from before the trace are no events of it, and answer none of its calls."""
    before = {"role": "assistant", "parts": [call("find", "old")]}
    result = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "old", "response": "ok"}]}
    _, events = only(chat(1, [text("hi")], [user("q"), before, result]))
    assert of(events, ToolReturned) == []
    (called,) = of(events, ModelCalled)
    assert called.messages[1:] == (before, {"role": "tool", "call_id": "old", "name": None, "content": "ok"})


def test_a_failed_call_of_a_tool_says_why() -> None:
    """Status ERROR or an error type is a failure; the message is the source's."""
    failing = tool(3, "find", gen_ai__tool__call__id="c1", error__type="ValueError")
    failing.status, failing.status_message = "error", "no such thing"
    draft, events = only(chat(1, [call("find", "c1")]), failing)
    (failure,) = of(events, ToolFailed)
    assert (failure.error_code, failure.message) == ("ValueError", "no such thing")
    assert reported(draft, events)["tool_errors"] == 1


def test_a_failed_model_call_is_a_decision_without_content() -> None:
    """Nothing is made up for it, and it is no answer."""
    failed = chat(1, [], [user("q")], error__type="429")
    failed.status, failed.status_message = "error", "rate limited"
    _, events = only(failed)
    (response,) = of(events, ModelResponded)
    assert (response.content, response.finish_reason, response.raw["error"]) == (None, "error", "rate limited")
    assert of(events, Answered) == []


def test_a_turn_whose_agent_failed_is_aborted() -> None:
    """The outermost agent's error ends a turn that has no answer."""
    outer = agent(1, "a")
    outer.status, outer.status_message = "error", "ValueError: no"
    _, events = only(outer, chat(2, [call("find", "c1")], parent=1))
    assert of(events, Aborted) == [Aborted(reason="ValueError: no")]


def test_a_conversation_of_several_traces_is_one_run() -> None:
    """Each turn is a trace; a message the model has seen before is not received again."""
    first = chat(1, [text("Hello Ada")], [user("I am Ada")], gen_ai__conversation__id="s1")
    history = [user("I am Ada"), {"role": "assistant", "parts": [text("Hello Ada")]}, user("Who am I?")]
    second = chat(5, [text("Ada")], history, trace=OTHER_TRACE, gen_ai__conversation__id="s1")
    draft, events = only(first, second)
    assert (draft.source_id, draft.correlation) == ("s1", "s1")
    assert [one.content for one in of(events, MessageReceived)] == ["I am Ada", "Who am I?"]
    assert [one.response for one in of(events, Answered)] == ["Hello Ada", "Ada"]


def test_the_same_words_in_a_new_turn_are_a_new_message() -> None:
    """Where a request does not repeat the history, a repeated "yes" is heard again."""
    turns = [
        chat(n, [text("ok")], [user("yes")], trace=trace, session__id="s")
        for n, trace in ((1, TRACE), (5, OTHER_TRACE))
    ]
    _, events = only(*turns)
    assert [one.content for one in of(events, MessageReceived)] == ["yes", "yes"]


def test_a_session_inside_a_conversation_does_not_cut_it() -> None:
    """A coding agent's own session id is a part of the conversation that called it."""
    served = agent(1, "coder", gen_ai__conversation__id="c")
    draft, _ = only(served, span(2, "llm", 1, span__type="llm_request", session__id="other", input_tokens=1))
    assert draft.source_id == "c"


def test_conversations_that_share_a_trace_are_cut_apart() -> None:
    """A batch job's trace may hold many; a span without a conversation belongs to the one around it."""
    batch = [
        agent(1, "a", gen_ai__conversation__id="one"), chat(2, [text("1")], parent=1),
        agent(5, "a", gen_ai__conversation__id="two"), chat(6, [text("2")], parent=5),
    ]  # fmt: skip
    drafts = told(*batch)
    assert [draft.source_id for draft in drafts] == ["one", "two"]
    assert [of(list(draft), Answered)[0].response for draft in drafts] == ["1", "2"]


def test_another_agent_going_on_is_a_handoff() -> None:
    """The agent's span after, or inside, the one that decided last; its cause is the call that names it."""
    spans = [
        agent(1, "triage"), chat(2, [call("transfer_to_billing", "h")], parent=1),
        agent(4, "billing"), chat(5, [text("refunded")], parent=4),
    ]  # fmt: skip
    _, events = only(*spans)
    (handed,) = of(events, HandedOff)
    assert handed.to_agent == "billing"
    draft = next(one for one in events if isinstance(one.event, HandedOff))
    asked = next(one for one in events if isinstance(one.event, Reasoned))
    assert [(cause.key, cause.certainty) for cause in draft.causes] == [(asked.key, "inferred")]


def test_the_answer_of_a_turn_without_content_is_its_agents() -> None:
    """Where only the agent's span has the final text, the last response's answer takes it from there."""
    outer = agent(
        1,
        "coder",
        gen_ai__input__messages=json.dumps([user("fix it")]),
        gen_ai__output__messages=json.dumps([{"role": "assistant", "parts": [text("fixed")]}]),
    )
    inner = span(2, "llm", 1, span__type="llm_request", input_tokens=1, stop_reason="end_turn")
    _, events = only(outer, inner)
    assert [one.content for one in of(events, MessageReceived)] == ["fix it"]
    assert of(events, Answered) == [Answered(response="fixed")]


def test_log_records_alone_tell_a_run() -> None:
    """A request recorded only as a log record is a decision like any other."""
    content = {
        "gen_ai.operation.name": "chat",
        "gen_ai.output.messages": [{"role": "assistant", "parts": [text("hi")]}],
    }
    log = Log(
        name="gen_ai.client.inference.operation.details",
        at_ns=10**18,
        trace_id=TRACE,
        span_id="2" * 16,
        attributes=content,
    )
    (draft,) = runs(Batch(logs=[log]), format_name="otlp")
    assert [one.content for one in of(list(draft), ModelResponded)] == ["hi"]


def test_what_means_nothing_to_a_run_is_kept() -> None:
    """A plumbing span, an unknown span event and an unknown log record become opaque events, whole."""
    called = chat(1, [text("hi")])
    called.events = [SpanEvent(name="retry", attributes={"n": 1})]
    log = Log(name="vendor.note", body="x", trace_id=TRACE, span_id=called.span_id)
    plumbing = span(0, "GET /", http__method="GET")
    (draft,) = runs(Batch(spans=[plumbing, called], logs=[log]), format_name="otlp")
    events = list(draft)
    assert [one.name for one in of(events, Opaque)] == ["otlp.span", "otlp.event", "otlp.log"]
    assert of(events, Opaque)[0].data["attributes"] == {"http.method": "GET"}


def test_an_evaluation_is_a_verdict() -> None:
    """The conventions' evaluation events grade the run."""
    called = chat(1, [text("hi")])
    called.events = [
        SpanEvent(
            name="gen_ai.evaluation.result",
            attributes={
                "gen_ai.evaluation.name": "relevance",
                "gen_ai.evaluation.score.value": 0.5,
                "gen_ai.evaluation.score.label": "fair",
            },
        )
    ]
    _, events = only(called)
    (graded,) = of(events, Graded)
    assert (graded.rule, graded.score, graded.verdict) == ("relevance", 0.5, "fair")


def test_a_trace_without_model_tool_or_agent_is_no_run() -> None:
    """It is left out, and said so."""
    reasons: list[str] = []
    assert told(span(1, "GET /", http__method="GET"), left_out=reasons.append) == []
    assert reasons == [f"trace {TRACE}: none of its 1 spans is of a model, tool or agent"]


def test_parents_in_a_circle_end() -> None:
    """A broken trace cannot hang an import."""
    assert len(told(chat(1, [text("a")], parent=2), chat(2, [text("b")], parent=1))) == 1


def test_call_ids_are_unique_in_a_run() -> None:
    """A source that repeats an id gets a number added; each result still finds its call."""
    spans = [
        chat(1, [call("find", "c")]),
        tool(3, "find", gen_ai__tool__call__id="c"),
        chat(5, [call("find", "c")]),
        tool(7, "find", gen_ai__tool__call__id="c"),
    ]
    _, events = only(*spans)
    assert [one.call_id for one in of(events, Reasoned)] == ["c", "c#2"]
    assert [one.call_id for one in of(events, ToolReturned)] == ["c", "c#2"]


@pytest.mark.parametrize("length", [2, 3, 4])
def test_spans_that_come_later_only_add_events(length: int) -> None:
    """The events of a prefix, cut after any decision, are a prefix of the events, with the same keys."""
    spans = [
        agent(1, "a"), chat(2, [call("find", q=1)], [user("q")], parent=1),
        tool(4, "find", 1, gen_ai__tool__call__result="ok"), chat(6, [text("done")], [user("q")], parent=1),
        span(8, "POST", 1, http__method="POST"),
    ]  # fmt: skip
    _, whole = only(*spans)
    _, part = only(*spans[:length])
    written = [(one.key, msgspec.json.encode(one.event, enc_hook=str)) for one in whole]
    assert [(one.key, msgspec.json.encode(one.event, enc_hook=str)) for one in part] == written[: len(part)]
