"""What a live deployment does: SeaweedFS, code server, webserver and daemon on this machine.

    python -m bench.live backlog     2,000 changed hours scattered over 20 events and 60 days, then 10 late files
    python -m bench.live latency     50 arrivals: from PUT to the committed hour file, by polling and with hints
    python -m bench.live chaos       500 arrivals in 20 minutes; daemon, code server and runs are killed meanwhile
    python -m bench.live failing     one hour fails for ever, one three times: what ticks, runs and checks say, in order

Each prints one JSON document. SeaweedFS sends no notifications: for hints, ministack has the queue, and the producer
here sends the message that S3 would send.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from s3_assets.cli.webserver import Webserver
from s3_assets.dagster.checks import NO_FAILING, NO_QUARANTINED
from s3_assets.dagster.names import Names
from s3_assets.demo.bucket import TARGET_PREFIX
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets_tests.hints.shapes import direct
from s3_assets_tests.servers import start_server
from s3_assets_tests.soak.chaos import maltreat
from s3_assets_tests.soak.gate import READ
from s3_assets_tests.soak.living import UNDER_WAY, Living, selector, wait_until

TICKS = """
query ($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
  ticks(limit: 200) {
    timestamp status skipReason runIds error { message } logEvents { events { message } }
  }
} } } }
"""
RUNS = """
query { runsOrError(limit: 1000) { ... on Runs { results { runId status startTime endTime runConfigYaml } } } }
"""
CHECKS = """
query ($asset: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $asset, checkName: $name, limit: 200) {
    runId evaluation { timestamp success description }
  }
}
"""
ROWS = b"".join(b"%d,%d\n" % (number, number * 7919) for number in range(100))


def label(days_ago: int, hour: int) -> str:
    """Of an hour so many days ago."""
    return (datetime.now(UTC) - timedelta(days=days_ago)).strftime(f"%Y-%m-%d-{hour:02d}:00")


def start_date() -> str:
    """Of the partitions: a little before everything here."""
    return (datetime.now(UTC) - timedelta(days=70)).strftime("%Y-%m-%d")


def say(words: str) -> None:
    """What happens, on stderr."""
    print(f"{datetime.now(UTC):%H:%M:%S} {words}", file=sys.stderr, flush=True)


def backlog(folder: Path, hours: int, late: int) -> dict[str, Any]:
    """A backlog of scattered hours, and a few late files when it is done."""
    chance = random.Random(1)
    every = [
        Hour(f"event_{event:02d}", label(day, hour))
        for event in range(20)
        for day in range(1, 61)
        for hour in range(24)
    ]
    some = chance.sample(every, hours)
    with Living(folder, start_date()) as living:
        for number in range(3):
            living.send_all((hour, f"{number * 20:02d}_file_{number}", ROWS) for hour in some)
        say(f"{3 * hours} source objects in {hours} hours")
        began = time.monotonic()
        took = wait_until(lambda: len(living.etags()) >= hours, 1800, "all hour files", poll_s=1)
        say(f"all there after {took:.0f} s")
        wrong = living.wrong(some)
        wait_until(lambda: not _live(living), 120, "no run left")
        runs = living.runs()
        settled = time.monotonic() - began
        before = living.etags()
        chosen = chance.sample(some, late)
        tick = living.ticks()[0]["timestamp"]
        wait_until(lambda: living.ticks()[0]["timestamp"] > tick, 120, "a tick")
        sent = time.monotonic()
        living.send_all((hour, "59_late", b"late,%d\n" % number) for number, hour in enumerate(chosen))
        at = wait_until(lambda: all(living.has(hour, 4) for hour in chosen), 300, "late files", poll_s=0.2)
        ticked = next(one for one in living.ticks() if one["runIds"])
        rebuilt = {key for key, etag in living.etags().items() if before.get(key) != etag}
        return {
            "hours": hours,
            "runs": len(runs),
            "run_states": sorted({run["status"] for run in runs}),
            "wall_s": round(took, 1),
            "wall_to_end_of_runs_s": round(settled, 1),
            "per_hour_ms": round(1000 * took / hours, 1),
            "wrong": len(wrong) + len(living.wrong(chosen)),
            "late_files": late,
            "late_rebuilt": len(rebuilt),
            "late_s_from_put": round(at, 1),
            "late_s_from_end_of_tick": round(at - (ticked["endTimestamp"] - time.time() + time.monotonic() - sent), 1),
            "late_runs": len(living.runs()) - len(runs),
        }


def _live(living: Living) -> list[str]:
    return [run["runId"] for run in living.runs() if run["status"] in UNDER_WAY]


def latency(folder: Path, count: int, *, hints: bool) -> dict[str, Any]:
    """One arrival after the other, each for an hour of its own: seconds from PUT to the committed hour file."""
    chance = random.Random(2)
    some = [Hour(f"event_{number % 5}", label(1 + number // 24, number % 24)) for number in range(count)]
    with start_server("ministack", folder / "sqs") as server:
        sqs = boto3.client(
            "sqs",
            endpoint_url=server.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
        )
        queue = sqs.create_queue(QueueName="hints")["QueueUrl"]
        more = {"S3_ASSETS_HINTS_QUEUE": queue} if hints else {}
        with Living(folder, start_date(), **more) as living:
            living.send(Hour("event_0", label(30, 0)), "00_first", ROWS)
            wait_until(lambda: len(living.etags()) == 1, 180, "the first hour file")
            took = []
            for number, hour in enumerate(some):
                time.sleep(chance.uniform(0, 10))  # not in step with the ticks
                key = living.send(hour, "00_a", ROWS)
                if hints:
                    sqs.send_message(QueueUrl=queue, MessageBody=direct(f"source/{key}", bucket=living.store.bucket))
                took.append(wait_until(lambda hour=hour: living.has(hour, 1), 180, str(hour), poll_s=0.1))
                say(f"{number + 1}/{count}: {took[-1]:.1f} s")
            wrong = living.wrong(some)
    return {
        "arrivals": count,
        "by": "hints" if hints else "polling",
        "median_s": round(statistics.median(took), 1),
        "worst_s": round(max(took), 1),
        "best_s": round(min(took), 1),
        "wrong": len(wrong),
    }


def chaos(folder: Path, arrivals: int, minutes: float, seed: int) -> dict[str, Any]:
    """Arrivals while parts of the deployment are killed and state is wiped."""
    with Living(folder, start_date()) as living:
        return maltreat(living, arrivals=arrivals, seconds=minutes * 60, chance=random.Random(seed), say=say)


def failing(folder: Path, tries: int) -> dict[str, Any]:
    """An hour whose file is someone else's, one whose source can't be read `tries` times, and a good one."""
    foreign, unread, good = (Hour("event_0", label(1, number)) for number in (7, 8, 9))
    rows = b"%d,can't be read\n" % time.time_ns()
    with Living(folder, start_date(), gated=True) as living:
        living.gate.close(READ)
        living.store.put(TARGET_PREFIX + KeyGrammar.target_key(foreign), gzip.compress(b"someone's data\n"))
        living.send_all([(foreign, "00_a", ROWS), (unread, "00_a", rows), (good, "00_a", ROWS)])
        wait_until(lambda: bool(living.gate.waiting()), 300, "a run, about to read")
        mend = living.damage(rows)
        living.gate.open()

        def failures() -> int:
            return [run["status"] for run in living.runs()].count("FAILURE")

        for number in range(1, tries + 1):
            wait_until(lambda number=number: failures() >= number, 1800, f"failure {number}")
            say(f"failed {number} times")
        mend()
        say(f"mended after {wait_until(lambda: living.has(unread, 1), 3600, 'the mended hour'):.0f} s")
        wait_until(living.idle, 300, "no run queued or running")
        now = time.time()
        wait_until(lambda: living.ticks()[0]["timestamp"] > now, 300, "a last tick")
        wait_until(lambda: living.ticks()[0]["status"] != "STARTED", 300, "its end")
        return {
            "wrong": [str(hour) for hour in living.wrong()],
            "fails_for_ever": str(foreign),
            "fails_for_a_while": str(unread),
            "failures": failures(),
            "said": _said(living),
        }


def _said(living: Living) -> list[dict[str, Any]]:
    """What ticks, runs and checks said, in order of time."""
    web, ask = Webserver(living.stack.url), living.stack.ask
    state = ask(TICKS, {"sensor": selector()})["data"]["sensorOrError"]["sensorState"]
    found = [
        (
            tick["timestamp"],
            {
                "tick": tick["status"],
                "words": tick["skipReason"] or [event["message"] for event in tick["logEvents"]["events"]],
                "runs": tick["runIds"],
                "error": (tick["error"] or {}).get("message"),
            },
        )
        for tick in state["ticks"]
    ]
    for run in ask(RUNS, {})["data"]["runsOrError"]["results"]:
        error = web.words_of(run["runId"]) if run["status"] == "FAILURE" else None
        said = {"run": run["runId"], "status": run["status"], "config": run["runConfigYaml"], "error": error}
        found.append((run["endTime"], said))
    for name in (NO_FAILING, NO_QUARANTINED):
        answer = ask(CHECKS, {"asset": {"path": list(Names().asset.path)}, "name": name})
        for one in answer["data"]["assetCheckExecutions"]:
            if evaluation := one["evaluation"]:
                said = {"check": name, "of_run": one["runId"], "passed": evaluation["success"]}
                found.append((evaluation["timestamp"], said | {"words": evaluation["description"]}))
    in_order = sorted(found, key=lambda one: float(one[0]))
    return [{"at": f"{datetime.fromtimestamp(float(at), UTC):%H:%M:%S}", **said} for at, said in in_order]


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    some = kinds.add_parser("backlog")
    some.add_argument("--hours", type=int, default=2000)
    some.add_argument("--late", type=int, default=10)
    some = kinds.add_parser("latency")
    some.add_argument("--count", type=int, default=50)
    some.add_argument("--by", choices=["polling", "hints"], required=True)
    some = kinds.add_parser("chaos")
    some.add_argument("--arrivals", type=int, default=500)
    some.add_argument("--minutes", type=float, default=20)
    some.add_argument("--seed", type=int, default=1)
    some = kinds.add_parser("failing")
    some.add_argument("--tries", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.kind == "backlog":
            found = backlog(folder, given.hours, given.late)
        elif given.kind == "latency":
            found = latency(folder, given.count, hints=given.by == "hints")
        elif given.kind == "failing":
            found = failing(folder, given.tries)
        else:
            found = chaos(folder, given.arrivals, given.minutes, given.seed)
    print(json.dumps({"bench": given.kind, **found}, indent=2))


if __name__ == "__main__":
    main()
