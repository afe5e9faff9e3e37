"""The rhythm of events: when an hour is overdue, whose fault it is, and what is put on record of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.controller.rhythm import Arrivals, Standing, arrivals, is_news, judge
from s3_assets.controller.survey import HourSeen
from s3_assets.errors import StoreUnavailableError
from s3_assets.hour_file.keys import Hour, label_of
from s3_assets.hour_file.policy import EventPolicy

if TYPE_CHECKING:
    from s3_assets_tests.controller.world import World

HOURLY = EventPolicy(expect_every_hours=1, late_by_minutes=30)
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def at(hour: int, day: int = 1) -> str:
    """A label."""
    return f"2026-03-{day:02d}-{hour:02d}:00"


def standing(newest: str = "", made: str = "", **more) -> Standing:
    """Of payments, looked at since noon."""
    return Standing("payments", newest, made, NOON, **more)


# --- judging -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy, newest, due",
    [
        (HOURLY, at(14), (1, 16, 30)),
        (EventPolicy(expect_every_hours=1, late_by_minutes=0), at(14), (1, 16, 0)),
        (EventPolicy(expect_every_hours=1, late_by_minutes=90), at(14), (1, 17, 30)),
        (EventPolicy(expect_every_hours=12), at(20), (2, 9, 30)),  # a quiet night
        (EventPolicy(expect_every_hours=24), at(0), (2, 1, 30)),
    ],
)
def test_an_hour_is_overdue_when_it_is_over_and_patience_too(policy, newest, due):
    """Not at the top of an hour, nor while the expected hour lasts; from one moment on, and since then."""
    day, hour, minute = due
    moment = datetime(2026, 3, day, hour, minute, tzinfo=UTC)
    seen = Arrivals(newest, newest)
    assert judge("payments", seen, policy, None, moment).no_sources_since is None
    assert judge("payments", seen, policy, None, moment + MINUTE).no_sources_since == moment


def test_an_event_in_time_is_never_overdue_whatever_the_minute():
    """A producer that drops its hour up to a quarter of an hour after it, over a whole day."""
    for minute in range(24 * 60):
        now = NOON + minute * MINUTE
        newest = label_of(now - HOUR - 15 * MINUTE)
        assert not judge("payments", Arrivals(newest, newest), HOURLY, None, now).is_overdue


def test_where_nothing_is_expected_nothing_is_overdue():
    """The default."""
    long_ago = Arrivals(at(1), "", NOON - 9 * HOUR)
    assert not judge("payments", long_ago, EventPolicy(), None, NOON).is_overdue


def test_an_event_that_was_never_there_is_expected_from_the_first_look_on():
    """It has as long as any other; what was looked at since stays on record."""
    first = judge("payments", Arrivals(), HOURLY, None, NOON)
    assert (first.is_overdue, first.looked_since) == (False, NOON)
    assert is_news(first, None, "2026-02-28")
    before = standing()
    assert not judge("payments", Arrivals(), HOURLY, before, NOON + 150 * MINUTE).is_overdue
    late = judge("payments", Arrivals(), HOURLY, before, NOON + 151 * MINUTE)
    assert (late.no_sources_since, late.looked_since) == (NOON + 150 * MINUTE, NOON)
    there = judge("payments", Arrivals(at(14), at(14)), HOURLY, late, NOON + 3 * HOUR)
    assert not there.is_overdue


def test_sources_that_wait_for_longer_than_an_hour_and_patience_are_our_fault():
    """Counted from when the first of them came, not from their label: who catches up drops old hours, too."""
    seen = Arrivals(at(15), at(14), NOON)
    assert judge("payments", seen, HOURLY, None, NOON + 90 * MINUTE).not_made_since is None
    late = judge("payments", seen, HOURLY, None, NOON + 91 * MINUTE)
    assert (late.not_made_since, late.no_sources_since) == (NOON + 90 * MINUTE, None)


def test_both_faults_can_be_there_at_once():
    """Sources stopped, and what came before was not made."""
    found = judge("payments", Arrivals(at(8), at(7), NOON - 4 * HOUR), HOURLY, None, NOON)
    assert found.no_sources_since == datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
    assert found.not_made_since == NOON - 150 * MINUTE


def test_what_is_no_more_among_the_recent_dates_is_remembered():
    """The newest hour, and that sources wait, until it is known to be made."""
    before = standing(at(8), at(7), no_sources_since=NOON, not_made_since=NOON - HOUR)
    later = NOON + timedelta(days=3)
    found = judge("payments", Arrivals(), HOURLY, before, later)
    assert (found.newest, found.made, found.not_made_since) == (at(8), at(7), NOON - HOUR)
    assert judge("payments", Arrivals(made=at(8)), HOURLY, before, later).not_made_since is None


def seen(came: datetime | None = NOON) -> HourSeen:
    """An hour with a source."""
    return HourSeen("f", 1, 10, came)


def test_arrivals_are_the_newest_the_newest_made_and_since_when_others_wait():
    """An older hour that was never made is late, and no new hour."""
    hours = {Hour("payments", at(hour)): seen(NOON + hour * MINUTE) for hour in (7, 8, 9, 10)}
    made = {Hour("payments", at(8))}
    assert arrivals(hours, made) == Arrivals(at(10), at(8), NOON + 9 * MINUTE)
    assert arrivals(hours, hours.keys()) == Arrivals(at(10), at(10), None)
    assert arrivals(hours, ()) == Arrivals(at(10), "", NOON + 7 * MINUTE)
    assert arrivals({}, ()) == Arrivals()


# --- what is put on record ---------------------------------------------------------------------------------

FAULT = {"no_sources_since": NOON}


@pytest.mark.parametrize(
    "now, before, news",
    [
        (standing(at(14), at(14)), None, False),
        (standing(at(15), at(14)), standing(at(3)), False),
        (standing(), None, True),
        (standing(), standing(), False),
        (standing(at(14), **FAULT), None, True),
        (standing(at(14), **FAULT), standing(at(14)), True),
        (standing(at(14), **FAULT), standing(at(14), **FAULT), False),
        (standing(at(15), **FAULT), standing(at(14), **FAULT), True),
        (standing(at(15)), standing(at(14), **FAULT), True),
        (standing("2026-02-28-23:00"), None, True),
        (standing("2026-02-28-23:00"), standing(at(1, 2)), True),
        (standing("2026-02-28-23:00"), standing("2026-02-28-23:00"), False),
    ],
)
def test_only_what_could_not_be_seen_again_is_put_on_record(now, before, news):
    """Faults and their end, events that were never there, and what is about to leave the recent dates."""
    assert is_news(now, before, "2026-02-28") is news


@given(
    st.lists(st.tuples(st.integers(0, 71), st.integers(0, 71)), max_size=4),
    st.integers(0, 71),
    st.sampled_from([1, 3, 24]),
)
def test_what_is_judged_again_is_judged_alike(hours, now, every):
    """Another look at the same, with what the first put on record, changes nothing; so a restart doesn't either."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    found = {Hour("payments", label_of(start + hour * HOUR)): seen(start + came * HOUR) for hour, came in hours}
    looked = arrivals(found, list(found)[::2])
    policy = EventPolicy(expect_every_hours=every)
    first = judge("payments", looked, policy, None, start + now * HOUR)
    again = judge("payments", looked, policy, first, start + now * HOUR)
    assert again == first
    assert not is_news(again, first, "2026-02-27")


# --- what a tick tells -------------------------------------------------------------------------------------


def test_a_tick_tells_of_each_event_that_it_could_look_at(world: World) -> None:
    """Its newest hour of the recent dates, made or not; also of an event that is expected and not there."""
    world.put(Hour("payments", at(10)))
    world.put(Hour("clicks", "2025-05-05-07:00"))
    world.tick()
    world.execute_all()
    world.put(Hour("payments", at(12)))
    came = world.now
    tick = tick_expecting(world, "refunds", "clicks")
    assert tick.arrivals == {
        "payments": Arrivals(at(12), at(10), came),
        "clicks": Arrivals(),
        "refunds": Arrivals(),
    }


def test_of_an_event_that_could_not_be_listed_whole_a_tick_says_nothing(world: World) -> None:
    """Neither that it is silent; and where there was no time, it says nothing either."""
    world.put(Hour("payments", at(10)))
    world.put(Hour("clicks", at(10)))
    world.broken["source/payments/2026-02-28"] = StoreUnavailableError("ListObjectsV2", "source/", "no answer")
    assert tick_expecting(world, "payments").arrivals.keys() == {"clicks"}
    world.broken.clear()
    world.seconds_per_request = 6.0
    assert tick_expecting(world, "refunds").arrivals == {"refunds": Arrivals()}


def test_a_look_at_hints_alone_tells_of_no_event(world: World) -> None:
    """It saw too little."""
    world.put(Hour("payments", at(10)))
    assert world.tick([Hour("payments", at(10))], hints_only=True).arrivals == {}


def tick_expecting(world: World, *events: str):
    """A tick of the world that expects events."""
    from s3_assets.controller.tick import run_tick

    return run_tick(
        world.pipeline, world, world.place, world.limits, world.now, expected=events, clock=lambda: world.seconds
    )
