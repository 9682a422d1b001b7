"""A run taken elsewhere: Markdown, files, links for other sites' pages; and who may."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
import pytest
from django.test import AsyncRequestFactory, Client, RequestFactory

from explorer import embeds, markdown
from explorer.models import EmbedLink
from explorer.streaming import streamed
from journal.access import Role, add_project, add_user, remove_member, set_role
from journal.domain.event import EventData
from tests.builders import event, raw, started
from tests.run_pages import fresh_timelines, page, part, put, put_coding_run, words

__all__ = ["fresh_timelines"]

NOW = datetime.now(UTC)
HOSTILE = "```\n# Not a heading\n[link](javascript:alert(1)) <img src=x> ````\n\u202eevil"


@pytest.fixture(autouse=True)
def _project(db: None, fresh_timelines: None) -> None:
    """A project of our own, and another one."""
    add_project("mine")
    add_project("theirs")


def browser(name: str = "ada", role: Role = Role.ENGINEER, project: str = "mine") -> Client:
    """Return a browser of a member."""
    user, _ = add_user(name, role=role, project=project, password="a stream finds its way")
    client = Client()
    client.force_login(user)
    return client


def text(client: Client, address: str) -> str:
    """Return what a streamed answer says."""
    response = client.get(address)
    assert response.status_code == 200, address
    return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def test_an_event_as_markdown_is_explained_whole_and_linked() -> None:
    """Its number, what it means, the model's stated reason as such, the arguments, the permanent address."""
    put_coding_run(200, project="mine")
    client = browser()
    said = text(client, "/runs/agent_run-7/markdown/?v=23")
    assert client.get("/runs/agent_run-7/markdown/")["Content-Type"] == "text/markdown; charset=utf-8"
    assert re.findall(r"^## (\d+) · (.+)$", said, re.MULTILINE) == [("23", r"Decided to call edit\_file")]
    assert "The model's own stated reason, not verified:" in said
    assert '```json\n{\n  "' in said
    assert "<http://testserver/runs/agent_run-7/events/23/>" in said


def numbers(said: str) -> list[int]:
    """Return the events that a Markdown text tells of."""
    return [int(found) for found in re.findall(r"^## (\d+) ·", said, re.MULTILINE)]


def test_a_range_holds_what_lies_behind_after_and_up_to_until() -> None:
    """As ranges do everywhere; past the run's end there is no more."""
    put_coding_run(20, project="mine")
    client = browser()
    assert numbers(text(client, "/runs/agent_run-7/markdown/?after=3&until=6")) == [4, 5, 6]
    assert numbers(text(client, "/runs/agent_run-7/markdown/?after=23&until=999")) == [24, 25]
    refused = client.get("/runs/agent_run-7/markdown/?after=30")
    assert (refused.status_code, refused["Content-Type"]) == (404, "text/plain; charset=utf-8")


def test_a_long_run_is_cut_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paste has an end; what is missing is named with its address."""
    monkeypatch.setattr(markdown, "MOST_EVENTS", 5)
    put_coding_run(20, project="mine")
    said = text(browser(), "/runs/agent_run-7/markdown/")
    assert len(re.findall(r"^## ", said, re.MULTILINE)) == 5
    assert "events 6 to 25 are not in it. They begin at http://testserver/runs/agent_run-7/?v=6" in said


def test_recorded_text_stays_text() -> None:
    """It closes no fence, makes no heading, link or image outside of one, and turns no line around."""
    events: list[EventData] = [
        event(started(prompt=HOSTILE)),
        raw("agent_run.message_received", msgspec.json.encode({"role": "user", "content": HOSTILE})),
    ]
    put("agent_run-x", events, project="mine")
    said = text(browser(), "/runs/agent_run-x/markdown/")
    outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", said, flags=re.MULTILINE | re.DOTALL)
    assert "\u202e" not in outside
    assert not re.search(r"(?<!\\)\]\(|(?<!\\)<img|^# Not", outside, re.MULTILINE)
    assert said.count("`````") == 4


def test_long_text_is_cut_with_its_true_length() -> None:
    """As everywhere."""
    put("agent_run-x", [event(started(prompt="x" * 50_000))], project="mine")
    assert "(4,000 of 50,000 characters)" in text(browser(), "/runs/agent_run-x/markdown/")


# --- Files ------------------------------------------------------------------------------------------------------------


def test_a_run_is_downloaded_as_lines_and_as_atif() -> None:
    """A line an event; one document, which counts its steps."""
    put_coding_run(20, project="mine")
    client = browser()
    lines = text(client, "/runs/agent_run-7/export/jsonl/").splitlines()
    assert [msgspec.json.decode(line)["version"] for line in lines] == list(range(1, 26))
    document = msgspec.json.decode(text(client, "/runs/agent_run-7/export/atif/"))
    assert document["schema_version"] == "ATIF-v1.7"
    response = client.get("/runs/agent_run-7/export/atif/")
    assert response["Content-Disposition"] == 'attachment; filename="agent_run-7.atif.json"'


def test_atif_of_what_is_no_agents_run_says_why_and_what_takes_it() -> None:
    """Other streams have no turns to describe; as lines they are had all the same."""
    put("order-7", [raw("order.placed", b'{"total": 3}')], project="mine")
    client = browser()
    refused = client.get("/runs/order-7/export/atif/")
    assert refused.status_code == 409
    assert "order-7 is no agent's run" in refused.content.decode()
    assert "/runs/order-7/export/jsonl/" in refused.content.decode()
    assert text(client, "/runs/order-7/export/jsonl/").count("\n") == 1


@pytest.mark.parametrize("address", ["export/jsonl/", "embed/"])
@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 403), (Role.ENGINEER, 200), (Role.AUDITOR, 200), (Role.ADMIN, 200)]
)
def test_taking_a_run_out_needs_the_permission(address: str, role: Role, status: int) -> None:
    """A viewer reads, copies as Markdown, and is offered no file."""
    put_coding_run(20, project="mine")
    client = browser(role=role)
    assert client.get(f"/runs/agent_run-7/{address}").status_code == status
    assert client.get("/runs/agent_run-7/markdown/").status_code == 200


@pytest.mark.parametrize("address", ["markdown/", "export/jsonl/", "export/atif/", "embed/"])
def test_a_run_of_another_project_is_not_there(address: str) -> None:
    """For a stranger, a member of another project and one who is signed out."""
    put_coding_run(20, project="theirs")
    assert browser(role=Role.ADMIN).get(f"/runs/agent_run-7/{address}").status_code == 404
    assert Client().get(f"/runs/agent_run-7/{address}").status_code == 302


def test_a_format_there_is_none_of_is_not_there() -> None:
    """An address somebody made up."""
    put_coding_run(20, project="mine")
    assert browser().get("/runs/agent_run-7/export/docx/").status_code == 404


def test_pieces_are_put_together_and_sent_on_either_kind_of_server() -> None:
    """Synchronously here; awaited where the server asks for that, without a warning."""
    pieces = [b"x" * 40_000] * 4
    sent = streamed(RequestFactory().get("/"), pieces, content_type="text/plain")
    assert [len(piece) for piece in cast(Iterable[bytes], sent.streaming_content)] == [80_000, 80_000]

    async def over_asgi() -> list[int]:
        answer = streamed(AsyncRequestFactory().get("/"), pieces, content_type="text/plain")
        return [len(piece) async for piece in cast(AsyncIterator[bytes], answer.streaming_content)]

    assert asyncio.run(over_asgi()) == [80_000, 80_000]


# --- Links for other sites' pages -------------------------------------------------------------------------------------


def allowed(origins: str = "https://wiki.example.org") -> str:
    """Let the project allow links, make one to a run of 200 events, and return its address."""
    put_coding_run(200, project="mine")
    embeds.allow("mine", is_allowed=True, origins=origins)
    client = browser("maker")
    assert client.post("/runs/agent_run-7/embed/", {"days": "30"}).status_code == 302
    return f"/embed/{embeds.token_of(EmbedLink.objects.get())}/"


def test_by_default_no_link_can_be_made() -> None:
    """And the page says who can change that."""
    put_coding_run(20, project="mine")
    client = browser()
    refused = client.post("/runs/agent_run-7/embed/", {"days": "30"})
    assert refused.status_code == 400
    assert "An admin of the project allows it in the settings." in words(refused.content.decode())
    assert not EmbedLink.objects.exists()


def test_a_link_shows_the_run_to_whoever_has_it_and_leads_nowhere_else() -> None:
    """Events in words, one explained; no navigation, no form, no script, and no address of ours in it."""
    html = page(Client(), f"{allowed()}?v=23")
    assert "Decided to call edit_file" in words(html)
    assert not re.search(r"<script|<form|<nav class=\"top", html)
    assert {href for href in re.findall(r'<a[^>]* href="([^"]*)"', html) if not href.startswith("?v=")} == set()
    assert html.count("<li>") <= 100


def test_only_the_listed_sites_may_frame_it() -> None:
    """By the policy, since the older header knows no list; every other page stays closed to all."""
    address = allowed("https://wiki.example.org  http://localhost:8080")
    response = Client().get(address)
    policy = response["Content-Security-Policy"]
    assert "frame-ancestors https://wiki.example.org http://localhost:8080;" in f"{policy};"
    assert "script-src 'none'" in policy
    assert not response.has_header("X-Frame-Options")
    assert (response["Referrer-Policy"], response["Cache-Control"].count("no-store")) == ("no-referrer", 1)
    for other in ("/runs/", "/runs/agent_run-7/peek/", "/settings/", "/runs/agent_run-7/embed/"):
        closed = browser("reader").get(other)
        assert (closed["X-Frame-Options"], "frame-ancestors 'none'" in closed["Content-Security-Policy"]) == (
            "DENY",
            True,
        )


def test_without_a_listed_site_no_page_may_frame_it() -> None:
    """The link opens by itself."""
    response = Client().get(allowed(""))
    assert (response.status_code, response["X-Frame-Options"]) == (200, "DENY")
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


def test_a_link_ends_is_revoked_and_falls_with_the_setting() -> None:
    """Each at once; the answer says that it shows nothing, and not why."""
    address, link = allowed(), EmbedLink.objects.get()
    token = address.split("/")[2]
    assert embeds.shown_by(token, now=NOW + timedelta(days=29)) is not None
    assert embeds.shown_by(token, now=NOW + timedelta(days=31)) is None
    embeds.allow("mine", is_allowed=False, origins="")
    assert Client().get(address).status_code == 404
    embeds.allow("mine", is_allowed=True, origins="")
    assert Client().get(address).status_code == 200
    embeds.revoke_link("mine", link.pk, now=NOW)
    gone = Client().get(address)
    assert "This link shows nothing" in gone.content.decode()
    assert gone["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("token", ["x", "WyJhIiwxXQ:1:2", "eyJhIjoxfQ:1vN:x", "%00", "a" * 3000])
def test_a_token_that_was_made_up_shows_nothing(token: str) -> None:
    """Nothing is looked up for it."""
    allowed()
    assert Client().get(f"/embed/{token}/").status_code == 404


def test_a_link_shows_its_own_run_alone() -> None:
    """Whatever stands in the address behind it."""
    address = allowed()
    put_coding_run(20, stream="agent_run-8", project="mine")
    html = page(Client(), f"{address}?v=9999999&stream=agent_run-8&project=theirs")
    assert "200 events" in words(html)
    assert "agent_run-8" not in html


def test_a_link_is_revoked_by_who_made_it_and_by_admins() -> None:
    """A colleague sees it and cannot."""
    allowed()
    address = f"/runs/agent_run-7/embed/{EmbedLink.objects.get().pk}/revoke/"
    assert browser("colleague").post(address).status_code == 404
    assert browser("stranger", Role.ADMIN, "theirs").post(address).status_code == 404
    assert browser("root", Role.ADMIN).post(address, {"next": "settings"})["Location"] == "/settings/#embedding"
    assert EmbedLink.objects.get().revoked_at is not None


@pytest.mark.parametrize("days", ["0", "366", "x", ""])
def test_a_link_has_an_end(days: str) -> None:
    """Within a year."""
    allowed()
    assert browser().post("/runs/agent_run-7/embed/", {"days": days}).status_code == 400


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*.example.org", "http://example.org", "https://a.org/path", "https://a.org;script-src", "a.org",
     "https://u:p@a.org", "https://", "https://a.org,https://b.org", "https://[::1", "'self'", "https://a.org?x"],
)  # fmt: skip
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    """It would go into a header of the page."""
    with pytest.raises(embeds.EmbedRefused):
        embeds.allow("mine", is_allowed=True, origins=origin)


def test_the_menu_of_a_run_offers_what_the_reader_may() -> None:
    """Markdown to everybody; files and links to who may export."""
    put_coding_run(20, project="mine")
    menus = {
        role: part(page(browser(role, role), "/runs/agent_run-7/?v=5"), "data-share=", "</details>") for role in Role
    }
    assert all('href="/runs/agent_run-7/markdown/?v=5"' in menu for menu in menus.values())
    assert [role for role in Role if "export/jsonl" in menus[role]] == [Role.ENGINEER, Role.AUDITOR, Role.ADMIN]


@pytest.mark.parametrize("role", [None, Role.VIEWER], ids=["no member any more", "may export no more"])
def test_a_link_does_not_outlive_what_its_maker_may(role: Role | None) -> None:
    """Without their membership, or a role that exports, it shows nothing and stands in no list."""
    address, maker = allowed(), EmbedLink.objects.get().by
    assert Client().get(address).status_code == 200
    if role is None:
        remove_member("mine", maker.get_username())
    else:
        set_role("mine", maker.get_username(), role)
    assert Client().get(address).status_code == 404
    assert embeds.links_of("mine", now=NOW) == []
    set_role("mine", maker.get_username(), Role.AUDITOR)
    assert len(embeds.links_of("mine", now=NOW)) == 1


def test_a_link_of_an_account_that_is_switched_off_shows_nothing() -> None:
    """They are a member still, and nobody that may do anything."""
    address, maker = allowed(), EmbedLink.objects.get().by
    maker.is_active = False
    maker.save()
    assert Client().get(address).status_code == 404
    assert embeds.links_of("mine", now=NOW) == []
