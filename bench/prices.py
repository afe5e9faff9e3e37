"""What S3 and SQS charge for the requests of an hour, counted while it is built in memory, and for a month of watching.

Only requests: storage, and bytes that leave the region, cost what they cost with any tool. What watching takes follows
from the sensor's settings; `s3_assets_tests/builder/test_requests.py` holds it against real ticks.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from s3_assets.builder.pipeline import Workers
from s3_assets.cli.cost import PRICE_LIST, USD_PER_WRITE, Cost
from s3_assets.controller.tick import HOT_SHARE
from s3_assets.dagster.sensors import HINT_INTERVAL_S, INTERVAL_S
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.settings import SETTINGS
from s3_assets.store.metered import KEYS_PER_PAGE
from s3_assets_tests.builder.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

MONTH_S: Final = 30 * 86_400

USD_PER_SQS_REQUEST: Final = 0.40 / 1_000_000
"""Standard queue, us-east-1, November 2026; the first million of a month, which is free, is not taken off."""

SQS_PER_ARRIVAL: Final = 2.2
"""Beside the look at the queue every few seconds, at most: two more looks, a fifth of a batch to forget it."""

LISTS_PER_ARRIVAL: Final = 2
"""The sources and the hour file of the hour that a hint names, at most: hints for one hour share them."""

SOURCES: Final = 60


# --- an hour -----------------------------------------------------------------------------------------------


def of_hours() -> Iterator[tuple[str, Cost]]:
    """What is done with an hour, and the requests that it takes."""
    with Workers() as workers:
        small = Bench(workers)
        for minute in range(SOURCES):
            small.put(f"07_{minute:02d}_a.csv", _body(1_000, minute))
        yield f"first build from {SOURCES} sources, up to 16 MiB", _built(small)
        yield "an hour that is right", _built(small)
        small.put("07_59_late.csv", _body(1_000, 99))
        yield "a late file, hour file up to 64 KiB", _built(small)
        medium = Bench(workers)
        for minute in range(SOURCES):
            medium.put(f"07_{minute:02d}_a.csv", _body(50_000, minute))
        medium.build()
        for words, name in (("last", "07_59_late.csv"), ("in the middle", "07_30_late.csv")):
            medium.put(name, _body(1_000, 99))
            yield f"a late file, {words}, hour file up to 16 MiB", _built(medium)
        large = Bench(workers, EventPolicy(compression="fast"))
        for minute in range(SOURCES):
            large.put(f"07_{minute:02d}_a.csv", _body(1_000_000, minute))
        cost = _built(large)
        yield f"first build from {SOURCES} sources, {large.info().size / 1e6:.0f} MB", cost
        for words, name in (("last", "07_59_late.csv"), ("in the middle", "07_30_late.csv")):
            large.put(name, _body(1_000, 99))
            yield f"a late file, {words}, hour file of {large.info().size / 1e6:.0f} MB", _built(large)


def _built(bench: Bench) -> Cost:
    result, cost = bench.build(), Cost()
    cost.add(result.traffic_source)
    cost.add(result.traffic_target)
    return cost


def _body(size: int, seed: int) -> bytes:
    """Rows that compress to about half."""
    text = random.Random(seed).randbytes(size // 2).hex().encode()
    return b"id,n\n" + b"".join(b"%b,%d\n" % (text[at : at + 90], at) for at in range(0, len(text), 90))


# --- a month of watching -----------------------------------------------------------------------------------


def default(name: str) -> int:
    """Of a setting."""
    return next(int(setting.default or "") for setting in SETTINGS if setting.name == name)


@dataclass(frozen=True, slots=True)
class Source:
    """What is watched: as many objects in each hour of each event.

    Attributes:
        events: How many.
        days: How long they have been there.
        per_hour: Objects in an hour.
    """

    events: int
    days: int
    per_hour: int

    @property
    def objects(self) -> int:
        """All of them."""
        return self.events * self.days * 24 * self.per_hour

    @property
    def arrivals(self) -> int:
        """In a month."""
        return self.events * 30 * 24 * self.per_hour

    @property
    def round_requests(self) -> int:
        """LISTs of a whole round of the sweep: dates of each event, sources and hour files of each of its months."""
        months, hours = math.ceil(self.days / 30), self.days * 24
        in_month = min(hours, 30 * 24)
        lists = math.ceil(in_month * self.per_hour / KEYS_PER_PAGE) + math.ceil(in_month / KEYS_PER_PAGE)
        return self.events * (2 + months * lists)

    def hot_requests(self, hot_days: int) -> int:
        """LISTs of the recent dates of all events."""
        return self.events * hot_days * math.ceil(24 * self.per_hour / KEYS_PER_PAGE)


MILLION: Final = Source(events=50, days=140, per_hour=6)


@dataclass(frozen=True, slots=True)
class Watch:
    """A way to watch.

    Attributes:
        words: What it is called.
        tick_requests: `S3_ASSETS_TICK_REQUESTS`.
        hot_days: `S3_ASSETS_HOT_DAYS`.
        hints: Whether there is a queue.
    """

    words: str
    tick_requests: int
    hot_days: int
    hints: bool

    def tick(self, source: Source) -> int:
        """LISTs of a tick, at most: the rest of a budget that a whole round fits into is not used."""
        return min(self.tick_requests, 2 + source.hot_requests(self.hot_days) + source.round_requests)

    def round_s(self, source: Source) -> int:
        """How long a round of the sweep takes, in seconds, where requests are what bounds a tick."""
        room = self.tick_requests - 2  # the events, at the source and at the target
        room -= min(source.hot_requests(self.hot_days), int(HOT_SHARE * room))
        return math.ceil(source.round_requests / room) * INTERVAL_S

    def lists(self, source: Source) -> int:
        """In a month."""
        hinted = LISTS_PER_ARRIVAL * source.arrivals if self.hints else 0
        return MONTH_S // INTERVAL_S * self.tick(source) + hinted

    def sqs(self, source: Source) -> int:
        """Requests to the queue in a month."""
        return round(MONTH_S // HINT_INTERVAL_S + SQS_PER_ARRIVAL * source.arrivals) if self.hints else 0

    def usd(self, source: Source) -> float:
        """In a month."""
        return self.lists(source) * USD_PER_WRITE + self.sqs(source) * USD_PER_SQS_REQUEST


def watches() -> list[Watch]:
    """As it is by default, and with less."""
    requests, days = default("tick_requests"), default("hot_days")
    return [
        Watch("listing: recent dates in each tick, and the sweep", requests, days, hints=False),
        Watch("the same, fewer requests", 150, days, hints=False),
        Watch("hints from SQS, and both", requests, days, hints=True),
        Watch("the same, fewer requests", 50, 1, hints=True),
    ]


# --- as Markdown -------------------------------------------------------------------------------------------


def tables() -> str:
    """Both."""
    hours = ["| | requests | USD for 1,000 hours |", "|---|---|---:|"]
    for words, cost in of_hours():
        requests = ", ".join(f"{count} {kind}" for kind, count in sorted(cost.requests.items()))
        hours.append(f"| {words} | {requests} | {1000 * cost.usd:.3f} |")
    source = MILLION
    names = ["`S3_ASSETS_TICK_REQUESTS`", "`S3_ASSETS_HOT_DAYS`", "LISTs a month", "SQS requests", "USD a month"]
    month = [f"| | {' | '.join(names)} | a round of the sweep, min |", "|---|---:|---:|---:|---:|---:|---:|"]
    month += [
        f"| {watch.words} | {watch.tick_requests} | {watch.hot_days} | {watch.lists(source):,} | {watch.sqs(source):,} "
        f"| {watch.usd(source):.2f} | {watch.round_s(source) / 60:.1f} |"
        for watch in watches()
    ]
    about = (
        f"A month of watching {source.objects:,} objects ({source.events} events, {source.days} days, "
        f"{source.per_hour} an hour, so {source.arrivals:,} new ones a month):"
    )
    return "\n".join([f"{PRICE_LIST}.", "", *hours, "", about, "", *month])


if __name__ == "__main__":
    print(tables())
