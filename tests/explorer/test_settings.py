"""Settings: one reader's own, and the project's to its admins; each address for each kind of person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from explorer import figures, preferences
from explorer.models import Embedding, RunSummary
from journal.access import Role, add_project, add_user, create_token, members_of, role_in
from journal.models import ApiToken
from tests.run_pages import page, part, words

ADMIN_ONLY = ("/settings/members/", "/settings/embedding/")


@pytest.fixture(autouse=True)
def _project(db: None) -> None:
    """Two projects."""
    add_project("mine")
    add_project("theirs")


def browser(name: str, role: Role = Role.VIEWER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    user, _ = add_user(name, role=role, project=project, password="a stream finds its way")
    client = Client()
    client.force_login(user)
    return client


# --- Who --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_every_member_has_settings_and_only_admins_the_projects(role: Role) -> None:
    """The others are not even told of members and origins."""
    said = words(page(browser("ada", role), "/settings/"))
    assert "How pages look" in said
    assert ("Members" in said, "Embedding" in said) == (role is Role.ADMIN,) * 2


@pytest.mark.parametrize("address", ADMIN_ONLY)
@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER, Role.AUDITOR])
def test_only_an_admin_changes_the_project(address: str, role: Role) -> None:
    """A teammate is refused; nothing changes."""
    client = browser("eve", role)
    assert client.post(address, {"name": "eve", "role": "admin", "allowed": "1"}).status_code == 403
    assert [(member.name, member.role) for member in members_of("mine")] == [("eve", role)]
    assert not Embedding.objects.exists()


@pytest.mark.parametrize("address", ["/settings/", "/settings/look/", "/settings/tokens/", *ADMIN_ONLY])
def test_strangers_find_nothing_and_the_signed_out_sign_in(address: str) -> None:
    """An admin of another project is a stranger here."""
    stranger = browser("mallory", Role.ADMIN, "theirs")
    ask = stranger.get if address == "/settings/" else stranger.post
    assert ask(f"{address}?project=mine").status_code == 404
    anonymous = Client()
    assert (anonymous.get if address == "/settings/" else anonymous.post)(address).status_code in (302, 401)


# --- How pages look ---------------------------------------------------------------------------------------------------


def test_what_is_chosen_is_kept_in_the_browser_and_holds_on_the_next_page() -> None:
    """Theme and height stand on the root; letters in the map of keys; the form shows what is chosen."""
    client = browser("ada")
    chosen = {"theme": "dark", "density": "comfortable", "letters": "off", "zone": "Asia/Tokyo"}
    assert client.post("/settings/look/", chosen)["Location"] == "/settings/?kept=1"
    html = page(client, "/settings/")
    assert '<html lang="en" data-theme="dark" data-density="comfortable">' in html
    assert 'data-letters="off"' in html
    assert "<option selected>Asia/Tokyo</option>" in html
    assert html.count(" checked") == 3 + 1  # the scope that a new token has at first


def test_what_is_as_it_comes_needs_no_cookie() -> None:
    """Going back to it takes the cookie away."""
    client = browser("ada")
    client.post("/settings/look/", {"theme": "dark"})
    client.post("/settings/look/", {"theme": "system"})
    assert client.cookies["nagare-theme"].value == ""
    assert "data-theme" not in page(client, "/settings/").partition(">")[0]


@pytest.mark.parametrize(
    "said", [{"theme": '"><script>'}, {"zone": "../../etc/passwd"}, {"zone": "Mars/Olympus"}, {"density": ""}]
)
def test_what_is_no_choice_changes_nothing(said: dict[str, str]) -> None:
    """Neither from the form nor from a cookie that somebody wrote."""
    assert preferences.read(said) == preferences.Preferences()
    client = browser("ada")
    for name, value in said.items():
        client.cookies[f"nagare-{name}"] = value
    assert '<html lang="en">' in page(client, "/settings/")


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "javascript:alert(1)", "/\\evil.example"])
def test_the_form_leads_back_to_our_own_pages_only(to: str) -> None:
    """The address to go on to stands in the form."""
    assert browser("ada").post("/settings/look/", {"next": to})["Location"] == "/settings/?kept=1"


def test_times_are_in_the_readers_zone_and_it_is_named() -> None:
    """One reader's zone is not the next one's, and machines read UTC."""
    at = int(datetime(2026, 11, 22, 20, 4, 34, tzinfo=UTC).timestamp()) * 1_000_000
    RunSummary.objects.create(
        project="mine", stream="agent_run-1", category="agent_run", title="x", status="answered", started_us=at,
        newest_us=at, position=1,
    )  # fmt: skip
    tokyo, other = browser("ada"), browser("eve")
    tokyo.post("/settings/look/", {"zone": "Asia/Tokyo"})
    assert 'title="23 Nov 2026 05:04:34.000 JST"' in page(tokyo, "/runs/")
    assert "times in Asia/Tokyo" in words(page(tokyo, "/runs/"))
    assert 'title="22 Nov 2026 20:04:34.000 UTC"' in page(other, "/runs/")
    assert figures.iso(at) == "2026-11-22T20:04:34.000Z"


# --- Tokens -----------------------------------------------------------------------------------------------------------


def test_a_new_token_is_shown_once() -> None:
    """In the answer to the form, which no cache keeps; the list has its beginning, scopes, end and last use."""
    client = browser("ada", Role.ENGINEER)
    answer = client.post("/settings/tokens/", {"scope": ["read", "ingest"], "days": "30"})
    token = ApiToken.objects.get()
    secret = part(answer.content.decode(), "<code>ngr_", "</code>").removeprefix("<code>")
    assert (token.scopes, secret[:10], "no-store" in answer["Cache-Control"]) == (
        ["read", "ingest"],
        token.prefix,
        True,
    )
    assert token.expires_at is not None
    assert timedelta(days=29) < token.expires_at - datetime.now(UTC) <= timedelta(days=30)
    html = page(client, "/settings/")
    assert secret not in html
    assert f"{token.prefix}…" in html
    assert "never" in words(html)


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, {"read"}), (Role.ENGINEER, {"read", "ingest"}), (Role.AUDITOR, {"read", "audit"}),
        (Role.ADMIN, {"ingest", "read", "audit", "admin"}),
    ],
)  # fmt: skip
def test_a_token_may_no_more_than_its_maker(role: Role, scopes: set[str]) -> None:
    """What the role does not include is left out, whatever the form says."""
    client = browser("ada", role)
    client.post("/settings/tokens/", {"scope": ["ingest", "read", "audit", "admin", "root"]})
    assert set(ApiToken.objects.get().scopes) == scopes


def test_a_token_that_may_nothing_is_refused() -> None:
    """With the reason."""
    refused = browser("ada").post("/settings/tokens/", {"scope": ["admin"]})
    assert refused.status_code == 400
    assert "A token needs at least one thing that it may do." in words(refused.content.decode())
    assert not ApiToken.objects.exists()


def test_a_token_is_rotated_by_its_owner_alone() -> None:
    """The answer shows the new secret; the old one goes on for a day. An admin would act in another's name."""
    owner, admin = browser("ada"), browser("boss", Role.ADMIN)
    row = create_token(user="ada", project="mine", scopes=["read"]).row
    address = f"/settings/tokens/{row.id}/rotate/"
    assert admin.post(address).status_code == 404
    answer = owner.post(address)
    html = words(answer.content.decode())
    assert "The old one goes on for a day." in html
    assert "no-store" in answer["Cache-Control"]
    row.refresh_from_db()
    assert row.expires_at is not None
    assert timedelta(hours=23) < row.expires_at - datetime.now(UTC) <= timedelta(days=1)
    assert ApiToken.objects.count() == 2
    ApiToken.objects.filter(id=row.id).update(revoked_at=datetime.now(UTC))
    assert owner.post(address).status_code == 400


def test_tokens_are_seen_and_revoked_by_their_owner_and_admins() -> None:
    """To others they are not there; a revoked one stays in the list and says so."""
    owner, teammate, admin = browser("ada"), browser("eve"), browser("root", Role.ADMIN)
    row = create_token(user="ada", project="mine", scopes=["read"]).row
    address = f"/settings/tokens/{row.id}/revoke/"
    assert row.prefix not in page(teammate, "/settings/")
    assert row.prefix in page(admin, "/settings/")
    assert teammate.post(address).status_code == 404
    assert browser("mallory", Role.ADMIN, "theirs").post(address).status_code == 404
    assert owner.post(address)["Location"] == "/settings/#tokens"
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert "revoked" in words(page(owner, "/settings/"))


# --- Members ----------------------------------------------------------------------------------------------------------


def test_an_admin_gives_roles_and_takes_people_out() -> None:
    """Those who have an account; what they did stays."""
    admin = browser("root", Role.ADMIN)
    user, _ = add_user("eve", role=Role.VIEWER, project="theirs", password="a stream finds its way")
    admin.post("/settings/members/", {"name": "eve", "role": "engineer"})
    assert role_in(user, "mine") is Role.ENGINEER
    admin.post("/settings/members/", {"name": "eve", "role": "auditor"})
    assert role_in(user, "mine") is Role.AUDITOR
    admin.post("/settings/members/", {"name": "eve", "do": "remove"})
    assert (role_in(user, "mine"), role_in(user, "theirs")) == (None, Role.VIEWER)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"name": "nobody", "role": "viewer"}, "nagare user add nobody --role viewer --project mine"),
        ({"name": "root", "role": "viewer"}, "is the only admin of mine"),
        ({"name": "root", "do": "remove"}, "is the only admin of mine"),
        ({"name": "eve", "do": "remove"}, "is no member of mine"),
        ({"name": "root", "role": "emperor"}, "There is no role of that name"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_way_out(said: dict[str, str], reason: str) -> None:
    """A project is never without an admin."""
    admin = browser("root", Role.ADMIN)
    refused = admin.post("/settings/members/", said)
    assert refused.status_code == 400
    assert reason in words(refused.content.decode())
    assert [(member.name, member.role) for member in members_of("mine")] == [("root", Role.ADMIN)]


def test_the_only_admin_stays_in_whatever_letters_the_name_is_typed() -> None:
    """MariaDB may find `root` by ROOT, other databases do not: neither way is the project left without."""
    admin = browser("root", Role.ADMIN)
    for said in ({"do": "remove"}, {"role": "viewer"}):
        assert admin.post("/settings/members/", {"name": "ROOT", **said}).status_code == 400
    assert [(member.name, member.role) for member in members_of("mine")] == [("root", Role.ADMIN)]


def test_an_admin_allows_embedding_and_names_the_sites() -> None:
    """An origin a line; what is none changes nothing."""
    admin = browser("root", Role.ADMIN)
    admin.post("/settings/embedding/", {"allowed": "1", "origins": "https://Wiki.example.org/\n\nhttps://a.org:8443"})
    kept = Embedding.objects.get(project="mine")
    assert (kept.is_allowed, kept.origins) == (True, ["https://wiki.example.org", "https://a.org:8443"])
    assert admin.post("/settings/embedding/", {"origins": "https://*"}).status_code == 400
    kept.refresh_from_db()
    assert kept.is_allowed
