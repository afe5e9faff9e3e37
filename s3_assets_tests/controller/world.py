"""A world for the controller: a bucket, producers, and a Dagster played by a few dictionaries, with a clock of its own.

Runs really build: only launching, queueing and remembering are played.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from s3_assets.builder.build import BuildOptions
from s3_assets.builder.pipeline import Pipeline
from s3_assets.builder.reconcile import HourFailure, make_right, plan_all
from s3_assets.controller.outcome import Limits, Tick
from s3_assets.controller.records import Failing, LostRun, UnderWay
from s3_assets.controller.sweep import Place
from s3_assets.controller.tick import run_tick
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.changes import read_data_version
from s3_assets.hour_file.keys import Hour, KeyGrammar, escape_event
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from s3_assets.builder.pipeline import Workers
    from s3_assets.controller.requests import Batch
    from s3_assets.store.contract import ObjectInfo

TICK = timedelta(seconds=30)

LIMITS = Limits(
    seconds=10, requests=500, hot_days=2, hours_per_run=5, bytes_per_run=10**9, start_label="2025-01-01-00:00"
)


class SlowStore(MemoryStore):
    """Its listings take time by the world's clock, and some prefixes can't be listed."""

    def __init__(self, name: str, world: World) -> None:
        """Tell the world's time."""
        super().__init__(name, clock=lambda: world.now)
        self._world = world

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """One call takes `seconds_per_request` for each thousand keys."""
        self._world.seconds += self._world.seconds_per_request
        self._world.listed.append(prefix)
        for broken, error in self._world.broken.items():
            if prefix.startswith(broken):
                raise error
        for number, info in enumerate(super().list(prefix), start=1):
            if number % 1000 == 0:
                self._world.seconds += self._world.seconds_per_request
            yield info

    def list_level(self, prefix: str) -> Iterator[str | ObjectInfo]:
        """Likewise; a level takes one call."""
        self._world.seconds += self._world.seconds_per_request
        for broken, error in self._world.broken.items():
            if prefix.startswith(broken):
                raise error
        names = (info.key[len(prefix) :] for info in MemoryStore.list(self, prefix))
        folders = {name.partition("/")[0] for name in names if "/" in name}
        return iter([f"{prefix}{name}/" for name in sorted(folders)])


@dataclass
class Run:
    """A run that was asked for."""

    hours: tuple[Hour, ...]
    is_urgent: bool


@dataclass
class World:
    """Everything; `Records` too.

    Attributes:
        workers: Threads of the builds.
        policy: Of all events.
        now: The time; `seconds` is the monotonic clock, which listings move on.
        limits: Of ticks.
        place: The sensor's cursor.
        queue: Runs that are queued or running.
        recorded: Data versions of what was made.
        fails: What fails: how many more times (-1: always), and whether for good.
        broken: Prefixes that can't be listed, with the error.
    """

    workers: Workers
    policy: EventPolicy = field(default_factory=EventPolicy)
    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    seconds: float = 0.0
    seconds_per_request: float = 0.01
    limits: Limits = LIMITS
    place: Place = field(default_factory=Place)
    queue: list[Run] = field(default_factory=list)
    recorded: dict[Hour, str] = field(default_factory=dict)
    known_events: set[str] = field(default_factory=set)
    failures: dict[Hour, Failing] = field(default_factory=dict)
    lost_runs: list[LostRun] = field(default_factory=list)
    fails: dict[Hour, tuple[int, bool]] = field(default_factory=dict)
    broken: dict[str, S3AssetsError] = field(default_factory=dict)
    listed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source, self.target = SlowStore("sources", self), SlowStore("targets", self)
        self.pipeline = Pipeline(
            source=self.source,
            source_prefix="source/",
            target=self.target,
            target_prefix="target/",
            grammar=KeyGrammar(),
            policy=lambda _: self.policy,
            workers=self.workers,
            clock=lambda: self.now,
        )

    # --- producers, and others ---------------------------------------------------------------------------------

    def put(self, hour: Hour, name: str = "00_a.csv", text: str = "1") -> None:
        """Write a source object of one row."""
        self.source.put(f"source/{hour.event}/{hour.date}/{hour.hh}_{name}", f"n\n{text}\n".encode())

    def delete(self, hour: Hour, name: str = "00_a.csv") -> None:
        """Let it vanish."""
        self.source.delete(f"source/{hour.event}/{hour.date}/{hour.hh}_{name}")

    def spoil(self, hour: Hour) -> None:
        """Put something foreign in the hour file's place."""
        self.target.put(self.pipeline.target_key(hour), b"foreign")

    # --- records -----------------------------------------------------------------------------------------------

    def events(self) -> Collection[str]:
        """Partitions."""
        return self.known_events

    def under_way(self) -> UnderWay:
        """All that is queued; the first of it runs."""
        held = {hour for run in self.queue for hour in run.hours}
        urgent = sum(run.is_urgent for run in self.queue)
        waits = any(run.is_urgent for run in self.queue[1:])
        return UnderWay(len(self.queue) - urgent, urgent, held.__contains__, urgent_waits=waits)

    def failing(self) -> Mapping[Hour, Failing]:
        """As recorded."""
        return dict(self.failures)

    def left_out(self) -> Collection[Hour]:
        """By the data versions on record."""
        return [hour for hour, version in self.recorded.items() if read_data_version(version).left_out]

    def lost(self) -> Collection[LostRun]:
        """As recorded."""
        return list(self.lost_runs)

    def versions(self, hours: Collection[Hour]) -> Mapping[Hour, str]:
        """As recorded."""
        return {hour: self.recorded[hour] for hour in hours if hour in self.recorded}

    # --- Dagster -----------------------------------------------------------------------------------------------

    def tick(self, hinted: Sequence[Hour] = (), *, hints_only: bool = False) -> Tick:
        """Evaluate; what is asked for is queued, then the clock goes on."""
        self.listed.clear()
        place = Place.read(self.place.write())  # through the cursor, as in life
        tick = run_tick(
            self.pipeline,
            self,
            place,
            self.limits,
            self.now,
            hinted=hinted,
            hints_only=hints_only,
            clock=lambda: self.seconds,
        )
        self._check(tick)
        self.known_events.update(tick.new_events)
        self.queue.extend(Run(batch.hours, batch.is_urgent) for batch in tick.batches)
        self.place = tick.place
        self.now += TICK
        return tick

    def _check(self, tick: Tick) -> None:
        """What holds of every tick."""
        asked = [hour for batch in tick.batches for hour in batch.hours]
        assert len(set(asked)) == len(asked)
        assert not set(asked) & {hour for run in self.queue for hour in run.hours}
        assert not set(asked) & set(tick.report.under_way)
        report = tick.report
        assert report.asked == len(asked)
        longest = self.seconds_per_request * 12  # those in flight when time was over
        assert report.seconds <= self.limits.seconds + longest
        assert report.requests <= self.limits.requests + 12

    def execute(self, run: Run | None = None, *, die_after: int | None = None) -> None:
        """Execute the first run of the queue, or one of it; with `die_after`, it is killed after so many hours."""
        run = self.queue[0] if run is None else run
        for done, hour in enumerate(run.hours):
            if done == die_after:
                self.lost_runs.append(LostRun(run.hours, self.now))
                break
            self._make(hour)
        self.queue.remove(run)

    def _make(self, hour: Hour) -> None:
        left, permanent = self.fails.get(hour, (0, False))
        if left:
            self.fails[hour] = (left - 1 if left > 0 else left, permanent)
            return self._fail(hour, "AccessDeniedError" if permanent else "StoreUnavailableError", permanent)
        [outcome] = make_right(self.pipeline, [hour], BuildOptions())
        if isinstance(outcome, HourFailure):
            assert isinstance(outcome.error, S3AssetsError)
            return self._fail(hour, type(outcome.error).__name__, not outcome.error.retryable)
        self.recorded[hour] = outcome.data_version
        self.failures.pop(hour, None)
        return None

    def _fail(self, hour: Hour, error: str, permanent: bool) -> None:
        before = self.failures.get(hour)
        info = self.target.head(self.pipeline.target_key(hour))
        self.failures[hour] = Failing(
            hour=hour,
            since=before.since if before else self.now,
            last=self.now,
            tries=before.tries + 1 if before else 1,
            error=error,
            words=error,
            permanent=permanent,
            target_etag=info.etag if info else "",
            run_id="r",
        )

    def execute_all(self) -> None:
        """Until nothing is queued."""
        while self.queue:
            self.execute()

    # --- the end -----------------------------------------------------------------------------------------------

    def settle(self, most_ticks: int) -> int:
        """Tick and execute until a whole round of the sweep found nothing to do; how many ticks that took."""
        quiet_since: int | None = None
        rounds = 0
        for count in range(most_ticks):
            began = self.place.began
            tick = self.tick()
            done = not tick.batches and not self.queue and not self.failures and not tick.report.of_lost_runs
            if not done:
                quiet_since = None
            elif quiet_since is None:
                quiet_since, rounds = count, 0
            self.execute_all()
            if self.failures or tick.report.of_lost_runs:
                self.now += timedelta(minutes=10)
            rounds += self.place.began != began
            if quiet_since is not None and rounds >= 2:
                return count + 1
        raise AssertionError(f"not settled within {most_ticks} ticks: {tick.report}")

    def assert_equal(self, *, but: Collection[Hour] = ()) -> None:
        """Every hour's file holds what the listing shows."""
        hours = self.hours_with_sources()
        for plan in plan_all(self.pipeline, hours - set(but)):
            assert not isinstance(plan, HourFailure), plan
            assert not plan.writes, plan
            assert self.recorded[plan.hour].split("-quarantined")[0] == plan.fingerprint
        assert self.known_events >= {escape_event(hour.event) for hour in hours}

    def hours_with_sources(self) -> set[Hour]:
        """By the store's own history, not through the controller."""
        with_listing = MemoryStore.list(self.source, "source/")
        return {self.pipeline.grammar.source_hour(info.key[len("source/") :]) for info in with_listing}

    def batch_hours(self, batches: Sequence[Batch]) -> list[Hour]:
        """In the order asked for."""
        return [hour for batch in batches for hour in batch.hours]
