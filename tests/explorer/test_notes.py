"""Notes and grades of people: written beside the run, shown where they belong, and never obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.test import Client

from explorer import notes
from explorer.models import NoteRow
from explorer.notes import NoteRefused
from explorer.queries import notes as listed
from journal.access import Role, add_user
from journal.domain import agent_run as run
from journal.domain.notes import stream_for
from journal.runtime.projection import catch_up_all, named
from journal.runtime.projection import rebuild as rebuilt
from journal.store import get_store
from tests.builders import event, responded, started
from tests.run_pages import HTMX, address, fresh_timelines, page, part, put, reader, signed_in, words

if TYPE_CHECKING:
    from django.http import HttpResponse

__all__ = ["fresh_timelines", "reader"]

STREAM = "agent_run-7"
HOSTILE = "</textarea><img src=x onerror=alert(1)>{{ 7|add:7 }}\u202eetirw"


@pytest.fixture
def answered(db: None, fresh_timelines: None) -> str:
    """Put a run of four events in place, the last a note that its source recorded."""
    events = [
        started(),
        responded(),
        run.Answered(response="14 days."),
        run.Annotated(by="mara", text="Hm.", at_version=3),
    ]
    return put(STREAM, [event(data) for data in events])


def engineer(name: str = "eve", role: Role = Role.ENGINEER) -> Client:
    """Return the browser of somebody who may write."""
    user, _ = add_user(name, role=role, project="default", password="a-long-password")
    client = Client()
    client.force_login(user)
    return client


def write(client: Client, *, to: str = "new", **form: object) -> HttpResponse:
    """Send a form of the page of notes."""
    return client.post(f"/runs/{STREAM}/notes/{to}/", form)  # type: ignore[return-value]


def texts(stream: str = STREAM) -> list[str]:
    """Return what stands, in order."""
    found = listed.of_run("default", stream)
    assert found is not None
    return [note.text for note in found.standing]


@pytest.mark.usefixtures("answered")
def test_a_note_stands_beside_the_run_which_stays_as_it_is() -> None:
    """It is an event of its own stream, told who wrote it; the run's bytes are the same."""
    store = get_store("default")
    before = list(store.read_stream(STREAM))
    client = engineer()
    assert write(client, v="3", text=" The policy says 30. ", label="input wrong").status_code == 302
    assert list(store.read_stream(STREAM)) == before
    opened, noted = store.read_stream("notes-agent_run-7")
    assert (opened.type, opened.payload) == ("notes.opened", {"run": STREAM})
    assert noted.type == "agent_run.annotated"
    assert noted.payload == {"by": "eve", "text": "The policy says 30.", "atVersion": 3, "label": "input wrong"}
    assert noted.meta.actor == "user:eve"


@pytest.mark.usefixtures("answered")
def test_a_note_is_shown_where_it_belongs() -> None:
    """In the list of notes, under Explain of its event and of no other, and on the minimap."""
    client = engineer()
    write(client, v="2", text="Look here")
    assert "Look here" in words(page(client, f"/runs/{STREAM}/notes/"))
    shown = page(client, address(STREAM, 2))
    assert "Look here" in words(part(shown, 'id="notes-here"', "</dd>"))
    assert 'data-noted="2,3"' in shown
    assert "Look here" not in words(page(client, address(STREAM, 1)))
    move = page(client, address(STREAM, 2), is_move=True)
    assert "Look here" not in move
    assert "Look here" in page(client, f"/runs/{STREAM}/notes/?at=2", is_move=True)


@pytest.mark.usefixtures("answered")
def test_a_change_takes_the_place_of_what_stood_there_and_says_so() -> None:
    """The number stays; the stream has both."""
    client = engineer()
    write(client, v="2", text="Wrogn")
    assert write(client, to="2", text="Wrong", label="").status_code == 302
    said = words(page(client, f"/runs/{STREAM}/notes/"))
    assert "Wrong" in said
    assert "Wrogn" not in said
    assert "changed 1 time" in said
    kinds = [one.type for one in get_store("default").read_stream(stream_for(STREAM))]
    assert kinds == ["notes.opened", "agent_run.annotated", "notes.replaced", "agent_run.annotated"]


@pytest.mark.usefixtures("answered")
def test_what_was_taken_back_is_listed_as_that_and_marks_nothing() -> None:
    """Its author takes it back, or an admin; nobody else."""
    client, other, admin = engineer(), engineer("bob"), engineer("root", Role.ADMIN)
    write(client, v="2", text="Nonsense")
    write(client, v="1", text="Spam")
    refused = write(other, to="2", do="retract")
    assert refused.status_code == 400
    assert "Note 2 is eve&#x27;s, who alone may change it." in refused.content.decode()
    assert write(client, to="2", do="retract").status_code == 302
    assert write(admin, to="3", do="retract", reason="spam").status_code == 302
    html = page(client, f"/runs/{STREAM}/notes/")
    assert "2 notes taken back" in words(html)
    assert "taken back by root" in words(html)
    assert 'data-noted="3"' in page(client, address(STREAM, 2))


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AUDITOR])
@pytest.mark.usefixtures("answered")
def test_who_may_not_annotate_reads_and_cannot_write(role: Role) -> None:
    """No form is offered, and none is taken."""
    client = engineer("vic", role)
    assert "Writing notes needs the role of an engineer." in words(page(client, f"/runs/{STREAM}/notes/"))
    assert write(client, text="x").status_code == 403
    assert client.get(f"/runs/{STREAM}/notes/2/").status_code == 403
    assert "Add a note" not in page(client, address(STREAM, 2))
    assert texts() == ["Hm."]


@pytest.mark.usefixtures("answered")
def test_nothing_is_written_into_another_project() -> None:
    """To a member of another project there is no such run, and no note of it."""
    write(engineer(), v="2", text="Ours")
    stranger = signed_in("zoe", "other")
    add_user("max", role=Role.ENGINEER, project="other", password="a-long-password")
    assert stranger.get(f"/runs/{STREAM}/notes/").status_code == 404
    assert stranger.get(f"/runs/{STREAM}/notes/?at=2", headers=HTMX).content.decode().count("Ours") == 0
    with pytest.raises(NoteRefused, match="no such run"):
        notes.annotate("other", STREAM, by="max", text="theirs")


@pytest.mark.usefixtures("answered")
def test_what_is_written_is_shown_and_never_obeyed() -> None:
    """In the list, in the field that changes it, under Explain, and on the page of the walk."""
    client = engineer()
    write(client, v="3", text=HOSTILE, label='"><script>x</script>'[:60])
    for url in (f"/runs/{STREAM}/notes/", f"/runs/{STREAM}/notes/2/", address(STREAM, 3)):
        html = page(client, url)
        assert "<img src=x" not in html
        assert "<script>x" not in html
        assert "{{ 7|add:7 }}" in html
        assert "</textarea><img" not in html


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"text": "", "label": " "}, "A note needs a text or a label."),
        ({"text": "x", "v": "99"}, "there is no event 99"),
        ({"text": "x", "v": "three"}, "there is no event 0"),
        ({"text": "x" * 8_001}, "8,000 are the most"),
        ({"text": "x", "label": "y" * 61}, "60 are the most"),
        ({"kind": "grade", "rule": "", "verdict": "fails"}, "A grade needs a rule."),
        ({"kind": "grade", "rule": "r", "verdict": "maybe"}, "A rule holds or fails"),
    ],
)
@pytest.mark.usefixtures("answered")
def test_a_form_that_makes_no_sense_is_refused_with_the_reason(form: dict[str, str], why: str) -> None:
    """What was typed stays in the form; nothing is stored."""
    answer = write(engineer(), **form)
    assert answer.status_code == 400
    assert why in words(answer.content.decode())
    assert get_store("default").stream_version(stream_for(STREAM)) == 0


@pytest.mark.usefixtures("answered")
def test_text_that_no_journal_keeps_is_written_without_it() -> None:
    """NUL and half a character are left out; other languages are not."""
    notes.annotate("default", STREAM, by="eve", text="a\x00b \ud83d 日本 شاي")
    assert texts() == ["Hm.", "ab  日本 شاي"]


@pytest.mark.usefixtures("answered")
def test_streams_of_notes_are_no_runs() -> None:
    """The list does not have them, and nobody writes notes on notes."""
    notes.annotate("default", STREAM, by="eve", text="one")
    catch_up_all()
    assert "notes-agent_run-7" not in page(engineer(), "/runs/")
    with pytest.raises(NoteRefused, match="no such run"):
        notes.annotate("default", stream_for(STREAM), by="eve", text="two")


@pytest.mark.usefixtures("answered")
def test_a_rebuild_leads_to_the_same_rows() -> None:
    """Whatever was changed and taken back."""
    notes.annotate("default", STREAM, by="eve", text="one", at_version=2)
    number = notes.grade("default", STREAM, by="eve", rule="r", verdict="fails", at_version=3, message="see there")
    notes.change("default", STREAM, number, by="eve", verdict="holds")
    notes.retract("default", STREAM, 2, by="eve")
    columns = ("run", "number", "version", "rule", "verdict", "text", "is_retracted", "changes", "is_own")
    before = list(NoteRow.objects.order_by("is_own", "number").values_list(*columns))
    rebuilt(named("notes"))
    assert list(NoteRow.objects.order_by("is_own", "number").values_list(*columns)) == before
    assert [note.number for note in notes.state_of("default", STREAM).notes] == [2, 3]


@pytest.mark.usefixtures("answered")
def test_notes_are_plain_values_for_a_program() -> None:
    """With what was recorded in the run told apart."""
    number = notes.grade("default", STREAM, by="eve", rule="r", verdict="fails")
    found = listed.of_run("default", STREAM)
    assert found is not None
    by_kind = {one["kind"]: one for one in map(listed.as_json, found.notes)}
    assert by_kind["grade"]["number"] == number
    assert (by_kind["grade"]["rule"], by_kind["grade"]["verdict"], by_kind["grade"]["at_version"]) == (
        "r",
        "fails",
        None,
    )
    assert (by_kind["note"]["recorded_in_run"], by_kind["note"]["by"]) == (True, "mara")
