"""Hour files that are damaged, foreign or moved: reported, left alone, and mended by a rebuild."""

from __future__ import annotations

import gzip

import pytest

from s3_assets.errors import DamagedTargetError, ForeignTargetError, NewerFormatError
from s3_assets.hour_file.ledger import FOOTER_BYTES
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.metered import MeteredStore
from s3_assets_tests.builder.bench import HOUR, NEXT_HOUR
from s3_assets_tests.hour_file.test_ledger import with_footer

ROWS = b"".join(b"%d,%d\n" % (i, i * 7919 % 1009) for i in range(120_000))
"""Enough for a segment of their own."""


def fill(bench, hour=HOUR, rows=ROWS[:40_000]) -> None:
    """Three sources."""
    for name in ("00_a", "10_b", "20_c"):
        bench.put(f"{hour.hh}_{name}.csv", b"id,n\n" + rows, hour=hour)
    bench.build(hour)


def overwrite(bench, file: bytes, hour=HOUR) -> None:
    """As an accident would."""
    bench.target.put(bench.key(hour), file)


def flipped(file: bytes, at: int) -> bytes:
    """One bit."""
    return file[:at] + bytes([file[at] ^ 16]) + file[at + 1 :]


def late(bench, minute: int = 59) -> None:
    """A reason to write."""
    bench.put(f"07_{minute:02}_late.csv", b"id,n\n1,2\n")


def assert_refused_then_mended(bench, error: type[DamagedTargetError], match: str) -> None:
    """Reported and left alone with every look; a rebuild makes what a first build would."""
    before = bench.info()
    for _ in range(2):
        with pytest.raises(error, match=match) as caught:
            bench.build()
        assert bench.key() in str(caught.value)
        assert "rebuild" in caught.value.hint
    assert bench.info() == before
    assert bench.build(rebuild=True).plan.verdict is Verdict.BUILD
    other = bench.fresh()
    other.build()
    assert bench.file() == other.file()
    assert bench.build().plan.verdict is Verdict.NOTHING


@pytest.mark.parametrize("where", ["header", "header row", "first rows", "last rows"])
@pytest.mark.parametrize("minute", [0, 59])
def test_a_damaged_segment_is_seen_when_it_is_to_stand_or_to_be_carried(bench, where, minute):
    """No late source is added to bytes that are not what the ledger says."""
    fill(bench, rows=ROWS)
    segments = bench.ledger().segments
    at = {
        "header": 9,
        "header row": segments[0].offset + 2,
        "first rows": segments[1].offset + 500,
        "last rows": segments[-1].stop - 500,
    }[where]
    overwrite(bench, flipped(bench.file(), at))
    late(bench, minute)
    assert_refused_then_mended(bench, DamagedTargetError, "damaged")


@pytest.mark.parametrize("cut", [1, 30, FOOTER_BYTES, FOOTER_BYTES + 1, 500, 20_000])
def test_a_truncated_hour_file_is_reported(bench, cut):
    """Wherever it was cut."""
    fill(bench)
    overwrite(bench, bench.file()[:-cut])
    assert_refused_then_mended(bench, ForeignTargetError, "no ledger")


@pytest.mark.parametrize("at", [-1, -20, -60, -FOOTER_BYTES - 5, -FOOTER_BYTES - 60])
def test_a_damaged_ledger_is_reported(bench, at):
    """In its footer or before."""
    fill(bench)
    file = bench.file()
    overwrite(bench, flipped(file, len(file) + at))
    assert_refused_then_mended(bench, DamagedTargetError, "damaged")


@pytest.mark.parametrize("data", [b"", b"x", gzip.compress(b"id,n\n5,6\n", mtime=0), b"id,n\n5,6\n" * 20_000])
def test_someone_elses_object_is_left_alone(bench, data):
    """Until an operator says rebuild."""
    bench.put("07_00_a.csv", b"id,n\n1,2\n")
    overwrite(bench, data)
    assert_refused_then_mended(bench, ForeignTargetError, "s3_assets did not write it")


def test_an_hour_file_of_another_hour_is_left_alone(bench):
    """Moved by hand: its ledger is whole, but not this hour's."""
    fill(bench)
    fill(bench, NEXT_HOUR)
    overwrite(bench, bench.file(NEXT_HOUR))
    assert_refused_then_mended(bench, ForeignTargetError, "08:00, moved here")


def test_a_foreign_object_where_there_is_no_source_is_left_alone(bench):
    """Rebuild or not: there is nothing to put in its place."""
    overwrite(bench, b"someone's")
    with pytest.raises(ForeignTargetError):
        bench.build()
    assert bench.build(rebuild=True).plan.verdict is Verdict.EMPTY
    assert bench.file() == b"someone's"


def test_a_file_that_is_right_is_not_read_to_see_that(bench):
    """A look costs its tail."""
    fill(bench, rows=ROWS)
    metered = MeteredStore(bench.target)
    bench.target_seen = metered
    assert bench.build().plan.verdict is Verdict.NOTHING
    assert metered.traffic.bytes_down == 64 * 1024 < bench.info().size


def test_a_ledger_beyond_the_tail_takes_a_second_get(bench):
    """And is read all the same."""
    bench.policy = EventPolicy(header=False)
    for number in range(2500):
        bench.put(f"07_00_{number * 7919 % 100_003}_{number}.csv", b"%d\n" % number)
    bench.build()
    assert bench.info().size - bench.ledger().data_length > 64 * 1024
    metered = MeteredStore(bench.target)
    bench.target_seen = metered
    assert bench.build().plan.verdict is Verdict.NOTHING
    assert metered.traffic.requests["get"] == 2
    assert sorted(map(int, bench.text().split())) == list(range(2500))


def test_a_file_of_a_later_format_is_left_alone_also_by_a_rebuild(bench):
    """An old reader must not undo what a newer writer did."""
    fill(bench)
    overwrite(bench, with_footer(bench.file(), version=2))
    before = bench.info()
    with pytest.raises(NewerFormatError, match="version 2") as caught:
        bench.build(rebuild=True)
    assert caught.value.hint == "upgrade s3_assets"
    assert bench.info() == before
