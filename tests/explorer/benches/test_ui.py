"""`nagare bench ui`: its table, its sums, the runs it makes, and what it says where it cannot run."""

from __future__ import annotations

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from explorer.benches import made_run, ui
from journal.domain.catalog import catalog
from journal.domain.event import EventData

QUICK = ui.Times(times=40, p50_ms=12, p95_ms=15.5)


def measured(events: int, *, elements: int = 900, cursor_move: ui.Times = QUICK) -> ui.Measured:
    """Return figures that are within every budget, but for what is given."""
    return ui.Measured(
        events=events,
        html_bytes=10_000,
        css_bytes=15_000,
        js_bytes=40_000,
        wire_bytes=141_200,
        requests=21,
        elements=elements,
        heap_bytes=1_200_000,
        renderer_cpu_s=0.12,
        first_byte=QUICK,
        highlight=QUICK,
        highlight_drawn=QUICK,
        cursor_move=cursor_move,
        find=QUICK,
        jump_to_last=QUICK,
    )


def test_a_column_stands_for_each_size_beside_budget_and_other_tools() -> None:
    """Numbers are right under their heads, and the source of the others' figures follows."""
    head, *lines = ui.table([measured(200), measured(100_000)])
    assert head.split() == ["200", "100,000", "budget", "other", "tools,", "200", "/", "2,000"]
    (elements,) = [line for line in lines if line.startswith("elements")]
    assert elements.split()[:5] == ["elements", "900", "900", "≤", "1,500"]
    assert elements.endswith("Inspect 691 / 912")
    assert elements.index("900", elements.index("900") + 3) + 3 == head.index("100,000") + len("100,000")
    assert ui.SOURCE in lines


def test_what_is_over_budget_is_marked() -> None:
    """That figure alone; another size, and what is just within, are not."""
    slow = ui.Times(times=60, p50_ms=80, p95_ms=100.1)
    lines = ui.table([measured(200, elements=1_500), measured(2_000, elements=1_501, cursor_move=slow)])
    marked = [line for line in lines if "! " in line and not line.startswith("!")]
    assert [line.partition("  ")[0] for line in marked] == ["elements", "key to inspector, p95, ms"]
    assert "1,500  ! 1,501" in marked[0]
    assert ui.over_budget(measured(200)) == []


def test_percentiles_are_values_that_were_measured() -> None:
    """Of twenty the tenth and the nineteenth; of one that one."""
    assert ui.times([float(at) for at in range(20, 0, -1)]) == ui.Times(times=20, p50_ms=10, p95_ms=19)
    assert ui.times([7.04]) == ui.Times(times=1, p50_ms=7, p95_ms=7)


def _text(event: EventData) -> str:
    return event.data.decode()


@pytest.mark.parametrize("size", [100, 200, 2_001])
def test_a_made_run_has_its_length_and_each_word_once(size: int) -> None:
    """Whatever the length; it begins, ends with an answer, and each event names the one before as its cause."""
    events = list(made_run.coding_run(size))
    assert len(events) == size
    assert [events[0].type, events[-1].type] == ["agent_run.started", "agent_run.answered"]
    assert {event.type for event in events} <= set(catalog.names())
    for word in made_run.WORDS:
        assert sum(word in _text(event) for event in events) == 1, word
    named = [(before.id, after.metadata.decode()) for before, after in pairwise(events)]
    assert all(cause and cause in metadata for cause, metadata in named)


def test_without_playwright_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is made, and as a refusal rather than a traceback."""
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    monkeypatch.delitem(sys.modules, "explorer.benches.ui_browser", raising=False)
    with pytest.raises(CommandError, match=r"Playwright is not installed; in a checkout `make install` brings it"):
        call_command("bench", "ui", "--sizes", "200")


@pytest.mark.parametrize("sizes", ["99", "200,", "many"])
def test_sizes_that_are_none_are_refused(sizes: str) -> None:
    """With what is wanted."""
    with pytest.raises(CommandError, match="is not numbers of events, 100 at least, parted by commas"):
        call_command("bench", "ui", "--sizes", sizes)


def test_a_benchmark_without_sizes_takes_none() -> None:
    """Rather than measuring what was not asked for."""
    with pytest.raises(CommandError, match="the benchmark store has no sizes"):
        call_command("bench", "store", "--sizes", "200")


_TERMINATED = """
import contextlib, signal, types
import msgspec
from explorer.benches import ui_site

filled = ui_site.Filled(user="", password="", streams={}, words=())
ui_site.subprocess.run = lambda *_, **__: types.SimpleNamespace(stdout=msgspec.json.encode(filled))
ui_site._served = lambda environ: contextlib.nullcontext(environ["NAGARE_DATA_DIR"])
with ui_site.started((200,)) as site:
    print(site.url, flush=True)
    signal.pause()
"""
"""The benchmark's frame without what takes long in it: it says where its folder is, and waits."""


def test_a_benchmark_that_is_ended_from_outside_leaves_nothing() -> None:
    """A SIGTERM removes the folder as the end does, and the status is that of the signal."""
    with subprocess.Popen([sys.executable, "-c", _TERMINATED], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        folder = Path(bench.stdout.readline().strip())
        assert folder.is_dir()
        bench.terminate()
        assert bench.wait(60) == 128 + signal.SIGTERM
    assert not folder.exists()
