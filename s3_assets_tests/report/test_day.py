"""One event's day in numbers, against days whose every file is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment
from s3_assets.hour_file.segments import GZIP_HEADER
from s3_assets.hour_file.sources import SourceObject
from s3_assets.report.day import DAY, HOUR, WEEK, DayReport, HourOfDay, hour_of_day, ranges, report_day

GRAMMAR = KeyGrammar()
MIDNIGHT = datetime(2024, 6, 1, tzinfo=UTC)
NEXT_DAY = MIDNIGHT + timedelta(days=1)
ZERO = timedelta()


def source(hh: int, minute: int, arrived: datetime | None, size: int = 10, name: str = "file") -> SourceObject:
    """A source object of the day."""
    return SourceObject(f"pay/2024-06-01/{hh:02d}_{minute:02d}_{name}.csv", "tag", size, arrived)


def hour_with(
    hh: int, *sources: SourceObject, now: datetime = NEXT_DAY, ledger: Ledger | None = None, problem: str = ""
) -> HourOfDay:
    """An hour of the day."""
    return hour_of_day(
        GRAMMAR,
        Hour("pay", f"2024-06-01-{hh:02d}:00"),
        sources,
        ledger=ledger,
        file_bytes=5 if ledger else 0,
        problem=problem,
        now=now,
    )


def at(hh: int, minute: int = 0, second: int = 0, days: int = 0) -> datetime:
    """A moment of the day, or of one after it."""
    return MIDNIGHT + timedelta(days=days, hours=hh, minutes=minute, seconds=second)


def ledger_of(held: list[SourceObject], quarantined: list[SourceObject]) -> Ledger:
    """That says it holds these, two rows of ten plain bytes each."""
    inside = tuple(Held(s.key, s.etag, s.size, None, 2, 10, None) for s in held)
    left_out = tuple(Quarantined(s.key, s.etag, s.size, "unclosed quote", "why", None, alone=True) for s in quarantined)
    segment = Segment(len(GZIP_HEADER), 5, 0, 10 * len(inside), 0, inside)
    return Ledger("pay", "2024-06-01-07:00", None, (), (segment,), left_out)


# --- arrivals ----------------------------------------------------------------------------------------------


def test_late_is_after_the_end_of_the_hour_and_longer_is_a_part_of_it():
    """At its very end it is late; an hour, a day and a week after that, it is late by so much."""
    moments = [at(7, 59, 59), at(8), at(8, 59, 59), at(9), at(8, days=1), at(8, days=7)]
    report = report_day([hour_with(7, *(source(7, 0, when, name=str(when)) for when in moments))])
    assert [report.late_by(least) for least in (ZERO, HOUR, DAY, WEEK)] == [5, 3, 2, 1]
    assert report.share(report.late_by(HOUR)) == 0.5
    assert report.hours[0].late == 5


def test_delays_count_from_the_minute_in_the_name():
    """07_50 that came at 07:51 took a minute, though its hour was nearly over."""
    hour = hour_with(7, source(7, 50, at(7, 51)), source(7, 0, at(7, 10)), source(7, 59, at(8, 1)))
    report = report_day([hour])
    assert [report.delay_s(share) for share in (0.01, 0.5, 0.95, 1)] == [60, 120, 600, 600]


def test_what_came_before_its_own_hour_is_early_and_not_late():
    """Labels of a zone that is ahead of UTC look like that."""
    report = report_day([hour_with(7, source(7, 5, at(6, 59, 59)), source(7, 6, at(7)))])
    assert (report.early, report.late_by(ZERO), report.delay_s(0.5)) == (1, 0, -360)
    assert report.arrivals_by_minute(3, 120) == ([2, *[0] * 39], 0)


def test_arrivals_are_counted_by_minutes_after_the_hour_began():
    """Minutes of the clock play no part, nor the minute in the name; what is beyond the chart is told apart."""
    hours = [
        hour_with(7, source(7, 0, at(7, 2, 59)), source(7, 1, at(7, 3)), source(7, 2, at(8, 59, 59))),
        hour_with(22, source(22, 0, at(0, days=1)), source(22, 1, at(23, 4))),
    ]
    counts, later = report_day(hours).arrivals_by_minute(3, 120)
    assert {place: count for place, count in enumerate(counts) if count} == {0: 1, 1: 1, 21: 1, 39: 1}
    assert later == 1


def test_a_source_without_a_time_tells_nothing_of_arrivals():
    """Only a listing knows when something came."""
    assert report_day([hour_with(7, source(7, 0, None))]).arrivals == ()


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(-7200, 10**6)), max_size=30))
def test_every_arrival_is_counted_once(drawn):
    """In the chart, in the sizes and among late and not late, whenever it came."""
    sources = [
        source(7, minute, at(7) + timedelta(seconds=after), size=number, name=str(number))
        for number, (minute, after) in enumerate(drawn)
    ]
    report = report_day([hour_with(7, *sources)])
    counts, later = report.arrivals_by_minute(3, 120)
    assert sum(counts) + later == len(report.arrivals) == len(drawn)
    assert report.late_by(ZERO) == sum(after >= 3600 for _, after in drawn)
    assert report.late_by(HOUR) <= report.late_by(ZERO)
    assert report.delay_s(0.5) <= report.delay_s(0.95) <= report.delay_s(1)


# --- minutes -----------------------------------------------------------------------------------------------


def regular(minutes: list[int], hours: range = range(24), *, without: tuple[tuple[int, int], ...] = ()) -> DayReport:
    """A day on which each of `hours` has a source in each of `minutes`, but for `without`."""
    return report_day(
        hour_with(
            hh,
            *(source(hh, minute, at(hh, minute)) for minute in minutes if hh in hours and (hh, minute) not in without),
        )
        for hh in range(24)
    )


def test_a_gap_in_what_most_hours_have_is_a_missing_minute():
    """Each hour has four files; one of them has three."""
    report = regular([0, 15, 30, 45], without=((9, 30),))
    assert report.usual_minutes == {0, 15, 30, 45}
    assert {hour.hour.hh: report.missing_minutes(hour) for hour in report.hours if report.missing_minutes(hour)} == {
        "09": [30]
    }
    assert (report.hours_with_minute[30], report.hours_with_minute[31], report.empty_hours) == (23, 0, 0)


def test_one_file_an_hour_at_any_minute_has_no_missing_minutes():
    """Nothing says which minute it should have been; only an hour without any tells of a gap."""
    report = report_day(hour_with(hh, *([source(hh, hh * 2, at(hh, 59))] if hh != 5 else [])) for hh in range(24))
    assert report.usual_minutes == frozenset()
    assert [report.missing_minutes(hour) for hour in report.hours] == [[]] * 24
    assert report.empty_hours == 1


def test_an_hour_without_any_source_misses_all_usual_minutes():
    """It shows in both counts."""
    report = regular([0, 30], range(1, 24))
    assert (report.missing_minutes(report.hours[0]), report.empty_hours) == ([0, 30], 1)


def test_exactly_half_of_the_hours_make_no_minute_usual():
    """More than half do."""
    assert regular([7], range(12)).usual_minutes == frozenset()
    assert regular([7], range(13)).usual_minutes == {7}


def test_an_hour_that_is_not_over_misses_nothing_yet():
    """Its sources count as arrivals all the same."""
    now = at(8, 20)
    hours = [hour_with(hh, source(hh, 0, at(hh, 1)), source(hh, 50, at(hh, 51)), now=now) for hh in range(8)]
    report = report_day([*hours, hour_with(8, source(8, 0, at(8, 1)), now=now)])
    assert report.usual_minutes == {0, 50}
    assert report.missing_minutes(report.hours[8]) == []
    assert (report.hours_over, len(report.arrivals), report.empty_hours) == (8, 17, 0)


def test_nothing_at_all_is_a_day_too():
    """Zeros, and no division by them."""
    report = report_day(hour_with(hh) for hh in range(24))
    assert (report.hours_over, report.empty_hours, report.share(0), report.delay_s(0.5)) == (24, 24, 0, 0)
    assert (report.source_sizes, report.compression_ratio, report.usual_minutes) == ((0, 0.0, 0), None, frozenset())


# --- hour files --------------------------------------------------------------------------------------------


def test_an_hour_file_is_compared_with_what_is_there():
    """Sources that it holds and that are gone; that are there and it does not know; that it leaves out."""
    here, gone, new, bad = (source(7, minute, at(7, minute), size=10 + minute) for minute in (1, 2, 3, 4))
    rewritten = source(7, 5, at(7, 5), size=99)
    ledger = ledger_of([here, gone, SourceObject(rewritten.key, "old", 1)], [bad])
    hour = hour_with(7, here, new, bad, rewritten, ledger=ledger)
    assert (hour.gone, hour.waiting, [one.key for one in hour.quarantined]) == (1, 2, [bad.key])
    assert (hour.rows, hour.plain_bytes, hour.file_bytes, hour.source_bytes) == (6, 30, 5, 11 + 13 + 14 + 99)
    report = report_day([hour])
    assert report.compression_ratio == 6
    assert report.source_sizes == (11, 13.5, 99)
    assert report.missing_minutes(hour) == []  # what is gone may have had any minute


def test_a_file_that_cannot_be_read_says_why_and_has_no_ratio():
    """The listing's numbers stand."""
    hour = hour_with(7, source(7, 1, at(7, 1)), problem="its footer is damaged")
    assert (hour.problem, hour.waiting, report_day([hour]).compression_ratio) == ("its footer is damaged", 1, None)


def test_another_pattern_has_its_minutes_elsewhere():
    """The grammar says where."""
    grammar = KeyGrammar("raw/{event}/{date}/part-{HH}h{MM}-{name}.csv")
    key = "raw/pay/2024-06-01/part-07h42-x.csv"
    hour = grammar.source_hour(key)
    found = hour_of_day(
        grammar, hour, [SourceObject(key, "t", 1, at(7, 43))], ledger=None, file_bytes=0, problem="", now=NEXT_DAY
    )
    assert found.minutes == {42}


@pytest.mark.parametrize(
    "minutes, said",
    [([], ""), ([7], "7"), ([0, 1, 2, 17, 58, 59], "0-2, 17, 58-59"), (list(range(60)), "0-59"), ([0, 2], "0, 2")],
)
def test_minutes_are_said_as_ranges(minutes, said):
    """So that a whole hour is short."""
    assert ranges(minutes) == said
