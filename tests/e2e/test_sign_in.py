"""Signing in, as a person does it."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.conftest import Browse
from tests.e2e.corpus import PASSWORD, TYPIST


def test_a_member_signs_in_and_lands_where_they_wanted_to_go(browse: Browse) -> None:
    """The address asked for survives the sign-in page."""
    page = browse(None)
    page.goto("/runs/?q=refund")
    page.get_by_label("User name").fill(TYPIST)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/runs/\?q=refund$"))


def test_a_wrong_password_is_said_and_the_name_kept(browse: Browse) -> None:
    """Only the password has to be typed again."""
    page = browse(None)
    page.goto("/accounts/login/")
    page.get_by_label("User name").fill(TYPIST)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    expect(page.get_by_label("User name")).to_have_value(TYPIST)
