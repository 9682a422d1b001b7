"""Whatever an address holds, a page answers it as one of its own: databases differ in what text they take."""

from __future__ import annotations

import pytest
from django.test import Client

from journal.access import Role, add_user
from tests.run_pages import HTMX, fresh_timelines, put_coding_run

__all__ = ["fresh_timelines"]

RUN = "/runs/agent_run-7/"
NUL = "%00"
LONG = "9" * 5_000
ASKED = {
    RUN: ("v", "tab", "scrub", "q", "against", "mark", "path", "pin", "filter", "rows", "dir", "depth", "from", "at"),
    f"{RUN}find/": ("v", "q", "scrub", "from", "to"),
    f"{RUN}markdown/": ("v", "after", "until"),
    f"{RUN}embed/": ("days",),
    f"{RUN}events/3/": ("n", "download"),
    f"{RUN}peek/": (),
    f"{RUN}export/jsonl/": (),
    "/runs/": ("q", "view", "before", "after", "peek", "project"),
    "/runs/complete/": ("q", "at"),
    "/runs/views/": ("q",),
    "/palette/": ("q",),
    "/ops/": ("since",),
    "/ops/outbox/": ("state", "effect"),
    "/ops/processes/": ("manager",),
    "/settings/": ("kept",),
}
ABSENT = (
    f"/runs/{NUL}/", f"/runs/{NUL}/find/?q=x", f"/runs/{NUL}/peek/", f"/runs/{NUL}/markdown/", f"/runs/{NUL}/embed/",
    f"/runs/{NUL}/export/jsonl/", f"/runs/{NUL}/events/1/", f"/runs/{NUL}/events/1/?download=data",
    f"{RUN}export/{NUL}/", f"/import/{NUL}/", f"/embed/{NUL}/", f"/by-trace/{NUL}/{NUL}/", f"/runs/views/{LONG}/",
    f"{RUN}events/{LONG}/", f"/ops/subscriptions/{NUL}/", f"/ops/projections/{NUL}/", f"/ops/processes/{NUL}/",
)  # fmt: skip


@pytest.fixture
def admin(db: None, fresh_timelines: None) -> Client:
    """Return a browser of somebody who may open every page, beside a run."""
    put_coding_run(40)
    user, _ = add_user("ada", role=Role.ADMIN, project="default", password="a-long-password")
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", ASKED)
def test_a_value_that_makes_no_sense_breaks_no_page(admin: Client, path: str) -> None:
    """The page is shown as if less had been asked, or says what it does not have."""
    for value in (f"a{NUL}b", LONG):
        every = "&".join(f"{name}={value}" for name in ASKED[path])
        for query in (every, *(f"{name}={value}" for name in ASKED[path])):
            assert admin.get(f"{path}?{query}").status_code in (200, 302, 400, 404), query


@pytest.mark.parametrize("tab", ["state", "diff", "payload", "context", "causes"])
def test_nor_does_one_break_a_part_of_a_page(admin: Client, tab: str) -> None:
    """A cursor move is answered on every tab; stepping by a tool of such a name finds nothing."""
    odd = "&".join(f"{name}=/a{NUL}" for name in ("q", "against", "mark", "path", "pin", "filter", "from", "at"))
    for more in ("", f"&scrub=tool:{NUL}", "&part=list", "&scrub=causes"):
        assert admin.get(f"{RUN}?v=3&tab={tab}&{odd}{more}", headers=HTMX).status_code == 200


def test_a_name_that_cannot_be_is_one_that_is_not_there(admin: Client) -> None:
    """A name with a NUL, or a number past all numbers, is not found."""
    for path in ABSENT:
        assert admin.get(path).status_code == 404, path


def test_nor_is_anything_done_to_it(admin: Client) -> None:
    """The same for what is changed."""
    for path in (f"/ops/outbox/{NUL}/requeue/", f"/settings/tokens/{NUL}/revoke/", f"{RUN}embed/{NUL}/revoke/"):
        assert admin.post(path).status_code == 404, path
