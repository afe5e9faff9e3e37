"""The whole deployment as it runs: SeaweedFS, code server, webserver, daemon; a late file, and nothing left over."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.demo.live import LiveDemo
from s3_assets_tests.docs_run.documents import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Callable

LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
  ... on LaunchBackfillSuccess { backfillId }
} }
"""
BACKFILL = """
query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status runs(limit: 50) { status }
  assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
    numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed
  } } }
} } }
"""
EVENT = "customer_new_customer_event"
SEVEN, EIGHT = (f"target/{EVENT}/2021-09-01/{hour}.csv.gz" for hour in ("07", "08"))
BOUND_S = 300
README = ROOT / "README.md"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_late_files_and_backfills_go_through_the_daemon(tmp_path: Path) -> None:
    """Nobody asks for the late file's hour, and 08 keeps its ETag.

    A backfill of a day is one run, green also where hours have no sources, and rewrites nothing. What README.md types
    beside the demo does what it says. All processes end with the demo.
    """
    late, broken = (block for block in blocks(README.read_text(encoding="utf-8"), "sh") if "put_object" in block)
    lines: list[str] = []
    with LiveDemo(tmp_path / ".demo", lines.append, clock=lambda: datetime.now(UTC), drop_s=10_000) as demo:
        store = demo.bucket.store

        def wait(what: str, condition: Callable[[], bool]) -> None:
            until = time.monotonic() + BOUND_S
            while not condition():
                assert time.monotonic() < until, f"not within {BOUND_S} s: {what}\n" + "\n".join(lines)
                demo.step()
                time.sleep(0.5)

        wait("the first hour files", lambda: store.head(SEVEN) is not None and store.head(EIGHT) is not None)
        before = gzip.decompress(store.get(SEVEN).read())
        eight = store.head(EIGHT)
        header = before[: before.index(b"\n") + 1]
        typed(tmp_path, late)
        wait("the late row", lambda: gzip.decompress(store.get(SEVEN).read()) != before)
        assert gzip.decompress(store.get(SEVEN).read()) == before + b"200" + b"," * header.count(b",") + b"\n"
        assert store.head(EIGHT) == eight

        keys = [f"{EVENT}|2021-09-01-{hour:02d}:00" for hour in range(24)]
        asked = {"assetSelection": [{"path": ["hourly_gzip"]}], "partitionNames": keys, "fromFailure": False}
        launched = demo.stack.ask(LAUNCH, {"backfill": asked})["data"]["launchPartitionBackfill"]

        def backfill() -> dict[str, Any]:
            answer = demo.stack.ask(BACKFILL, {"id": launched["backfillId"]})
            return answer["data"]["partitionBackfillOrError"]

        wait("the backfill", lambda: backfill()["status"] != "REQUESTED")
        [counts] = backfill()["assetBackfillData"]["assetBackfillStatuses"]
        assert backfill()["status"] == "COMPLETED_SUCCESS"
        assert backfill()["runs"] == [{"status": "SUCCESS"}]
        assert list(counts.values()) == [24, 24, 0]
        assert store.head(EIGHT) == eight
        said = typed(tmp_path, f"{late.splitlines()[0]}\n{broken}", code=1)
        assert f"s3-assets sync --rebuild --event {EVENT} --from 2021-09-01-08:00 --to 2021-09-01-08:00" in said
        assert "DAGSTER_HOME is not set" not in said
    assert _processes_under(tmp_path) == []


def typed(folder: Path, block: str, *, code: int = 0) -> str:
    """What is printed by commands in a shell of their own, which ends with the first that fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_ASSETS_"))}
    done = subprocess.run(
        ["sh", "-e", "-c", block],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BOUND_S,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def _processes_under(folder: Path) -> list[str]:
    """Command lines of living processes that name `folder`, where the system shows them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in words:
            found.append(words)
    return found
