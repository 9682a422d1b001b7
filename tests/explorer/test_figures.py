"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer import figures

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("ms", "shown"),
    [
        (None, "not recorded"), (0, "0 ms"), (0.4, "0.4 ms"), (52, "52 ms"), (999, "999 ms"), (1000, "1.0 s"),
        (9949, "9.9 s"), (9950, "10 s"), (19_000, "19 s"), (254_000, "4m 14s"), (185_000, "3m 05s"),
        (7_440_000, "2 h 04m"), (90_000_000, "1 d 01 h"), (float("nan"), "not recorded"),
    ],
)  # fmt: skip
def test_durations_have_the_units_that_matter(ms: float | None, shown: str) -> None:
    """One unit while it is short, two once it is long."""
    assert figures.duration(ms) == shown


@pytest.mark.parametrize(
    ("us", "shown"),
    [
        (0, "+0:00.0"), (22_800_000, "+0:22.8"), (59_960_000, "+1:00.0"), (3_742_800_000, "+1:02:22.8"),
        (-1_500_000, "−0:01.5"), (None, "not recorded"),
    ],
)  # fmt: skip
def test_times_in_a_run_are_relative(us: int | None, shown: str) -> None:
    """Minutes, seconds and a tenth after the start; a clock that went back shows as a minus."""
    assert figures.relative(us) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(None, "not recorded"), (0, "$0.00"), (5.014, "$5.01"), (0.0042, "$0.0042"), (0.00001, "under $0.0001"),
     (1204.5, "$1,204.50")],
)  # fmt: skip
def test_costs_are_to_the_cent_and_under_one_to_four_places(usd: float | None, shown: str) -> None:
    """A cost that is not recorded is not zero."""
    assert figures.cost(usd) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, "1 byte"), (312, "312 bytes"), (2400, "2.4 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
     (12_400_000, "12.4 MB"), (None, "not recorded")],
)  # fmt: skip
def test_sizes_are_decimal(number: int | None, shown: str) -> None:
    """Units of a thousand, and never "1000.0 kB"."""
    assert figures.size(number) == shown


def test_a_start_shows_as_much_as_tells_it_apart() -> None:
    """The time today, the day and time this year, the date before."""
    now = datetime(2026, 11, 22, 13, tzinfo=UTC)
    at = [
        datetime(2026, 11, 22, 12, 4, tzinfo=UTC),
        datetime(2026, 3, 1, 9, 5, tzinfo=UTC),
        datetime(2025, 12, 31, tzinfo=UTC),
    ]
    assert [figures.started(int(one.timestamp()) * SECOND, now) for one in at] == [
        "12:04",
        "1 Mar 09:05",
        "31 Dec 2025",
    ]


def test_an_exact_time_names_its_zone() -> None:
    """To the millisecond, as it stands in tooltips."""
    at = int(datetime(2026, 11, 22, 12, 4, 34, tzinfo=UTC).timestamp()) * SECOND + 840_000
    assert figures.exact(at) == "22 Nov 2026 12:04:34.840 UTC"
    assert figures.iso(at) == "2026-11-22T12:04:34.840Z"


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_time_of_the_journal_fails(us: int) -> None:
    """A clock that was wrong by centuries still makes a page."""
    assert figures.exact(us)
    assert figures.relative(us)
    assert figures.iso(us)


def test_one_of_a_thing_is_singular() -> None:
    """And an unknown number is said to be so."""
    assert [figures.counted(number, "event") for number in (1, 200, None)] == [
        "1 event",
        "200 events",
        "events not recorded",
    ]
