"""Saved views: who sees, keeps, shares, changes and drops a tab of the run list."""

from __future__ import annotations

import pytest
from django.test import Client

from explorer import saved
from explorer.models import RunSummary, SavedView
from explorer.queries.run_views import views_of
from journal.access import Role, add_project, add_user, set_role
from tests.run_pages import page, words


@pytest.fixture(autouse=True)
def _project(db: None) -> None:
    """A project with one run: an empty one has no list to put a tab on."""
    add_project("mine")
    add_project("theirs")
    for project in ("mine", "theirs"):
        RunSummary.objects.create(
            project=project, stream="agent_run-1", category="agent_run", title="x", status="answered", agent="coder",
            started_us=1, newest_us=1, position=1, tool_errors=1,
        )  # fmt: skip


def browser(name: str, role: Role = Role.ENGINEER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    user, _ = add_user(name, role=role, project=project, password="a stream finds its way")
    client = Client()
    client.force_login(user)
    return client


def keep(client: Client, name: str = "Complaints", query: str = "agent:coder", **more: str) -> SavedView:
    """Keep a view by the form of the list, and return it."""
    response = client.post("/runs/views/", {"name": name, "query": query, **more})
    assert response.status_code == 302, response.content.decode()
    return SavedView.objects.get(pk=int(response["Location"].partition("view=")[2]))


def test_a_saved_view_is_a_tab_with_its_count() -> None:
    """Kept by a form; its address shows its query in the line and it as the tab one is in."""
    client = browser("ada")
    view = keep(client, query=" agent:coder  errors:>0 ")
    html = page(client, f"/runs/?view={view.pk}")
    assert 'value="agent:coder errors:&gt;0"' in html
    assert f'href="/runs/?view={view.pk}" aria-current="page"' in html
    assert "Complaints 1" in words(html)


def test_a_changed_query_stays_in_the_view_and_says_that_it_is_changed() -> None:
    """It can be put into the view, which its owner is offered."""
    client = browser("ada")
    view = keep(client)
    html = page(client, f"/runs/?view={view.pk}&q=agent:ops,coder")
    assert "Complaints 1 changed" in words(html)
    assert f'/runs/views/{view.pk}/?q=agent%3Aops%2Ccoder"' in html


def test_nobody_else_sees_a_view_until_it_is_shared() -> None:
    """Neither as a tab nor by its address; then everybody in the project does, and nobody outside of it."""
    ada, eve, mallory = browser("ada"), browser("eve", Role.VIEWER), browser("mallory", Role.ADMIN, "theirs")
    view = keep(ada)
    assert "There is no such view." in page(eve, f"/runs/?view={view.pk}")
    ada.post(f"/runs/views/{view.pk}/", {"name": "Complaints", "query": "agent:coder", "shared": "1"})
    assert f'href="/runs/?view={view.pk}"' in page(eve, "/runs/")
    assert "Complaints" not in page(mallory, "/runs/")
    assert mallory.get(f"/runs/views/{view.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("role", "seen_by"), [(Role.VIEWER, 1), (Role.AUDITOR, 1), (Role.ENGINEER, 2), (Role.ADMIN, 2)]
)
def test_sharing_takes_a_role_that_may_add_words_for_others(role: Role, seen_by: int) -> None:
    """Who may not keeps a view of their own all the same."""
    both = browser("ada", role), browser("eve")
    keep(both[0], shared="1")
    assert sum("Complaints" in page(client, "/runs/") for client in both) == seen_by


def test_a_shared_view_is_changed_by_its_owner_and_admins_only() -> None:
    """To others it answers as one that is not there, and they are offered no change."""
    view = keep(browser("ada"), shared="1")
    engineer, admin = browser("eve"), browser("root", Role.ADMIN)
    assert engineer.post(f"/runs/views/{view.pk}/", {"do": "delete"}).status_code == 404
    assert f"/runs/views/{view.pk}/" not in page(engineer, f"/runs/?view={view.pk}")
    assert "may change it as an admin" in words(page(admin, f"/runs/views/{view.pk}/"))
    assert admin.post(f"/runs/views/{view.pk}/", {"do": "delete"})["Location"] == "/runs/"
    assert not SavedView.objects.exists()


def test_an_admin_does_not_reach_what_is_somebodys_own() -> None:
    """Unshared, a view is nobody else's matter."""
    view = keep(browser("ada"))
    assert browser("root", Role.ADMIN).get(f"/runs/views/{view.pk}/").status_code == 404


def test_a_view_is_renamed_and_dropped_by_its_owner() -> None:
    """By forms on a page of its own."""
    client = browser("ada")
    view = keep(client)
    client.post(f"/runs/views/{view.pk}/", {"name": "苦情", "query": "status:aborted"})
    view.refresh_from_db()
    assert (view.name, view.query, view.shared) == ("苦情", "status:aborted", False)
    client.post(f"/runs/views/{view.pk}/", {"do": "delete"})
    assert "There is no such view." in page(client, f"/runs/?view={view.pk}")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"name": "  ", "query": ""}, "A view needs a name."), ({"name": "x" * 61, "query": ""}, "60 are the most"),
        ({"name": "Complaints", "query": ""}, "You have a view called Complaints already."),
        ({"name": "New", "query": "agnt:x"}, "There is no key agnt. Nearest: agent."),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_with_the_reason_and_what_was_typed(said: dict[str, str], reason: str) -> None:
    """Nothing has to be typed again."""
    client = browser("ada")
    keep(client)
    response = client.post("/runs/views/", said)
    assert response.status_code == 400
    assert reason in words(response.content.decode())
    assert f'value="{said["query"]}"' in response.content.decode()
    assert SavedView.objects.count() == 1


def test_two_people_may_use_one_name() -> None:
    """Names are unique among one's own."""
    assert keep(browser("ada")).name == keep(browser("eve")).name


def test_there_is_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of tabs without an end helps nobody."""
    monkeypatch.setattr(saved, "MOST", 1)
    client = browser("ada")
    keep(client)
    assert client.post("/runs/views/", {"name": "Another", "query": ""}).status_code == 400


def test_a_view_whose_query_is_no_longer_one_still_opens() -> None:
    """The language may lose a key; the list then points at the word, and the tab has no count."""
    client = browser("ada")
    view = keep(client)
    SavedView.objects.update(query="oldkey:x")
    assert "There is no key oldkey." in words(page(client, f"/runs/?view={view.pk}"))


def test_a_search_for_words_is_no_count_of_a_tab() -> None:
    """Each page would search for the words of every view."""
    keep(browser("ada"), query='"line 88"')
    (view,) = [view for view in views_of("mine", SavedView.objects.get().owner_id) if view.id]
    assert not view.can_be_counted


def test_signing_in_comes_first() -> None:
    """And then leads back to the form."""
    assert Client().get("/runs/views/?q=refund")["Location"] == "/accounts/login/?next=/runs/views/%3Fq%3Drefund"
    assert Client().post("/runs/views/", {"name": "x"}).status_code == 401


def test_who_may_share_no_longer_cannot_change_what_everybody_sees() -> None:
    """A member made a viewer keeps their own views; the shared ones are an admin's matter from then on."""
    ada, root = browser("ada"), browser("root", Role.ADMIN)
    own, shared = keep(ada), keep(ada, name="All of us", shared="1")
    set_role("mine", "ada", Role.VIEWER)
    offer = f'href="/runs/views/{shared.pk}/'
    assert offer not in page(ada, f"/runs/?view={shared.pk}")
    assert offer in page(root, f"/runs/?view={shared.pk}")
    for said in ({"name": "Mine", "query": ""}, {"do": "delete"}):
        assert ada.post(f"/runs/views/{shared.pk}/", said).status_code == 404
    assert SavedView.objects.get(pk=shared.pk).name == "All of us"
    assert ada.post(f"/runs/views/{own.pk}/", {"name": "Mine", "query": ""}).status_code == 302
