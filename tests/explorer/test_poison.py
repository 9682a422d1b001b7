"""An event that cannot be understood stops nothing but itself: its own panel is raw, everything else is as ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from explorer.models import EventLine
from journal.domain import agent_run as run
from journal.domain import explain
from journal.models import ParkedEvent
from tests.builders import event, raw, reasoned, returned, started
from tests.run_pages import address, fresh_timelines, page, put, reader, words

if TYPE_CHECKING:
    from django.test import Client

    from journal.domain.event import EventData

__all__ = ["fresh_timelines", "reader"]


def broken(_event: Any) -> explain.Explanation:
    """Be an explainer with a mistake in it."""
    raise ZeroDivisionError("nothing by nothing")


def poisoned(kind: str) -> EventData:
    """Return an event of a foreign type, one that a later version wrote, or one whose explainer fails."""
    if kind == "foreign":
        return raw(type="agent_run.dreamt", data=b'{"of": "electric sheep"}')
    noted = event(run.Annotated(by="ada", text="look here", at_version=1))
    return noted if kind == "explainer" else msgspec.structs.replace(noted, schema=99)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("foreign", "this type is not in the catalog"),
        ("newer", "schema 99 is newer than 1"),
        ("explainer", "agent_run.annotated, kept raw"),
    ],
)
def test_the_run_opens_and_the_event_is_shown_raw_with_the_reason(
    kind: str, reason: str, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each tab; the events around it are explained, and the read models have a line for each."""
    explainers: dict[Any, Any] = {**explain._explainers, run.Annotated: broken}
    monkeypatch.setattr(explain, "_explainers", explainers)
    stream = put("agent_run-9", [event(started()), poisoned(kind), event(reasoned()), event(returned())])
    assert reason in words(page(reader, address(stream, 2)))
    for tab in ("state", "diff", "payload", "causes"):
        assert page(reader, address(stream, 2, tab=tab))
    assert "read_file" in words(page(reader, address(stream, 3)))
    assert list(EventLine.objects.order_by("version").values_list("version", flat=True)) == [1, 2, 3, 4]
    assert not ParkedEvent.objects.exists()
