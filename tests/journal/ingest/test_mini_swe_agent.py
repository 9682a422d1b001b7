"""mini-SWE-agent's bare lists and wrapped files become runs."""

from __future__ import annotations

from typing import Any

import pytest

from journal.domain.agent_run import (
    Aborted,
    Answered,
    MessageReceived,
    ModelResponded,
    Reasoned,
    ToolFailed,
    ToolReturned,
)
from journal.ingest.mini_swe_agent import detect, read
from tests.journal.ingest.reading import JUNK, a_file, a_run, event_of, is_extended, kinds, of, time_of

OPENING = [{"role": "system", "content": "One command a reply."}, {"role": "user", "content": "Fix the rounding."}]
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && git diff"


def reply(command: str, **fields: Any) -> dict[str, Any]:
    """Return a response with one command."""
    return {"role": "assistant", "content": f"I try.\n\n```mswea_bash_command\n{command}\n```", **fields}


def output(code: int, text: str = "") -> dict[str, Any]:
    """Return a command's output."""
    return {"role": "user", "content": f"<returncode>{code}</returncode>\n<output>\n{text}</output>"}


def wrapped(messages: list[Any], **info: Any) -> dict[str, Any]:
    """Return the newer form."""
    return {"info": info, "messages": messages, "trajectory_format": "mini-swe-agent-1"}


def test_a_command_is_a_call_and_the_next_message_its_result() -> None:
    """A return code other than 0 is a failure, whose message is the whole output."""
    run = a_run(read, [*OPENING, reply("cat a.py"), output(1, "no such file\n"), reply("ls"), output(0, "a.py\n")])
    assert kinds(run)[3:] == ["ModelResponded", "Reasoned", "ToolFailed", "ModelResponded", "Reasoned", "ToolReturned"]
    assert of(run, Reasoned)[0].args_json == '{"command":"cat a.py"}'
    (failure,) = of(run, ToolFailed)
    assert (failure.error_code, failure.message) == ("1", output(1, "no such file\n")["content"])
    assert event_of(run, "start").prompt == "Fix the rounding."


def test_what_follows_the_word_to_submit_is_the_answer() -> None:
    """The last output has no return code; with one, the command failed and nothing was submitted."""
    run = a_run(read, [*OPENING, reply(SUBMIT), {"role": "user", "content": "diff --git"}])
    assert [answer.response for answer in of(run, Answered)] == ["diff --git"]
    assert not of(a_run(read, [*OPENING, reply(SUBMIT), output(1)]), Answered)


@pytest.mark.parametrize("content", ["I have no idea.", "```bash\nls\n```\n```bash\npwd\n```"])
def test_a_response_without_exactly_one_command_calls_nothing(content: str) -> None:
    """What the agent is told then is a message."""
    refused = {"role": "user", "content": "Give exactly ONE command."}
    run = a_run(read, [*OPENING, {"role": "assistant", "content": content}, refused])
    assert kinds(run)[3:] == ["ModelResponded", "MessageReceived"]


def test_the_wrapped_form_adds_how_it_ended_and_what_it_cost() -> None:
    """The cost is the run's, the submission its answer."""
    info = {"exit_status": "Submitted", "submission": "diff", "model_stats": {"instance_cost": 0.5, "api_calls": 1}}
    run = a_run(read, wrapped([*OPENING, reply("ls"), output(0)], **info))
    assert [(answer.response, answer.cost_usd) for answer in of(run, Answered)] == [("diff", 0.5)]
    assert run.totals == {"cost_usd": 0.5}
    assert (run.outcome.status, run.outcome.raw) == ("unknown", {"exit_status": "Submitted"})


def test_a_limit_ends_the_run() -> None:
    """The exit status is the reason."""
    run = a_run(read, wrapped([*OPENING, reply("ls")], exit_status="LimitsExceeded"))
    assert [end.reason for end in of(run, Aborted)] == ["LimitsExceeded"]
    assert run.outcome.status == "aborted"


def test_tool_calls_pair_by_id() -> None:
    """Newer versions answer them with tool messages, and record each response's usage, cost and time."""
    calls = [{"id": name, "function": {"name": "bash", "arguments": f'{{"command": "{name}"}}'}} for name in ("a", "b")]
    usage = {"prompt_tokens": 100, "completion_tokens": 9}
    extra = {"cost": 0.25, "timestamp": 1769932800.5, "response": {"usage": usage}}
    said = {"role": "assistant", "content": "Both.", "tool_calls": calls, "extra": extra}
    results = [{"role": "tool", "tool_call_id": name, "content": name} for name in ("b", "a")]
    run = a_run(read, wrapped([*OPENING, said, *results]))
    assert [returned.call_id for returned in of(run, ToolReturned)] == ["b", "a"]
    response = of(run, ModelResponded)[0]
    assert (response.input_tokens, response.output_tokens, response.cost_usd) == (100, 9, 0.25)
    assert {"input_tokens", "output_tokens", "cost_usd"} <= run.recorded
    assert time_of(run, "message/2/response") == "2026-02-01T08:00:00.500000+00:00"


def test_a_word_of_the_user_does_not_answer_a_tool_call() -> None:
    """Only a tool message does, where calls have ids."""
    said = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "a", "function": {"name": "bash", "arguments": "{}"}}],
    }
    run = a_run(read, wrapped([*OPENING, said, {"role": "user", "content": "Stop."}]))
    assert of(run, MessageReceived)[-1].content == "Stop."


def test_a_list_that_grew_extends_its_run() -> None:
    """The events of its beginning come again under the same keys."""
    messages = [*OPENING, reply("ls"), output(0), reply(SUBMIT), {"role": "user", "content": "diff"}]
    whole = a_run(read, messages)
    assert all(is_extended(a_run(read, messages[:count]), whole) for count in (3, 4, 5))


def test_only_its_own_files_are_recognised() -> None:
    """A list of chat messages without commands is another's."""
    assert detect(a_file([*OPENING, reply("ls")]))
    assert detect(a_file([*OPENING, {"role": "assistant", "content": "```bash\nls\n```"}, output(0)]))
    assert detect(a_file(wrapped(OPENING)))
    assert not any(detect(a_file(content)) for content in (*JUNK, OPENING, [{"content": "<returncode>0</returncode>"}]))


def test_odd_messages_are_noted() -> None:
    """One that is no object is left out; one with odd fields is read as far as it goes."""
    source = a_file([*OPENING, 7, {"role": 7, "content": None}, reply("ls", extra=[1], tool_calls={}), output(0)])
    (run,) = read(source)
    assert [str(problem) for problem in source.problems] == ["message 2 is no object and is left out"]
    assert kinds(run)[-1] == "ToolReturned"
