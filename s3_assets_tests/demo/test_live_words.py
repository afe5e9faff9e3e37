"""What the demo that goes on says of hour files: by its own steps over a real bucket, with no Dagster started."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from s3_assets.demo import once, sample
from s3_assets.demo.bucket import DemoBucket
from s3_assets.demo.live import DemoRunningError, LiveDemo
from s3_assets.demo.seaweedfs import EmbeddedS3
from s3_assets.demo.stack import DagsterStack
from s3_assets.hour_file.keys import KeyGrammar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime.now(UTC)
SEVEN, EIGHT = (KeyGrammar.target_key(hour) for hour in (sample.SEVEN, sample.EIGHT))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[LiveDemo, list[str]]]:
    """A demo whose bucket is there, and what it says; Dagster is not started."""
    lines: list[str] = []
    with EmbeddedS3(tmp_path / "s3") as server:
        demo = LiveDemo(tmp_path, lines.append, clock=lambda: NOW, drop_s=10_000)
        demo.bucket = DemoBucket(server)
        demo.stack = DagsterStack(tmp_path / "dagster", {})
        yield demo, lines


def test_the_first_hour_files_can_be_read_by_what_it_says(live: tuple[LiveDemo, list[str]]) -> None:
    """Once, and the line works as it stands. What can't be read is said; what is no hour file is not."""
    demo, lines = live
    store = demo.bucket.store
    demo.step()
    assert not [line for line in lines if "to read the hour file" in line]

    for key in demo.bucket.sources():  # what the step dropped, of whichever hour
        demo.bucket._client.delete_object(Bucket=store.bucket, Key=f"source/{key}")
    demo.bucket.drop(drop for drop in sample.customer_day() if drop.hour == sample.EIGHT)
    once.reconcile(demo.bucket, NOW, event=sample.CUSTOMERS, day=sample.CUSTOMER_DAY)
    store.put("target/.scratch/what", b"of a checkup")
    demo.step()
    [new] = [line for line in lines if "hour file NEW" in line]
    assert f"NEW  {EIGHT}  " in new
    assert new.endswith(" of 1 source")
    at = lines.index(f"  to read the hour file of {sample.EIGHT}:")
    done = subprocess.run(["sh", "-c", lines[at + 1]], capture_output=True, text=True, timeout=60, check=False)
    columns, rows = sample.hour_file_rows(demo.bucket.read(sample.EIGHT))
    assert len(rows) > 3
    assert done.stdout.count("\n") == 3
    assert done.stdout.startswith(",".join(columns))
    assert lines[at + 2].endswith(f": s3-assets show '{sample.EIGHT.partition_key}'")

    store.put(f"target/{EIGHT}", b"not a gzip, is it?")
    demo.bucket._client.delete_object(Bucket=store.bucket, Key="target/.scratch/what")
    demo.step()
    [changed] = [line for line in lines if "hour file changed" in line]
    assert " -> 18 bytes; it can't be read: " in changed
    assert changed.endswith(f"; see `s3-assets plan --explain '{sample.EIGHT.partition_key}'`")
    demo.bucket._client.delete_object(Bucket=store.bucket, Key=f"target/{EIGHT}")
    demo.step()
    assert [line.partition("] ")[2] for line in lines if "GONE" in line] == [f"hour file GONE  {EIGHT}"]
    assert sum("to read the hour file" in line for line in lines) == 1


def test_a_second_demo_says_how_to_name_another_folder() -> None:
    """For who typed the command, and for who typed make."""
    assert "--directory OTHER" in DemoRunningError.hint
    assert "DIRECTORY=OTHER" in DemoRunningError.hint
