"""Many hours: found, looked at and made right; one that fails hides no other."""

from __future__ import annotations

from typing import Any

import pytest

from s3_assets.builder.build import BuildOptions
from s3_assets.builder.reconcile import (
    HourFailure,
    Scope,
    make_right,
    observe,
    plan_all,
    source_events,
    target_hours,
)
from s3_assets.errors import AccessDeniedError, ForeignTargetError, StoreUnavailableError
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.plan import Plan, Verdict
from s3_assets.store.metered import MeteredStore
from s3_assets_tests.builder.faults import ScriptedStore

EVENTS = ["a b", "고객", "x|y"]
HOURS = [Hour(event, f"2021-09-0{day}-{hh:02}:00") for event in EVENTS for day in (1, 2) for hh in (0, 7, 23)]
ALL = Scope("2021-09-01-00:00", "2021-09-02-23:00")


@pytest.fixture
def filled(bench):
    """Three events, two dates, three hours each, two sources in each."""
    for number, hour in enumerate(HOURS):
        bench.put(f"{hour.hh}_00_a.csv", b"n\n%d\n" % number, hour=hour)
        bench.put(f"{hour.hh}_59_b.csv", b"n\n%d\n" % (100 + number), hour=hour)
    return bench


def outcomes(found) -> dict[Hour, Any]:
    """By hour; each hour once."""
    listed = list(found)
    by_hour = {outcome.hour: outcome for outcome in listed}
    assert len(by_hour) == len(listed)
    return by_hour


def assert_right(bench, hours) -> None:
    """Each holds its own rows."""
    for hour in hours:
        number = HOURS.index(hour)
        assert bench.text(hour) == b"n\n%d\n%d\n" % (number, 100 + number)


def test_hours_are_found_and_made_right(filled):
    """All of them, each with its own rows; the second time there is nothing to do."""
    listing = observe(filled.pipeline, ALL)
    assert sorted(listing.hours) == sorted(HOURS)
    assert source_events(filled.pipeline) == sorted(EVENTS)
    done = outcomes(make_right(filled.pipeline, listing.hours))
    assert done.keys() == set(HOURS)
    assert_right(filled, HOURS)
    assert target_hours(filled.pipeline, ALL) == sorted(HOURS)
    again = outcomes(make_right(filled.pipeline, [*HOURS, *HOURS]))
    assert {result.plan.verdict for result in again.values()} == {Verdict.NOTHING}


@pytest.mark.parametrize(
    "scope",
    [
        ALL,
        Scope("2021-09-01-07:00", "2021-09-02-00:00"),
        Scope("2021-09-01-00:00", "2021-09-02-23:00", events=("고객",)),
        Scope("2021-08-31-00:00", "2021-09-01-07:00"),
        Scope("2021-09-02-07:00", "2021-09-02-07:00"),
        Scope("2021-08-01-00:00", "2021-12-31-23:00"),
        Scope("2021-08-01-00:00", "2021-12-31-23:00", events=("x|y",)),
    ],
)
def test_a_scope_holds_its_hours_and_no_other(filled, scope):
    """Narrow or wide, of all events or some: at the source and at the target."""
    list(make_right(filled.pipeline, HOURS))
    expected = sorted(hour for hour in HOURS if scope.holds(hour))
    assert expected
    assert sorted(observe(filled.pipeline, scope).hours) == expected
    assert target_hours(filled.pipeline, scope) == expected


@pytest.mark.parametrize(
    "scope, requests",
    [
        (ALL, {"list_level": 1, "list": 3}),
        (Scope("2021-09-01-07:00", "2021-09-01-07:00", events=("x|y",)), {"list": 1}),
        (Scope("2021-08-01-00:00", "2021-12-31-23:00", events=("x|y",)), {"list": 1}),
        (Scope("2021-08-01-00:00", "2021-12-31-23:00"), {"list": 2}),
    ],
)
def test_of_a_short_range_little_is_listed_at_the_target(filled, scope, requests):
    """There may be years of hour files beside it: each event is asked for its own dates at once, 1,000 to a request."""
    list(make_right(filled.pipeline, HOURS))
    for day in range(50):
        for hh in range(24):
            filled.target.put(f"target/x|y/2019-{day // 28 + 1:02}-{day % 28 + 1:02}/{hh:02}.csv.gz", b"")
    target = MeteredStore(filled.target)
    filled.target_seen = target
    assert target_hours(filled.pipeline, scope) == sorted(hour for hour in HOURS if scope.holds(hour))
    assert dict(target.traffic.requests) == requests


def test_what_is_no_source_is_counted_on_the_way(filled):
    """And does not stop the rest."""
    for name in ("25_61_x.csv", "readme.txt", ""):
        filled.source.put(f"source/고객/2021-09-01/{name}", b"")
    filled.source.put("source/readme.txt", b"")
    filled.source.put("source/odd/2021-99-99/07_00_x.csv", b"")
    listing = observe(filled.pipeline, Scope("2021-01-01-00:00", "2021-12-31-23:00"))
    assert sorted(listing.hours) == sorted(HOURS)
    assert sum(listing.rejected.values()) == 5


def test_planning_writes_nothing(filled):
    """And says what would be done."""
    plans = outcomes(plan_all(filled.pipeline, HOURS))
    assert all(isinstance(plan, Plan) and plan.verdict is Verdict.BUILD for plan in plans.values())
    assert list(filled.target.list("")) == []


def test_a_failing_hour_hides_no_other(filled):
    """A foreign target is that hour's failure; all others are made right."""
    bad = HOURS[4]
    filled.target.put(filled.key(bad), b"someone's")
    done = outcomes(make_right(filled.pipeline, HOURS))
    assert isinstance(done[bad], HourFailure)
    assert isinstance(done[bad].error, ForeignTargetError)
    assert_right(filled, [hour for hour in HOURS if hour != bad])
    mended = outcomes(make_right(filled.pipeline, [bad], BuildOptions(rebuild=True)))
    assert not isinstance(mended[bad], HourFailure)
    assert_right(filled, HOURS)


def test_a_target_that_can_not_be_read_fails_alone(filled):
    """Although hours of one date are looked at together."""
    bad = HOURS[7]

    class Denied(ScriptedStore):
        def get(self, key, **options):
            if key == filled.key(bad):
                raise AccessDeniedError("GetObject", key, "403")
            return self.inner.get(key, **options)

    filled.target_seen = Denied(filled.target)
    done = outcomes(make_right(filled.pipeline, HOURS))
    assert [hour for hour, outcome in done.items() if isinstance(outcome, HourFailure)] == [bad]
    assert isinstance(done[bad].error, AccessDeniedError)
    assert_right(filled, [hour for hour in HOURS if hour != bad])


def test_a_date_that_can_not_be_listed_fails_alone(filled):
    """Its hours fail, with the error of the store; the other dates are made right."""

    class Broken(ScriptedStore):
        def list(self, prefix):
            if "고객/2021-09-02" in prefix:
                raise StoreUnavailableError("ListObjectsV2", prefix, "503")
            return self.inner.list(prefix)

    filled.source_seen = Broken(filled.source)
    done = outcomes(make_right(filled.pipeline, HOURS))
    failed = {hour for hour, outcome in done.items() if isinstance(outcome, HourFailure)}
    assert failed == {hour for hour in HOURS if (hour.event, hour.date) == ("고객", "2021-09-02")}
    assert_right(filled, [hour for hour in HOURS if hour not in failed])
    with pytest.raises(StoreUnavailableError):
        observe(filled.pipeline, ALL)


def test_hours_of_one_date_share_a_listing(filled):
    """One request for three hours."""
    metered = MeteredStore(filled.source)
    filled.source_seen = metered
    list(plan_all(filled.pipeline, HOURS))
    assert metered.traffic.requests["list"] == len(HOURS) // 3


def test_no_hours_are_no_outcomes(bench):
    """Nothing is asked of the store."""
    assert list(make_right(bench.pipeline, [])) == []


def test_who_stops_early_leaves_whole_hours(filled):
    """Closing the iterator cancels what was not begun."""
    found = make_right(filled.pipeline, HOURS)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert_right(filled, target_hours(filled.pipeline, ALL))


def test_a_listing_of_everything_misses_no_key_that_belongs_nowhere(bench):
    """Also where the range is short, which otherwise lists the folders of its dates alone."""
    for key in ("readme.txt", "e/2021-02-30/07_00_x.csv", "e/2021-09-01/25_00_x.csv"):
        bench.source.put(bench.pipeline.source_prefix + key, b"a\n1\n")
    short = Scope("2021-09-01-00:00", "2021-09-02-23:00")
    assert sorted(key for key, _ in observe(bench.pipeline, short, everything=True).named) == [
        "e/2021-02-30/07_00_x.csv",
        "e/2021-09-01/25_00_x.csv",
        "readme.txt",
    ]
