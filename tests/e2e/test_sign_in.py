"""Signing in, as a person does it."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from journal.models import Membership, Project

PASSWORD = "a stream finds its way"


@pytest.fixture
def member(transactional_db: None) -> User:
    """Return somebody who may sign in and has a project to see."""
    user = User.objects.create_user("m.kato", password=PASSWORD)
    project, _ = Project.objects.get_or_create(slug="default", defaults={"name": "Default"})
    Membership.objects.create(project=project, user=user, role="engineer")
    return user


def test_a_member_signs_in_and_lands_where_they_wanted_to_go(page: Page, live_server: LiveServer, member: User) -> None:
    """The address asked for survives the sign-in page."""
    page.goto(f"{live_server.url}/runs/?q=refund")
    page.get_by_label("User name").fill(member.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{live_server.url}/runs/?q=refund")


def test_a_wrong_password_is_said_and_the_name_kept(page: Page, live_server: LiveServer, member: User) -> None:
    """Only the password has to be typed again."""
    page.goto(f"{live_server.url}/accounts/login/")
    page.get_by_label("User name").fill(member.username)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    expect(page.get_by_label("User name")).to_have_value(member.username)


@pytest.mark.parametrize("address", ["/accounts/login/?next=/runs/", "/nothing-is-here/"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_for_strangers_are_accessible(page: Page, live_server: LiveServer, address: str, scheme: str) -> None:
    """Axe finds nothing, in either colour scheme."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(live_server.url + address)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
