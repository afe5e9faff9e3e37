"""One tick: what it looks at, in which order, how far it gets, and what it never concludes."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from s3_assets.controller.records import Failing, LostRun
from s3_assets.controller.tick import RUNS_UNDER_WAY, URGENT_RUNS, run_tick
from s3_assets.errors import AccessDeniedError, StoreUnavailableError
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.policy import EventPolicy
from s3_assets_tests.controller.world import World

if TYPE_CHECKING:
    from s3_assets.builder.pipeline import Workers

NOW_HOUR = Hour("click", "2026-03-01-12:00")
OLD_HOUR = Hour("click", "2025-02-03-04:00")
HANGS_S = 120


def right(world: World, *hours: Hour) -> None:
    """Make hours right and put that on record."""
    for hour in hours:
        world.put(hour)
    world.settle(20)


def test_hot_hours_go_into_runs_of_their_own_before_old_ones(world: World) -> None:
    """Newest first; hot is today and the day before, by label."""
    hours = [NOW_HOUR, Hour("view", "2026-02-28-00:00"), Hour("view", "2026-02-27-23:00"), OLD_HOUR]
    for hour in reversed(hours):
        world.put(hour)
    tick = world.tick()
    assert [(batch.hours, batch.is_urgent) for batch in tick.batches] == [
        (tuple(hours[:2]), True),
        (tuple(hours[2:]), False),
    ]
    assert tick.new_events == ["click", "view"]


def test_what_is_more_than_enough_runs_waits_in_its_place(world: World) -> None:
    """The sweep does not go on before it asked for what it found; so nothing waits for a whole round."""
    world.limits = replace(world.limits, hours_per_run=1)
    old = [Hour("a", f"2025-05-{day:02d}-07:00") for day in range(1, 26)]
    for hour in [*old, Hour("b", "2025-04-01-07:00")]:
        world.put(hour)
    asked = []
    for count in (RUNS_UNDER_WAY, RUNS_UNDER_WAY, 6):
        tick = world.tick()
        assert len(tick.batches) == count
        asked += world.batch_hours(tick.batches)
        again = world.tick()
        assert again.batches == []
        assert ("the sweep waits at a 2025-05" in say(world, again)) is (count == RUNS_UNDER_WAY)
        world.execute_all()
    assert asked == [*reversed(old), Hour("b", "2025-04-01-07:00")]
    world.assert_equal()


def test_urgent_hours_are_asked_for_although_enough_runs_are_under_way(world: World) -> None:
    """A backlog must not hold up today's files."""
    world.limits = replace(world.limits, hours_per_run=1)
    for day in range(1, 26):
        world.put(Hour("a", f"2025-05-{day:02d}-07:00"))
    world.tick()
    world.put(NOW_HOUR)
    [batch] = world.tick().batches
    assert batch.hours == (NOW_HOUR,)
    assert batch.is_urgent


def test_urgent_runs_of_one_tick_are_bounded_too(world: World) -> None:
    """The rest differs still at the next tick."""
    world.limits = replace(world.limits, hours_per_run=1)
    hours = [Hour("a", f"2026-02-28-{hour:02d}:00") for hour in range(24)]
    for hour in hours:
        world.put(hour)
    tick = world.tick()
    assert world.batch_hours(tick.batches) == hours[::-1][:URGENT_RUNS]
    assert tick.report.left == 24 - URGENT_RUNS
    assert "14 left for later" in say(world, tick)


def test_the_hot_part_goes_on_where_it_stopped(world: World) -> None:
    """With more events than a tick can look at, each has its turn."""
    world.limits = replace(world.limits, requests=60)
    events = [f"e{number:02d}" for number in range(60)]
    for event in events:
        world.source.put(f"source/{event}/2026-03-01/12_00_a.csv", b"n\n1\n")
    seen: set[str] = set()
    for _ in range(5):
        tick = world.tick()
        assert not tick.report.hot_is_whole
        assert "no time for all recent dates" in say(world, tick)
        seen |= {prefix for prefix in world.listed if prefix.endswith("/2026-03-01/")}
        world.execute_all()
    assert seen == {f"source/{event}/2026-03-01/" for event in events}


def test_a_month_that_no_tick_can_list_is_taken_in_pieces(world: World) -> None:
    """Date by date, and if need be hour by hour; then in months again."""
    world.seconds_per_request = 1.0
    day = [f"source/a/2025-05-07/{number % 24:02d}_{number // 24 % 60:02d}_{number}.csv" for number in range(6500)]
    for key in day:
        world.source.put(key, b"n\n1\n")
    before, after = Hour("a", "2025-06-01-07:00"), Hour("a", "2025-04-01-07:00")
    world.put(before)
    world.put(after)
    asked: list[Hour] = []
    places = []
    for _ in range(60):
        tick = world.tick()
        asked += world.batch_hours(tick.batches)
        places.append((tick.place.event, tick.place.period))
        for run in list(world.queue):
            world.queue.remove(run)
        if after in asked:
            break
    assert {hour.label[:10] for hour in asked} == {"2025-06-01", "2025-05-07", "2025-04-01"}
    assert {hour.label for hour in asked if hour.label.startswith("2025-05-07")} == {
        f"2025-05-07-{hour:02d}:00" for hour in range(24)
    }
    assert any(len(period) == len("2025-05-07") for _, period in places)


def test_an_hour_that_no_tick_can_list_is_asked_for_unseen(world: World) -> None:
    """The run can list it: it has no such budget. That costs a look in every round."""
    world.seconds_per_request = 1.0
    for number in range(11_000):
        world.source.put(f"source/a/2025-05-07/07_00_{number}.csv", b"n\n1\n")
    asked: list[Hour] = []
    for _ in range(60):
        tick = world.tick()
        asked += world.batch_hours(tick.batches)
        world.queue.clear()
        if asked:
            break
    assert asked == [Hour("a", "2025-05-07-07:00")]
    assert "too large for one tick, taken in pieces: a 2025-05-07-07" in say(world, tick)


def test_a_file_that_is_a_year_late_is_found_within_a_round(world: World) -> None:
    """However small the budget: the round's length is known, and said."""
    world.limits = replace(world.limits, requests=50)
    months = [f"{year}-{month:02d}" for year in (2025, 2026) for month in range(1, 13)][:14]
    right(world, *(Hour(event, f"{month}-01-00:00") for event in "abcde" for month in months))
    began, ticks = world.place.began, 0
    while world.place.began == began:  # to the end of the round under way
        world.tick()
    began = world.place.began
    while world.place.began == began:
        world.tick()
        ticks += 1
    assert world.place.took == pytest.approx(ticks * 30, abs=31)
    assert 3 < ticks < 40
    world.put(Hour("c", "2025-01-01-00:00"), "59_late.csv")
    for _ in range(ticks + 1):
        if world.tick().batches:
            break
    assert world.queue[0].hours == (Hour("c", "2025-01-01-00:00"),)
    assert "a whole round takes about" in say(world)


def test_a_listing_that_failed_says_nothing(world: World) -> None:
    """Not even where vanished sources are dropped: the event's hours are left alone, the others are not."""
    world.policy = EventPolicy(on_vanished="drop", max_vanished_share=1.0)
    right(world, NOW_HOUR, OLD_HOUR, Hour("view", "2025-02-03-04:00"))
    world.broken["source/click/"] = AccessDeniedError("ListObjectsV2", "source/click/", "AccessDenied")
    world.delete(Hour("view", "2025-02-03-04:00"))
    tick = world.tick()
    assert world.batch_hours(tick.batches) == [Hour("view", "2025-02-03-04:00")]
    assert {name.partition(" ")[0] for name, _ in tick.report.failures} == {"click"}
    assert "could not be listed (click 2026-03-01, click 2026-02-28, click)" in say(world, tick)


def test_when_not_even_the_events_can_be_listed_the_tick_is_an_error(world: World) -> None:
    """The operator must see that nothing is known."""
    right(world, NOW_HOUR)
    world.broken["source/"] = StoreUnavailableError("ListObjectsV2", "source/", "SlowDown")
    with pytest.raises(StoreUnavailableError):
        world.tick()


def test_a_store_that_hangs_does_not_hold_the_tick(workers: Workers) -> None:
    """The threads that wait for it are left behind; what they would have listed is unknown."""
    world = World(workers)
    world.put(NOW_HOUR)
    world.limits = replace(world.limits, seconds=1)
    let_go = threading.Event()
    listing = world.source.list

    def hang(prefix: str):
        if prefix != "source/":
            let_go.wait(HANGS_S)
        return listing(prefix)

    world.source.list = hang  # type: ignore[method-assign]
    began = time.monotonic()
    try:
        tick = run_tick(world.pipeline, world, world.place, world.limits, world.now)
        took = time.monotonic() - began
        world.source.list_level = lambda _: hang("all events")  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailableError, match="no answer within 2 s"):
            run_tick(world.pipeline, world, world.place, world.limits, world.now)
    finally:
        let_go.set()
    assert tick.batches == []
    assert not tick.report.hot_is_whole
    assert took < HANGS_S / 2  # 2 s, on a machine that has nothing else to do


def test_hints_alone_are_looked_at_by_their_hours(world: World) -> None:
    """Between two whole looks; nothing else is listed, and the place stays."""
    right(world, NOW_HOUR, OLD_HOUR, Hour("view", "2025-02-03-04:00"))
    place = world.place
    world.put(OLD_HOUR, "59_late.csv")
    future, too_old = Hour("click", "2026-03-01-13:00"), Hour("click", "2024-12-31-23:00")
    tick = world.tick([OLD_HOUR, NOW_HOUR, future, too_old], hints_only=True)
    assert sorted(world.listed) == [
        "source/click/2025-02-03/04_",
        "source/click/2026-03-01/12_",
        "target/click/2025-02-03/04",
        "target/click/2026-03-01/12",
    ]
    assert world.batch_hours(tick.batches) == [OLD_HOUR]
    assert tick.batches[0].is_urgent
    assert tick.place == place
    assert tick.settled == {NOW_HOUR}
    assert tick.under_way == {OLD_HOUR}
    again = world.tick([OLD_HOUR], hints_only=True)
    assert again.settled == set()
    assert again.under_way == {OLD_HOUR}


def test_a_hint_at_an_hour_that_has_nothing_is_settled(world: World) -> None:
    """Its only source was deleted again."""
    tick = world.tick([NOW_HOUR], hints_only=True)
    assert tick.settled == {NOW_HOUR}
    assert tick.batches == []


def test_a_hint_that_could_not_be_looked_at_is_not_settled(world: World) -> None:
    """It comes again."""
    world.put(NOW_HOUR)
    world.broken["source/click/"] = StoreUnavailableError("ListObjectsV2", "source/click/", "SlowDown")
    assert world.tick([NOW_HOUR], hints_only=True).settled == set()


def test_an_hour_that_fails_three_times_is_tried_after_one_two_and_four_minutes(world: World) -> None:
    """Wherever the sweep is: what has rested is looked at first."""
    world.fails[OLD_HOUR] = (3, False)
    world.put(OLD_HOUR)
    tried = []
    for _ in range(25):
        began = world.now
        if world.tick().batches:
            tried.append(began)
        world.execute_all()
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    half = timedelta(seconds=30)
    assert len(pauses) == 3
    for pause, minutes in zip(pauses, (1, 2, 4), strict=True):
        assert timedelta(minutes=minutes) <= pause <= timedelta(minutes=minutes) + 2 * half
    world.assert_equal()


def test_an_hour_that_fails_for_good_is_tried_once_a_day(world: World) -> None:
    """And named in every tick that comes by it."""
    world.spoil(NOW_HOUR)
    world.put(NOW_HOUR, "30_more.csv")
    tried = 0
    for _ in range(10):
        tried += bool(world.tick().batches)
        world.execute_all()
        assert "1 stuck until somebody does something (click 2026-03-01-12:00: ForeignTargetError)" in say(world)
    world.now += timedelta(days=1)
    for _ in range(5):
        tried += bool(world.tick().batches)
        world.execute_all()
    assert tried == 2


@pytest.mark.parametrize("hour", [NOW_HOUR, OLD_HOUR], ids=["hot", "old"])
def test_a_stuck_hour_is_tried_at_once_when_its_file_is_replaced(world: World, hour: Hour) -> None:
    """Also one that the hot part sees first, without its hour file."""
    world.spoil(hour)
    world.put(hour, "30_more.csv")
    world.tick()
    world.execute_all()
    tick = world.tick()
    assert [failing.hour for failing in tick.report.stuck] == [hour]
    assert not tick.batches
    world.target.delete(world.pipeline.target_key(hour))
    tick = world.tick()
    assert tick.report.stuck == []
    assert world.batch_hours(tick.batches) == [hour]
    world.execute_all()
    assert world.failures == {}
    world.assert_equal()


def test_an_event_whose_dates_no_tick_can_list_does_not_hold_up_the_others(world: World) -> None:
    """It is named, and the sweep goes on."""
    for event in ("a", "z"):
        world.put(Hour(event, "2025-05-01-07:00"))
    level = world.source.list_level

    def slow(prefix: str):
        if prefix == "source/tmp/":
            world.seconds += 9.95
            return iter([f"{prefix}x/"])
        return iter([*level(prefix), "source/tmp/"]) if prefix == "source/" else level(prefix)

    world.source.list_level = slow  # type: ignore[method-assign]
    asked, said = [], []
    for _ in range(6):
        tick = world.tick()
        asked += world.batch_hours(tick.batches)
        said.append(say(world, tick))
        world.execute_all()
    assert {hour.event for hour in asked} == {"a", "z"}
    assert any("could not be listed (the dates of tmp" in words for words in said)


def test_small_urgent_runs_do_not_pile_up_and_do_not_stop_the_sweep(world: World) -> None:
    """With hints a tick comes every few seconds: what differs goes together, once the run that waits has begun."""
    hours = [Hour("a", f"2026-02-{day:02d}-{hour:02d}:00") for day in range(10, 25) for hour in range(2)]
    old = Hour("z", "2025-01-01-00:00")
    for count, hour in enumerate(hours[:6], start=1):
        world.put(hour)
        world.tick(hours[:count], hints_only=True)
        assert [len(run.hours) for run in world.queue] == [1, 1][:count]
    world.execute()
    world.tick(hours[:6], hints_only=True)
    assert [len(run.hours) for run in world.queue] == [1, 4]
    for hour in hours:
        world.put(hour)
    world.tick(hours, hints_only=True)
    assert [len(run.hours) for run in world.queue] == [1, 4, 5, 5, 5, 5]  # and four more hours wait for a fifth
    world.put(old)
    tick = world.tick()
    assert old in world.batch_hours(tick.batches)
    assert not tick.report.waits
    world.settle(30)
    world.assert_equal()


def test_an_hour_that_kills_its_process_is_soon_alone(world: World) -> None:
    """With every lost run fewer hours go together, so the others are made right."""
    world.limits = replace(world.limits, hours_per_run=8)
    hours = [Hour("a", f"2025-05-01-{hour:02d}:00") for hour in range(8)]
    poison = hours[-1]  # comes first in its run
    for hour in hours:
        world.put(hour)
    for _ in range(200):
        world.tick()
        for run in list(world.queue):
            world.execute(run, die_after=run.hours.index(poison) if poison in run.hours else None)
    assert set(world.recorded) == set(hours[:-1])


def test_only_our_own_events_are_looked_at_whatever_failed(world: World) -> None:
    """Another group's hours may be on record as failing, or as lost, from before they changed their group."""
    ours, theirs = Hour("ours", "2025-05-01-07:00"), Hour("theirs", "2025-05-01-07:00")
    world.put(ours)
    world.put(theirs)
    world.lost_runs.append(LostRun([ours, theirs], world.now - timedelta(minutes=5)))
    tick = run_tick(
        world.pipeline,
        world,
        world.place,
        world.limits,
        world.now,
        takes=lambda event: event == "ours",
        hinted=[theirs],
        clock=lambda: world.seconds,
    )
    assert world.batch_hours(tick.batches) == [ours]
    assert tick.new_events == ["ours"]
    assert not any("theirs" in prefix for prefix in world.listed)


def test_a_failing_hour_whose_run_was_lost_rests_too(world: World) -> None:
    """Its sources are those on record, it is on record as failing, and the run that should settle it died."""
    right(world, OLD_HOUR)
    world.failures[OLD_HOUR] = Failing(
        OLD_HOUR, world.now, world.now, 1, "E", "words", permanent=False, target_etag="", run_id="r"
    )
    world.now += timedelta(minutes=2)
    asked = 0
    for _ in range(20):
        if world.tick().batches:
            asked += 1
            world.execute(die_after=0)
    assert 2 <= asked <= 5


def test_access_that_was_denied_is_tried_each_hour(world: World) -> None:
    """Its cure does not show in the hour file, and a day is long for a key that had expired for a minute."""
    world.fails[OLD_HOUR] = (1, True)
    world.put(OLD_HOUR)
    world.tick()
    world.execute_all()
    world.now += timedelta(hours=1)
    world.tick()
    world.execute_all()
    world.assert_equal()


def say(world: World, tick=None) -> str:
    """The words of a tick; of another one by default."""
    from s3_assets.controller.words import in_words

    if tick is None:
        tick = run_tick(world.pipeline, world, world.place, world.limits, world.now, clock=lambda: world.seconds)
    return in_words(tick.report, tick.new_events)
