"""Incidents: their deadlines, what may be decided, their pages, the API and the command."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from audits import holding, incidents
from audits.aggregates import Close, Do, Hold, Incident, Note, Open, Release, Widen
from audits.clocks import deadlines, in_words, key_of, plus
from audits.duties import Clock, Term, duties
from audits.incident_events import Closed, Concern, Held, Noted, Opened, Released, StepDone, Widened
from audits.incidents import IncidentRefused, NoIncident
from journal.access import Role, add_user
from journal.access.projects import add_project, ensure_project
from journal.domain.catalog import catalog
from journal.domain.explain import explain
from journal.runtime import retention
from journal.store import get_store
from journal.testing.aggregates import given as having
from tests.access import recorder, told  # noqa: F401 - the first is a fixture
from tests.api import program
from tests.builders import event, identity, started

AWARE = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\u202e"


def clock(name: str) -> Clock:
    """Return a clock that there is."""
    found = duties().clock(name)
    assert found is not None
    return found


def due(name: str, **done: datetime) -> dict[str, tuple[datetime | None, bool]]:
    """Return when the steps of a clock are due, and whether at the latest."""
    known = {key_of(name, step): at for step, at in done.items()}
    return {one.step.id: (one.due_at, one.is_latest) for one in deadlines([clock(name)], aware_at=AWARE, done=known)}


# --- Deadlines --------------------------------------------------------------------------------------------------------


def test_the_ai_acts_clocks_count_days_from_awareness() -> None:
    """Fifteen, ten and two."""
    days = {name: due(f"ai-act-73-{name}")["report"] for name in ("serious", "death", "widespread")}
    assert days == {
        "serious": (datetime(2026, 12, 15, 9, tzinfo=UTC), False),
        "death": (datetime(2026, 12, 10, 9, tzinfo=UTC), False),
        "widespread": (datetime(2026, 12, 2, 9, tzinfo=UTC), False),
    }


def test_doras_initial_notification_is_due_by_the_earlier_of_two_terms() -> None:
    """Four hours from classification, and never later than a day from awareness; the rest moves with what was done."""
    assert due("dora-major") == {
        "classified": (None, False),
        "initial": (AWARE + timedelta(hours=24), True),
        "intermediate": (AWARE + timedelta(hours=96), True),
        "final": (datetime(2027, 1, 4, 9, tzinfo=UTC), True),
    }
    early = due("dora-major", classified=AWARE + timedelta(hours=2))
    assert early["initial"] == (AWARE + timedelta(hours=6), False)
    late = due("dora-major", classified=AWARE + timedelta(hours=23))
    assert late["initial"] == (AWARE + timedelta(hours=24), False)
    sent = due("dora-major", classified=AWARE, initial=AWARE + timedelta(hours=3))
    assert sent["intermediate"] == (AWARE + timedelta(hours=75), False)
    assert sent["final"][1] is True


def test_nis2s_final_report_is_due_a_month_after_the_notification() -> None:
    """A month from the last of January is the last of February."""
    notified = datetime(2027, 1, 31, 12, tzinfo=UTC)
    assert due("nis2-significant", notification=notified)["final"] == (datetime(2027, 2, 28, 12, tzinfo=UTC), False)


@given(
    at=st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    months=st.integers(1, 30),
)
@settings(max_examples=60)
def test_a_month_later_is_never_past_the_month_after(at: datetime, months: int) -> None:
    """The month counts, the time of day stays, and the day is the same wherever there is such a day."""
    later = plus(at, Term(months=months))
    assert (later.year * 12 + later.month) - (at.year * 12 + at.month) == months
    assert later.time() == at.time()
    assert later.day == at.day or (later.day < at.day and (later + timedelta(days=1)).day == 1)


def test_standing_tells_open_soon_late_and_done_late() -> None:
    """By the moment it is asked, and by when it was done."""
    (one,) = deadlines([clock("gdpr-breach")], aware_at=AWARE, done={})
    hours = {at: one.standing(AWARE + timedelta(hours=at)) for at in (0, 47, 48, 72, 73)}
    assert hours == {0: "open", 47: "open", 48: "due soon", 72: "due soon", 73: "late"}
    for at, standing in ((71, "done"), (73, "done late")):
        done = {one.key: AWARE + timedelta(hours=at)}
        (told,) = deadlines([clock("gdpr-breach")], aware_at=AWARE, done=done)
        assert told.standing(AWARE) == standing


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(days=3, hours=2, minutes=5), "3 days 2 hours left"),
        (timedelta(days=1), "1 day left"),
        (timedelta(hours=1, minutes=1), "1 hour 1 minute left"),
        (timedelta(seconds=20), "less than a minute left"),
        (-timedelta(hours=6), "6 hours over"),
        (-timedelta(days=40, hours=1), "40 days 1 hour over"),
    ],
)
def test_what_is_left_is_told_in_two_units(left: timedelta, words: str) -> None:
    """And what is over as well."""
    assert in_words(left) == words


# --- Decisions --------------------------------------------------------------------------------------------------------

OPENED = Opened(
    title="Wrong refunds",
    aware_at=AWARE,
    concerns=(Concern(stream="agent_run-1"),),
    clocks=(clock("gdpr-breach"),),
    by="kato",
)
LATER = AWARE + timedelta(hours=5)


def test_an_incident_keeps_the_clocks_that_it_was_opened_with() -> None:
    """They stand in its first event; the duties are not asked again."""
    command = Open(
        title="Wrong refunds",
        noticed="",
        aware_at=AWARE,
        concerns=(Concern(stream="agent_run-1"), Concern(stream="agent_run-1")),
        clocks=(clock("gdpr-breach"), clock("gdpr-breach")),
        by="kato",
        now=LATER,
    )
    having(stream="incident-1").when(command).then([OPENED])
    state = having([OPENED]).state()
    assert isinstance(state, Incident)
    assert [one.due_at for one in state.deadlines()] == [AWARE + timedelta(hours=72)]
    having([OPENED]).when(command).then_rejected("there is such an incident already")


def test_a_step_is_done_once_and_not_in_the_future() -> None:
    """A step that the incident has; a note is the way to correct it."""
    step = Do(clock="gdpr-breach", step="notification", done_at=LATER, account="ref 1", by="kato", now=LATER)
    done = StepDone(
        clock="gdpr-breach",
        step="notification",
        words="Notify the supervisory authority",
        done_at=LATER,
        account="ref 1",
        by="kato",
    )
    having([OPENED]).when(step).then([done])
    having([OPENED, done]).when(step).then_rejected("recorded as done already")
    tomorrow = Do(clock="gdpr-breach", step="notification", done_at=LATER, account="", by="kato", now=AWARE)
    having([OPENED]).when(tomorrow).then_rejected("future")
    other = Do(clock="gdpr-breach", step="other", done_at=LATER, account="", by="kato", now=LATER)
    having([OPENED]).when(other).then_rejected("has no step gdpr-breach/other")


def test_closing_needs_an_account_and_names_what_was_not_done() -> None:
    """What is closed takes notes and a release, and nothing else."""
    having([OPENED]).when(Close(account="", by="kato")).then_rejected("say how it ended")
    closed = Closed(account="All told.", left=("Breach of personal data: Notify the supervisory authority",), by="kato")
    having([OPENED]).when(Close(account="All told.", by="kato")).then([closed])
    after = having([OPENED, Held(streams=("agent_run-1",), reason="r", by="kato"), closed])
    after.when(Close(account="Again.", by="kato")).then_rejected("closed")
    after.when(Note(text="Found more.", by="kato")).then([Noted(text="Found more.", by="kato")])
    after.when(Release(reason="over", by="kato")).then([Released(streams=("agent_run-1",), reason="over", by="kato")])


def test_holding_and_widening_do_what_is_not_done_yet() -> None:
    """A run that is held is not held again; a clock that runs is not started again."""
    held = Held(streams=("agent_run-1",), reason="r", is_kept=True, by="kato")
    having([OPENED]).when(Hold(reason="r", is_kept=True, by="kato")).then([held])
    having([OPENED, held]).when(Hold(reason="r", is_kept=True, by="kato")).then_nothing()
    more = Widen(concerns=(Concern(stream="agent_run-1"), Concern(stream="agent_run-2", version=3)),
                 clocks=(clock("gdpr-breach"), clock("hipaa-breach")), by="kato")  # fmt: skip
    widened = Widened(concerns=(Concern(stream="agent_run-2", version=3),), clocks=(clock("hipaa-breach"),), by="kato")
    having([OPENED]).when(more).then([widened])
    having([Opened(title="t", aware_at=AWARE)]).when(Hold(reason="r", is_kept=False, by="k")).then_rejected("no run")
    having([OPENED]).when(Release(reason="r", by="kato")).then_rejected("nothing is held")


# --- With a journal ---------------------------------------------------------------------------------------------------


class Keeper:
    """Notes what it is asked to keep."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def hold(self, project: str, streams: Any, *, incident: str, reason: str, by: str) -> None:
        """Note it."""
        self.asked.append(("hold", project, *streams, reason))

    def release(self, project: str, streams: Any, *, incident: str, reason: str, by: str) -> None:
        """Note it."""
        self.asked.append(("release", project, *streams, reason))


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """Something that obeys holds."""
    monkeypatch.setattr(holding, "_keepers", [])
    return holding.keeps(Keeper())  # type: ignore[return-value]


@pytest.fixture
def run(db: None) -> str:
    """A run of one event."""
    ensure_project("default")
    get_store().append("agent_run-1", [event(started())], expected_version=0)
    return "agent_run-1"


def opened(**fields: Any) -> str:
    """Open an incident that somebody became aware of two days ago."""
    said: dict[str, Any] = {"title": "Wrong refunds", "aware_at": datetime.now(UTC) - timedelta(days=2), "by": "kato"}
    return incidents.open_incident("default", **(said | fields))


def signed_in(role: Role, project: str = "default") -> Client:
    """Return a browser in which somebody of that role is signed in."""
    ensure_project("default")
    user, _ = add_user(f"{role}-of-{project}", role=role, project=project, password="correct horse battery")
    client = Client()
    client.force_login(user)
    return client


def test_every_event_of_an_incident_is_explained(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its own words, none of them raw."""
    monkeypatch.setattr(holding, "_keepers", [])
    ident = opened(concerns=[run, f"{run}@1"], clocks=["gdpr-breach"], hold=True)
    incidents.widen("default", ident, clocks=["hipaa-breach"], by="kato")
    incidents.do("default", ident, clock="gdpr-breach", step="notification", account="ref 311", by="kato")
    incidents.note("default", ident, text="The rate came from a page.", by="kato")
    incidents.release("default", ident, reason="all told", by="kato")
    incidents.close("default", ident, account="All told.", by="kato")
    told = incidents.history("default", ident)
    assert {one.type for one in told} == {name for name in catalog.names() if name.startswith("incident.")}
    summaries = [explain(one).summary for one in told]
    assert summaries[0].startswith("kato opened an incident: Wrong refunds, aware since ")
    assert summaries[0].endswith("the clock runs for GDPR Article 33")
    assert summaries[1] == "kato holds 1 run; nothing purges or erases here, so nothing had to obey"
    assert summaries[3].startswith("Notify the supervisory authority: done at ")
    left = "Breach of health information: Notify the people concerned"
    assert summaries[-1] == f"kato closed the incident; 1 step not done: {left}"
    assert all(one.meta.actor == "user:kato" for one in told)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("recorder")
def test_what_an_incident_holds_is_neither_purged_nor_erased_until_it_lets_go(run: str) -> None:
    """Each run once, however often it is asked; another incident's hold on the same run goes on."""
    mine, other = (opened(concerns=[run], hold=True) for _ in range(2))
    incidents.hold_runs("default", mine, reason="again", by="kato")
    assert [(hold.stream, hold.kind) for hold in retention.active_holds("default")] == [(run, "incident")] * 2
    incidents.release("default", mine, reason="over", by="kato")
    (left,) = retention.active_holds("default")
    assert left.reason.startswith(f"incident-{other}: ")
    assert [(by, what) for by, what, _ in told() if what.startswith("hold")] == [
        ("kato", "hold added"),
        ("kato", "hold added"),
        ("kato", "hold released"),
    ]


def test_a_hold_is_handed_to_whatever_keeps_runs(run: str, keeper: Keeper) -> None:
    """And the event says that something obeys."""
    ident = opened(concerns=[run], hold=True)
    assert incidents.load("default", ident).is_hold_kept
    incidents.release("default", ident, reason="over", by="kato")
    assert keeper.asked == [("hold", "default", run, "incident: Wrong refunds"), ("release", "default", run, "over")]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"aware_at": datetime(2200, 1, 1, tzinfo=UTC)}, "aware"),
        ({"aware_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))}, "aware"),
        ({"concerns": ["agent_run-none"]}, "concerns"),
        ({"concerns": ["agent_run-1@9"]}, "concerns"),
        ({"concerns": ["rule-x"]}, "concerns"),
        ({"clocks": ["nothing"]}, "clocks"),
        ({"hold": True}, "concerns"),
        ({"noticed": "x" * 8_001}, "noticed"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(run: str, fields: dict[str, Any], field: str) -> None:
    """And nothing is stored."""
    with pytest.raises(IncidentRefused) as caught:
        opened(**fields)
    assert caught.value.field == field
    assert incidents.listing("default") == []


def test_an_incident_of_another_project_is_not_there(run: str) -> None:
    """Neither to load nor to change."""
    add_project("theirs")
    ident = opened()
    with pytest.raises(NoIncident):
        incidents.load("theirs", ident)
    with pytest.raises(NoIncident):
        incidents.close("theirs", ident, account="x", by="kato")
    assert incidents.listing("theirs") == []
    client = signed_in(Role.ADMIN, "theirs")
    assert client.get(f"/incidents/{ident}/").status_code == 404
    assert client.post(f"/incidents/{ident}/close/", {"account": "x"}).status_code == 404


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_an_incident_is_opened_stepped_and_closed_by_plain_forms(run: str) -> None:
    """Each page says what is due next in words and with its time."""
    client = signed_in(Role.AUDITOR)
    aware = datetime.now(UTC) - timedelta(hours=70)
    form = {"title": HOSTILE, "noticed": "A customer wrote.", "aware": f"{aware:%Y-%m-%dT%H:%M}",
            "concerns": f"{run}\r\n{run}@1", "clock": ["gdpr-breach", "ai-act-73-serious"], "hold": "1"}  # fmt: skip
    at = client.post("/incidents/new/", form)["Location"]
    page = client.get(at).content.decode()
    assert "<script>alert" not in page
    assert f"{aware + timedelta(hours=72):%H:%M} UTC" in page
    assert "due soon" in page
    assert f"/runs/{run}/events/1/reach/" in page
    assert client.post(f"{at}step/", {"step": "gdpr-breach/notification", "done": ""})["Location"] == at
    assert client.post(f"{at}note/", {"text": "Told the customer."}).status_code == 302
    assert client.post(f"{at}close/", {"account": "All told."}).status_code == 302
    closed = client.get(at).content.decode()
    assert "How it ended" in closed
    assert "All told." in closed
    assert f"{at}close/" not in closed
    assert "No open incident" in client.get("/incidents/").content.decode()


def test_a_refused_form_stays_and_says_what_is_wrong(run: str) -> None:
    """On opening and on a step."""
    client = signed_in(Role.ADMIN)
    answer = client.post("/incidents/new/", {"title": "Mine", "aware": "soon", "clock": "gdpr-breach"})
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "Nothing was opened." in page
    assert 'value="Mine"' in page
    assert 'value="gdpr-breach" checked' in page
    ident = opened(clocks=["gdpr-breach"])
    answer = client.post(f"/incidents/{ident}/step/", {"step": "gdpr-breach/notification", "done": "2200-01-01T00:00"})
    assert answer.status_code == 400
    assert "future" in answer.content.decode()
    assert client.post(f"/incidents/{ident}/nothing/").status_code == 404


def test_viewers_read_and_nothing_else(run: str) -> None:
    """They see no form, and a request by hand is refused; who is not signed in is led to it."""
    ident = opened(clocks=["gdpr-breach"])
    client = signed_in(Role.VIEWER)
    page = client.get(f"/incidents/{ident}/").content.decode()
    assert "Wrong refunds" in page
    assert "Record a step" not in page
    assert "Open an incident" not in client.get("/incidents/").content.decode()
    assert client.get("/incidents/new/").status_code == 403
    assert client.post(f"/incidents/{ident}/close/", {"account": "x"}).status_code == 403
    assert Client().get("/incidents/").status_code == 302
    assert client.get("/incidents/../../%00/").status_code == 404


def test_a_page_that_asks_again_gets_the_clocks_alone(run: str) -> None:
    """As an open page does every minute."""
    ident = opened(clocks=["gdpr-breach"])
    fragment = signed_in(Role.VIEWER).get(f"/incidents/{ident}/", headers={"HX-Request": "true"}).content.decode()
    assert fragment.strip().startswith("<section")
    assert "Notify the supervisory authority" in fragment


# --- API and command --------------------------------------------------------------------------------------------------


def test_the_api_opens_lists_and_closes(run: str) -> None:
    """For tokens with the scope audit; reading is enough to read."""
    auditor, reader = program("audit", role=Role.AUDITOR), program("read", role=Role.VIEWER)
    body = {"title": "Wrong refunds", "aware_at": "2026-11-29T09:00:00Z", "concerns": [run], "clocks": ["gdpr-breach"]}
    made = auditor.post("/incidents", body)
    assert auditor.status == 201
    assert auditor.response["Location"] == f"/api/v1/incidents/{made['id']}"
    assert [step["due_at"] for step in made["deadlines"]] == ["2026-12-02T09:00:00.000000Z"]
    step = {"clock": "gdpr-breach", "step": "notification", "done_at": "2026-11-30T09:00:00Z", "account": "ref 311"}
    done = auditor.post(f"/incidents/{made['id']}/steps", step)
    assert (done["deadlines"][0]["standing"], done["deadlines"][0]["by"]) == ("done", "auditor-default-audit")
    assert auditor.post(f"/incidents/{made['id']}/close", {"account": "All told."})["status"] == "closed"
    assert auditor.post(f"/incidents/{made['id']}/close", {"account": "Again."})["status"] == 422
    assert [one["id"] for one in reader.get("/incidents")["items"]] == [made["id"]]
    assert reader.get(f"/incidents/{made['id']}")["account"] == "All told."
    assert reader.post("/incidents", body)["status"] == 403
    assert reader.get("/incidents/none")["status"] == 404


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Run `nagare incident` and return the JSON that it prints."""
    call_command("incident", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("stream", ["incident-1", "audit-default", "log-default"])
def test_nobody_writes_evidence_by_the_way_of_runs(run: str, stream: str, tmp_path: Path) -> None:
    """Neither over HTTP nor from a file, whatever they may otherwise."""
    data = {"title": "Forged", "awareAt": "2026-11-29T09:00:00Z"}
    api = program("admin", "ingest")
    api.post(
        f"/streams/{stream}/events", {"expected_version": "any", "events": [{"type": "incident.opened", "data": data}]}
    )
    assert api.status == 422
    line = {"position": 1, "project": "default", "stream": stream, "version": 1, "id": identity("forged"), "schema": 1,
            "type": "incident.opened", "data": data, "metadata": {}, "occurred_at": "2026-11-29T09:00:00Z",
            "recorded_at": "2026-11-29T09:00:00Z"}  # fmt: skip
    file = tmp_path / "forged.jsonl"
    file.write_text(json.dumps(line) + "\n")
    with pytest.raises(CommandError):
        call_command("import", str(file), stdout=io.StringIO())
    assert get_store().stream_version(stream) == 0
    assert incidents.listing("default") == []


def test_the_command_does_the_same(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And prints what the API answers."""
    made = run_json(capsys, "open", "--title", "Wrong refunds", "--run", run, "--clock", "gdpr-breach", "--hold")
    assert made["held"] == [run]
    done = run_json(capsys, "step", made["id"], "--step", "gdpr-breach/notification", "--account", "ref 311")
    assert done["deadlines"][0]["standing"] == "done"
    assert run_json(capsys, "show", made["id"]) == done
    assert run_json(capsys, "close", made["id"], "--account", "All told.")["status"] == "closed"
    assert [one["id"] for one in run_json(capsys, "list")["items"]] == [made["id"]]
    with pytest.raises(CommandError) as caught:
        run_json(capsys, "step", made["id"])
    assert caught.value.returncode == 2
