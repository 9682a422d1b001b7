"""The benchmark of the signed log: how its figures come about, on a small journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from django.utils.module_loading import autodiscover_modules

from audits.benches import sealing, sealing_child
from journal.access.projects import add_project
from journal.benches.registry import Asked, known
from journal.runtime import log_keys, sealer
from journal.runtime.log_keys import KeyPlace
from journal.store import get_store

FOUND = sealing.Measured(
    name="seal", events_per_s=500, seconds=4, rounds=3, append_p95_ms=8, sealed_append_p95_ms=12, ratio=1.5, late=0,
    lag_p50_ms=900, lag_p95_ms=1_500, verified_events=10_000, verify_cpu_s=1.75, verify_floor_cpu_s=0.1,
    verify_ratio=17.5,
)  # fmt: skip


@pytest.fixture
def _keys(tmp_path: Path) -> Iterator[None]:
    before = log_keys.in_use()
    log_keys.use(KeyPlace(tmp_path, host="nagare.example"))
    yield
    log_keys.use(before)


def test_an_event_waits_until_the_first_look_at_which_the_log_had_got_past_it() -> None:
    """Two heads, seen at 10 s and 11 s; appends under the first and under the second, one sealed at once."""
    watch = sealing_child.Watch()
    watch.seen = [(20, 10.0), (40, 11.0)]
    assert watch.lags([(10, 9.5), (20, 9.75), (21, 9.75), (40, 11.5)]) == [0.5, 0.25, 1.25, 0.0]


@pytest.mark.django_db
@pytest.mark.usefixtures("_keys")
def test_appends_come_at_the_rate_and_tell_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch with the last position it has, all of which the log holds once it is sealed."""
    monkeypatch.setattr(sealing_child, "_SECONDS", 0.1)
    add_project("bench")
    took, marks, late = sealing_child.append("agent_run-1")
    assert len(took) == len(marks) == 5
    assert min(took) > 0
    assert 0 <= late <= 1
    assert get_store("bench").stream_version("agent_run-1") == 50
    assert [position for position, _ in marks] == sorted({position for position, _ in marks})
    assert sealer.catch_up()


@pytest.mark.django_db
@pytest.mark.usefixtures("_keys")
def test_the_offline_check_is_made_of_every_event(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a process of its own, whose verdict would be an error here."""
    monkeypatch.setattr(sealing_child, "_CHECKED", 200)
    found = sealing_child.check(tmp_path)
    assert found["verified_events"] == 200
    assert found["verify_cpu_s"] > found["verify_floor_cpu_s"] > 0


def test_it_is_told_in_words_and_says_where_the_machine_was_too_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the rate was not kept stands in a line of its own, and only then; the command knows it by its name."""
    monkeypatch.setattr(sealing, "run", lambda **_: msgspec.structs.replace(FOUND, late=0.25))
    autodiscover_modules("benches")
    report = known()["seal"].run(lambda _: None, Asked())
    assert "1.50 times that" in report.lines[0]
    assert "25% began late" in report.lines[1]
    assert len(list(sealing.lines(FOUND))) == len(report.lines) - 1 == 3
