"""One hour file, made in the ways that people make it: first from its sources, then with one file more.

    python -m bench.hours                          all workloads; 5 rounds, the large ones 3
    python -m bench.hours --only late_100mb --rounds 3 --to /tmp/hours.jsonl

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
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.contenders import DATE, EVENT, HH, Task
from s3_assets.demo.seaweedfs import EmbeddedS3, free_port_pairs
from s3_assets_tests.demo.flights import read_flights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3 import S3Client

BUCKET: Final = "bench"
MB: Final = 1_000_000
LATE_BYTES: Final = 10_000
WARM_ROUNDS: Final = 1
"""Rounds that are not counted: the first one finds cold caches."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is made.

    Attributes:
        name: Of the workload.
        about: In words.
        sources: How many there are before the late one,
        source_bytes: and how large each.
        late: Minute of the late file; None is a first build.
        contenders: Their names.
        rounds: How many are counted, unless said otherwise.
    """

    name: str
    about: str
    sources: int
    source_bytes: int
    late: int | None
    contenders: tuple[str, ...]
    rounds: int = 5


BUILDERS = ("s3_assets", "s3_assets fast", "today", "s5cmd | pigz", "floor")
APPENDERS = ("s3_assets", "today", "s5cmd | pigz", "s5cmd, new member", "floor")
WORKLOADS = (
    Workload("build_60", "first build from 60 sources of 1 MB", 60, MB, None, BUILDERS),
    Workload("build_1000", "first build from 1,000 sources of 10 KB", 1000, 10_000, None, BUILDERS),
    Workload("late_100mb", "one late file of 10 KB, last in order, into 100 MB", 60, 7_400_000, 59, APPENDERS),
    Workload("middle_100mb", "the same in the middle", 60, 7_400_000, 30, ("s3_assets", "floor")),
    Workload("late_1gb", "one late file of 10 KB, last in order, into 1 GB", 60, 74_000_000, 59, APPENDERS, 3),
    Workload("middle_1gb", "the same in the middle", 60, 74_000_000, 30, ("s3_assets", "floor"), 3),
)


class MeteredServer(EmbeddedS3):
    """SeaweedFS that tells what passed through it."""

    _metrics_port = 0

    def _command(self, weed: str) -> list[str]:
        [self._metrics_port] = free_port_pairs(1)
        return [*super()._command(weed), f"-metricsPort={self._metrics_port}"]

    def meter(self, bucket: str) -> Counter[str]:
        """So far: bytes `up` and `down`, requests by kind, and CPU seconds of the server as `cpu_s`."""
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        found: Counter[str] = Counter()
        for name, labels, value in re.findall(r"^SeaweedFS_s3_(\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
            if f'bucket="{bucket}"' not in labels:
                continue
            if name == "bucket_traffic_received_bytes_total":
                found["up"] += float(value)
            elif name == "bucket_traffic_sent_bytes_total":
                found["down"] += float(value)
            elif name == "request_total":
                found[re.search(r'type="(\w+)"', labels)[1]] += float(value)
        found["cpu_s"] = _cpu_of(self._process.pid)
        return found


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process and all below it (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_cpu_of(int(child)) for child in below)


def source_name(minute: int, number: int) -> str:
    """Of a source object."""
    return f"{EVENT}/{DATE}/{HH}_{minute:02d}_file_{number:04d}.csv"


class Rows:
    """Rows of real CSV (flights), as many as are wanted, in an order of chance: they compress about 1 to 4.4."""

    def __init__(self) -> None:
        """Read them; blocks of 64 KiB are shuffled, so that repeats are further apart than a gzip can see."""
        self.header, rows = read_flights()
        data = b"".join(rows)
        self._blocks: list[bytes] = []
        at = 0
        while at < len(data):
            end = data.find(b"\n", at + 65_536) + 1 or len(data)
            self._blocks.append(data[at:end])
            at = end
        self._chance = random.Random(7)

    def take(self, size: int) -> bytes:
        """Whole rows of about so many bytes."""
        found = bytearray()
        while len(found) < size:
            found += self._chance.choice(self._blocks)
        return bytes(found[: found.rfind(b"\n", 0, size) + 1])


@dataclass(frozen=True, slots=True)
class Data:
    """A workload's data, in place.

    Attributes:
        source: Prefix of the sources.
        base: Prefix of the hour file to which the late file is added; empty for a first build.
        late: Key of the late file; empty for a first build.
        digest: SHA-256 of header and all rows, in key order.
    """

    source: str
    base: str
    late: str
    digest: str


def make_data(server: MeteredServer, workload: Workload, environ: dict[str, str]) -> Data:
    """Put the sources; where a late file is to come, build the hour file without it, and then put that too."""
    rows, s3 = Rows(), server.client()
    source, base = f"{workload.name}/source/", f"{workload.name}/base/"
    names = [source_name(number * 60 // workload.sources, number) for number in range(workload.sources)]
    late = "" if workload.late is None else source_name(workload.late, 9999)
    digest = hashlib.sha256(rows.header)
    late_rows = rows.take(LATE_BYTES)
    for name in sorted([*names, late] if late else names):
        some = late_rows if name == late else rows.take(workload.source_bytes)
        digest.update(some)
        if name != late:
            s3.put_object(Bucket=BUCKET, Key=source + name, Body=rows.header + some)
    if not late:
        return Data(source, "", "", digest.hexdigest())
    run("s3_assets", Task(BUCKET, source, base), environ)
    s3.put_object(Bucket=BUCKET, Key=source + late, Body=rows.header + late_rows)
    return Data(source, base, source + late, digest.hexdigest())


def run(contender: str, task: Task, environ: dict[str, str]) -> dict[str, float]:
    """One piece of work, in a process of its own; what it says of itself."""
    command = [sys.executable, "-m", "bench.contenders", contender, json.dumps(asdict(task))]
    done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{contender} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(server: MeteredServer, workload: Workload, data: Data, contender: str, environ: dict[str, str]) -> Any:
    """One contender, once: what it took, what the server saw, and how large the hour file is."""
    s3 = server.client()
    task = Task(BUCKET, data.source, f"{workload.name}/out/", data.late)
    if data.late:
        held = replace(task, target=data.base).target_key
        s3.copy({"Bucket": BUCKET, "Key": held}, BUCKET, task.target_key)
    before = server.meter(BUCKET)
    result: dict[str, Any] = run(contender, task, environ)
    seen = server.meter(BUCKET)
    seen.subtract(before)
    result["server_cpu_s"] = seen.pop("cpu_s")
    result["mb_down"], result["mb_up"] = seen.pop("down") / MB, seen.pop("up") / MB
    result["requests"] = {kind: int(count) for kind, count in sorted(seen.items()) if count}
    result["size_mb"] = s3.head_object(Bucket=BUCKET, Key=task.target_key)["ContentLength"] / MB
    if not (contender == "floor" and data.late):  # that is a copy alone
        check(s3, task, data.digest, contender)
    for info in s3.list_objects_v2(Bucket=BUCKET, Prefix=task.target).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=info["Key"])
    return result


def check(s3: S3Client, task: Task, digest: str, contender: str) -> None:
    """The rows must be those of all sources, in key order."""
    found = hashlib.sha256()
    with gzip.open(s3.get_object(Bucket=BUCKET, Key=task.target_key)["Body"]) as rows:
        while block := rows.read(1 << 20):
            found.update(block)
    if found.hexdigest() != digest:
        raise SystemExit(f"{contender}: {task.target_key} holds other rows than its sources")


def there_are(contenders: Sequence[str]) -> list[str]:
    """Those whose programs are on this machine."""
    missing = [name for name in ("s5cmd", "pigz") if shutil.which(name) is None]
    if missing:
        say(f"without {' and '.join(missing)}: the shell pipelines are left out (make bench says where to get them)")
    return [name for name in contenders if not (missing and "s5cmd" in name)]


def say(words: str) -> None:
    """What happens, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def main() -> None:
    """All workloads, or some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[workload.name for workload in WORKLOADS])
    parser.add_argument("--rounds", type=int, help="counted rounds of each workload")
    parser.add_argument("--to", type=Path, default=Path("bench-hours.jsonl"), help="file that lines are added to")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder, MeteredServer(folder) as server, given.to.open("a") as results:
        server.create_bucket(BUCKET, versioned=False)
        environ = {**os.environ, **server.environment(), "BENCH_FOLDER": folder}
        for workload in WORKLOADS:
            if given.only and workload.name not in given.only:
                continue
            say(f"{workload.name}: {workload.about}")
            data = make_data(server, workload, environ)
            contenders = there_are(workload.contenders)
            for number in range(WARM_ROUNDS + (given.rounds or workload.rounds)):
                chance.shuffle(contenders)
                for contender in contenders:
                    result = measure(server, workload, data, contender, environ)
                    say(f"  {contender}: {result['wall_s']:.2f} s")
                    if number >= WARM_ROUNDS:
                        line = {"workload": workload.name, "contender": contender, **result}
                        results.write(json.dumps(line) + "\n")
                        results.flush()


if __name__ == "__main__":
    main()
