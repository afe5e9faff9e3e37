"""Holds `bench.scale` against runs: what it predicts, and what was measured.

    python -m bench.scale_run listing     1,000 events, 1,416,000 objects whose listing is made up: a round of ticks
    python -m bench.scale_run records     a live deployment: rows and bytes that runs of some sizes leave in SQLite

Each prints one JSON document. Counts and CPU seconds hardly change where others use the machine.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from bench.scale import MEMORY_KEY_S, RECORDS, Deployment
from bench.ticks import FilledRecords, source_keys
from s3_assets.builder.pipeline import Pipeline, Workers
from s3_assets.controller.outcome import Limits
from s3_assets.controller.sweep import Place
from s3_assets.controller.tick import run_tick
from s3_assets.dagster.names import Names
from s3_assets.dagster.records import InstanceRecords
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.sources import SourceObject, listing_fingerprint
from s3_assets.store.contract import ObjectInfo
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.soak.living import Living, wait_until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

NOW: Final = datetime(2026, 2, 28, 23, 5, tzinfo=UTC)
DAYS: Final = 31 + 28
"""Two whole months up to `NOW`, so that each event has two units for the sweep, the recent dates are whole, and a run's
first tick and its last one are on one date."""

ETAG: Final = "d41d8cd98f00b204e9800998ecf8427e"


def say(words: str) -> None:
    """What happens, on stderr."""
    print(f"{datetime.now(UTC):%H:%M:%S} {words}", file=sys.stderr, flush=True)


# --- listing -----------------------------------------------------------------------------------------------


class PaperStore(MemoryStore):
    """A bucket that is not there: its listings are made up as they are asked for, so it may hold any number of keys.

    Below `source/` each hour of each event has as many objects as the others, below `target/` its hour file.
    """

    def __init__(self, events: int, per_hour: int) -> None:
        """Hold nothing."""
        super().__init__("bench", versioned=False, clock=lambda: NOW)
        self._per_hour = per_hour
        self.events = [f"event_{event:05d}" for event in range(events)]
        first = NOW.date() - timedelta(days=DAYS - 1)
        self.dates = [(first + timedelta(days=day)).isoformat() for day in range(DAYS)]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """The keys of an event, and of a month or a date of it."""
        top, event, period = prefix.split("/")[:3]
        for date in self.dates:
            if date.startswith(period):
                for hh in range(24):
                    hour = Hour(event, f"{date}-{hh:02d}:00")
                    keys = (key for _, key in source_keys([hour], self._per_hour))
                    for key in keys if top == "source" else [KeyGrammar.target_key(hour)]:
                        yield ObjectInfo(f"{top}/{key}", 0, ETAG, NOW)

    def list_level(self, prefix: str) -> Iterator[str | ObjectInfo]:
        """The events, or the dates of one."""
        names = self.events if prefix.count("/") == 1 else self.dates
        return iter([f"{prefix}{name}/" for name in names])


class AllRight(FilledRecords):
    """Records that say of each hour what its listing shows; `spent_s` are the CPU seconds of making that up."""

    def __init__(self, real: InstanceRecords, store: PaperStore, per_hour: int) -> None:
        """Over records of nothing."""
        super().__init__(real, {}, store.events)
        self._per_hour = per_hour
        self.spent_s = 0.0

    def versions(self, hours: Collection[Hour]) -> Mapping[Hour, str]:
        super().versions(hours)
        began, token = time.thread_time(), EventPolicy().content_token()
        found = {
            hour: listing_fingerprint(
                [SourceObject(key, ETAG, 0, NOW) for _, key in source_keys([hour], self._per_hour)], token
            )
            for hour in hours
        }
        self.spent_s += time.thread_time() - began
        return found


def listing(
    events: int, per_hour: int, requests: int, instance: dg.DagsterInstance, most: float = math.inf
) -> dict[str, Any]:
    """Ticks of one round of the sweep, predicted and measured. Requests bound a tick, not the clock.

    Args:
        events: How many.
        per_hour: Objects in each of their hours.
        requests: Of a tick.
        instance: With nothing on record: what is right is known without it, but each tick asks.
        most: Ticks after which it ends; how many a round takes then follows from how far they came.
    """
    paper = Deployment(
        events,
        events * DAYS * 24 * per_hour,
        days=DAYS,
        is_even=True,
        tick_seconds=50,
        tick_requests=requests,
        key_s=MEMORY_KEY_S,
        compare_s=0,  # it is in that one: there is little on record here
    )
    store = PaperStore(events, per_hour)
    limits = Limits(
        seconds=50,
        requests=requests,
        hot_days=2,
        hours_per_run=500,
        bytes_per_run=10**12,
        start_label=f"{store.dates[0]}-00:00",
    )
    names = store.events
    ticks: list[tuple[int, float]] = []
    hot_events = 0
    with Workers() as workers:
        pipeline = Pipeline(
            source=store,
            source_prefix="source/",
            target=store,
            target_prefix="target/",
            grammar=KeyGrammar(),
            policy=lambda _: EventPolicy(),
            workers=workers,
        )
        place, is_round = Place(), False
        while not is_round and len(ticks) < most:
            now = NOW + timedelta(seconds=len(ticks))
            records = AllRight(InstanceRecords(instance, Names(), now), store, per_hour)
            cpu = time.process_time()
            tick = run_tick(pipeline, records, place, limits, now, clock=time.process_time)  # whoever else works here
            ticks.append((tick.report.requests, time.process_time() - cpu - records.spent_s))
            if tick.batches:
                raise SystemExit("an hour is not right")
            at, before = (names.index(one.hot) if one.hot else 0 for one in (tick.place, place))
            hot_events += (at - before) % events or events
            is_round = tick.report.swept_all or (tick.place.began != place.began and place.began > 0)
            place = tick.place
            if len(ticks) % 10 == 0:
                say(f"tick {len(ticks)}, {tick.report.progress:.0%} round")
    done = 1.0 if is_round else (names.index(place.event) + (place.period[:7] == store.dates[0][:7]) / 2) / events
    return {
        "objects": paper.objects,
        "events": events,
        "requests a tick may make": requests,
        "ticks": len(ticks),
        "rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "predicted": {
            "ticks of a round": paper.round_ticks,
            "ticks until all recent dates were looked at": paper.hot_ticks,
            "requests a tick": paper.tick.requests,
            "CPU s a tick": round(paper.tick.seconds, 2),
            "CPU s a round": round(paper.tick.seconds * paper.round_ticks),
        },
        "measured": {
            "ticks of a round": math.ceil(len(ticks) / done),
            "ticks until all recent dates were looked at": math.ceil(events / (hot_events / len(ticks))),
            "requests a tick": round(sum(tick[0] for tick in ticks) / len(ticks)),
            "CPU s a tick": round(sum(tick[1] for tick in ticks) / len(ticks), 2),
            "CPU s a round": round(sum(tick[1] for tick in ticks) / done),
        },
    }


# --- records -----------------------------------------------------------------------------------------------


def records(sizes: Sequence[int]) -> dict[str, Any]:
    """What runs of so many hours leave: rows and bytes, in the run's own file and in the index."""
    found, made = [], 0
    day = datetime.now(UTC).date() - timedelta(days=1)
    start = day - timedelta(days=40)
    with tempfile.TemporaryDirectory() as name:
        with Living(Path(name), start.isoformat(), S3_ASSETS_HOURS_PER_RUN="1000") as living:
            for number, size in enumerate(sizes):
                hours = [
                    Hour(f"event_{number}", f"{start + timedelta(days=place // 24)}-{place % 24:02d}:00")
                    for place in range(size)
                ]
                living.send_all((hour, f"{minute:02d}_a", b"1,2\n") for hour in hours for minute in (0, 30))
                made += size
                wait_until(lambda: len(living.etags()) >= made, 600, f"{size} hours")  # noqa: B023  (waited for here)
                wait_until(living.idle, 300, "no run queued or running")
                say(f"{size} hours are made")
        storage = Path(name) / "dagster" / "history"
        for file in sorted((storage / "runs").glob("*.db")):
            if file.stem == "index":
                continue
            own = _read(file, "select count(*), sum(length(event)), sum(dagster_event_type = ?) from event_logs")
            if own[2]:
                index = "select count(*), sum(length(event)) from event_logs where run_id = ?"
                found.append(
                    {
                        "hours": own[2],
                        "rows": own[0],
                        "bytes": file.stat().st_size,
                        "event bytes": own[1],
                        "rows of the index, and their bytes": _read(storage / "runs" / "index.db", index, file.stem),
                    }
                )
        pages = {file.name: file.stat().st_size for file in (storage / "runs" / "index.db", storage / "runs.db")}
    return {"runs": sorted(found, key=lambda one: one["hours"]), "files": pages, "predicted": predicted(found)}


def predicted(found: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """What the model says of the same runs."""
    return [
        {
            "hours": one["hours"],
            "rows": RECORDS.run_rows + one["hours"] * RECORDS.hour_rows,
            "bytes": RECORDS.run_bytes + one["hours"] * RECORDS.hour_bytes,
        }
        for one in sorted(found, key=lambda one: one["hours"])
    ]


def _read(file: Path, query: str, value: str = "ASSET_MATERIALIZATION") -> Any:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query, (value,)).fetchone()


def main() -> None:
    """One of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    some = kinds.add_parser("listing")
    some.add_argument("--events", type=int, default=1000)
    some.add_argument("--per-hour", type=int, default=1)
    some.add_argument("--requests", type=int, default=500)
    some.add_argument("--ticks", type=int, help="end after so many; a whole round where it is not given")
    some = kinds.add_parser("records")
    some.add_argument("--hours", type=int, nargs="+", default=[1, 1, 100, 400])
    given = parser.parse_args()
    if given.kind == "records":
        found = records(given.hours)
    else:
        with tempfile.TemporaryDirectory() as home:
            (Path(home) / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
            with dg.DagsterInstance.from_config(home) as instance:
                found = listing(given.events, given.per_hour, given.requests, instance, given.ticks or math.inf)
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
