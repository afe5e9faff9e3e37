"""What a tick of the sensor costs: time, CPU, memory and requests, over 100,000 source objects and over 1,000,000.

    python -m bench.ticks seaweedfs      100,000 objects on a real server, 10 of them changed
    python -m bench.ticks memory         1,000,000 in memory (listing is then nearly free: what remains is ours)

Nothing is built here: hours are put on record as they are listed, as runs would do it. Dagster's records are a real
instance on SQLite.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import dagster as dg

from s3_assets.builder.pipeline import Pipeline, Workers
from s3_assets.controller.outcome import Limits, Tick
from s3_assets.controller.sweep import Place
from s3_assets.controller.tick import run_tick
from s3_assets.controller.words import in_words
from s3_assets.dagster.names import Names
from s3_assets.dagster.records import InstanceRecords
from s3_assets.demo.seaweedfs import EmbeddedS3
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.sources import SourceObject, listing_fingerprint
from s3_assets.store.memory import MemoryStore
from s3_assets.store.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from s3_assets.controller.records import Failing, LostRun, UnderWay
    from s3_assets.store.contract import Store

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)
CHANGED = 10


def hours_of(events: int, days: int) -> list[Hour]:
    """Every hour of every event, oldest first."""
    first = NOW.replace(minute=0) - timedelta(days=days) + timedelta(hours=1)
    labels = [(first + timedelta(hours=hour)).strftime("%Y-%m-%d-%H:00") for hour in range(days * 24)]
    return [Hour(f"event_{event:03d}", label) for label in labels for event in range(events)]


def source_keys(hours: list[Hour], per_hour: int) -> Iterator[tuple[Hour, str]]:
    """The keys of the sources, below the source prefix."""
    for hour in hours:
        for number in range(per_hour):
            minute = number * 60 // per_hour
            yield hour, f"{hour.event}/{hour.date}/{hour.hh}_{minute:02d}_file_{number}.csv"


class FilledRecords:
    """Real records, over versions that are put on record in memory: writing 100,000 events would take 20 minutes."""

    def __init__(self, real: InstanceRecords, versions: dict[Hour, str], events: Collection[str]) -> None:
        self._real, self._versions, self._events = real, versions, events

    def events(self) -> Collection[str]:
        return self._events

    def under_way(self) -> UnderWay:
        return self._real.under_way()

    def left_out(self) -> Collection[Hour]:
        """None."""
        return ()

    def failing(self) -> Mapping[Hour, Failing]:
        return self._real.failing()

    def lost(self) -> Collection[LostRun]:
        return self._real.lost()

    def versions(self, hours: Collection[Hour]) -> Mapping[Hour, str]:
        self._real.versions(hours)  # what the query costs
        return {hour: self._versions[hour] for hour in hours if hour in self._versions}


def fill(store: Store, hours: list[Hour], per_hour: int) -> dict[Hour, str]:
    """Put sources and hour files (their listing is all that matters), and say which versions are right."""
    sources: dict[Hour, list[SourceObject]] = {}
    began = time.monotonic()

    def put(one: tuple[Hour, str]) -> tuple[Hour, SourceObject]:
        hour, key = one
        info = store.put(f"source/{key}", key.encode(), content_type="text/csv")
        return hour, SourceObject(key, info.etag, info.size, info.last_modified)

    with ThreadPoolExecutor(16) as pool:
        for hour, source in pool.map(put, source_keys(hours, per_hour), chunksize=100):
            sources.setdefault(hour, []).append(source)
        list(pool.map(lambda hour: store.put(f"target/{KeyGrammar.target_key(hour)}", b"x"), sources, chunksize=100))
    token = EventPolicy().content_token()
    versions = {hour: listing_fingerprint(some, token) for hour, some in sources.items()}
    count = sum(map(len, sources.values()))
    print(
        f"put {count:,} sources and {len(versions):,} hour files in {time.monotonic() - began:.0f} s", file=sys.stderr
    )
    return versions


def measure(store: Store, versions: dict[Hour, str], limits: Limits, ticks: int) -> dict[str, object]:
    """Tick until a whole round is over and `ticks` more; what each took."""
    rows: list[dict[str, float]] = []
    asked: list[Hour] = []
    with (
        tempfile.TemporaryDirectory() as home,
        dg.DagsterInstance.from_config(_home(home)) as instance,
        Workers() as workers,
    ):
        pipeline = Pipeline(
            source=store,
            source_prefix="source/",
            target=store,
            target_prefix="target/",
            grammar=KeyGrammar(),
            policy=lambda _: EventPolicy(),
            workers=workers,
        )
        events = {hour.event for hour in versions}
        place, now, rounds = Place(), NOW, 0
        while rounds < 1 or len(rows) < ticks:
            real = InstanceRecords(instance, Names(), now)
            wall, cpu = time.monotonic(), time.process_time()
            tick: Tick = run_tick(pipeline, FilledRecords(real, versions, events), place, limits, now)
            rows.append(
                {
                    "wall_s": time.monotonic() - wall,
                    "cpu_s": time.process_time() - cpu,
                    "requests": tick.report.requests,
                    "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                }
            )
            asked += [hour for batch in tick.batches for hour in batch.hours if hour not in asked]
            print(f"tick {len(rows)}: {in_words(tick.report, tick.new_events)}", file=sys.stderr)
            rounds += (tick.place.began != place.began and place.began > 0) or tick.report.swept_all
            place, now = tick.place, now + timedelta(seconds=30)
            first_round = len(rows) if rounds == 1 else 0
            if first_round:
                rows[-1]["round_ends"] = 1
    return {
        "ticks": len(rows),
        "ticks_a_round": next(n for n, row in enumerate(rows, 1) if "round_ends" in row),
        "asked_for": len(asked),
        **{
            name: {
                "median": round(statistics.median(row[name] for row in rows), 2),
                "most": round(max(row[name] for row in rows), 2),
            }
            for name in ("wall_s", "cpu_s", "requests", "rss_mib")
        },
    }


def _home(folder: str) -> str:
    (Path(folder) / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return folder


def main() -> None:
    """Fill, change ten, tick, print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=["seaweedfs", "memory"])
    parser.add_argument("--events", type=int)
    parser.add_argument("--days", type=int)
    parser.add_argument("--per-hour", type=int)
    parser.add_argument("--ticks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--requests", type=int, default=500)
    given = parser.parse_args()
    sizes = {"seaweedfs": (10, 70, 6), "memory": (50, 140, 6)}[given.where]
    events, days, per_hour = (
        one or two for one, two in zip((given.events, given.days, given.per_hour), sizes, strict=True)
    )
    hours = hours_of(events, days)
    limits = Limits(
        seconds=given.seconds,
        requests=given.requests,
        hot_days=2,
        hours_per_run=500,
        bytes_per_run=10**12,
        start_label=hours[0].label,
    )
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedS3(Path(folder)) if given.where == "seaweedfs" else None
        try:
            store: Store = MemoryStore("bench", versioned=False)
            if server is not None:
                server.start()
                server.create_bucket("bench")
                session = boto3.Session(server.access_key, server.secret_key, region_name="us-east-1")
                store = S3Store("bench", session=session, endpoint_url=server.endpoint_url)
            rss_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            versions = fill(store, hours, per_hour)
            rss_filled = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            for hour in hours[:: max(1, len(hours) // CHANGED)][:CHANGED]:
                store.put(f"source/{hour.event}/{hour.date}/{hour.hh}_59_late.csv", b"late", content_type="text/csv")
            found = measure(store, versions, limits, given.ticks)
        finally:
            if server is not None:
                server.stop()
    objects = len(hours) * per_hour + CHANGED
    about = {"where": given.where, "events": events, "days": days, "objects": objects, "changed": CHANGED}
    memory = {"rss_before_mib": round(rss_before), "rss_filled_mib": round(rss_filled)}
    print(json.dumps({**about, "budget": [given.seconds, given.requests], **memory, **found}, indent=2))


if __name__ == "__main__":
    main()
