"""What each story of the demo data promises to whoever looks for it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from journal.domain.aggregate import fold
from journal.domain.event import RecordedEvent
from journal.domain.explain import explain
from nagare_web.demo import STORIES
from nagare_web.demo.shop import rates_bad_from
from tests.nagare_web.demo.filled import UNTIL, arguments, event_at, journal, kinds_of_causes, named, result, story

EDITED = "billing/refunds.py"


def test_the_coding_run_has_exactly_200_events() -> None:
    """It ends answered, after a compaction, 49 decisions and six failures on the way."""
    events = story("edit-unread")
    state = fold(events[0].stream, events).to_json()
    assert (len(events), state["status"]) == (200, "answered")
    assert (state["totals"]["decisions"], state["totals"]["tool_errors"]) == (49, 6)
    assert [event.version for event in named(events, "context_compacted")] == [121]


def test_the_coding_run_keeps_its_address() -> None:
    """Links in the documentation hold on every machine."""
    assert story("edit-unread")[0].stream == "agent_run-e1176350-43c3-59bf-8814-8affdd6177d4"


def test_at_23_a_file_is_edited_that_was_never_read() -> None:
    """No read_file of it comes before; the first one comes at 35."""
    events = story("edit-unread")
    edit = event_at(events, 23)
    assert (edit.type, edit.payload["toolName"], arguments(edit)["path"]) == ("agent_run.reasoned", "edit_file", EDITED)
    reads = [
        call.version
        for call in named(events, "reasoned")
        if call.payload["toolName"] == "read_file" and arguments(call)["path"] == EDITED
    ]
    assert reads[0] == 35


def test_before_23_the_file_was_seen_as_one_grep_match() -> None:
    """The grep at 20 gave eight matches in four files, one of them line 88 of the file."""
    events = story("edit-unread")
    found = result(event_at(events, 20))
    assert (found["matches"], found["files"]) == (8, 4)
    assert [match for match in found["lines"] if match["path"] == EDITED] == [
        {"path": EDITED, "line": 88, "text": "    return round(x, 2)"}
    ]
    shown = [event.version for event in events[:22] if EDITED in event.data.decode()]
    assert shown == [20]


def test_the_stated_reason_stands_before_the_edit() -> None:
    """The response at 22 says why; the call at 23 carries it as its thought."""
    events = story("edit-unread")
    said = (
        "The grep at the previous step already showed line 88 uses round(x, 2); "
        "I believe I have seen the file, so I will edit directly instead of reading."
    )
    assert event_at(events, 22).payload["content"] == said
    assert event_at(events, 23).payload["thought"] == said


def test_the_causes_of_the_edit_are_recorded() -> None:
    """23 answers 22, which quotes the grep at 20 and goes back to the failed test at 16."""
    events = story("edit-unread")
    grep, failure = event_at(events, 20), event_at(events, 16)
    assert event_at(events, 23).meta.causation_id == event_at(events, 22).id
    assert kinds_of_causes(event_at(events, 22)) == {failure.id: "read", grep.id: "quoted"}
    assert kinds_of_causes(event_at(events, 23)) == {grep.id: "quoted"}


def test_the_edit_breaks_tests_that_passed() -> None:
    """One test failed before it, three after it; the second error names the line the agent had not seen."""
    events = story("edit-unread")
    assert event_at(events, 16).payload["message"].startswith("1 failed, 11 passed")
    assert event_at(events, 28).payload["message"].startswith("3 failed, 41 passed")
    assert f"{EDITED}:131" in event_at(events, 28).payload["message"]


def test_the_other_coding_run_is_equal_until_20() -> None:
    """The same calls with the same results up to the grep; then it reads the file at 23 and is done after 37 events."""
    one, other = story("edit-unread"), story("edit-after-reading")
    assert [explain(event).summary for event in one[:21]] == [explain(event).summary for event in other[:21]]
    assert (event_at(other, 23).payload["toolName"], arguments(event_at(other, 23))["path"]) == ("read_file", EDITED)
    assert (len(other), other[-1].type) == (37, "agent_run.answered")


def rate_of(events: list[RecordedEvent]) -> float:
    """Return the rate a conversion got."""
    returned = next(event for event in named(events, "tool_returned") if event.payload["toolName"] == "exchange_rate")
    return float(result(returned)["rate"])


def usual_rate(events: list[RecordedEvent]) -> float:
    """Return roughly what the rate should be."""
    call = next(call for call in named(events, "reasoned") if call.payload["toolName"] == "exchange_rate")
    return {"JPY": 162.4, "USD": 1.084, "GBP": 0.857, "CHF": 0.962, "SEK": 11.31}[arguments(call)["currency"]]


def test_rates_are_right_until_the_feed_goes_bad() -> None:
    """All conversions before the moment are within two per cent of the usual rate."""
    for at in range(14):
        events = story("healthy-rates", at)
        assert events[-1].occurred_at < rates_bad_from(UNTIL)
        assert 0.98 < rate_of(events) / usual_rate(events) < 1.02


def test_rates_are_a_hundred_times_too_small_from_then_on() -> None:
    """At least twelve runs began after the moment, and every one got a bad rate."""
    for at in range(18):
        events = story("poisoned-rates", at)
        assert events[0].occurred_at > rates_bad_from(UNTIL)
        assert 0.0098 < rate_of(events) / usual_rate(events) < 0.0102


def test_each_poisoned_answer_quotes_the_bad_rate() -> None:
    """The answer states the rate and has the tool's result among its causes, as quoted."""
    for at in range(18):
        events = story("poisoned-rates", at)
        returned = next(e for e in named(events, "tool_returned") if e.payload["toolName"] == "exchange_rate")
        answered = events[-1]
        assert kinds_of_causes(answered)[returned.id] == "quoted"
        assert str(result(returned)["rate"]) in answered.payload["response"]


def test_loops_repeat_one_call_until_the_budget_is_used_up() -> None:
    """One tool fails with unchanged arguments at least eight times in a row."""
    for at in range(4):
        events = story("failure-loops", at)
        failed = named(events, "tool_failed")
        last = [call.payload["argsJson"] for call in named(events, "reasoned")][-len(failed) :]
        assert len(failed) >= 8
        assert len(set(last)) == 1
        assert events[-1].type == "agent_run.aborted"
        assert "step budget" in events[-1].payload["reason"]


def test_the_first_answer_to_the_complainant_quotes_the_old_policy() -> None:
    """Two months ago, by a policy of 14 days; the customer is the subject of every event."""
    events = story("complaint")
    answered = named(events, "answered")[0]
    policy = next(e for e in named(events, "tool_returned") if e.payload["toolName"] == "read_policy")
    assert UNTIL - answered.occurred_at > timedelta(days=60)
    assert result(policy)["version"] == 3
    assert kinds_of_causes(answered)[policy.id] == "quoted"
    assert {event.meta.subjects for event in events} == {("user-31",)}


def test_the_complaint_belongs_to_the_same_conversation() -> None:
    """Both runs share a correlation id; other runs of the customer have others."""
    first, second = story("complaint"), story("complaint", 1)
    assert first[0].meta.correlation_id == second[0].meta.correlation_id
    assert (
        result(next(e for e in named(second, "tool_returned") if e.payload["toolName"] == "read_policy"))["version"]
        == 4
    )
    others = {
        event.stream
        for event in journal().read_all()
        if event.meta.subjects == ("user-31",) and event.meta.correlation_id != first[0].meta.correlation_id
    }
    assert others


def test_a_note_says_what_was_wrong_with_the_first_answer() -> None:
    """The note was added after the complaint and is about the answer."""
    events = story("complaint")
    note = named(events, "annotated")[0]
    assert note.payload["atVersion"] == named(events, "answered")[0].version
    assert note.occurred_at > story("complaint", 1)[0].occurred_at


def test_a_hand_off_links_both_runs() -> None:
    """The child was spawned by the hand-off, and the child's answer caused the message that came back."""
    parent, child = story("hand-off"), story("hand-off", 1)
    handed_off = named(parent, "handed_off")[0]
    assert handed_off.payload["childRun"] == child[0].stream
    assert child[0].payload["parentRun"] == parent[0].stream
    assert child[0].meta.causation_id == handed_off.id
    back = parent[handed_off.version]
    assert (back.meta.causation_id, back.payload["content"]) == (child[-1].id, child[-1].payload["response"])
    assert child[0].meta.correlation_id == parent[0].meta.correlation_id


def test_an_approved_refund_names_the_approval() -> None:
    """The call of refund is authorised by the team lead's message."""
    events = story("approved-refund")
    call = next(call for call in named(events, "reasoned") if call.payload["toolName"] == "refund")
    approval = next(e for e in named(events, "message_received") if e.payload.get("name") == "mara")
    assert kinds_of_causes(call)[approval.id] == "authorised"


def test_an_unapproved_refund_asks_nobody() -> None:
    """More than 500 EUR are refunded, and no approval is among the events."""
    events = story("unapproved-refund")
    call = next(call for call in named(events, "reasoned") if call.payload["toolName"] == "refund")
    assert arguments(call)["amount_eur"] > 500
    assert "ask_approval" not in {call.payload["toolName"] for call in named(events, "reasoned")}


def test_one_run_is_long() -> None:
    """More than 2,000 events, with a context that stays small by compaction."""
    events = story("backup-check")
    state = fold(events[0].stream, events).to_json()
    assert len(events) > 2_000
    assert (len(named(events, "context_compacted")), state["status"]) == (48, "answered")
    assert len(state["context"]) < 20


def test_one_run_is_still_going() -> None:
    """It began seconds before the present and has no end."""
    events = story("still-running")
    state = fold(events[0].stream, events).to_json()
    assert state["status"] == "running"
    assert UNTIL - events[0].occurred_at < timedelta(minutes=1)


def test_the_documentation_names_every_story_and_run() -> None:
    """A story or an address that the reference does not have is not found."""
    reference = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "demo-runs.md").read_text(
        encoding="utf-8"
    )
    for name, found in STORIES.items():
        assert f"| {name} |" in reference
        assert [stream for stream in found.streams if stream not in reference] == []


def test_the_tutorial_quotes_the_run_as_it_is() -> None:
    """Each line of explanation in the tutorial is one the run gives."""
    tutorial = (Path(__file__).resolve().parents[3] / "docs" / "tutorials" / "why-edit-file-at-step-23.md").read_text(
        encoding="utf-8"
    )
    events = story("edit-unread")[18:24] + story("edit-after-reading")[20:24]
    lines = [f"{event.version:>7}  {explain(event).summary}" for event in events]
    assert [line for line in lines if line not in tutorial] == []
