"""A bench with two hours that were built, an hour ago."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets_tests.builder.bench import HOUR, NEXT_HOUR, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Threads for all builds and audits."""
    with Workers(fetch_threads=4, hour_threads=2, compress_threads=2) as workers:
        yield workers


@pytest.fixture
def bench(workers: Workers) -> Bench:
    """Four sources in the first hour, one of them unusable; one in the next."""
    bench = Bench(workers)
    for minute in (0, 10, 20):
        bench.put(f"07_{minute:02}_a.csv", b"id,n\n" + b"".join(b"%d,%d\n" % (minute, row) for row in range(9)))
    bench.put("07_30_bad.csv", b'id,n\n1,"open\n')
    bench.put("08_00_a.csv", b"id,n\n8,0\n", hour=NEXT_HOUR)
    bench.build(HOUR)
    bench.build(NEXT_HOUR)
    bench.clock += timedelta(hours=1)
    return bench
