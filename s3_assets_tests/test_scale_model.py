"""What docs/scale.md says is what the model gives; and the model says what the code does, in sizes that fit here."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from bench import scale_document
from bench.scale import BENDS, LEAST, UNITS, Deployment, Part, distinct, finished, first, requests_of
from bench.scale_document import EVENTS, LISTING, RUNS, said_of_listing
from bench.scale_run import DAYS, listing, predicted
from s3_assets.builder.pipeline import Workers
from s3_assets.controller.survey import LISTERS
from s3_assets.controller.tick import run_tick
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.builder.bench import Bench
from s3_assets_tests.controller.world import LIMITS, World

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Threads, for all tests here."""
    with Workers() as made:
        yield made


# --- the document ------------------------------------------------------------------------------------------


def test_the_document_is_what_the_model_gives() -> None:
    """`python -m bench.scale_document > docs/scale.md` writes it."""
    assert (ROOT / "docs" / "scale.md").read_text() == scale_document.document()


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_cost_is_what_its_document_tells(name: str) -> None:
    """Where it is measured anew, the model has to follow."""
    unit = UNITS[name]
    assert unit.words in (ROOT / unit.file).read_text(), f"{unit.file} tells another number for {name}"


def test_what_was_predicted_is_near_what_runs_showed() -> None:
    """Never a tenth too hopeful; careful by a third in counts, by a factor of two in CPU seconds."""
    for per_hour in (1, 6):
        for name, said in said_of_listing(per_hour).items():
            assert 0.9 <= said / LISTING[name][per_hour] <= (2 if "CPU" in name else 1.3), (per_hour, name)
    for (hours, rows, bytes_), said in zip(RUNS, predicted([{"hours": run[0]} for run in RUNS]), strict=True):
        assert said["hours"] == hours
        assert said["rows"] == pytest.approx(rows, rel=0.1)
        assert said["bytes"] == pytest.approx(bytes_, rel=0.1)


# --- ticks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events, per_hour, requests",
    [(10, 1, 30), (2, 8, 40), (2, 1, 500)],
    ids=["more dates than requests", "months of several pages", "all in one tick"],
)
def test_ticks_take_what_the_model_says(events: int, per_hour: int, requests: int) -> None:
    """Real ticks over a bucket in memory: how many for a round, and until all recent dates were looked at.

    A tick goes over its budget by what is under way in its threads: two listings for each, at most. Which of those are
    cut off and made again is the threads' chance, and on a busy machine they are more: hence the room above.
    """
    with dg.DagsterInstance.ephemeral() as instance:
        found = listing(events, per_hour, requests, instance)
    paper = Deployment(events, found["objects"], days=DAYS, is_even=True, tick_seconds=50, tick_requests=requests)
    paper = replace(paper, key_s=1e-9, compare_s=0)
    over = replace(paper, tick_requests=requests + 2 * LISTERS)
    measured = found["measured"]
    assert over.round_ticks - 1 <= measured["ticks of a round"] <= 1.5 * paper.round_ticks + 1, found
    assert over.hot_ticks <= measured["ticks until all recent dates were looked at"] <= 1.5 * paper.hot_ticks + 1, found
    assert 0.8 * paper.tick.requests <= measured["requests a tick"] <= over.tick.requests, found


def test_a_tick_looks_at_as_many_hinted_hours_as_the_model_says(workers: Workers) -> None:
    """Of more than there is room for; two listings each."""
    world = World(workers, limits=replace(LIMITS, requests=120))
    hours = [Hour(f"event_{number:03d}", "2026-03-01-07:00") for number in range(100)]
    for hour in hours:
        world.put(hour)
    tick = run_tick(world.pipeline, world, world.place, world.limits, world.now, hinted=hours, hints_only=True)
    room = Deployment(100, 100 * 24, days=1, tick_seconds=50, tick_requests=120).hint_hours_room
    assert tick.report.hours == pytest.approx(room, abs=2)


def test_units_that_are_not_whole_at_the_end_of_a_tick_are_lost() -> None:
    """The first has the tick to itself; then ever more share what is left."""
    assert finished(Part(1, 0.001), 300, 50) == 300
    assert finished(Part(500, 0.001), 500, 50) == 1
    assert finished(Part(501, 0.001), 500, 50) == 0
    assert finished(Part(100, 0.001), 500, 50) == 3  # one, then two; of the last two hundred nothing is whole
    assert finished(Part(10, 1.0), 500, 10) == finished(Part(10, 0.001), 100, 50)  # seconds bound as requests do
    assert finished(Part(100, 0.001), 100_000, 500) in range(990, 1001)


# --- runs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("object_bytes", [1_000, 40_000], ids=["small", "larger than the tail"])
def test_an_hour_takes_the_requests_that_the_model_says(workers: Workers, object_bytes: int) -> None:
    """Made from ten sources, then with five more."""
    bench = Bench(workers)
    body = b"id,n\n" + b"".join(b"%d,%d\n" % (at, at * 7919 % 104729) for at in range(object_bytes // 12))
    for standing, new in ((0, 10), (10, 5)):
        for number in range(standing, standing + new):
            bench.put(f"07_{number:02d}_a.csv", body)
        result = bench.build()
        made = Counter(result.traffic_source.requests)
        made.update(result.traffic_target.requests)
        assert made == requests_of(standing, new, len(body))


def test_a_large_hour_is_sent_in_parts() -> None:
    """Over 16 MiB what stands is copied, and an upload is begun and completed."""
    found = requests_of(10_000, 100, 10_000)
    assert found["put"] == 0
    assert found["copy_part"] == found["start_upload"] == found["complete"] == 1
    assert found["put_part"] == 1
    assert found["get"] == 100 + 2  # sources, the tail, and the rest of a long ledger


def test_balls_in_boxes() -> None:
    """How many hours are made, and how often: at least once, at most once a look, at most once an object."""
    assert distinct(1, 120) == pytest.approx(1)
    assert distinct(1e9, 120) == pytest.approx(120)
    assert distinct(50, 1) == 1
    assert distinct(3, 2) == pytest.approx(1.75)  # of eight ways to fall, six hit both


# --- where it bends ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BENDS)
@pytest.mark.parametrize("events", EVENTS)
def test_a_bend_is_where_the_model_says(name: str, events: int) -> None:
    """It does not hold a little before, and holds a little after."""
    objects = first(events, name)
    if math.isinf(objects) or objects <= 10**LEAST:
        return
    assert not BENDS[name].holds(Deployment(events, objects * 0.97))
    assert BENDS[name].holds(Deployment(events, objects * 1.03))


def test_code_locations_divide_the_work() -> None:
    """Twice as many look twice as often, but for the names of events, which each lists."""
    whole = Deployment(10_000, 1e9)
    for locations in (2, 8):
        part = scale_document.part_of(whole, locations)
        assert part.events * locations == whole.events
        assert part.objects * locations == whole.objects
        assert part.round_s == pytest.approx(whole.round_s / locations, rel=0.2)
        assert part.seen_s <= whole.seen_s / locations * 1.3
