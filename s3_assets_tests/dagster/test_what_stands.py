"""Issue 14 through a Dagster run: the metadata of hostile hours stays small, and what stands, stands."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import pytest
from dagster_shared.serdes import serialize_value

from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import quarantined_hours
from s3_assets_tests.dagster.conftest import Location, materializations

if TYPE_CHECKING:
    from s3_assets_tests.deployment import Deployment

EVENT = "customer_new_customer_event"
SEVEN = f"{EVENT}|2021-09-01-07:00"
DAY = f"{EVENT}/2021-09-01"
MOST_EVENT_BYTES = 100_000
GOOD = b"id,name\n" + b"".join(b"%d,n%d\n" % (number, number) for number in range(1, 31))


def _names(start: int, count: int) -> bytes:
    return b",".join(b"c%d" % number for number in range(start, start + count))


def _long(piece: bytes, count: int, tail: bytes = b"\n1,2\n") -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(b"id,")] + [packer.compress(piece) for _ in range(count)]
    return b"".join(parts) + packer.compress(tail) + packer.flush()


HOSTILE = {
    "a million columns": {"07_00_x": gzip.compress(b"id," + _names(0, 1_000_000) + b"\n1,2\n")},
    "2,000 columns": {"07_00_x": gzip.compress(b"id,name," + _names(0, 1_990) + b"\n1,2,3\n")},
    "2,000 long names": {
        "07_00_x": b"id,name," + b",".join(b"c%d_%s" % (number, b"y" * 20) for number in range(1_900)) + b"\n1,2,3\n"
    },
    "one name of 11 MB": {"07_00_x": _long(b"\x01" * 1_000_000, 11)},
    "500 sources of junk": {
        f"07_{number % 60:02}_{'k' * 200}{number}": b"<html>" + b"&" * 5000 for number in range(500)
    },
    "200 headers that wait": {f"07_00_{number}": b"z%d,y%d\n1,2\n" % (number, number) for number in range(200)},
    "errors that quote quotes": {f"07_00_{number}": b'id,"' + b'\xff""' * 9_000 + b'"\n1,2\n' for number in range(20)},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_m_a_hostile_hour_leaves_small_metadata(deployment: Deployment, location: Location, kind: str) -> None:
    """First alone with a good source, then late: all of an hour's materialization together, and of the run's events."""
    location.instance.add_dynamic_partitions("event", [EVENT])
    deployment.drop(f"{DAY}/07_30_good.csv", GOOD)
    assert location.run(partition=SEVEN).success
    for name, data in HOSTILE[kind].items():
        deployment.drop(f"{DAY}/{name}.csv", data)
    result = location.run(partition=SEVEN)
    assert result.success
    [one] = materializations(result).values()
    assert len(serialize_value(one)) < MOST_EVENT_BYTES
    events = [serialize_value(event) for event in result.all_events]
    assert max(map(len, events)) < MOST_EVENT_BYTES
    assert one.metadata["dagster/partition_row_count"].value in (30, 31)
    text = deployment.hour_file(f"{DAY}/07.csv.gz")
    values = [line.split(b",")[:2] for line in text.splitlines()]
    assert values[-30:] == [line.split(b",") for line in GOOD.splitlines()[1:]]


def test_what_waits_is_named_with_the_command_that_decides(deployment: Deployment, location: Location) -> None:
    """In the note that alert and check show, and in the metadata: the way out when what stands is the junk."""
    location.instance.add_dynamic_partitions("event", [EVENT])
    deployment.drop(f"{DAY}/07_00_junk.csv", b"zzz\n1\n")
    assert location.run(partition=SEVEN).success
    deployment.drop(f"{DAY}/07_30_good.csv", GOOD)
    result = location.run(partition=SEVEN)
    (noted,) = quarantined_hours(location.instance, Names().asset).values()
    command = f"s3-assets sync --rebuild --event {EVENT} --from 2021-09-01-07:00 --to 2021-09-01-07:00"
    for said in (noted.words, materializations(result)[SEVEN].metadata["left_out"].text):
        assert "07_30_good.csv" in said
        assert command in said
