"""What an hour costs in requests: every one is counted, in memory and by a real server's own counters.

One listing, one GET for each source that is new, one look at the hour file, one write. A HEAD, or a LIST, for each
source would be many times the price, and no other test would notice.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest

from bench.prices import Source, Watch
from s3_assets.builder.commit import WHOLE_PUT_BYTES
from s3_assets.builder.pipeline import Pipeline
from s3_assets.builder.reconcile import HourFailure, make_right
from s3_assets.dagster.sensors import INTERVAL_S
from s3_assets.demo.seaweedfs import REGION
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.s3 import S3Store
from s3_assets_tests.builder.bench import HOUR, Bench
from s3_assets_tests.controller.world import World
from s3_assets_tests.metered_server import MeteredServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.builder.build import HourResult
    from s3_assets.builder.pipeline import Workers

FAST = EventPolicy(compression="fast")
COUNTED_WITHIN_S = 60
AT_THE_END, IN_THE_MIDDLE = "07_59_late.csv", "07_25_late.csv"


def body(size: int, seed: int) -> bytes:
    """Rows that compress to about half of `size`."""
    text = random.Random(seed).randbytes(size // 2).hex().encode()
    return b"id,n\n" + b"".join(b"%b,%d\n" % (text[at : at + 90], at) for at in range(0, len(text), 90))


def requests(result: HourResult) -> dict[str, dict[str, int]]:
    """At the source and at the target."""
    return {"source": dict(result.traffic_source.requests), "target": dict(result.traffic_target.requests)}


# --- in memory ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 12, 300])
def test_a_first_build_gets_each_source_once(bench: Bench, count: int) -> None:
    """Whatever their number: one listing, one look for an hour file, one PUT."""
    for number in range(count):
        bench.put(f"07_{number * 60 // count:02d}_file_{number}.csv", body(1_000, number))
    assert requests(bench.build()) == {"source": {"list": 1, "get": count}, "target": {"get": 1, "put": 1}}


def test_listing_is_paid_by_the_page_and_not_by_the_source(bench: Bench) -> None:
    """1,001 sources are two pages."""
    for number in range(1001):
        bench.put(f"07_00_file_{number}.csv", b"id,n\n1,2\n")
    assert requests(bench.build())["source"] == {"list": 2, "get": 1001}


def test_an_hour_that_is_right_costs_a_look_and_a_listing(bench: Bench) -> None:
    """However many sources it has."""
    for number in range(50):
        bench.put(f"07_00_file_{number}.csv", body(1_000, number))
    bench.build()
    assert requests(bench.build()) == {"source": {"list": 1}, "target": {"get": 1}}


@pytest.mark.parametrize(
    "size, name, gets",
    [
        (500, AT_THE_END, 1),  # all of the hour file is at hand with its tail
        (500, IN_THE_MIDDLE, 1),
        (300_000, AT_THE_END, 2),  # the look, and what stands before the new segment
        (300_000, IN_THE_MIDDLE, 4),  # the look, the segment that it falls into, and what stands on either side
    ],
    ids=["tiny, end", "tiny, middle", "beyond the tail, end", "beyond the tail, middle"],
)
def test_a_late_file_in_a_small_hour_is_one_get_and_one_put(bench: Bench, size: int, name: str, gets: int) -> None:
    """And a read of each run of bytes that stand: no source that was there is read again, or looked at."""
    for number in range(12):
        bench.put(f"07_{5 * number:02d}_file.csv", body(size, number))
    bench.build()
    bench.put(name, body(500, 99))
    assert requests(bench.build()) == {"source": {"list": 1, "get": 1}, "target": {"get": gets, "put": 1}}


@pytest.fixture(scope="module")
def large_file(workers: Workers) -> Bench:
    """An hour file of 22 MB, made once; and what that took."""
    bench = Bench(workers, FAST)
    for number in range(12):
        bench.put(f"07_{5 * number:02d}_file.csv", body(3_000_000, number))
    result = bench.build()
    assert result.size > WHOLE_PUT_BYTES
    parts = result.traffic_target.requests["put_part"]
    assert requests(result) == {
        "source": {"list": 1, "get": 12},
        "target": {"get": 1, "list_uploads": 1, "start_upload": 1, "put_part": parts, "complete": 1},
    }
    assert parts == -(-result.size // (8 * 2**20))
    return bench


@pytest.mark.parametrize(
    "name, copied, sent, gets", [(AT_THE_END, 1, 1, 1), (IN_THE_MIDDLE, 2, 2, 2)], ids=["end", "middle"]
)
def test_a_late_file_in_a_large_hour_is_copied_around(
    large_file: Bench, name: str, copied: int, sent: int, gets: int
) -> None:
    """What stands on either side is a copy by the server; in the middle one part's worth is read, and sent with it."""
    bench = large_file
    bench.put(name, body(500, 99))
    assert requests(bench.build()) == {
        "source": {"list": 1, "get": 1},
        "target": {
            "get": gets,
            "list_uploads": 1,
            "start_upload": 1,
            "copy_part": copied,
            "put_part": sent,
            "complete": 1,
        },
    }


# --- ticks -------------------------------------------------------------------------------------------------


def filled(workers: Workers, source: Source) -> World:
    """A world with so much at the source, up to yesterday, and no hour file."""
    world = World(workers)
    world.limits = replace(world.limits, hours_per_run=10**6)
    last = world.now.replace(hour=0) - timedelta(hours=1)
    for back in range(source.days * 24):
        label = (last - timedelta(hours=back)).strftime("%Y-%m-%d-%H:00")
        for event in range(source.events):
            for number in range(source.per_hour):
                world.put(Hour(f"event_{event}", label), f"00_{number}.csv")
    return world


@pytest.mark.parametrize("per_hour", [1, 2])
def test_a_tick_lists_pages_of_months_and_of_recent_dates(workers: Workers, per_hour: int) -> None:
    """A HEAD of an hour file, or a LIST for each hour, would be thousands: it is what bench.prices says."""
    source = Source(events=2, days=59, per_hour=per_hour)  # January and February
    world = filled(workers, source)
    report = world.tick().report
    assert report.swept_all
    assert report.hours == 59 * 24 * 2
    assert set(report.requests_by_kind) == {"list", "list_level"}
    assert report.requests == Watch("", 500, 2, hints=False).tick(source)


def test_a_round_of_the_sweep_takes_as_many_ticks_as_its_price_says(workers: Workers) -> None:
    """Or one or two more, since where a tick stops an event's dates are listed again."""
    source = Source(events=6, days=59, per_hour=1)
    watch = Watch("", 50, 1, hints=False)
    world = filled(workers, source)
    world.limits = replace(world.limits, requests=watch.tick_requests, hot_days=watch.hot_days)
    world.tick()
    ticks = 1
    while world.place.event or world.place.period:
        world.tick()
        ticks += 1
    said = watch.round_s(source) / INTERVAL_S
    assert said <= ticks <= said + 2


# --- a real server's own counters --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeteredServer]:
    """SeaweedFS with its counters."""
    with MeteredServer(tmp_path_factory.mktemp("metered")) as server:
        yield server


class Counted:
    """A pipeline over one bucket of it, and what the server counts."""

    def __init__(self, server: MeteredServer, name: str, workers: Workers) -> None:
        self.server, self.name = server, name
        server.create_bucket(name, versioned=False)
        self.wanted = Counter(PUT=1)  # of the bucket
        session = boto3.Session(server.access_key, server.secret_key, region_name=REGION)
        # by itself a process first tries what the server honours, once
        self.store = S3Store(name, session=session, endpoint_url=server.endpoint_url, large_commit="stage")
        self.pipeline = Pipeline(
            source=self.store,
            source_prefix="source/",
            target=self.store,
            target_prefix="target/",
            grammar=KeyGrammar(),
            policy=lambda _: FAST,
            workers=workers,
        )

    def put(self, name: str, data: bytes, hour: Hour = HOUR) -> None:
        """Write a source."""
        self.store.put(f"source/{hour.event}/{hour.date}/{name}", data)
        self.wanted["PUT"] += 1

    def build(self, *hours: Hour, sees: dict[str, int]) -> None:
        """Make hours right; the server must see these requests meanwhile, and no other.

        It counts a request after it has answered it. What it counts too much after this is seen at the next build.
        """
        for outcome in make_right(self.pipeline, hours or [HOUR]):
            assert not isinstance(outcome, HourFailure), outcome.error
        self.wanted.update(sees)
        deadline = time.monotonic() + COUNTED_WITHIN_S
        while (seen := self.server.requests(self.name)) < self.wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        assert seen - self.wanted == Counter()
        assert seen == self.wanted


def test_a_server_sees_the_same(server: MeteredServer, workers: Workers) -> None:
    """First build, nothing to do, late at the end and in the middle, and once more nothing."""
    counted = Counted(server, "small", workers)
    for number in range(30):
        counted.put(f"07_{2 * number:02d}_file.csv", body(100_000, number))
    counted.build(sees={"LIST": 1, "GET": 31, "PUT": 1})
    counted.build(sees={"LIST": 1, "GET": 1})
    counted.put(AT_THE_END, body(500, 98))
    counted.build(sees={"LIST": 1, "GET": 3, "PUT": 1})
    counted.put(IN_THE_MIDDLE, body(500, 99))
    counted.build(sees={"LIST": 1, "GET": 5, "PUT": 1})
    counted.build(sees={"LIST": 1, "GET": 1})


def test_a_server_sees_one_listing_for_all_hours_of_a_date(server: MeteredServer, workers: Workers) -> None:
    """And still nothing for each source but its GET."""
    counted = Counted(server, "several", workers)
    hours = [Hour(HOUR.event, f"{HOUR.date}-{hh:02d}:00") for hh in range(24)]
    for hour in hours:
        for minute in range(5):
            counted.put(f"{hour.hh}_{minute:02d}_file.csv", body(500, minute), hour)
    counted.build(*hours, sees={"LIST": 1, "GET": 24 * 6, "PUT": 24})
    counted.build(*hours, sees={"LIST": 1, "GET": 24})


def test_a_server_sees_the_same_of_a_large_hour(server: MeteredServer, workers: Workers) -> None:
    """By the way that is safe there: beside the hour file, then copied over it. Copied parts count as PUT."""
    counted = Counted(server, "large", workers)
    for number in range(12):
        counted.put(f"07_{5 * number:02d}_file.csv", body(3_000_000, number))
    # list_uploads: open uploads of the key and of its staging keys are GETs, staged objects one LIST more
    look, uploads = {"LIST": 1, "GET": 1}, {"LIST": 1, "GET": 2}
    staged = {"POST": 2, "COPY": 1, "DELETE": 1}
    counted.build(sees=total(look, uploads, staged, {"GET": 12, "PUT": 3}))
    counted.build(sees=look)
    counted.put(AT_THE_END, body(500, 98))
    counted.build(sees=total(look, uploads, staged, {"GET": 1, "PUT": 1 + 1}))
    counted.put(IN_THE_MIDDLE, body(500, 99))
    counted.build(sees=total(look, uploads, staged, {"GET": 1 + 1, "PUT": 2 + 2}))
    counted.build(sees=look)


def total(*some: dict[str, int]) -> dict[str, int]:
    """All together."""
    return dict(sum(map(Counter, some), Counter()))
