"""What a person is told that the sensor will do with an hour is what its next tick does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.build import see
from s3_assets.controller.prospect import Known, Prospect, prospect
from s3_assets.controller.records import LostRun
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.sources import listing_fingerprint
from s3_assets_tests.controller.world import Run, World

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = Hour("click", "2026-02-03-12:00")
"""One that the sweep looks at, sources and hour file."""


def foreseen(world: World) -> Prospect:
    """As `plan --explain` puts it together."""
    seen = see(world.pipeline, HOUR)
    known = Known(
        listing_fingerprint(seen.sources, world.policy.content_token()) if seen.sources else None,
        "" if seen.target is None else seen.target.etag,
        world.recorded.get(HOUR),
        world.failures.get(HOUR),
        world.lost_runs,
        world.under_way().holds(HOUR),
    )
    return prospect(HOUR, known, world.policy, world.now)[0]


def told(world: World) -> Prospect:
    """By the tick itself."""
    queued = world.under_way().holds(HOUR)
    tick = world.tick()
    if any(HOUR in batch.hours for batch in tick.batches):
        return Prospect.ASKED_FOR
    report = tick.report
    if HOUR in report.under_way:
        assert queued
        return Prospect.UNDER_WAY
    if HOUR in report.of_lost_runs:
        return Prospect.OF_LOST_RUN
    if HOUR in {failing.hour for failing in report.stuck}:
        return Prospect.STUCK
    return Prospect.RESTS if HOUR in {failing.hour for failing in report.resting} else Prospect.LEFT


def _new(world: World) -> None:
    world.put(HOUR)


def _made(world: World) -> None:
    world.put(HOUR)
    world._make(HOUR)


def _late(world: World) -> None:
    _made(world)
    world.put(HOUR, "30_late.csv")


def _vanished(world: World) -> None:
    _made(world)
    world.delete(HOUR)


def _deleted(world: World) -> None:
    _made(world)
    world.target.delete(world.pipeline.target_key(HOUR))


def _made_without_a_record(world: World) -> None:
    _made(world)
    world.recorded.clear()


def _queued(world: World) -> None:
    _late(world)
    world.queue.append(Run((HOUR,), is_urgent=True))


def _failed(world: World) -> None:
    world.put(HOUR)
    world.fails[HOUR] = (1, False)
    world._make(HOUR)


def _rested(world: World) -> None:
    _failed(world)
    world.now += timedelta(minutes=2)


def _stuck(world: World) -> None:
    world.put(HOUR)
    world.spoil(HOUR)
    world._make(HOUR)


def _mended(world: World) -> None:
    _stuck(world)
    world.target.put(world.pipeline.target_key(HOUR), b"another")


def _right_but_failing(world: World) -> None:
    _made(world)
    world.fails[HOUR] = (1, False)
    world._make(HOUR)


def _lost(world: World) -> None:
    world.put(HOUR)
    world.lost_runs.append(LostRun([HOUR], world.now))


def _lost_twice(world: World) -> None:
    _lost(world)
    world.now += timedelta(seconds=90)
    world.lost_runs.append(LostRun([HOUR], world.now - timedelta(seconds=80)))


def _lost_long_ago(world: World) -> None:
    _lost(world)
    world.now += timedelta(minutes=5)


@pytest.mark.parametrize(
    "scene, expected",
    [
        (_new, Prospect.ASKED_FOR),
        (_made, Prospect.LEFT),
        (_late, Prospect.ASKED_FOR),
        (_vanished, {"keep": Prospect.LEFT, "drop": Prospect.ASKED_FOR}),
        (_deleted, Prospect.ASKED_FOR),
        (_made_without_a_record, Prospect.ASKED_FOR),
        (_queued, Prospect.UNDER_WAY),
        (_failed, Prospect.RESTS),
        (_rested, Prospect.ASKED_FOR),
        (_stuck, Prospect.STUCK),
        (_mended, Prospect.ASKED_FOR),
        (_right_but_failing, Prospect.RESTS),
        (_lost, Prospect.OF_LOST_RUN),
        (_lost_twice, Prospect.OF_LOST_RUN),
        (_lost_long_ago, Prospect.ASKED_FOR),
    ],
    ids=lambda value: getattr(value, "__name__", "").strip("_") or None,
)
@pytest.mark.parametrize("on_vanished", ["keep", "drop"])
def test_a_person_is_told_what_the_next_tick_does(
    world: World, on_vanished, scene: Callable[[World], None], expected
) -> None:
    """In each state that an hour can be in."""
    world.policy = EventPolicy(on_vanished=on_vanished, max_vanished_share=1.0)
    scene(world)
    wanted = expected[on_vanished] if isinstance(expected, dict) else expected
    assert foreseen(world) is wanted
    assert told(world) is wanted
