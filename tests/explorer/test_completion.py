"""What is offered while a query is typed, and that taking it gives a query."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from explorer.completion import SHOWN, complete, key_at
from explorer.models import RunSummary
from explorer.query_language import KEYS, parse
from journal.access import add_project
from tests.run_pages import signed_in

VALUES = [("coder", 3), ("code review", 2), ('the "best"', 1), ("writer", 1)]


def offered(text: str, **known: Any) -> list[str]:
    """Return what is offered at `|`, as it would stand in the query."""
    caret = text.index("|")
    return [option.text for option in complete(text.replace("|", ""), caret, **known)]


def taken(text: str, at: int = 0, **known: Any) -> str:
    """Return the query after taking an option, with `|` where the caret is."""
    caret = text.index("|")
    option = complete(text.replace("|", ""), caret, **known)[at]
    return f"{option.query[: option.caret]}|{option.query[option.caret :]}"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("|", "agent:"), ("ag|", "agent:"), ("-ag|", "-agent:"), ("refund st|", "status:"), ("ST|", "status:"),
        ("fai|", "failed"), ("status:|", "status:running"), ("status:an|", "status:answered"),
        ("status:aborted,r|", "status:aborted,running"), ("steps:|", "steps:>"), ("last:|", "last:30m"),
        ("since:|", "since:2026-11-22"), ("-outcome:f|", "-outcome:failure"),
    ],
)  # fmt: skip
def test_keys_operators_and_words_are_offered(text: str, first: str) -> None:
    """What fits best comes first."""
    assert offered(text, days=["2026-11-22"])[0] == first


def test_names_of_the_project_are_offered_with_how_many_runs_have_them() -> None:
    """Those that begin with what was typed before those that hold it; quoted where they must be."""
    options = complete("agent:cod", 9, values=VALUES)
    assert [(option.text, option.hint) for option in options] == [
        ("agent:coder", "3 runs"), ('agent:"code review"', "2 runs"),
    ]  # fmt: skip
    assert offered('agent:"code r|', values=VALUES) == ['agent:"code review"']
    assert offered("agent:best|", values=VALUES) == [r'agent:"the \"best\""']


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("ag| last:7d", "agent:| last:7d"), ("status:an|", "status:answered |"), ("status:an| x", "status:answered |x"),
        ("status:ru|nning x", "status:running |x"), ("steps:|", "steps:>|"), ("fa|", "failed |"),
    ],
)  # fmt: skip
def test_taking_one_leaves_the_rest_and_puts_the_caret_behind_it(text: str, after: str) -> None:
    """The word at the caret is exchanged, whole."""
    assert taken(text).replace(" |x", " |x") == after


@pytest.mark.parametrize("text", ['"line 8|', 'say "st|', "steps:>1|", "nokey:|", "status:answered|"])
def test_where_nothing_helps_nothing_is_offered(text: str) -> None:
    """Within a text, a number or a key there is none of; nor what stands there already."""
    assert offered(text) == []


@given(st.text(st.sampled_from(' :,-"\\abcdegnorstu>=1\u202e苦'), max_size=24), st.integers(-3, 30))
def test_every_option_is_a_query_that_parses_no_worse(text: str, caret: int) -> None:
    """Whatever was typed: taking a name or a word adds no problem, and no list is long."""
    before = len(parse(text).problems)
    options = complete(text, caret, values=VALUES, days=["2026-11-22"])
    assert len(options) <= SHOWN
    for option in options:
        assert 0 <= option.caret <= len(option.query)
        if not option.query[: option.caret].endswith((":", ">", "=", "<")):
            assert len(parse(option.query).problems) <= max(before, 1), option.query


@pytest.mark.parametrize(
    ("text", "key"), [("agent:x", "agent"), ("-tool:", "tool"), ("x", ""), ("nokey:x", ""), ('"agent:x', "")]
)
def test_the_key_at_the_caret_says_whether_values_are_needed(text: str, key: str) -> None:
    """Everything else is offered without a question to the database."""
    assert key_at(text, len(text)) == key


def test_every_key_is_offered_at_first() -> None:
    """As many as a list shows, in the order of the language."""
    assert offered("|") == [f"{key}:" for key in KEYS][:SHOWN]


# --- The fragment -----------------------------------------------------------------------------------------------------


@pytest.fixture
def reader(db: None) -> Client:
    """Return a browser of a viewer of `mine`; `theirs` has runs as well."""
    add_project("theirs")
    client = signed_in("v.ito", "mine")
    for at, (project, agent) in enumerate(
        [("mine", "coder"), ("mine", "coder"), ("mine", "<b>"), ("theirs", "secret")]
    ):
        RunSummary.objects.create(
            project=project, stream=f"agent_run-{at}", category="agent_run", title="x", status="answered", agent=agent,
            tools=["read_file"], started_us=at, newest_us=at, position=at,
        )  # fmt: skip
    return client


def test_the_names_are_those_of_the_readers_project(reader: Client) -> None:
    """As options of a list box, each with the query it leads to; what agents wrote is text."""
    html = reader.get("/runs/complete/", {"q": "agent:", "at": "6"}).content.decode()
    assert re.findall(r'data-query="([^"]*)"', html) == ["agent:coder ", "agent:&lt;b&gt; "]
    assert Counter(re.findall(r'role="(\w+)"', html)) == {"option": 2}
    assert "<b>" not in html


@pytest.mark.parametrize("at", ["", "x", "99999999999", "-1", "٣"])
def test_a_caret_that_is_none_stands_at_the_end(reader: Client, at: str) -> None:
    """An address somebody made up is no error."""
    assert 'data-query="tool:read_file "' in reader.get("/runs/complete/", {"q": "tool:", "at": at}).content.decode()


def test_it_asks_for_sign_in(reader: Client) -> None:
    """Names of agents are the project's."""
    assert Client().get("/runs/complete/?q=agent:").status_code == 302
    assert reader.get("/runs/complete/?q=agent:&project=theirs").status_code == 404
