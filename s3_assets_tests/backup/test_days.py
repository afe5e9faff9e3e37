"""Days: every moment has one, whatever clocks do, and a due day is never forgotten."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.backup.days import NS_PER_S, day_for_tick, day_of, due_days

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from([SEOUL, BERLIN, ZoneInfo("UTC"), ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")])
MOMENTS = st.integers(0, 4_000_000_000 * NS_PER_S)


def start_ns(day: date, zone: ZoneInfo) -> int:
    """The first moment of a day."""
    return int(datetime.combine(day, time(), zone).timestamp()) * NS_PER_S


@given(MOMENTS, ZONES)
def test_a_file_is_of_the_day_between_whose_midnights_it_was_changed(mtime_ns, zone):
    """The last nanosecond of a day is in it, the first of the next is not."""
    day = day_of(mtime_ns, zone)
    assert start_ns(day, zone) <= mtime_ns < start_ns(day + timedelta(days=1), zone)


@pytest.mark.parametrize("day, hours", [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 1), 24)])
def test_days_of_23_and_25_hours_are_whole(day, hours):
    """Where clocks change, each hour that passes is of one day, and none is counted twice."""
    start = start_ns(day, BERLIN)
    found = [day_of(start + number * 3600 * NS_PER_S, BERLIN) for number in range(-1, 27)]
    assert [number for number, one in enumerate(found, start=-1) if one == day] == list(range(hours))


@pytest.mark.parametrize("mtime_ns", [300_000_000_000 * NS_PER_S, -100_000_000_000 * NS_PER_S, 10**40])
def test_a_time_outside_of_the_calendar_is_no_day(mtime_ns):
    """It is told, not a crash: `touch -d` can do it."""
    assert day_of(mtime_ns, SEOUL) is None


def test_korea_midnight_is_the_border_and_not_utcs():
    """As the script that is replaced had it."""
    assert day_of(int(datetime(2026, 11, 20, 14, 59, 59, tzinfo=UTC).timestamp()) * NS_PER_S, SEOUL) == date(
        2026, 11, 20
    )
    assert day_of(int(datetime(2026, 11, 20, 15, 0, 0, tzinfo=UTC).timestamp()) * NS_PER_S, SEOUL) == date(2026, 11, 21)


def test_a_tick_is_for_yesterday_where_it_was_scheduled():
    """20:00 in Seoul is 11:00 UTC, given either way; a tick just after midnight there is still another day's in UTC."""
    for tick in (datetime(2026, 11, 21, 20, tzinfo=SEOUL), datetime(2026, 11, 21, 11, tzinfo=UTC)):
        assert day_for_tick(tick, SEOUL, 1) == date(2026, 11, 20)
    for tick in (datetime(2026, 11, 21, 0, 5, tzinfo=SEOUL), datetime(2026, 11, 20, 15, 5, tzinfo=UTC)):
        assert day_for_tick(tick, SEOUL, 1) == date(2026, 11, 20)
    assert day_for_tick(datetime(2026, 11, 21, 20, tzinfo=SEOUL), SEOUL, 3) == date(2026, 11, 18)


@given(
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    ZONES,
    st.integers(1, 5),
    st.sets(st.dates(date(2025, 12, 1), date(2027, 1, 31))),
)
def test_due_is_what_had_its_tick_and_is_not_right(first, tick, zone, lag, right):
    """Each day from the first to the last tick's, once and in order, but for the right ones: none slips through."""
    due = due_days(first, tick, zone, lag, right)
    last = day_for_tick(tick, zone, lag)
    every = {first + timedelta(days=number) for number in range((last - first).days + 1)}
    assert due == sorted(every - right)


def test_a_day_without_a_tick_of_its_own_is_due_once_a_later_one_passed():
    """A cron that rests at weekends must not lose Friday and Saturday."""
    monday = datetime(2026, 11, 23, 20, tzinfo=SEOUL)
    friday, saturday, sunday = (date(2026, 11, day) for day in (20, 21, 22))
    assert due_days(friday, monday, SEOUL, 1, set()) == [friday, saturday, sunday]
    assert due_days(friday, monday, SEOUL, 1, {saturday}) == [friday, sunday]
