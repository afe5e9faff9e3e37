"""Measures the rates by which `s3-assets plan` guesses how long work will take: seconds an hour, a source and a byte.

    python -m bench.rates

Three loads on SeaweedFS on loopback, each built from nothing by `make_right` in this process: many hours of few small
sources, few hours of many, few hours of large ones. The rates solve three equations; the best of three tries counts.
Measured is this process's CPU time, which other work on the machine hardly changes. Beside its store, wall time is
about as much, since most of it is Python's, one thread at a time.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from s3_assets.builder.reconcile import HourFailure, make_right
from s3_assets.demo.bucket import DemoBucket
from s3_assets.demo.seaweedfs import EmbeddedS3
from s3_assets.hour_file.keys import Hour
from s3_assets.opening import open_pipeline

TRIES = 3
LOADS = {"hours": (200, 3, 1_000), "sources": (5, 400, 1_000), "bytes": (5, 10, 2_000_000)}
"""Hours, sources of each, and bytes of each of those."""


def rows(size: int, chance: random.Random) -> bytes:
    """About `size` bytes of CSV that compresses about as events do."""
    lines = [b"id,who,amount,at"]
    lines += [
        b"%07d,%03d,%d.%02d,2021-09-01T07:%02d:%02d"
        % (number, *(chance.randrange(limit) for limit in (999, 500, 100, 60, 60)))
        for number in range(size // 40)
    ]
    return b"\n".join(lines) + b"\n"


def measure(name: str, bucket: DemoBucket) -> tuple[int, int, int, float]:
    """Hours, sources and bytes of a load, and what it takes at best, in CPU-seconds."""
    count, per_hour, size = LOADS[name]
    data = rows(size, random.Random(1))
    hours = [Hour(name, f"2021-09-{1 + place // 24:02d}-{place % 24:02d}:00") for place in range(count)]
    keys = [
        f"source/{hour.event}/{hour.date}/{hour.hh}_{number % 60:02d}_f_{number}.csv"
        for hour in hours
        for number in range(per_hour)
    ]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: bucket.store.put(key, data, content_type="text/csv"), keys))
    best = float("inf")
    with open_pipeline(
        bucket.settings(), session=bucket.session(), endpoint_url=bucket.server.endpoint_url
    ) as pipeline:
        for _ in range(TRIES):
            for hour in hours:
                bucket.store.delete(pipeline.target_key(hour))
            began, wall = time.process_time(), time.perf_counter()
            failed = [one for one in make_right(pipeline, hours) if isinstance(one, HourFailure)]
            took = time.process_time() - began, time.perf_counter() - wall
            best = min(best, took[0])
            print("{}: {:.2f} CPU-s, {:.2f} s".format(name, *took), file=sys.stderr)
            if failed:
                sys.exit(f"{failed[0].hour}: {failed[0].error}")
    return count, len(keys), len(keys) * len(data), best


def solve(loads: list[tuple[int, int, int, float]]) -> list[float]:
    """Seconds an hour, a source and a byte: Gauss, for three."""
    lines = [list(map(float, load)) for load in loads]
    for at in range(3):
        lines[at] = [value / lines[at][at] for value in lines[at]]
        for other in range(3):
            if other != at:
                lines[other] = [a - b * lines[other][at] for a, b in zip(lines[other], lines[at], strict=True)]
    return [line[3] for line in lines]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedS3(Path(folder)) as server:
        bucket = DemoBucket(server)
        loads = []
        for name in LOADS:
            load = measure(name, bucket)
            loads.append(load)
            print("{:>8}: {:,} hours, {:,} sources, {:,} bytes: {:.2f} CPU-s".format(name, *load))
    an_hour, a_source, a_byte = solve(loads)
    print(f"{an_hour:.4f} s an hour, {a_source:.5f} s a source, {a_byte:.2e} s a byte")


if __name__ == "__main__":
    main()
