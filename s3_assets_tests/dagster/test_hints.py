"""Hints in a tick: when one is forgotten, when it comes again, and that a queue that is away stops nothing."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets.dagster.hints import BACK_S, Hints
from s3_assets.dagster.names import Names
from s3_assets.dagster.sensors import HINT_INTERVAL_S, INTERVAL_S, source_sensor
from s3_assets.errors import HintQueueUnavailableError, StoreUnavailableError
from s3_assets.hints.hours import Watched
from s3_assets.hints.memory import MemoryHints
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets_tests.controller.world import World
from s3_assets_tests.hints.shapes import TEST_EVENT, direct

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = Hour("click", "2025-02-03-04:00")
KEY = "source/click/2025-02-03/04_00_a.csv"


@pytest.fixture
def world() -> Iterator[World]:
    """Empty."""
    with Workers(fetch_threads=2, hour_threads=1, compress_threads=1) as workers:
        yield World(workers)


@pytest.fixture
def queue(world: World) -> MemoryHints:
    """A queue that hides what was received for a minute."""
    watched = Watched("raw", "source/", KeyGrammar())
    return MemoryHints(watched, clock=lambda: world.now, visibility_s=60, chance=Random(1))


def look(world: World, queue: MemoryHints) -> str:
    """One tick with hints alone; what it says of them."""
    hints = Hints.receive(queue, world.now)
    hints.settle(world.tick(hints.hours, hints_only=True))
    return hints.in_words()


def test_a_hint_is_forgotten_once_its_hour_is_right(world: World, queue: MemoryHints) -> None:
    """Not when it is asked for: a daemon that dies in that moment asks for nothing. One that says nothing new goes."""
    world.put(HOUR)
    for _ in range(3):
        queue.send(direct(KEY))
    assert look(world, queue) == "3 hints for 1 hour, 3 of them come again"
    assert [run.hours for run in world.queue] == [(HOUR,)]
    world.queue.clear()  # it died
    world.now += timedelta(seconds=BACK_S)
    look(world, queue)
    assert [run.hours for run in world.queue] == [(HOUR,)]
    world.execute_all()
    world.now += timedelta(seconds=BACK_S)
    assert look(world, queue) == "3 hints for 1 hour"
    assert len(queue) == len(world.queue) == 0
    queue.send(direct(KEY))
    look(world, queue)
    assert len(queue) == len(world.queue) == 0


def test_a_hint_of_an_hour_under_way_comes_again_soon(world: World, queue: MemoryHints) -> None:
    """The run may have looked before the object came: so it is looked at again when the run is over."""
    world.put(HOUR)
    world.tick([HOUR], hints_only=True)
    world.put(HOUR, "59_late.csv")
    queue.send(direct(KEY))
    assert look(world, queue) == "1 hint for 1 hour, 1 of them come again"
    world.now += timedelta(seconds=BACK_S)
    world.execute_all()
    look(world, queue)
    assert len(queue) == 0
    world.assert_equal()


def test_a_hint_whose_hour_could_not_be_looked_at_comes_again(world: World, queue: MemoryHints) -> None:
    """By itself, when the queue's own time is over."""
    world.put(HOUR)
    world.broken["source/click/"] = StoreUnavailableError("ListObjectsV2", "source/click/", "SlowDown")
    queue.send(direct(KEY))
    look(world, queue)
    assert len(queue) == 1
    world.broken.clear()
    world.now += timedelta(seconds=60)
    look(world, queue)
    assert world.queue


def test_what_points_to_nothing_of_ours_is_counted_and_forgotten(world: World, queue: MemoryHints) -> None:
    """Garbage, the test event, other buckets, and hours before the start."""
    for body in ("garbage", TEST_EVENT, direct(KEY, bucket="other"), direct("source/click/2020-02-03/04_00_a.csv")):
        queue.send(body)
    said = look(world, queue)
    assert "4 hints for 1 hour" in said
    assert "2 objects named in hints are not ours" in said
    assert len(queue) == 0


def test_a_queue_that_is_away_is_said_and_stops_nothing(world: World, queue: MemoryHints) -> None:
    """Listing finds everything without it."""
    queue.error = HintQueueUnavailableError("ReceiveMessage", "q", "no route to host")
    hints = Hints.receive(queue, world.now)
    assert hints.hours == []
    assert hints.are_on
    assert hints.in_words().startswith("no hints: ReceiveMessage 'q': no route to host")
    hints.settle(world.tick())
    assert Hints.receive(None, world.now).in_words() == ""


def test_the_sensor_ticks_more_often_where_there_is_a_queue() -> None:
    """As often as the daemon looks."""
    assert source_sensor({}, Names()).minimum_interval_seconds == INTERVAL_S
    hinted = source_sensor({"S3_ASSETS_HINTS_QUEUE": "https://sqs.eu-west-1.amazonaws.com/1/q"}, Names())
    assert hinted.minimum_interval_seconds == HINT_INTERVAL_S
