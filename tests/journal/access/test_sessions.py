"""A request asks one question to know who is there, and what was taken away counts at once."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from journal.access import Role, add_project, add_user
from journal.models import Membership, Session

PAGE = "/palette/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> Client:
    """Return the browser of a viewer of two projects."""
    add_project("lab")
    user, _ = add_user("ada", role=Role.VIEWER, project="default")
    add_user("ada", role=Role.ENGINEER, project="lab")
    client = Client()
    client.force_login(user)
    return client


def test_session_user_and_memberships_are_one_query(ada: Client) -> None:
    """And what the page itself asks is all that follows."""
    with CaptureQueriesContext(connection) as queries:
        assert ada.get(PAGE).status_code == 200
    assert [query["sql"].count("journal_session") > 0 for query in queries] == [True, False]


def test_a_session_knows_its_user(ada: Client) -> None:
    """In a column: so it can be found, and goes with the user."""
    assert [kept.user for kept in Session.objects.all()] == [User.objects.get(username="ada")]
    User.objects.get(username="ada").delete()
    assert not Session.objects.exists()


def test_a_project_is_chosen_among_one_s_own(ada: Client) -> None:
    """By name, and remembered; of another project nothing is said."""
    add_project("secret")
    assert ada.get(f"{PAGE}?project=lab").status_code == 200
    assert ada.session["project"] == "lab"
    assert ada.get(f"{PAGE}?project=secret").status_code == 404


def test_a_membership_that_is_taken_away_counts_at_once(ada: Client) -> None:
    """With the next request."""
    assert ada.get(f"{PAGE}?project=lab").status_code == 200
    Membership.objects.filter(project_id="lab").delete()
    assert ada.get(f"{PAGE}?project=lab").status_code == 404
    Membership.objects.all().delete()
    assert ada.get(PAGE).status_code == 404


def test_a_user_who_is_switched_off_is_out_at_once(ada: Client) -> None:
    """As one who was never signed in."""
    User.objects.filter(username="ada").update(is_active=False)
    assert ada.get(PAGE).status_code == 302


def test_a_new_password_ends_other_sessions(ada: Client) -> None:
    """The session holds a keyed hash of the old one."""
    user = User.objects.get(username="ada")
    user.set_password("another one")
    user.save()
    assert ada.get(PAGE).status_code == 302


def test_a_session_that_was_ended_is_nobody_s(ada: Client) -> None:
    """Whoever still has its key."""
    Session.objects.all().delete()
    assert ada.get(PAGE).status_code == 302


def test_a_session_of_an_older_signing_key_is_taken_over(ada: Client, settings: object) -> None:
    """Django's own way decides about what is not as usual: here it accepts the key and renews the session."""
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the next one"  # type: ignore[attr-defined]
    assert ada.get(PAGE).status_code == 200
