"""A bench to build on: two buckets in memory, one event, and what its hour files hold, read without our own code."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from s3_assets.builder.build import BuildOptions, HourResult, Pauses, build_hour
from s3_assets.builder.pipeline import Pipeline, Workers
from s3_assets.builder.target import read_target
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.ledger import read_footer, read_ledger
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.memory import MemoryStore

if TYPE_CHECKING:
    from s3_assets.hour_file.ledger import Ledger
    from s3_assets.store.contract import ObjectInfo, Store

EVENT = "customer_new_customer_event"
DAY = "2021-09-01"
HOUR = Hour(EVENT, f"{DAY}-07:00")
NEXT_HOUR = Hour(EVENT, f"{DAY}-08:00")


@dataclass
class Bench:
    """Stores, settings and shorthand.

    Attributes:
        workers: The threads.
        policy: Of every event; may be replaced between builds.
        source: The bucket of the sources.
        target: The bucket of the hour files.
        clock: What time the stores say it is.
        target_seen: Wraps the target for builds, to script faults.
        source_seen: Wraps the source.
    """

    workers: Workers
    policy: EventPolicy = field(default_factory=EventPolicy)
    clock: datetime = datetime(2021, 9, 1, 7, 30, tzinfo=UTC)
    source: MemoryStore = field(init=False)
    target: MemoryStore = field(init=False)
    source_seen: Store = field(init=False)
    target_seen: Store = field(init=False)

    def __post_init__(self) -> None:
        self.source = MemoryStore("sources", clock=lambda: self.clock)
        self.target = MemoryStore("targets", clock=lambda: self.clock)
        self.source_seen, self.target_seen = self.source, self.target

    @property
    def pipeline(self) -> Pipeline:
        """As settings would give it."""
        return Pipeline(
            source=self.source_seen,
            source_prefix="source/",
            target=self.target_seen,
            target_prefix="target/",
            grammar=KeyGrammar(),
            policy=lambda _: self.policy,
            workers=self.workers,
            clock=lambda: self.clock,
        )

    def put(self, name: str, data: bytes, *, hour: Hour = HOUR) -> ObjectInfo:
        """Write a source; `name` is what follows its date."""
        return self.source.put(f"source/{hour.event}/{hour.date}/{name}", data)

    def delete(self, name: str, *, hour: Hour = HOUR) -> None:
        """Let a source vanish."""
        self.source.delete(f"source/{hour.event}/{hour.date}/{name}")

    def build(self, hour: Hour = HOUR, **options: Any) -> HourResult:
        """Make the hour right, without waiting between tries."""
        pauses = Pauses(sleep=lambda _: None)
        return build_hour(self.pipeline, hour, options=BuildOptions(**options), pauses=pauses)

    def key(self, hour: Hour = HOUR) -> str:
        """Of the hour file."""
        return self.pipeline.target_key(hour)

    def info(self, hour: Hour = HOUR) -> ObjectInfo:
        """Of the hour file."""
        info = self.target.head(self.key(hour))
        assert info is not None
        return info

    def file(self, hour: Hour = HOUR) -> bytes:
        """The hour file's bytes."""
        return self.target.get(self.key(hour)).read()

    def text(self, hour: Hour = HOUR) -> bytes:
        """The hour file, decompressed by Python."""
        return gzip.decompress(self.file(hour))

    def ledger(self, hour: Hour = HOUR) -> Ledger:
        """The hour file's ledger."""
        target = read_target(self.target, self.key(hour), hour)
        assert target is not None
        assert target.ledger is not None, target.problem
        return target.ledger

    def ledger_of(self, file: bytes) -> Ledger:
        """The ledger of an hour file's bytes."""
        footer = read_footer("", file, len(file))
        return read_ledger("", footer, file[footer.reading_start :])

    def writes(self, hour: Hour = HOUR) -> int:
        """How often the hour file was written or deleted."""
        return len(self.target.versions(self.key(hour)))

    def quarantined(self, hour: Hour = HOUR) -> dict[str, str]:
        """Reasons by name."""
        return {bad.key.rpartition("/")[2]: bad.reason for bad in self.ledger(hour).quarantined}

    def fresh(self) -> Bench:
        """Another bench whose sources are these, versions and all, and that has no hour files."""
        bench = Bench(self.workers, self.policy, self.clock)
        bench.source = bench.source_seen = self.source
        return bench
