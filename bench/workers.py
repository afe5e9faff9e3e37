"""One backfill on one Celery worker and on two: hours a second, and where the CPU goes.

    python -m bench.workers --to /tmp/found        2 rounds, interleaved; --hours, --files and --chunk say otherwise

deploy/celery as it is, all of it on this machine: SeaweedFS, Postgres, Redis, Dagster, the workers. So on two cores a
second worker competes with the rest for them; what is left idle with one worker is all that it can win here. Each round
is a replay over hours of its own, which are read back and compared with their sources. Lines of JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.results import Part, say
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.deploy.debian_servers import missing
from s3_assets_tests.soak.living import wait_until

if TYPE_CHECKING:
    from s3_assets_tests.deploy.celery_stack import Workers

EVENTS: Final = 4
FILE_BYTES: Final = 10_000
NAMES: Final = ("worker-1", "worker-2")
FIRST: Final = datetime(2024, 6, 1, tzinfo=UTC)
BOUND_S: Final = 3600


def hours_of(count: int, name: str) -> list[Hour]:
    """So many hours of events that only one round has."""
    labels = [f"{FIRST + timedelta(hours=number // EVENTS):%Y-%m-%d-%H:00}" for number in range(count)]
    return [Hour(f"{name}_{number % EVENTS}", label) for number, label in enumerate(labels)]


def rows(chance: random.Random) -> bytes:
    """Of one source object."""
    made = [b"%d,%d\n" % (number, chance.randrange(10**9)) for number in range(FILE_BYTES // 13)]
    return b"".join(made)


def machine() -> tuple[float, float]:
    """Busy and idle time of all cores since the machine began, in jiffies."""
    spent = [float(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = spent[3] + spent[4]
    return sum(spent) - idle, idle


def measure(workers: Workers, hours: list[Hour], files: int, chunk: int) -> dict[str, Any]:
    """One replay, from the start of its first run to the end of its last one."""
    from s3_assets_tests.deploy.celery_stack import cpu_s

    chance = random.Random(5)
    workers.send_all((hour, f"{n * 60 // files:02d}_file_{n}", rows(chance)) for hour in hours for n in range(files))
    events = [word for event in sorted({hour.event for hour in hours}) for word in ("--event", event)]
    before, busy_before, idle_before = cpu_s(), *machine()
    of_workers = workers.cpu_of_workers()
    code, said = workers.replay(*events, S3_ASSETS_HOURS_PER_RUN=str(chunk)).end(BOUND_S)
    used, in_workers = cpu_s() - before, workers.cpu_of_workers() - of_workers
    busy, idle = (now - then for now, then in zip(machine(), (busy_before, idle_before), strict=True))
    wrong = workers.wrong(hours)
    if code or wrong:
        raise SystemExit(f"the replay ended with {code}, {len(wrong)} hours are wrong: {json.dumps(said)[:2000]}")
    ids = {run["id"] for run in said["runs"]}
    runs = [run for run in workers.tagged_runs() if run["runId"] in ids]
    wall_s = max(run["endTime"] for run in runs) - min(run["startTime"] for run in runs)
    workers.sent.clear()
    return {
        "hours": len(hours),
        "files": files,
        "runs": len(runs),
        "wall_s": wall_s,
        "hours_a_second": len(hours) / wall_s,
        "worker_cpu_s": in_workers,
        "other_cpu_s": used - in_workers,
        "machine_busy": busy / (busy + idle),
        "carried": Counter(workers.carrier(run) for run in runs),
    }


def settle(workers: Workers, count: int) -> None:
    """Have so many workers."""
    for name in NAMES[1:]:
        if count == 1 and name in workers.at_work():
            workers.ask_worker_to_stop(name)
            wait_until(lambda name=name: workers.stack.has_ended(name), BOUND_S, "its end")
        elif count > 1 and name not in workers.at_work():
            workers.stack.start_worker(name)
    wait_until(lambda: set(workers.at_work()) == {*NAMES[:count]}, BOUND_S, f"{count} workers")


def main() -> None:
    """Start everything, measure in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=1000)
    parser.add_argument("--files", type=int, default=3)
    parser.add_argument("--chunk", type=int, default=100, help="hours of a run")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--to", type=Path, required=True, help="folder of workers.jsonl")
    given = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    from s3_assets_tests.deploy.celery_stack import Workers  # of the extra `deploy`

    part, chance = Part(given.to, "workers"), random.Random(1)
    with tempfile.TemporaryDirectory() as folder, Workers(Path(folder), f"{FIRST:%Y-%m-%d}", *NAMES) as workers:
        for number in range(given.rounds):
            for count in chance.sample([1, 2], 2):
                settle(workers, count)
                measure(
                    workers, hours_of(40, f"warm{number}w{count}"), 1, 10
                )  # a new worker loads the definitions once
                found = measure(workers, hours_of(given.hours, f"r{number}w{count}"), given.files, given.chunk)
                contender = f"{count} worker{'s' if count > 1 else ''}"
                say(f"  {contender}: {found['hours_a_second']:.1f} hours a second")
                part.add(contender, found | {"at": time.strftime("%H:%M:%S", time.gmtime())})


if __name__ == "__main__":
    main()
