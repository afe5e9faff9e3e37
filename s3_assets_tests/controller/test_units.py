"""What is listed at once: prefixes that hold a period and nothing else, and walks that leave nothing out."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.controller.units import Unit, hint_units, periods_from
from s3_assets.hour_file.keys import Hour, KeyGrammar

START = date(2024, 1, 1)
MONTHS = ["2025-02", "2025-01", "2024-12", "2024-03", "2024-02", "2024-01"]
hours = st.builds(
    lambda event, day, hh: Hour(event, f"{START + timedelta(days=day)}-{hh:02d}:00"),
    st.sampled_from(["click", "click-v2", "a b"]),
    st.integers(0, 425),
    st.integers(0, 23),
)
PATTERNS = [
    "{event}/{date}/{HH}_{MM}_{name}.csv",
    "exports/{event}/csv/{date}/in/{HH}_{MM}_{name}.csv",
    "{event}/{date}/at-{HH}-{MM}-{name}",
]


@given(hour=hours, other=hours, pattern=st.sampled_from(PATTERNS))
def test_a_unit_lists_the_keys_of_its_hours_and_no_other(hour: Hour, other: Hour, pattern: str) -> None:
    """By its prefix alone, for sources and hour files; an hour belongs to its month, its date and itself."""
    grammar = KeyGrammar(pattern)
    for period in (hour.label[:7], hour.date, f"{hour.date}-{hour.hh}"):
        unit = Unit(hour.event, period)
        for some in (hour, other):
            source = pattern.format(event=some.event, date=some.date, HH=some.hh, MM="59", name="x")
            assert grammar.source_hour(source) == some
            belongs = some.event == hour.event and some.label.startswith(period)
            assert source.startswith(unit.source_prefix(grammar)) is belongs
            assert grammar.target_key(some).startswith(unit.target_prefix(grammar)) is belongs
            assert unit.holds(some) is belongs


def _days(period: str) -> set[str]:
    """The hours of a period, as far as the calendar has them."""
    if len(period) == len("2024-06-12-07"):
        return {period}
    days = [period] if len(period) == len("2024-06-12") else [f"{period}-{day:02d}" for day in range(1, 32)]
    return {f"{day}-{hour:02d}" for day in days for hour in range(24)}


@given(month=st.sampled_from(MONTHS), day=st.integers(1, 31), hour=st.integers(0, 23), depth=st.integers(0, 3))
def test_a_walk_that_resumes_leaves_nothing_out_and_takes_nothing_twice(month, day, hour, depth) -> None:
    """Wherever it stopped: all that is older than its place, newest first, once."""
    resume = ["", month, f"{month}-{day:02d}", f"{month}-{day:02d}-{hour:02d}"][depth]
    walked = list(periods_from(MONTHS, resume))
    assert walked == sorted(walked, key=lambda period: period.ljust(13, "~"), reverse=True)
    found = [one for period in walked for one in _days(period)]
    assert len(set(found)) == len(found)
    every = {one for period in MONTHS for one in _days(period)}
    assert set(found) == {one for one in every if not resume or one <= resume.ljust(13, "~")}


@pytest.mark.parametrize(
    "period, following",
    [
        ("2024-06-12-07", "2024-06-12-06"),
        ("2024-06-12-00", "2024-06-11"),
        ("2024-06-01-00", "2024-05"),
        ("2024-01-01-00", "2023-12"),
        ("2024-06-01", "2024-05"),
    ],
)
def test_what_follows_a_piece(period: str, following: str) -> None:
    """The walk that resumes there goes on without a gap."""
    assert Unit("e", period).next == Unit("e", following)


@given(some=st.lists(hours, max_size=30))
def test_hinted_hours_are_all_looked_at(some: list[Hour]) -> None:
    """Each in one unit; dates only where several hours are of one."""
    units = hint_units(some)
    assert len(set(units)) == len(units)
    assert all(sum(unit.holds(hour) for unit in units) == 1 for hour in some)
    for unit in units:
        assert len({hour for hour in some if unit.holds(hour)}) >= (4 if len(unit.period) == len("2024-06-12") else 1)
