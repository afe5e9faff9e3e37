"""Runs the bench, and writes docs/benchmarks.md from what it found.

    python -m bench                                    everything: about 45 minutes
    python -m bench --quick                            a look, about 5 minutes; written to .bench/quick/, not to docs/
    python -m bench --only late_100mb --only ticks_100k --rounds 2

Each part is a process of its own, one after the other. Results are JSON lines below `.bench/`, one file a part; the
document is written from all of whole length that are there, so one part can be measured anew.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from bench.document import DOCS, is_whole, write
from bench.results import FOLDER, QUICK, Part, read, say
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from pathlib import Path

TICKS: Final[dict[str, tuple[list[str], list[str]]]] = {
    "ticks_100k": (["seaweedfs", "--ticks", "3"], ["--days", "7"]),
    "ticks_1m": (["memory", "--ticks", "3"], ["--events", "20", "--days", "35"]),
}
"""Arguments of `bench.ticks`, and those that a quick look adds."""

LIVE: Final = {"latency_polling": "polling", "latency_hints": "hints"}
"""How `bench.live latency` hears of arrivals."""

ARRIVALS, QUICK_ARRIVALS = 5, 1

PARTS: Final = (*(workload.name for workload in WORKLOADS), "backfill", *TICKS, *LIVE)


def run_parts(names: list[str], folder: Path, *, quick: bool, rounds: int | None) -> None:
    """Run parts; their results go below `folder`."""
    to = ["--to", str(folder), *(["--rounds", str(rounds)] if rounds else [])]
    hours = [workload.name for workload in WORKLOADS if workload.name in names]
    if hours:  # together: some of them share their data
        _run(["hours", *to, *(word for name in hours for word in ("--only", name))])
    if "backfill" in names:
        _run(["backfill", *to, *(["--hours", "200"] if quick else [])])
    for name in (name for name in PARTS if name in names):
        if name in TICKS:
            arguments, in_quick = TICKS[name]
            _keep(name, folder, ["ticks", *arguments, *(in_quick if quick else [])])
        elif name in LIVE:
            count = str(QUICK_ARRIVALS if quick else ARRIVALS)
            _keep(name, folder, ["live", "latency", "--by", LIVE[name], "--count", count])


def _keep(name: str, folder: Path, arguments: list[str]) -> None:
    """Run what prints one JSON document, and make that the part's result."""
    say(f"{name}: {' '.join(arguments)}")
    found = json.loads(_run(arguments, stdout=subprocess.PIPE))
    Part(folder, name).add("s3_assets", found)


def _run(arguments: list[str], stdout: int | None = None) -> str:
    done = subprocess.run([sys.executable, "-m", f"bench.{arguments[0]}", *arguments[1:]], stdout=stdout, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return (done.stdout or b"").decode()


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round, small sizes, nothing of 1 GB")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given several times")
    parser.add_argument("--rounds", type=int, help="counted rounds of hours and backfill; none is run before them then")
    given = parser.parse_args()
    folder = QUICK if given.quick or given.rounds else FOLDER
    rounds = given.rounds or (1 if given.quick else None)
    left_out = {workload.name for workload in WORKLOADS if given.quick and not workload.in_quick}
    run_parts(given.only or [part for part in PARTS if part not in left_out], folder, quick=given.quick, rounds=rounds)
    results = read(folder)
    missing = [part for part in PARTS if not is_whole(results, part)]
    if folder == FOLDER and missing:
        say(f"docs/benchmarks.md stays as it is: there are no results of {', '.join(missing)}")
    say(f"written: {write(results, DOCS if folder == FOLDER and not missing else folder)}")


if __name__ == "__main__":
    main()
