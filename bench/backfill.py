"""A thousand hours of twelve small files in one run: what Dagster adds to the work, and whether memory grows with it.

    python -m bench.backfill                       5 rounds, interleaved; --hours and --files say otherwise
    python -m bench.backfill --to /tmp/backfill.jsonl

`work` makes the hours right and nothing else, `dagster` does the same as a run of `hourly_gzip_job`, with its events in
a real instance on SQLite; `quarter` is a run over a quarter of the hours, for the memory. Each in a process of its own,
each into an empty target. Lines of JSON: what `bench.document` reads.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bench.hours import BUCKET, MB, MeteredServer, Rows, say
from s3_assets.hour_file.keys import Hour

if TYPE_CHECKING:
    from collections.abc import Callable

FILE_BYTES = 10_000
KINDS = ("work", "dagster", "quarter")


def hours_of(count: int) -> list[Hour]:
    """So many hours of ten events."""
    first = datetime(2024, 6, 1, tzinfo=UTC)
    return [
        Hour(f"event_{number % 10}", (first + timedelta(hours=number // 10)).strftime("%Y-%m-%d-%H:00"))
        for number in range(count)
    ]


# --- in a process of its own -------------------------------------------------------------------------------


def once(kind: str, count: int) -> dict[str, float]:
    """Make the hours; seconds, and MiB above what the process had before."""
    hours = hours_of(count // 4 if kind == "quarter" else count)
    work = _alone(hours) if kind == "work" else _in_dagster(hours)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    cpu, began = time.process_time(), time.perf_counter()
    work()
    used = {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
    return {**used, "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before}


def _alone(hours: list[Hour]) -> Callable[[], None]:
    from s3_assets.builder.build import BuildOptions
    from s3_assets.builder.reconcile import HourFailure, make_right
    from s3_assets.opening import open_pipeline
    from s3_assets.settings import load_settings

    opened = open_pipeline(load_settings(os.environ))
    pipeline = opened.__enter__()

    def work() -> None:
        for outcome in make_right(pipeline, hours, BuildOptions()):
            if isinstance(outcome, HourFailure):
                raise outcome.error
        opened.__exit__(None, None, None)

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


def main() -> None:
    """Put the sources, then run all kinds in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=1000)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--to", type=Path, default=Path("bench-backfill.jsonl"), help="file that lines are added to")
    parser.add_argument("--once", choices=KINDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        print(json.dumps(once(given.once, given.hours)))
        return
    rows, hours, chance = Rows(), hours_of(given.hours), random.Random(3)
    with tempfile.TemporaryDirectory() as folder, MeteredServer(folder) as server, given.to.open("a") as results:
        server.create_bucket(BUCKET, versioned=False)
        s3 = server.client()
        for hour in hours:
            for number in range(given.files):
                name = f"{hour.hh}_{number * 60 // given.files:02d}_file_{number}.csv"
                body = rows.header + rows.take(FILE_BYTES)
                s3.put_object(Bucket=BUCKET, Key=f"source/{hour.event}/{hour.date}/{name}", Body=body)
        say(f"{given.files * len(hours)} sources put")
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
                before = server.meter(BUCKET)
                command = [sys.executable, "-m", "bench.backfill", "--once", kind, "--hours", str(given.hours)]
                done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
                if done.returncode:
                    raise SystemExit(f"{kind} failed:\n{done.stderr[-5000:]}")
                result = json.loads(done.stdout.splitlines()[-1])
                seen = server.meter(BUCKET)
                seen.subtract(before)
                result["server_cpu_s"] = seen.pop("cpu_s")
                result["mb_down"], result["mb_up"] = seen.pop("down") / MB, seen.pop("up") / MB
                result["requests"] = {name: int(count) for name, count in sorted(seen.items()) if count}
                made = sum(
                    len(page.get("Contents", []))
                    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=target)
                )
                wanted = len(hours) // 4 if kind == "quarter" else len(hours)
                if made != wanted:
                    raise SystemExit(f"{kind} made {made} hour files of {wanted}")
                say(f"  {kind}: {result['wall_s']:.1f} s, {result['memory_mib']:.0f} MiB")
                results.write(json.dumps({"workload": "backfill", "contender": kind, "hours": wanted, **result}) + "\n")
                results.flush()


if __name__ == "__main__":
    main()
