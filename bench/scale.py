"""What grows with events and objects, on paper: listing, hints, runs, requests, records, partitions, storage.

Arithmetic, and a small simulation of how a tick spends its budget: nothing is measured here. What one of something
costs is in `UNITS`, each with the document that tells of its measurement, or comes from the code that has it: prices
from `cli.cost` and `bench.prices`, requests from `builder`, shares and limits from `controller`. `bench.scale_document`
makes tables and words of it, `bench.scale_run` holds a part of it against runs.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from bench.prices import MONTH_S, SQS_PER_ARRIVAL, USD_PER_SQS_REQUEST, default
from s3_assets.builder.commit import COPY_PART_BYTES, PUT_PART_BYTES, WHOLE_PUT_BYTES
from s3_assets.builder.estimate import GUESSED_LEDGER_BYTES, GUESSED_SHARE
from s3_assets.builder.target import TAIL_BYTES
from s3_assets.cli.cost import USD_PER_WRITE, Cost
from s3_assets.controller.survey import LISTERS
from s3_assets.controller.tick import HOT_SHARE
from s3_assets.dagster.hints import HINTS_PER_TICK
from s3_assets.dagster.sensors import HINT_INTERVAL_S, INTERVAL_S
from s3_assets.hour_file.splice import CopyPart, New, Old, part_plan
from s3_assets.store.contract import MIN_PART_BYTES
from s3_assets.store.metered import KEYS_PER_PAGE

if TYPE_CHECKING:
    from collections.abc import Callable

# --- what one of something costs ---------------------------------------------------------------------------


class Unit(NamedTuple):
    """A measured cost.

    Attributes:
        value: In the unit that its name says.
        file: Of this project, which tells of the measurement,
        words: in these words; a test looks for them, so that a new measurement is not overlooked here.
        how: What was measured, for the table.
    """

    value: float
    file: str
    words: str
    how: str


_TICK_KEYS: Final = 100_810 + 16_800 + 10 * (24 + 13) * 6
"""Keys that the tick of docs/sensor.md on SeaweedFS lists: all sources and hour files, the recent ones once more."""

MEMORY_KEY_S: Final = 2.57 / (20 * 59 * 24 * 2 + 20 * 48)
"""CPU seconds of a tick for a key whose listing is made up: `python -m bench.scale_run listing --events 20` took 2.57
for all of its keys, which are sources, hour files, and the recent sources once more."""

UNITS: Final[dict[str, Unit]] = {
    "a key listed by a tick, µs": Unit(
        9.5 / _TICK_KEYS * 1e6,
        "docs/sensor.md",
        "| 100,810, 16,800 | 1 | 9.5, 8.4, 212 |",
        "`python -m bench.ticks seaweedfs`, one core; of it 70 µs are CPU",
    ),
    "an hour compared with its record, CPU µs": Unit(
        30e3 / 744,
        "docs/sensor.md",
        "| what a tick reads of a month (744 hours): CPU ms | 18 | 27 | 30 | 30 |",
        "`python -m bench.partitions`, SQLite, 1,752,000 hours on record",
    ),
    "a run, whatever it does, CPU s": Unit(
        4, "s3_assets/dagster/assets.py", "a run costs about 4 CPU-seconds whatever it does", "in-process executor"
    ),
    "an hour in a run, CPU ms": Unit(
        50, "s3_assets/dagster/assets.py", "an hour about 0.05", "small sources; Dagster's records are most of it"
    ),
    "an hour on record, kB of index.db": Unit(
        15e6 / 1_752_000,
        "docs/sensor.md",
        "| index.db | 0.8 GB | 3.8 GB | 15 GB | 15 GB |",
        "`python -m bench.partitions`, one materialization with its tag and indexes",
    ),
    "a partition in the UI's page, wall µs": Unit(
        21e6 / 438_000,
        "docs/sensor.md",
        "| partitions page, warm: s (CPU) | 5.4 (2.2) | 21 (8.6) | not within 120 | 16 (8.0) |",
        "`python -m bench.partitions`, warm, 50 events for a year; at 1,753,600 it did not answer within 120 s",
    ),
    "an hour on record in the status cache, CPU µs": Unit(
        104e6 / 1_752_000,
        "docs/sensor.md",
        "| Dagster's status cache, to make: CPU s | 4.2 | 22 | 104 | 97 |",
        "`python -m bench.partitions`: made anew when an event is added or the grid moves",
    ),
}

_KEY_S, _COMPARE_S, RUN_S, _HOUR_S, INDEX_BYTES, _PARTITION_S, CACHE_S = (
    unit.value * factor for unit, factor in zip(UNITS.values(), (1e-6, 1e-6, 1, 1e-3, 1e3, 1e-6, 1e-6), strict=True)
)

LARGEST_GRID: Final = 438_400
"""Partitions of the largest grid whose page was seen to answer within two minutes without `S3_ASSETS_GRID_DAYS`."""

COMFORTABLE_S: Final = 10
"""So long a page may take that somebody works with."""

USD_PER_GB_MONTH: Final = ((50_000, 0.023), (500_000, 0.022), (math.inf, 0.021))
"""S3 Standard, us-east-1, November 2026: up to so many GB, so much for each (AWS's list prices)."""

DAY_S: Final = 86_400


class Records(NamedTuple):
    """What a run leaves, and an hour that it makes: `python -m bench.scale_run records`.

    Attributes:
        run_rows: Events of a run that makes nothing,
        run_bytes: and its own file of SQLite.
        hour_rows: Events of an hour,
        hour_bytes: and what they add to that file.
        run_index_bytes: What a run adds to the index that all runs share; for hours it is `INDEX_BYTES`.
        row_bytes: Of an event of a run, in the mean.
    """

    run_rows: float
    run_bytes: float
    hour_rows: float
    hour_bytes: float
    run_index_bytes: float
    row_bytes: float


RECORDS: Final = Records(21, 147_200, 1, 8_440, 10_260, 1_090)


# --- how a tick spends its budget --------------------------------------------------------------------------


def pages(keys: float) -> int:
    """Requests that list so many keys; nothing is a request, too."""
    return max(1, math.ceil(keys / KEYS_PER_PAGE))


class Part(NamedTuple):
    """What is listed at once, and what it costs a tick."""

    requests: int
    seconds: float


def finished(part: Part, requests: float, seconds: float) -> int:
    """How many equal units a tick lists whole, as `controller.survey.Surveyor.each` goes about it.

    It begins with one at a time and ends with `LISTERS`, in turns; those that are not whole at the end are lost.
    """
    left = int(min(requests, seconds * part.requests / part.seconds))
    done, width, flight = 0, 1, [0] * 0
    if part.requests == 1:
        return left
    while left > 0:
        while len(flight) < width and 2 * len(flight) < left:
            flight.append(part.requests)
        turn = min(len(flight), left)
        steps = max(1, min(flight[0], left // turn)) if turn == len(flight) else 1
        flight = [rest - steps if place < turn else rest for place, rest in enumerate(flight)]
        left -= steps * turn
        while flight and flight[0] <= 0:
            del flight[0]
            done, width = done + 1, min(2 * width, LISTERS)
    return done


# --- a deployment ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deployment:
    """So many objects, evenly over a time and over events, all on time; and the settings.

    Attributes:
        events: How many.
        objects: In `days`.
        days: How long they have been coming, and are kept.
        object_bytes: Of each.
        is_even: Whether each hour has as many, as in a benchmark; else they come at random.
        names: Events that are listed by name, where a code location takes only some of them; 0 is `events`.
        tick_seconds: `S3_ASSETS_TICK_SECONDS`.
        tick_requests: `S3_ASSETS_TICK_REQUESTS`.
        hot_days: `S3_ASSETS_HOT_DAYS`.
        grid_days: `S3_ASSETS_GRID_DAYS`; 0 is all.
        key_s: Seconds that a tick needs for a key,
        compare_s: and for an hour that it compares with its record.
        hot_today: Which part of today is over: the recent dates hold no more of it.
    """

    events: int
    objects: float
    days: int = 365
    object_bytes: int = 10_000
    is_even: bool = False
    names: int = 0
    tick_seconds: float = default("tick_seconds")
    tick_requests: int = default("tick_requests")
    hot_days: int = default("hot_days")
    grid_days: int = 0
    key_s: float = _KEY_S
    compare_s: float = _COMPARE_S
    hot_today: float = 1.0

    @cached_property
    def hours(self) -> float:
        """Hours with sources, so hour files."""
        slots = self.events * self.days * 24.0
        return min(self.objects, slots) if self.is_even else distinct(self.objects, slots)

    @property
    def per_hour(self) -> float:
        """Objects of one of them."""
        return self.objects / self.hours

    @property
    def arrivals_s(self) -> float:
        """Objects a second."""
        return self.objects / self.days / DAY_S

    @property
    def months(self) -> int:
        """Of an event, as the sweep counts them."""
        return max(1, round(self.days / 30.4))

    # --- listing ---------------------------------------------------------------------------------------------

    def part(self, days: float, *, targets: bool) -> Part:
        """Listing so many days of one event."""
        share = days / self.days / self.events
        sources, hours = self.objects * share, self.hours * share
        return Part(
            pages(sources) + (pages(hours) if targets else 0),
            max(1e-9, (sources + (hours if targets else 0)) * self.key_s + hours * self.compare_s),
        )

    @property
    def events_requests(self) -> int:
        """Listing the events, at the source and at the target, in each tick."""
        return 2 * pages(self.names or self.events)

    @property
    def _events_s(self) -> float:
        return 2 * (self.names or self.events) * self.key_s

    @cached_property
    def hot(self) -> Part:
        """The recent dates of all events."""
        days = self.hot_days - 1 + self.hot_today
        one = self.part(days / self.hot_days, targets=False)
        return Part(self.events * self.hot_days * one.requests, self.events * self.hot_days * one.seconds)

    @cached_property
    def hot_ticks(self) -> float:
        """Ticks until the recent dates of all events were looked at; infinite where not one date fits."""
        one = self.part((self.hot_days - 1 + self.hot_today) / self.hot_days, targets=False)
        done = finished(one, *self._hot_budget)
        return math.ceil(self.events * self.hot_days / done) if done else math.inf

    @property
    def _hot_budget(self) -> Part:
        seconds = self.tick_seconds - self._events_s
        return Part(int(HOT_SHARE * (self.tick_requests - self.events_requests)), HOT_SHARE * seconds)

    @cached_property
    def hot_spent(self) -> Part:
        """What a tick spends on them."""
        budget = self._hot_budget
        share = min(1.0, budget.requests / self.hot.requests, budget.seconds / self.hot.seconds)
        return Part(round(self.hot.requests * share), self.hot.seconds * share)

    @cached_property
    def sweep(self) -> Part:
        """A whole round of the sweep, as far as its listing goes."""
        month = self.part(self.days / self.months, targets=True)
        level = 2 * pages(self.days)
        return Part(self.events * (level + self.months * month.requests), self.events * self.months * month.seconds)

    @property
    def is_one_tick(self) -> bool:
        """Whether a tick lists all there is."""
        requests = self.events_requests + self.hot.requests + self.sweep.requests
        return requests <= self.tick_requests and self.hot.seconds + self.sweep.seconds <= self.tick_seconds

    @property
    def _sweep_budget(self) -> Part:
        requests = self.tick_requests - self.events_requests - self.hot_spent.requests
        return Part(requests, self.tick_seconds - self._events_s - self.hot_spent.seconds)

    @cached_property
    def round_ticks(self) -> float:
        """Ticks of a round of the sweep, month by month, or in smaller pieces where no tick lists a month.

        What was taken for too large has cost a tick first. An hour that no tick lists costs one, and is asked for.
        """
        if self.is_one_tick:
            return 1
        levels = self.months * self.events * 2 * pages(self.days) / self.months
        wasted, units = 0.0, float(self.months * self.events)
        for days, split in ((self.days / self.months, 0), (1, self.days / self.months), (1 / 24, 24)):
            if split:
                wasted, units = wasted + units, units * split
            one = self.part(days, targets=True)
            spread = one.requests / (one.requests + levels / units)  # the share that is not for the events' dates
            budget = self._sweep_budget
            if done := finished(one, (budget.requests - 2) * spread, budget.seconds):
                return math.ceil(units / done + wasted)
        return math.ceil(units + wasted)

    @cached_property
    def tick(self) -> Part:
        """What a tick spends in the mean of a round."""
        if self.is_one_tick:
            requests = self.events_requests + self.hot.requests + self.sweep.requests
            return Part(requests, self.hot.seconds + self.sweep.seconds)
        budget, round_ = self._sweep_budget, self.sweep
        spent = min(budget.requests, math.ceil(budget.seconds * round_.requests / round_.seconds))
        return Part(
            self.events_requests + self.hot_spent.requests + spent,
            self._events_s + self.hot_spent.seconds + min(budget.seconds, spent * round_.seconds / round_.requests),
        )

    @property
    def cycle_s(self) -> float:
        """From tick to tick."""
        return max(INTERVAL_S, self.tick.seconds)

    @property
    def seen_s(self) -> float:
        """How long a recent object waits at most until a tick looks at it: by its date, or by the sweep."""
        return min(self.hot_ticks, self.round_ticks) * self.cycle_s

    @property
    def round_s(self) -> float:
        """A round of the sweep: how long an object of an older date waits at most."""
        return self.round_ticks * self.cycle_s

    @property
    def listing_usd(self) -> float:
        """A month's listing."""
        return MONTH_S / self.cycle_s * self.tick.requests * USD_PER_WRITE

    # --- hints -----------------------------------------------------------------------------------------------

    @property
    def messages(self) -> float:
        """A month's: one for each object."""
        return self.arrivals_s * MONTH_S

    @property
    def hinted_hours(self) -> float:
        """Different hours that the messages between two looks at the queue name."""
        return distinct(self.arrivals_s * HINT_INTERVAL_S, min(self.events, self.hours))

    @property
    def hint_hours_room(self) -> int:
        """Hours that one tick can look at: it lists all sources of each, and its hour file."""
        return finished(self.part(1 / 24, targets=True), self.tick_requests, self.tick_seconds)

    @property
    def hints_keep_up(self) -> bool:
        """Whether ticks can take the messages, and look at what they name."""
        fits = self.arrivals_s * HINT_INTERVAL_S <= HINTS_PER_TICK
        return fits and self.hinted_hours <= self.hint_hours_room

    @property
    def hints_usd(self) -> float:
        """A month's messages, sent and taken, looks at the quiet queue, and the listing that hints cause."""
        sqs = self.messages * (1 + SQS_PER_ARRIVAL) + MONTH_S / HINT_INTERVAL_S
        lists = MONTH_S / HINT_INTERVAL_S * self.hinted_hours * self.part(1 / 24, targets=True).requests
        return sqs * USD_PER_SQS_REQUEST + lists * USD_PER_WRITE

    # --- making ----------------------------------------------------------------------------------------------

    def makes(self, every_s: float) -> float:
        """How often an hour file is written in all, where what arrived is looked at every so many seconds."""
        return distinct(self.per_hour, max(1.0, 3600 / every_s))

    def busy(self, every_s: float) -> float:
        """Which share of the time runs work, one at a time; over 1 they fall behind."""
        makes_s = self.hours / self.days / DAY_S * self.makes(every_s)
        runs = self._runs_s(every_s) * RUN_S
        reading = Cost(sources=1, source_bytes=self.object_bytes).cpu_seconds
        return runs + makes_s * _HOUR_S + self.arrivals_s * reading

    def _runs_s(self, every_s: float) -> float:
        hours = self.hours / self.days / DAY_S * self.makes(every_s) * every_s
        megabytes = self.arrivals_s * every_s * self.object_bytes / 1e6
        full = max(hours / default("hours_per_run"), megabytes / default("megabytes_per_run"))
        return max(full, -math.expm1(-hours)) / every_s

    @cached_property
    def every_s(self) -> float:
        """How often an hour is made while it fills: what runs can't keep up with waits, and is done in larger lots."""
        every = max(INTERVAL_S, self.seen_s)
        while self.busy(every) > 1 and every < DAY_S:
            every *= 1.02
        return every

    @property
    def machines(self) -> float:
        """How many of this one the runs need at least, however large the lots: one run works at a time on each."""
        return self.busy(max(3600.0, self.every_s))

    @property
    def made(self) -> float:
        """Hour files that are written in a month, each as often as it is."""
        return self.hours / self.days * 30 * self.makes(self.every_s)

    @property
    def runs(self) -> float:
        """A month's."""
        return self._runs_s(self.every_s) * MONTH_S

    @cached_property
    def making_usd(self) -> float:
        """A month's requests of runs."""
        makes = self.makes(self.every_s)
        new, standing = self.per_hour / makes, self.per_hour * (makes - 1) / makes / 2
        cost = Cost(requests=requests_of(standing, new, self.object_bytes))
        return self.made * cost.usd

    # --- what stays ------------------------------------------------------------------------------------------

    @property
    def rows(self) -> float:
        """Events that a year adds to Dagster's storage."""
        return 365 / 30 * (self.runs * RECORDS.run_rows + self.made * RECORDS.hour_rows)

    @property
    def sqlite_gb(self) -> float:
        """What a year adds to SQLite: a file for each run, and the index with the events of assets once more."""
        index = self.runs * RECORDS.run_index_bytes + self.made * INDEX_BYTES
        return 365 / 30 * (self.runs * RECORDS.run_bytes + self.made * RECORDS.hour_bytes + index) / 1e9

    @property
    def postgres_gb(self) -> float:
        """The same where each event is kept once, with the indexes that SQLite's index has."""
        runs = self.runs * (RECORDS.run_rows * RECORDS.row_bytes)
        return 365 / 30 * (runs + self.made * INDEX_BYTES) / 1e9

    @property
    def partitions(self) -> float:
        """In the grid."""
        return self.events * 24.0 * (min(self.grid_days + 15, self.days) if self.grid_days else self.days)

    @property
    def page_s(self) -> float:
        """The partitions page."""
        return self.partitions * _PARTITION_S

    @property
    def groups(self) -> int:
        """Grids that each have a page in `COMFORTABLE_S`."""
        return math.ceil(self.page_s / COMFORTABLE_S)

    @property
    def storage_gb(self) -> float:
        """Sources and hour files."""
        return self.objects * self.object_bytes * (1 + GUESSED_SHARE) / 1e9

    @property
    def storage_usd(self) -> float:
        """A month's."""
        below, total = 0.0, 0.0
        for limit, usd in USD_PER_GB_MONTH:
            total += max(0.0, min(self.storage_gb, limit) - below) * usd
            below = limit
        return total


def distinct(balls: float, boxes: float) -> float:
    """Boxes that are hit when so many balls fall at random."""
    return min(balls, 1.0) if boxes <= 1 else boxes * -math.expm1(balls * math.log1p(-1 / boxes))


def requests_of(standing: float, new: float, object_bytes: float) -> Counter[str]:
    """What one make of an hour takes at both stores, in the mean.

    Args:
        standing: Sources that the hour file holds,
        new: and that it gets.
        object_bytes: Of a source.
    """
    found: Counter[str] = Counter()
    old = standing * object_bytes * GUESSED_SHARE
    tail = standing * GUESSED_LEDGER_BYTES
    added = new * object_bytes * GUESSED_SHARE
    found["list"] += pages(standing + new)
    found["get"] += 1 + (tail > TAIL_BYTES)
    whole: dict[str, float] = {"get": new}
    if old + added <= WHOLE_PUT_BYTES:
        whole["get"] += old > TAIL_BYTES
        whole["put"] = 1
    else:
        whole |= {"list_uploads": 1, "start_upload": 1, "complete": 1}
        pieces = [Old(0, int(old)), New(0, int(added) + 1)]
        parts = part_plan(pieces, min_part=MIN_PART_BYTES, put_part=PUT_PART_BYTES, copy_part=COPY_PART_BYTES)
        copies = sum(isinstance(part, CopyPart) for part in parts)
        whole |= {"copy_part": copies, "put_part": len(parts) - copies}
    for kind, count in whole.items():
        found[kind] += count  # type: ignore[assignment]  # a mean
    return found


# --- where it bends ----------------------------------------------------------------------------------------


def first(events: int, bend: str, like: Deployment | None = None) -> float:
    """With how many objects a year of so many events something begins to hold; infinite where it does not.

    Args:
        events: How many.
        bend: Of `BENDS`. It may end again: what ticks come to less often is made less often.
        like: The settings; None for the defaults.
    """
    base = like or Deployment(1, 1)

    def holds(exponent: float) -> bool:
        return BENDS[bend].holds(replace(base, events=events, objects=10**exponent))

    steps = [LEAST + place / 10 for place in range(round((MOST - LEAST) * 10) + 1)]
    high = next((step for step in steps if holds(step)), math.inf)
    if high in (LEAST, math.inf):
        return 10**high
    low = high - 0.1
    while high - low > 0.002:
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return 10**high


LEAST, MOST = 4, 12
"""Powers of ten: objects a year, between which bends are looked for."""


class Bend(NamedTuple):
    """Something that begins to hold with more objects, and where that is seen."""

    words: str
    holds: Callable[[Deployment], bool]


BENDS: Final[dict[str, Bend]] = {
    "recent": Bend("the recent dates do not fit into a tick", lambda one: one.hot_ticks > 1),
    "waits": Bend("a recent object waits more than 5 min", lambda one: one.seen_s > 300),
    "date": Bend("no tick lists one date of one event", lambda one: math.isinf(one.hot_ticks)),
    "sweep": Bend("a round of the sweep takes more than a day", lambda one: one.round_s > DAY_S),
    "largest": Bend("the same with 50 s and 100,000 requests a tick", lambda one: largest(one).round_s > DAY_S),
    "hints": Bend("hints fall behind", lambda one: not one.hints_keep_up),
    "dearer": Bend("hints and what they list cost more than listing", lambda one: one.hints_usd > one.listing_usd),
    "runs": Bend("one run at a time is not enough", lambda one: one.machines > 1),
    "sqlite": Bend("SQLite grows by 100 GB a year", lambda one: one.sqlite_gb > 100),
}


def largest(one: Deployment) -> Deployment:
    """With the largest budget that there is."""
    return replace(one, tick_seconds=50, tick_requests=100_000)
