"""A thousand hours of twelve small files in one run: what Dagster adds to the work, and whether memory grows with it.

    python -m bench.backfill --to /tmp/found       4 rounds, interleaved; --hours and --files say otherwise

`work` makes the hours right and nothing else, `dagster` does the same as a run of `hourly_gzip_job`, with its events in
a real instance on SQLite; `twice` is a run over twice as many hours, for the memory. It settles within two thousand
hours, as the allocator's holes do: fewer would show how it settles, and not whether it grows. Each in a process of its
own, each into an empty target, whose hour files are read back and compared with their sources. Lines of JSON: what
`bench.document` reads.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.hours import BUCKET, meter, seen_since
from bench.results import Part, peak, reset_peak, say
from bench.workloads import Rows
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets_tests.metered_server import MeteredServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

FILE_BYTES = 10_000
KINDS = ("work", "dagster", "twice")


def hours_of(count: int) -> list[Hour]:
    """So many hours of ten events."""
    first = datetime(2024, 6, 1, tzinfo=UTC)
    return [
        Hour(f"event_{number % 10}", (first + timedelta(hours=number // 10)).strftime("%Y-%m-%d-%H:00"))
        for number in range(count)
    ]


def hours_for(kind: str, count: int) -> list[Hour]:
    """Those that a kind makes, where `count` are asked for."""
    return hours_of(2 * count if kind == "twice" else count)


# --- in a process of its own -------------------------------------------------------------------------------


def once(kind: str, count: int) -> dict[str, float]:
    """Make the hours; seconds, and MiB above what the process had before."""
    hours = hours_for(kind, count)
    work = _alone(hours) if kind == "work" else _in_dagster(hours)
    before, cpu, began = reset_peak(), time.process_time(), time.perf_counter()
    work()
    used = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    return {**used, "memory_mib": peak() - before}


def _alone(hours: list[Hour]) -> Callable[[], None]:
    from s3_assets.builder.build import BuildOptions
    from s3_assets.builder.reconcile import HourFailure, make_right
    from s3_assets.opening import open_pipeline
    from s3_assets.settings import load_settings

    settings = load_settings(os.environ)

    def work() -> None:
        with open_pipeline(settings) as pipeline:  # its clients are made here, as a run makes its own
            for outcome in make_right(pipeline, hours, BuildOptions()):
                if isinstance(outcome, HourFailure):
                    raise outcome.error

    return work


def _in_dagster(hours: list[Hour]) -> Callable[[], None]:
    import dagster as dg

    from s3_assets.dagster.definitions import build_definitions
    from s3_assets.dagster.names import Names

    names = Names()
    instance = dg.DagsterInstance.get()
    instance.add_dynamic_partitions(names.events, sorted({hour.event for hour in hours}))
    job = build_definitions().resolve_job_def(names.job)
    config = {"ops": {names.op: {"config": {"partition_keys": [hour.partition_key for hour in hours]}}}}

    def work() -> None:
        job.execute_in_process(instance=instance, run_config=config)  # raises where it fails

    return work


# --- the whole ---------------------------------------------------------------------------------------------


def put_sources(s3: S3Client, hours: list[Hour], files: int) -> dict[str, bytes]:
    """So many for each hour; digests of their header and rows by the hour files' keys below the target prefix."""
    rows, digests = Rows(), {}
    with ThreadPoolExecutor(8) as pool:
        puts = []
        for hour in hours:
            digest = hashlib.sha256(rows.header)
            for number in range(files):
                name = f"{hour.hh}_{number * 60 // files:02d}_file_{number:02d}.csv"
                body = rows.take(FILE_BYTES)
                digest.update(body)
                key = f"source/{hour.event}/{hour.date}/{name}"
                puts.append(pool.submit(s3.put_object, Bucket=BUCKET, Key=key, Body=rows.header + body))
            digests[KeyGrammar.target_key(hour)] = digest.digest()
        for put in puts:
            put.result()
    return digests


def check(s3: S3Client, target: str, wanted: dict[str, bytes]) -> None:
    """Every hour file must hold the rows of its sources, and there must be no other."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=target)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]

    def digest(key: str) -> bytes:
        return hashlib.sha256(gzip.decompress(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())).digest()

    with ThreadPoolExecutor(8) as pool:
        found = dict(zip((key.removeprefix(target) for key in keys), pool.map(digest, keys), strict=True))
    if found != wanted:
        raise SystemExit(f"{target}: {len(found)} hour files, {len(wanted)} wanted, or other rows than their sources")


def main() -> None:
    """Put the sources, then run all kinds in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=1000)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--to", type=Path, help="folder for the results")
    parser.add_argument("--once", choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(given.once, given.hours)))
        return
    if given.to is None:
        parser.error("--to is missing")
    hours, chance, part = hours_for("twice", given.hours), random.Random(3), Part(given.to, "backfill")
    with tempfile.TemporaryDirectory() as folder, MeteredServer(folder) as server:
        server.create_bucket(BUCKET, versioned=False)
        s3 = server.client()
        digests = put_sources(s3, hours, given.files)
        say(f"backfill: {given.files * len(hours):,} sources of {len(hours):,} hours")
        kinds = list(KINDS)
        for number in range(given.rounds):
            chance.shuffle(kinds)
            for kind in kinds:
                target = f"target-{number}-{kind}/"
                home = Path(folder) / target
                home.mkdir()
                (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
                environ = {**os.environ, **server.environment(), "DAGSTER_HOME": str(home)}
                environ |= {"S3_ASSETS_SOURCE": f"s3://{BUCKET}/source/", "S3_ASSETS_TARGET": f"s3://{BUCKET}/{target}"}
                before = meter(server)
                command = [sys.executable, "-m", "bench.backfill", "--once", kind, "--hours", str(given.hours)]
                done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{kind} failed:\n{done.stderr[-5000:]}")
                result = {**json.loads(done.stdout.splitlines()[-1]), **seen_since(server, before)}
                some = hours_for(kind, given.hours)
                check(s3, target, {key: digests[key] for key in map(KeyGrammar.target_key, some)})
                say(f"  {kind}: {result['wall_s']:.1f} s, {result['memory_mib']:.0f} MiB")
                part.add(kind, {"hours": len(some), "files": given.files, **result})


if __name__ == "__main__":
    main()
