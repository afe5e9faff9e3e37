"""Any interleaving of arrivals, ticks, runs, failures and restarts ends, once quiet, with equality, in bounded time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from s3_assets.controller.sweep import Place
from s3_assets.errors import StoreUnavailableError
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.policy import EventPolicy
from s3_assets_tests.controller.world import World

EVENTS = ("click", "click-v2", "a|b")
LABELS = (
    "2026-03-01-12:00",  # the current hour
    "2026-03-01-11:00",
    "2026-02-28-23:00",
    "2026-02-01-00:00",
    "2025-12-31-23:00",
    "2025-12-30-07:00",
    "2025-01-01-00:00",  # the first
)
HOURS = [Hour(event, label) for event in EVENTS for label in LABELS]
hours = st.sampled_from(HOURS)
names = st.sampled_from(["00_a.csv", "30_b.csv"])

steps = st.one_of(
    st.tuples(st.just("put"), hours, names, st.sampled_from("123")),
    st.tuples(st.just("put"), hours, names, st.sampled_from("123")),
    st.tuples(st.just("delete"), hours, names),
    st.tuples(st.just("lose the hour file"), hours),
    st.tuples(st.just("tick")),
    st.tuples(st.just("tick")),
    st.tuples(st.just("hint"), st.lists(hours, max_size=6)),
    st.tuples(st.just("execute"), st.integers(0, 9)),
    st.tuples(st.just("kill a run"), st.integers(0, 9), st.integers(0, 4)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("fail"), hours, st.integers(1, 3)),
    st.tuples(st.just("lose the cursor")),
    st.tuples(
        st.just("spoil the cursor"), st.sampled_from(["", "null", "[1]", '{"event": 3}', '{"period": "x"}', "{"])
    ),
    st.tuples(st.just("lose all records")),
    st.tuples(st.just("can't list"), st.sampled_from([f"source/{event}/" for event in EVENTS])),
    st.tuples(st.just("time passes"), st.integers(1, 200)),
)


def do(world: World, step: tuple) -> None:  # noqa: PLR0912
    """One step of a history."""
    match step:
        case ("put", hour, name, text):
            world.put(hour, name, text)
        case ("delete", hour, name):
            world.delete(hour, name)
        case ("lose the hour file", hour):
            world.target.delete(world.pipeline.target_key(hour))
        case ("tick",):
            world.tick()
        case ("hint", some):
            world.tick(some, hints_only=True)
        case ("execute", which) if world.queue:
            world.execute(world.queue[which % len(world.queue)])
        case ("kill a run", which, after) if world.queue:
            world.execute(world.queue[which % len(world.queue)], die_after=after)
        case ("cancel", which) if world.queue:
            world.queue.pop(which % len(world.queue))
        case ("fail", hour, times):
            world.fails[hour] = (times, False)
        case ("lose the cursor",):
            world.place = Place()
        case ("spoil the cursor", text):
            world.place = Place.read(text)
        case ("lose all records",):
            world.recorded.clear()
            world.failures.clear()
            world.lost_runs.clear()
            world.known_events.clear()
            world.queue.clear()
        case ("can't list", prefix):
            if world.broken:
                world.broken.clear()
            else:
                world.broken[prefix] = StoreUnavailableError("ListObjectsV2", prefix, "SlowDown")
        case ("time passes", minutes):
            world.now += timedelta(minutes=minutes)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    history=st.lists(steps, max_size=30),
    policy=st.sampled_from(["keep", "drop"]),
    requests=st.sampled_from([25, 60, 500]),
    slow=st.sampled_from([0.0, 0.3]),
)
def test_any_interleaving_ends_with_equality(workers, history, policy, requests, slow) -> None:
    """With small budgets and large ones; whatever was lost on the way."""
    world = World(workers, policy=EventPolicy(on_vanished=policy, max_vanished_share=1.0))
    world.limits = replace(world.limits, requests=requests)
    world.seconds_per_request = slow
    for step in history:
        do(world, step)
    world.broken.clear()
    ticks = world.settle(most_ticks=150)
    note(f"settled after {ticks} ticks")
    world.assert_equal()
    assert not world.failures
    if policy == "drop":
        there = {info.key for info in world.target.list("target/")}
        assert there == {world.pipeline.target_key(hour) for hour in world.hours_with_sources()}
