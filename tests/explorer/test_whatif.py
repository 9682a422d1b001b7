"""What-ifs in the browser: asked by forms, shown beside the record, kept and shared; the journal is only read."""

from __future__ import annotations

import re

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from explorer import whatifs
from explorer.models import WhatIf
from journal.access import Role, add_project, add_user
from journal.domain import agent_run as run
from journal.store import get_store
from tests.builders import event, returned, started
from tests.coding_run import EDIT_AT
from tests.run_pages import fresh_timelines, page, put, put_coding_run, words

__all__ = ["fresh_timelines"]

STREAM = "agent_run-7"
AT = EDIT_AT - 1
CALL = {"v": str(AT), "form": "call", "tool": "read_file", "arguments": '{"path": "billing/refunds.py"}', "answer": "x"}
HOSTILE = "<script>alert(1)</script>\u202e<b>"

pytestmark = pytest.mark.usefixtures("fresh_timelines")


@pytest.fixture(autouse=True)
def _run(db: None) -> None:
    """A run in a project, and another project."""
    add_project("theirs")
    put_coding_run(60)


def browser(name: str = "ada", role: Role = Role.ENGINEER, project: str = "default") -> Client:
    """Return a browser of a member."""
    user, _ = add_user(name, role=role, project=project, password="a stream finds its way")
    client = Client()
    client.force_login(user)
    return client


def ask(client: Client, stream: str = STREAM, **form: str) -> str:
    """Begin a what-if, and return its address without the event."""
    response = client.post(f"/runs/{stream}/whatif/", form)
    assert response.status_code == 302, words(response.content.decode())[:600]
    return response["Location"].partition("?")[0]


def keep(client: Client, at: str, name: str = "Read first", **more: str) -> None:
    """Give a what-if a name."""
    response = client.post(at, {"do": "keep", "name": name, **more})
    assert response.status_code == 302, words(response.content.decode())[:600]


# --- What is shown ----------------------------------------------------------------------------------------------------


def test_a_call_put_in_first_makes_the_rule_hold() -> None:
    """Beside what was recorded, with what the result does not say."""
    client = browser()
    html = page(client, f"{ask(client, **CALL)}?v={EDIT_AT}")
    said = words(html)
    assert f"edit-after-reading holds; as recorded it fails at {EDIT_AT}" in said
    assert f"edit-after-reading fails at {EDIT_AT} holds changed" in said
    assert "State replay only; the model was not run again. Nothing is written to the journal." in said
    assert f"The states first differ after {AT}a." in said
    assert re.search(rf"\+ {AT}a .{{0,40}}Call read_file billing/refunds.py inserted", said)
    assert "From here on the events were recorded under another history" in said
    assert "What this does not say" in said
    assert 'added known.results["read_file' in said


def test_rows_behind_the_first_edit_are_marked_in_words() -> None:
    """Those before it are not."""
    client = browser()
    html = page(client, f"{ask(client, v='5', form='drop')}?v=5")
    rows = re.findall(r'<a class="row ([^"]*)".*?<span class="no">([^<]*)</span>.*?</a>', html, re.DOTALL)
    how = {number: look for look, number in rows}
    assert "row-dropped" in how["5"]
    assert "row-other" not in how["4"]
    assert "row-other" in how["6"]
    assert html.count("recorded under another history</span>") == sum("row-other" in look for look, _ in rows)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"v": "6", "form": "result", "result": '["nothing"]'}, "list_dir returned 1 entry replaced"),
        ({"v": "6", "form": "result", "result": "plain words"}, "list_dir returned “plain words” replaced"),
        ({"v": "6", "form": "failure", "failure": "no such folder"}, "list_dir failed: no such folder replaced"),
        ({"v": "2", "form": "message", "message": "Stop."}, "User: Stop. replaced"),
        ({"v": "6", "form": "say", "say": "Wait."}, "6a message User: Wait. inserted"),
        ({"v": "0", "form": "say", "say": "Wait."}, "0a message User: Wait. inserted"),
        ({"v": "6", "form": "drop"}, "list_dir returned 9 entries dropped"),
        (
            {"v": "6", "form": "json", "op": "replace", "type": "agent_run.aborted", "data": '{"reason": "enough"}'},
            "enough replaced",
        ),
        (
            {"v": "6", "form": "json", "op": "insert", "type": "agent_run.memory_written", "data": '{"key": "k"}'},
            "inserted",
        ),
    ],
)
def test_each_form_asks_what_it_says(form: dict[str, str], said: str) -> None:
    """And comes back as a row of the other history."""
    client = browser()
    html = page(client, f"{ask(client, **form)}?v={max(1, int(form['v']))}")
    text = words(re.sub(r'<svg class="glyph[^>]*aria-label="([^"]*)".*?</svg>', r"\1", html, flags=re.DOTALL))
    assert said in text


def test_forms_hold_what_was_recorded() -> None:
    """The result of a tool as its text, the event as its JSON; a call leads to its result."""
    client = browser()
    html = page(client, f"/runs/{STREAM}/whatif/?v=6")
    assert "What if list_dir had answered otherwise?" in words(html)
    assert "money.py" in html
    assert "&quot;toolName&quot;: &quot;list_dir&quot;" in html
    assert "The result of this call is event 6" in words(page(client, f"/runs/{STREAM}/whatif/?v=5"))
    assert "before the first event" in words(page(client, f"/runs/{STREAM}/whatif/?v=0"))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"v": "6", "form": "json", "type": "agent_run.reasoned", "data": "{"}, "it is not JSON"),
        ({"v": "6", "form": "json", "type": "agent_run.reason", "data": "{}"}, "nearest: agent_run.reasoned"),
        ({"v": "6", "form": "json", "type": "agent_run.reasoned", "data": '{"tool_name": "x"}'}, "toolName"),
        ({"v": "5", "form": "result", "result": "x"}, "can be changed by this form"),
        ({"v": "6", "form": "call", "tool": "x", "arguments": "[]"}, "the arguments must be a JSON object"),
        ({"v": "6", "form": "call", "tool": " "}, "the call needs the name of a tool"),
        ({"v": "6", "form": "say", "say": " "}, "the message is empty"),
        ({"v": "6"}, "the form says nothing"),
        ({"v": "0", "form": "drop"}, "there is no event 0"),
    ],
)
def test_what_cannot_be_asked_is_said_and_nothing_is_kept(form: dict[str, str], said: str) -> None:
    """On the form itself, with what was typed still in it."""
    client = browser()
    response = client.post(f"/runs/{STREAM}/whatif/", form)
    html = response.content.decode()
    assert response.status_code == 400
    assert said in words(html)
    if form.get("data"):
        assert form["data"].replace('"', "&quot;") in html
    assert not WhatIf.objects.exists()


def test_edits_are_added_changed_and_taken_out() -> None:
    """Each by its own form; a second edit of one event is refused."""
    client = browser()
    at = ask(client, v="6", form="failure", failure="gone")
    what_if = at.rstrip("/").rpartition("/")[2]
    again = client.post(f"/runs/{STREAM}/whatif/", {"v": "6", "form": "drop", "in": what_if})
    assert "event 6 is changed by edit 1 already" in words(again.content.decode())
    ask(client, v="9", form="drop", **{"in": what_if})
    ask(client, v="6", form="failure", failure="away", edit="1", **{"in": what_if})
    said = words(page(client, at))
    assert "failed: away" in said
    assert "failed: gone" not in said
    assert client.post(at, {"do": "take-out", "edit": "1"}).status_code == 302
    assert [edit.op for edit in whatifs.edits_of(WhatIf.objects.get())] == ["drop"]
    client.post(at, {"do": "take-out", "edit": "1"})
    assert "this is the run as it was recorded" in words(page(client, at))


def test_hostile_text_is_text() -> None:
    """In rows, in the state, in edits, in forms and in a name."""
    put("agent_run-8", [event(started(prompt=HOSTILE)), event(returned(HOSTILE, tool=HOSTILE))])
    client = browser()
    at = ask(client, "agent_run-8", v="2", form="result", result=HOSTILE)
    keep(client, at, name=HOSTILE, shared="1")
    for url in (f"{at}?v=2", "/runs/agent_run-8/whatif/?v=2"):
        html = page(client, url)
        shown = re.sub(r'<textarea.*?</textarea>|value="[^"]*"', "", html, flags=re.DOTALL)
        assert "alert(1)" in shown
        assert "<script>alert" not in html
        assert "\u202e" not in shown


def test_a_stream_that_is_no_run_has_what_ifs() -> None:
    """Its state is the newest data of each type."""
    put("order-1", [event(run.MemoryWritten(key="a", value=1)), event(run.MemoryWritten(key="a", value=2))])
    client = browser()
    html = page(client, f"{ask(client, 'order-1', v='2', form='drop')}?v=2")
    assert "latest" in words(html)


# --- What is kept, and for whom ---------------------------------------------------------------------------------------


def test_a_shared_what_if_opens_for_a_second_person_by_its_address() -> None:
    """And is listed on its run; only its owner changes it."""
    ada, eve = browser(), browser("eve", Role.VIEWER)
    at = ask(ada, **CALL)
    assert eve.get(at).status_code == 404
    keep(ada, at, shared="1")
    said = words(page(eve, at))
    assert "What-if, Read first" in said
    assert "By ada ." in said
    assert "Take out" not in said
    assert "Read first ada" in words(page(eve, f"/runs/{STREAM}/whatif/"))
    for form in ({"do": "keep", "name": "Mine"}, {"do": "take-out", "edit": "1"}, {"do": "delete"}):
        assert eve.post(at, form).status_code == 404
    what_if = WhatIf.objects.get()
    assert eve.post(f"/runs/{STREAM}/whatif/", {**CALL, "in": what_if.pk}).status_code == 404
    assert (what_if.name, len(whatifs.edits_of(what_if))) == ("Read first", 2)


@pytest.mark.parametrize(
    ("role", "is_shared"), [(Role.VIEWER, False), (Role.AUDITOR, False), (Role.ENGINEER, True), (Role.ADMIN, True)]
)
def test_sharing_takes_a_role_that_may_add_words_for_others(role: Role, is_shared: bool) -> None:  # noqa: FBT001
    """Who may not keeps what-ifs of their own all the same."""
    client = browser("ada", role)
    keep(client, ask(client, **CALL), shared="1")
    assert WhatIf.objects.get().shared is is_shared


def test_an_admin_deletes_what_is_shared_and_nothing_else() -> None:
    """Its owner always does."""
    ada, admin = browser(), browser("root", Role.ADMIN)
    at = ask(ada, **CALL)
    assert admin.post(at, {"do": "delete"}).status_code == 404
    keep(ada, at, shared="1")
    assert admin.post(at, {"do": "delete"}).status_code == 302
    assert not WhatIf.objects.exists()
    ada.post(ask(ada, **CALL), {"do": "delete"})
    assert not WhatIf.objects.exists()


def test_another_project_has_none_of_it() -> None:
    """Neither the what-if nor the run; not even under the same names."""
    ada, mallory = browser(), browser("mallory", Role.ADMIN, "theirs")
    at = ask(ada, **CALL)
    keep(ada, at, shared="1")
    assert mallory.get(at).status_code == 404
    put_coding_run(30, project="theirs")
    assert mallory.get(at).status_code == 404
    assert "Read first" not in page(mallory, f"/runs/{STREAM}/whatif/")
    assert mallory.post(at, {"do": "delete"}).status_code == 404


def test_a_name_is_needed_and_drafts_go() -> None:
    """A what-if without a name is a draft; the oldest go when there are too many."""
    client = browser()
    at = ask(client, **CALL)
    refused = client.post(at, {"do": "keep", "name": "  "})
    assert refused.status_code == 400
    assert "A what-if needs a name" in words(refused.content.decode())
    keep(client, ask(client, **CALL))
    for _ in range(whatifs.MOST_DRAFTS):
        ask(client, v="6", form="drop")
    assert WhatIf.objects.filter(name="").count() == whatifs.MOST_DRAFTS
    assert WhatIf.objects.exclude(name="").count() == 1
    assert client.get(at).status_code == 404


def test_edits_that_fit_no_longer_are_said_to() -> None:
    """As where the run was cut by a purge: the page says so, and the forms are there."""
    client = browser()
    at = ask(client, v="60", form="drop")
    kept = WhatIf.objects.get()
    kept.edits = kept.edits.replace('"version":60', '"version":90')
    kept.save()
    response = client.get(at)
    assert "The what-if cannot be made of this run any more. Edit 1: there is no event 90" in words(
        response.content.decode()
    )


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_only_the_explorers_own_table_is_written() -> None:
    """Asked, moved about in, named, changed, deleted: the journal's tables are as they were."""
    client = browser()
    at = ask(client, **CALL)
    before = {model._meta.label: model._base_manager.count() for model in apps.get_models()}
    head = get_store("default").stream_version(STREAM)
    keep(client, at, shared="1")
    for version in (1, 22, 60):
        page(client, f"{at}?v={version}")
    ask(client, v="30", form="drop", **{"in": at.rstrip("/").rpartition("/")[2]})
    after = {model._meta.label: model._base_manager.count() for model in apps.get_models()}
    assert after == before
    assert get_store("default").stream_version(STREAM) == head


def test_a_page_costs_the_same_whatever_is_edited() -> None:
    """Session, what-if, run, rules, length, events, rows; and moving about asks no rule again."""
    client = browser()
    at = ask(client, **CALL)
    page(client, at)
    with CaptureQueriesContext(connection) as asked:
        html = page(client, f"{at}?v=40")
    assert len(asked) <= 8
    assert html.count("<") - html.count("</") < 1_500


def test_versions_past_the_end_are_clamped_with_a_notice() -> None:
    """As everywhere."""
    client = browser()
    said = words(page(client, f"{ask(client, **CALL)}?v=999"))
    assert "You asked for 999. The run has the events 1 to 60, so here is 60." in said


@pytest.mark.parametrize("path", ["/runs/agent_run-none/whatif/", f"/runs/{STREAM}/whatif/none/"])
def test_what_is_not_there_is_not_found(path: str) -> None:
    """A run, and a what-if."""
    assert browser().get(path).status_code == 404


def test_the_run_leads_to_its_what_ifs() -> None:
    """From the event at the cursor, with or without a script; and to another run beside it."""
    html = page(browser(), f"/runs/{STREAM}/?v=22")
    assert f'href="/runs/{STREAM}/whatif/?v=22"' in html
    assert f'href="/compare/?a={STREAM}"' in html
