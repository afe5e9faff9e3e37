"""One hour file for all readers, made once, and threads to make it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets_tests.builder.bench import Bench

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class HourFile:
    """What readers get.

    Attributes:
        path: Of the file.
        text: What it must give, known from the sources.
        rows: How many, without the header.
    """

    path: Path
    text: bytes
    rows: int


@pytest.fixture(scope="session")
def hour_file(tmp_path_factory) -> HourFile:
    """Several segments, late ones among them, and a ledger of more than 40 KiB."""
    chance = random.Random(11)
    bodies: dict[str, bytes] = {}
    with Workers(fetch_threads=4, hour_threads=1, compress_threads=2) as workers:
        bench = Bench(workers)
        for number in range(1500):
            name = f"07_{number // 25:02}_{chance.randbytes(12).hex()}.csv"
            rows = b"".join(b'%d,"name, %d",%d.50\n' % (number, at, chance.randrange(10**6)) for at in range(120))
            bodies[name] = rows
            bench.put(name, b"id,name,amount\n" + rows)
            if number in (700, 1499):
                bench.build()
        bench.put("07_30_late.csv", b'id,name,amount\n9999,"late",1.25\n')
        bodies["07_30_late.csv"] = b'9999,"late",1.25\n'
        bench.build()
        assert len(bench.ledger().segments) > 4
        assert bench.info().size - bench.ledger().data_length > 40 * 1024
        order = [held.key.rpartition("/")[2] for held in bench.ledger().held]
        assert sorted(order) == sorted(bodies)
        text = b"id,name,amount\n" + b"".join(bodies[name] for name in order)
        path = tmp_path_factory.mktemp("readers") / "07.csv.gz"
        path.write_bytes(bench.file())
    return HourFile(path, text, text.count(b"\n") - 1)
