"""The duties: the data says where it comes from and claims nothing, and the page shows what the reader may open."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import Resolver404, resolve

from audits.duties import AWARE, Duty, chosen, duties
from journal.access import Permission, Role, add_user
from journal.access.projects import ensure_project

KNOWN = duties()
ELSEWHERE = {"/settings/retention/"}
"""Pages of apps that need not be installed: what they would help with is then left out."""

CLAIMS = re.compile(r"\bcomplian(t|ce)\b|tamper-proof|guarantee|certified by|legally safe|ensures", re.IGNORECASE)


def sentences() -> list[str]:
    """Return every text that is shown."""
    found = [KNOWN.disclaimer]
    found += [text for regime in KNOWN.regimes.values() for text in (regime.name, regime.state)]
    for duty in KNOWN.duties:
        found += [duty.plain, duty.yours, duty.note, duty.applies, *(one.with_ for one in duty.helps)]
    return found + [text for clock in KNOWN.clocks for text in (clock.name, clock.when)]


def test_nothing_is_claimed() -> None:
    """No text says that anything is compliant, tamper-proof or guaranteed, and the page says what it is not."""
    assert [text for text in sentences() if CLAIMS.search(text)] == []
    assert "not legal advice" in KNOWN.disclaimer
    assert CLAIMS.search("fully compliant")
    assert CLAIMS.search("Compliance guaranteed")


@pytest.mark.parametrize("duty", KNOWN.duties, ids=lambda duty: duty.id)
def test_a_duty_says_where_it_comes_from(duty: Duty) -> None:
    """Sources at https addresses, a day on which they were checked, a known regime and roles, one sentence."""
    assert duty.sources
    assert all(urlsplit(source).scheme == "https" and urlsplit(source).netloc for source in duty.sources)
    assert date(2026, 1, 1) <= date.fromisoformat(duty.checked_on) <= datetime.now(UTC).date()
    assert duty.regime in KNOWN.regimes
    assert set(duty.roles) <= set(KNOWN.roles)
    assert duty.roles
    assert duty.plain.endswith(".")
    assert duty.plain.count(". ") == 0
    assert duty.yours
    assert all(one.with_.startswith(("Helps with ", "Evidence ")) for one in duty.helps)


def test_each_help_leads_to_a_page_that_is_there() -> None:
    """A page of the project, which declares who may see it."""
    missing = set()
    for page in {one.page for duty in KNOWN.duties for one in duty.helps}:
        try:
            assert isinstance(resolve(page).func.nagare_permission, Permission)  # type: ignore[attr-defined]
        except Resolver404:
            missing.add(page)
    assert missing <= ELSEWHERE


def test_ids_are_distinct_and_clocks_make_sense() -> None:
    """A clock belongs to a duty; a term counts from awareness or from an earlier step, and has a length."""
    assert len({duty.id for duty in KNOWN.duties}) == len(KNOWN.duties)
    assert len({clock.id for clock in KNOWN.clocks}) == len(KNOWN.clocks)
    for clock in KNOWN.all_clocks():
        assert clock.regime == KNOWN.regimes[KNOWN.duty(clock.duty).regime].name
        before = {AWARE}
        for step in clock.steps:
            assert {term.from_ for term in step.terms} <= before
            assert all(term.words for term in step.terms)
            before.add(step.id)


def test_every_deadline_of_the_list_is_that_of_its_duty() -> None:
    """The sentence of a duty names each length that its clocks count by."""
    for clock in KNOWN.clocks:
        plain = KNOWN.duty(clock.duty).plain.replace("calendar ", "").replace("one month", "1 month")
        for term in (term for step in clock.steps for term in step.terms):
            assert term.words in plain, (clock.id, term.words)


def signed_in(role: Role) -> Client:
    """Return a browser in which somebody of that role is signed in."""
    ensure_project("default")
    user, _ = add_user(role.value, role=role, project="default", password="correct horse battery")
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.django_db
def test_the_page_filters_by_regime_and_role() -> None:
    """And shows the state of the regime that was chosen; what is unknown filters nothing."""
    client = signed_in(Role.VIEWER)
    everything = client.get("/duties/").content.decode()
    assert everything.count("<tr id=") == len(KNOWN.duties)
    assert "not legal advice" in everything
    page = client.get("/duties/?regime=ai-act&role=deployer").content.decode()
    assert page.count("<tr id=") == len(chosen(regime="ai-act", role="deployer")) > 0
    assert "2 December 2027" in page
    assert client.get("/duties/?regime=<b>").content.decode().count("<tr id=") == len(KNOWN.duties)
    assert "No duty of this regime" in client.get("/duties/?regime=soc2&role=provider").content.decode()


@pytest.mark.django_db
def test_who_may_not_open_a_page_is_told_who_may() -> None:
    """A viewer reads what audits help with, without a link to them; an auditor has it. The top bar leads both here."""
    viewer, auditor = (signed_in(role).get("/duties/").content.decode() for role in (Role.VIEWER, Role.AUDITOR))
    assert 'href="/audits/"' not in viewer
    assert "(auditors and admins)" in viewer
    assert 'href="/audits/"' in auditor
    assert 'href="/incidents/"' in viewer
    assert re.search(r'href="/duties/" aria-current="page">Duties', viewer)
    assert re.search(r'href="/audits/" aria-current="page">Audits', auditor)
