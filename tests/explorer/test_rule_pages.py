"""Rules in the browser: what there are, what changed between versions, and writing one."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from explorer.queries.rule_editor import Draft, editor_page
from journal.access import Role
from journal.runtime import saved_rules
from tests.explorer.judged import (
    HOSTILE,
    HTMX,
    NAME,
    QUICK,
    QUICKER,
    page,
    person,
    projects,
    put_run,
    regraded,
    save_rule,
)
from tests.run_pages import links, words

__all__ = ["projects"]

pytestmark = pytest.mark.usefixtures("projects")
NEW, EDIT = "/rules/new/", f"/rules/{NAME}/edit/"


def test_the_list_has_every_rule_and_those_saved_here_first() -> None:
    """Another project's are not among them."""
    save_rule()
    save_rule(project="theirs", name="their-rule")
    said = words(page(person(Role.VIEWER), "/rules/"))
    assert said.index(NAME) < said.index("edit-after-reading")
    assert "Tools are quick." in said
    assert "their-rule" not in said
    assert "Write a rule" not in said
    assert "Write a rule" in words(page(person(), "/rules/"))


def test_a_rule_shows_what_changed_since_the_version_before() -> None:
    """Line by line; an older version is an address of its own, and one there is not is told."""
    save_rule(QUICK)
    save_rule(QUICKER, description="Tools are very quick.")
    client = person(Role.VIEWER)
    html = page(client, f"/rules/{NAME}/")
    assert "What changed since version 1" in words(html)
    assert "The sentence was: Tools are quick." in words(html)
    assert html.count('class="side-added"') == 1
    assert html.count('class="side-changed"') == 1
    old = words(page(client, f"/rules/{NAME}/?version=1"))
    assert "What changed" not in old
    assert "newest is 2" in old
    assert "There is no version 9; this is version 2." in words(page(client, f"/rules/{NAME}/?version=9"))


def test_a_built_in_rule_has_a_page_too() -> None:
    """With what it says; there is nothing to edit. What is not there is not there."""
    said = words(page(person(), "/rules/no-loop/"))
    assert "The run does not go in circles" in said
    assert "Edit as version" not in said
    for name in ("nothing", "their-rule", "No-Loop", "%00", "a" * 300):
        page(person(Role.VIEWER), f"/rules/{name}/", status=404)
    save_rule(project="theirs", name="their-rule")
    page(person(), "/rules/their-rule/", status=404)
    page(person(), "/rules/their-rule/edit/", status=404)


def test_a_rule_is_saved_by_a_plain_form() -> None:
    """And again as the next version; what saved nothing new makes none."""
    client = person()
    form = {"name": NAME, "description": "Quick.", "expression": QUICK, "monotone": "yes", "do": "save"}
    assert client.post(NEW, form)["Location"] == f"/rules/{NAME}/"
    (version,) = saved_rules.history("mine", NAME)
    assert (version.expression, version.monotone, version.saved_by) == (QUICK, True, "user:engineer-of-mine")
    client.post(EDIT, {**form, "name": "another", "expression": QUICKER.replace("\n", "\r\n")})
    assert [one.expression for one in saved_rules.history("mine", NAME)] == [QUICK, QUICKER]
    assert saved_rules.history("mine", "another") == []
    answer = client.post(EDIT, {**form, "expression": QUICK + " ", "do": "save-regrade"})
    assert answer["Location"] == f"/regrades/?rule={NAME}"


def test_an_error_points_at_its_place() -> None:
    """Nothing is saved; what was typed stays, the line is shown with the wrong part marked, and what may be meant."""
    client = person()
    wrong = "// totals\nstate.totals.cost_us < 5.0"
    answer = client.post(NEW, {"name": NAME, "expression": wrong, "description": HOSTILE, "do": "save"})
    html = answer.content.decode()
    assert answer.status_code == 400
    assert "Line 2: state.totals has no field cost_us" in words(html)
    assert '<span class="wavy">cost_us</span>' in html
    assert 'data-mended="// totals\nstate.totals.cost_usd &lt; 5.0"' in html
    assert "Fix line 2 to save." in words(html)
    assert "<script>alert" not in html
    assert saved_rules.history("mine", NAME) == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "No Name", "expression": "true"}, "is no name for a rule"),
        ({"name": "no-loop", "expression": "true"}, "no-loop is a built-in rule"),
        ({"name": NAME, "expression": ""}, "write an expression"),
        ({"name": NAME, "expression": "foo(1)"}, "there is no function foo"),
        ({"name": NAME, "expression": "state.answers == (" * 3}, "Line 1:"),
        ({"name": NAME, "expression": "1 + " * 1500 + "1 == 1"}, "longer than 4,000 characters"),
    ],
)
def test_what_cannot_be_saved_is_told(form: dict[str, str], said: str) -> None:
    """In words, with the form as it was."""
    answer = person().post(NEW, {**form, "do": "save"})
    assert answer.status_code == 400
    assert said in words(answer.content.decode())
    assert saved_rules.history("mine", form["name"]) == []


def test_trying_tells_what_would_newly_fail_and_stores_nothing() -> None:
    """Against the newest version, with the values that decided the first failure; by htmx the panel alone."""
    for name, latency in (("fast", 20), ("slow", 500), ("slower", 5_000)):
        put_run(name, latency, prompt=f"{name} {HOSTILE}")
    save_rule(QUICK)
    client = person()
    answer = client.post(EDIT, {"expression": QUICKER, "description": "d", "do": "try"})
    html = answer.content.decode()
    said = words(html)
    assert "Tried on 3 recent runs" in said
    assert "1 holds 2 fail 1 newly, against version 1" in said
    assert html.count("chip-row") == 1
    assert "event.data.latencyMs 5000" in said
    assert "<script>alert" not in html
    part = client.post(EDIT, {"expression": QUICKER, "description": "d", "do": "try"}, headers=HTMX).content.decode()
    assert part.strip() in html
    assert len(saved_rules.history("mine", NAME)) == 1


def test_a_rule_that_goes_wrong_is_an_error_and_no_failure() -> None:
    """Told run by run."""
    put_run("fast", 20)
    answer = person().post(NEW, {"name": NAME, "expression": 'event.data.latencyMs < "x"', "do": "try"})
    assert "0 hold 0 fail 1 error" in words(answer.content.decode())


def test_while_typing_problems_and_completions_come_as_parts() -> None:
    """The same words as on the page; completions replace what was begun."""
    client = person()
    wrong = client.post("/rules/check/", {"expression": "state.totls < 1"}).content.decode()
    assert "Did you mean totals?" in words(wrong).replace(" ?", "?")
    assert "Line" not in words(client.post("/rules/check/", {"expression": "version < 1"}).content.decode())
    found = json.loads(client.post("/rules/complete/", {"text": "state.tot", "at": "9"}).content)
    assert found["options"] == [{"start": 6, "text": "totals", "kind": "field"}]
    assert (
        json.loads(client.post("/rules/complete/", {"text": "sta", "at": "x"}).content)["options"][0]["text"] == "state"
    )


def test_who_may_read_runs_may_not_write_rules() -> None:
    """Viewers and auditors are refused at each door; strangers find none."""
    save_rule()
    doors = (NEW, EDIT, f"/rules/{NAME}/retire/", "/rules/check/", "/rules/complete/")
    for role in (Role.VIEWER, Role.AUDITOR):
        client = person(role)
        assert [client.post(door).status_code for door in doors] == [403] * 5
    assert person(Role.ADMIN, "theirs").post(f"/rules/{NAME}/retire/").status_code == 404
    assert saved_rules.find_rule("mine", NAME).version == 1


def test_a_retired_rule_is_offered_no_more_and_its_page_stays() -> None:
    """Saving it again brings it back."""
    save_rule()
    client = person()
    assert client.post(f"/rules/{NAME}/retire/")["Location"] == "/rules/"
    assert "Retired: quick-tools" in words(page(client, "/rules/"))
    assert "Retired: it is offered no longer" in words(page(client, f"/rules/{NAME}/"))
    assert NAME not in words(page(client, "/bisects/"))
    assert client.post(f"/rules/{NAME}/retire/").status_code == 404


def test_a_rule_that_was_saved_just_now_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although the list of rules is read from a projection, which comes a moment later."""
    monkeypatch.setattr(saved_rules, "_show", lambda: None)
    answer = person().post(NEW, {"name": NAME, "expression": QUICK, "do": "save-regrade"})
    assert '<option value="quick-tools" selected>' in page(person(), answer["Location"])
    assert '<option value="nothing"' not in page(person(), "/regrades/?rule=nothing")


def test_a_rule_tells_what_it_was_last_used_for() -> None:
    """Its newest re-grades, with what came of them."""
    put_run("slow", 5_000)
    save_rule()
    job = regraded()
    html = page(person(), f"/rules/{NAME}/")
    assert "1 of 1 run: 1 fails" in words(html)
    assert reverse("explorer:regrade", args=[job]) in links(html)


def test_the_list_asks_the_database_the_same_number_of_times_for_any_number_of_rules() -> None:
    """One query for the rules."""
    client = person()
    counted = []
    for number in (1, 6):
        for at in range(number):
            save_rule(name=f"rule-{number}-{at}")
        with CaptureQueriesContext(connection) as queries:
            page(client, "/rules/")
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_a_new_rule_starts_empty() -> None:
    """And complains of nothing before something was written."""
    empty = editor_page("mine", "", None)
    assert empty is not None
    assert (empty.problems, empty.not_now, empty.next_version) == ((), "", 1)
    assert Draft.of({"expression": "a\r\nb\rc\x00", "name": " x "}, "").expression == "a\nb\nc"
