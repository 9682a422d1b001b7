"""Bisecting a run in the browser: the answer in words, what proves it, and what it takes to find it again."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from journal.access import Role
from journal.domain import agent_run as run
from journal.domain import invariant as invariants
from journal.domain.invariant import HOLDS, Context, Fails, Invariant, Verdict
from journal.domain.run_state import CODE_VERSION
from journal.runtime import saved_rules
from journal.runtime.suspecting import judged
from journal.store import get_store
from tests import builders
from tests.coding_run import EDIT_AT, PROMPT
from tests.explorer.judged import HOSTILE, QUICK, page, person, projects, put_run, save_rule
from tests.run_pages import links, put, put_coding_run, words

__all__ = ["projects"]

pytestmark = pytest.mark.usefixtures("projects")
RUN = "agent_run-7"
ASKED = f"/runs/{RUN}/bisect/?rule=edit-after-reading"


@pytest.fixture
def coding(projects: None) -> None:
    """Put the coding run into the journal."""
    put_coding_run(60, project="mine")


def scripted(monkeypatch: pytest.MonkeyPatch, answers: str, *, monotone: bool = False) -> str:
    """Register a rule that says of each event what a letter says: holds, fails, raises. Return its name."""

    class Scripted(Invariant):
        name, title, theme, uses_state, uses_previous = "as-told", "As told", "told", False, False

        def evaluate(self, ctx: Context) -> Verdict:
            letter = answers[min(ctx.version, len(answers)) - 1]
            if letter == "r":
                raise ValueError(HOSTILE)
            return HOLDS if letter == "h" else Fails(HOSTILE, (ctx.version,))

    Scripted.monotone = monotone
    monkeypatch.setitem(invariants._registered, "as-told", Scripted())
    return "as-told"


@pytest.mark.usefixtures("coding")
def test_the_answer_is_a_sentence_with_the_event_that_proves_it() -> None:
    """The step from holding to failing, what it changed in the state, the reason, the causes back to the request."""
    html = page(person(), ASKED)
    said = words(html)
    assert f"First fails at event {EDIT_AT}" in said
    assert f"Held at {EDIT_AT - 1}." in said
    assert f"{EDIT_AT} fails" in said
    assert "billing/refunds.py, which it never read" in said
    assert "last_decision.tool" in said
    assert "I believe I have seen the file" in said
    assert said.index(f"User: {PROMPT[:20]}", said.index("What led to it")) < said.index("Every chain leads back")
    assert f"/runs/{RUN}/?v={EDIT_AT}" in links(html)


@pytest.mark.usefixtures("coding")
def test_the_permanent_link_names_rule_reducer_range_and_head() -> None:
    """So that it gives the same answer while the run grows, and says where it was made with other code."""
    client = person()
    (link,) = (found for found in links(page(client, ASKED)) if "head=" in found)
    assert f"rule=edit-after-reading&version=1&until=60&code={CODE_VERSION}" in link
    assert "First fails at event 23" in words(page(client, link))
    other = words(page(client, link.replace(f"code={CODE_VERSION}", "code=999").replace("version=1", "version=1")))
    assert "made with states by reducer v999" in other


@pytest.mark.usefixtures("coding")
@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("h", "Holds at every event Asked about 60 events of 60."),
        ("f", "Never held Fails at every event from 1 to 60."),
        ("hhhfhhf", "First fails at event 4 Held at 3. It recovered at 5, failed again at 7."),
        ("hhr", "Not known: the rule itself went wrong at event 3 It held at every event up to 2."),
        ("hfr", "First fails at event 2 Held at 1. At 3 the rule itself went wrong"),
        ("fh", "Fails at event 1, the first It recovered at 2."),
    ],
)
def test_each_outcome_has_its_own_words(monkeypatch: pytest.MonkeyPatch, answers: str, said: str) -> None:
    """Holding, never holding, failing at one event, recovering, and a rule that went wrong are told apart."""
    rule = scripted(monkeypatch, answers)
    html = page(person(), f"/runs/{RUN}/bisect/?rule={rule}")
    assert said in words(html)
    assert "<script>alert" not in html
    assert ("judge-mark-fails" in html) == ("f" in answers)


@pytest.mark.usefixtures("coding")
def test_a_search_shows_its_probes_and_is_checked_by_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a rule that claims to be monotone is searched; one whose claim is wrong is told on."""
    client, rule = person(), scripted(monkeypatch, "h" * 22 + "f", monotone=True)
    html = page(client, f"/runs/{RUN}/bisect/?rule={rule}&method=bisect")
    assert "Binary," in words(html)
    assert "a scan of 60 of 60 events: same answer" in words(html)
    assert html.count('data-probe="') > 3
    broken = scripted(monkeypatch, "h" * 9 + "fh" + "f", monotone=True)
    said = words(page(client, f"/runs/{RUN}/bisect/?rule={broken}&method=bisect"))
    assert "This run shows that it does not" in said
    assert "First fails at event 10" in said
    plain = scripted(monkeypatch, "hf")
    assert "Scan, 1 pass over 60 events" in words(page(client, f"/runs/{RUN}/bisect/?rule={plain}&method=bisect"))


@pytest.mark.usefixtures("coding")
def test_a_range_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """And an end past the run's is told, not refused."""
    client, rule = person(), scripted(monkeypatch, "f")
    said = words(page(client, f"/runs/{RUN}/bisect/?rule={rule}&from=10&until=20"))
    assert "Fails at every event from 10 on" in said
    assert "event 9 was not asked about" in said
    assert "The run ends at 60" in words(page(client, f"/runs/{RUN}/bisect/?rule={rule}&until=999"))
    assert "It is the last event." in words(page(client, f"/runs/{RUN}/bisect/?rule={rule}&from=99"))


@pytest.mark.usefixtures("coding")
def test_every_rule_is_put_to_the_run_at_once() -> None:
    """Those that fail stand first, each with a link to its own answer."""
    save_rule("version != 5", name="not-five")
    html = page(person(), f"/runs/{RUN}/bisect/?rule=*")
    said = words(html)
    assert said.index("not-five") < said.index("edit-after-reading") < said.index("holds")
    assert f"/runs/{RUN}/bisect/?rule=not-five" in links(html)


@pytest.mark.usefixtures("coding")
def test_every_rule_together_names_the_decision_to_look_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rules that lead back to it, and the words that it is no verdict; where nothing fails, none is named."""
    client = person()
    before = judged(RUN, get_store("mine").read_stream(RUN), invariants.all_invariants()).suspect
    assert before is not None
    html = page(client, f"/runs/{RUN}/bisect/?rule=*")
    said = words(html)
    assert f"{before.version} is the most suspect decision" in said
    assert "not a verdict" in said
    assert all(f"/runs/{RUN}/bisect/?rule={name}" in links(html) for name in before.rules)
    monkeypatch.setattr(saved_rules, "all_invariants", tuple)
    assert "most suspect" not in words(page(client, f"/runs/{RUN}/bisect/?rule=*"))


@pytest.mark.usefixtures("coding")
def test_a_saved_rule_is_asked_in_the_version_that_the_link_names() -> None:
    """With its expression beside the answer; a version there is not is told."""
    client = person()
    save_rule("version < 7", name="short")
    save_rule("version < 9", name="short")
    assert "First fails at event 9" in words(page(client, f"/runs/{RUN}/bisect/?rule=short"))
    old = words(page(client, f"/runs/{RUN}/bisect/?rule=short&version=1"))
    assert "First fails at event 7" in old
    assert "version < 7" in old
    assert "There is no rule short in version 5 here" in words(
        page(client, f"/runs/{RUN}/bisect/?rule=short&version=5")
    )


@pytest.mark.usefixtures("coding")
def test_the_fragment_is_the_part_of_the_page() -> None:
    """Htmx swaps exactly what stands in the page."""
    client = person()
    html, part = page(client, ASKED), page(client, ASKED, is_part=True)
    took = "<dt>Took</dt>"
    assert "<html" not in part
    assert part.strip().split(took)[0] in html


def test_other_peoples_text_stays_text() -> None:
    """In the title, in what led to it, in what changed."""
    put_run("hostile", 5_000, prompt=HOSTILE, agent=HOSTILE)
    save_rule(QUICK)
    html = page(person(), "/runs/agent_run-hostile/bisect/?rule=quick-tools")
    assert "First fails at event 3" in words(html)
    assert "<script>alert" not in html
    assert "onclick=x>" not in html.replace("&lt;b onclick=x&gt;", "")
    assert "\u202e" not in html


@pytest.mark.usefixtures("coding")
def test_another_projects_run_is_not_there() -> None:
    """Nor its saved rules."""
    save_rule("version < 3", project="theirs", name="their-rule")
    assert page(person(Role.VIEWER, "theirs"), ASKED, status=404)
    assert page(person(Role.VIEWER, "theirs"), f"/runs/{RUN}/bisect/by-eye/", status=404)
    assert "There is no rule their-rule here" in words(page(person(), f"/runs/{RUN}/bisect/?rule=their-rule"))


@pytest.mark.usefixtures("coding")
def test_the_number_of_queries_does_not_hang_on_the_run() -> None:
    """Sixty events or six hundred."""
    put_coding_run(600, stream="agent_run-long", project="mine")
    client = person()
    counted = []
    for stream in (RUN, "agent_run-long"):
        page(client, f"/runs/{stream}/bisect/?rule=edit-after-reading")
        with CaptureQueriesContext(connection) as queries:
            page(client, f"/runs/{stream}/bisect/?rule=edit-after-reading")
        counted.append(len(queries))
    assert counted[0] == counted[1]
    assert counted[0] <= 24


def test_a_stream_that_is_no_agents_run_is_not_judged_by_rules() -> None:
    """A person can still look for themselves."""
    put("order-1", [builders.raw("order.placed", b'{"n":1}')], project="mine")
    html = page(person(), "/runs/order-1/bisect/?rule=no-loop")
    assert "Rules are about agents" in words(html)
    assert "/runs/order-1/bisect/by-eye/" in links(html)


@pytest.mark.usefixtures("coding")
def test_a_person_bisects_by_links_alone() -> None:
    """Good, bad and skip are links; the last word can be taken back, and the answer is the first bad event."""
    client, address = person(Role.VIEWER), f"/runs/{RUN}/bisect/by-eye/"
    html = page(client, address)
    assert "Is the run still good at event 30?" in words(html)
    for _ in range(9):
        version = int(words(html).partition("still good at event ")[2].partition("?")[0])
        word = "g" if version < EDIT_AT else "b"
        (address,) = {
            found for found in links(html) if found.split("said=")[-1].split("&")[0].endswith(f"{version}{word}")
        }
        html = page(client, address)
        if "First bad" in words(html):
            break
    assert f"First bad at event {EDIT_AT}" in words(html)
    assert "Take back the last" in words(html)
    assert "I believe I have seen the file" in words(html)


def test_the_runs_page_leads_to_its_bisect() -> None:
    """With the rule that it is known to break, where that is one of ours."""
    made = [run.Started(prompt="Go"), run.Graded(rule="no-loop", verdict="fails", at_version=1)]
    put("agent_run-graded", [builders.event(data) for data in made], project="mine")
    assert "/runs/agent_run-graded/bisect/?rule=no-loop" in links(page(person(), "/runs/agent_run-graded/"))
