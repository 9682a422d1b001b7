"""`nagare lineage`: every link with its kind and certainty, and where the chain is not whole."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from journal.access.projects import ensure_project
from journal.domain.event import Cause
from journal.store import get_store
from tests.builders import event, identity, responded, returned, started

pytestmark = pytest.mark.django_db


def lineage(name: str, *arguments: str) -> str:
    """Return what the command prints of an event."""
    out = io.StringIO()
    call_command("lineage", identity(name), *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def journal() -> None:
    """Two runs: the second was begun by the first, and knows of an event that nobody has."""
    ensure_project("default")
    store = get_store("default")
    store.append(
        "agent_run-a",
        [
            event(started(), id=identity("begin")),
            event(responded("loose"), id=identity("loose")),
            event(responded("hand over"), id=identity("hand"), causation_id=identity("loose")),
        ],
        expected_version=0,
    )
    read = Cause(id=identity("seen"), kind="read", certainty="inferred")
    store.append(
        "agent_run-b",
        [
            event(started(), id=identity("child"), causation_id=identity("hand")),
            event(returned(), id=identity("seen"), causation_id=identity("gone")),
            event(responded("done"), id=identity("done"), causation_id=identity("child"), causes=(read,)),
            event(responded("x"), id=identity("x"), causation_id=identity("y")),
            event(responded("y"), id=identity("y"), causation_id=identity("x")),
        ],
        expected_version=0,
    )


def test_each_event_comes_with_how_it_was_reached() -> None:
    """Over both runs, nearest first, with kind and certainty."""
    lines = lineage("done").splitlines()
    assert [line.split("  ")[0].strip() or line.strip().split("  ")[0] for line in lines[:1]] == ["agent_run-b 3"]
    assert any("agent_run-b 1" in line and line.endswith("(triggered, recorded)") for line in lines)
    assert any("agent_run-b 2" in line and line.endswith("(read, inferred)") for line in lines)
    assert any("agent_run-a 3" in line and line.endswith("(spawned, recorded)") for line in lines)


def test_what_is_not_whole_is_told_after_it() -> None:
    """An event without a causation id, one that the journal does not hold, and events that go round."""
    said = lineage("done")
    assert "breaks off: agent_run-a 2 records no causation id" in said
    assert f"missing: {identity('gone')} is named as a cause, and the journal does not hold it" in said
    assert "circle: agent_run-b 4 -> agent_run-b 5 -> agent_run-b 4" in lineage("y")
    assert "breaks off" not in lineage("loose", "--down")


def test_programs_are_told_the_same() -> None:
    """`--json` has the links, the loose ends, the missing causes and the circles."""
    told = json.loads(lineage("done", "--json"))
    assert (told["loose"], told["missing"], told["cycles"]) == ([identity("loose")], [identity("gone")], [])
    assert {(link["kind"], link["certainty"]) for link in told["links"]} >= {
        ("read", "inferred"),
        ("spawned", "recorded"),
    }
    assert [len(way) for way in json.loads(lineage("x", "--json"))["cycles"]] == [2]
