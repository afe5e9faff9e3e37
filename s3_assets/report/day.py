"""One event's day in numbers: when its source objects came, which minutes have none, what was left out, how large.

Times are what the store says: `LastModified`, to the second, of the newest writing of a key; of a multipart upload it
is when the upload began. A source that is gone from the source prefix has none any more: it is counted as `gone`, and
tells nothing about arrivals.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from math import ceil
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from s3_assets.hour_file.keys import Hour, KeyGrammar
    from s3_assets.hour_file.ledger import Held, Ledger, Quarantined
    from s3_assets.hour_file.sources import SourceObject

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
MINUTES = 60
"""Of an hour."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One source object that is there.

    Attributes:
        minute: Of its label, 0 to 59.
        size: Bytes as stored.
        after_start: From the start of its hour to its arrival; negative where it came before its own hour began.
        after_label: The same from the minute in its key.
    """

    minute: int
    size: int
    after_start: timedelta
    after_label: timedelta

    @property
    def late_by(self) -> timedelta:
        """From the end of its hour to its arrival; negative where it was not late."""
        return self.after_start - HOUR


@dataclass(frozen=True)
class HourOfDay:
    """What came for one hour, and what its hour file says.

    Attributes:
        hour: Which.
        is_over: Whether it had ended when the report was made.
        arrivals: Its source objects that are there, in key order.
        gone: How many more its hour file holds, that are not there any more.
        waiting: How many of those that are there its hour file does not know yet.
        quarantined: Those that its hour file leaves out.
        rows: In the hour file; 0 where there is none.
        plain_bytes: The same, uncompressed.
        file_bytes: Of the hour file.
        problem: Why the hour file can't be read; empty where it can, or where there is none.
    """

    hour: Hour
    is_over: bool
    arrivals: tuple[Arrival, ...]
    gone: int = 0
    waiting: int = 0
    quarantined: tuple[Quarantined, ...] = ()
    rows: int = 0
    plain_bytes: int = 0
    file_bytes: int = 0
    problem: str = ""

    @property
    def late(self) -> int:
        """Sources that came after the hour had ended."""
        return sum(arrival.late_by >= timedelta() for arrival in self.arrivals)

    @property
    def source_bytes(self) -> int:
        """Bytes of the sources that are there, as stored."""
        return sum(arrival.size for arrival in self.arrivals)

    @cached_property
    def minutes(self) -> frozenset[int]:
        """The minutes that a source is labelled with."""
        return frozenset(arrival.minute for arrival in self.arrivals)


@dataclass(frozen=True)
class DayReport:
    """One event's day.

    Attributes:
        hours: Those of the day that had begun, in order.
    """

    hours: tuple[HourOfDay, ...]

    @cached_property
    def arrivals(self) -> tuple[Arrival, ...]:
        """Of all hours."""
        return tuple(arrival for hour in self.hours for arrival in hour.arrivals)

    @property
    def hours_over(self) -> int:
        """How many had ended."""
        return sum(hour.is_over for hour in self.hours)

    @property
    def empty_hours(self) -> int:
        """How many had ended and have no source at all, not one that is gone either."""
        return sum(hour.is_over and not hour.arrivals and not hour.gone for hour in self.hours)

    def late_by(self, at_least: timedelta) -> int:
        """How many sources came so long after the end of their hour, or longer."""
        return sum(arrival.late_by >= at_least for arrival in self.arrivals)

    def share(self, count: int) -> float:
        """`count` of all arrivals, from 0 to 1; 0 where there is none."""
        return count / len(self.arrivals) if self.arrivals else 0.0

    @property
    def early(self) -> int:
        """How many came before their own hour began: a clock is wrong, or labels are of a zone ahead of UTC."""
        return sum(arrival.after_start < timedelta() for arrival in self.arrivals)

    def delay_s(self, share: float) -> float:
        """So many seconds after the minute in its key, or sooner, came at least this share of the sources.

        Args:
            share: Above 0, at most 1: 0.5 is the median, 1 the longest delay.
        """
        delays = sorted(arrival.after_label.total_seconds() for arrival in self.arrivals)
        if not delays:
            return 0.0
        return delays[max(0, ceil(share * len(delays)) - 1)]

    def arrivals_by_minute(self, step: int, until: int) -> tuple[list[int], int]:
        """How many came in each `step` minutes after their hour began, for `until` minutes; and how many after that.

        What came before its hour began is in the first.
        """
        counts, later = [0] * (until // step), 0
        for arrival in self.arrivals:
            place = int(max(arrival.after_start, timedelta()).total_seconds()) // (MINUTES * step)
            if place < len(counts):
                counts[place] += 1
            else:
                later += 1
        return counts, later

    # --- minutes ---------------------------------------------------------------------------------------------

    @cached_property
    def hours_with_minute(self) -> tuple[int, ...]:
        """Of each minute of the hour, in how many of the hours that are over it has a source."""
        seen = Counter(minute for hour in self.hours if hour.is_over for minute in hour.minutes)
        return tuple(seen[minute] for minute in range(MINUTES))

    @cached_property
    def usual_minutes(self) -> frozenset[int]:
        """The minutes that have a source in more than half of the hours that are over.

        An event that sends one file an hour, at any minute, has none: then no minute is missing, and only an hour
        without any source tells of a gap.
        """
        return frozenset(
            minute for minute, count in enumerate(self.hours_with_minute) if 2 * count > max(self.hours_over, 1)
        )

    def missing_minutes(self, hour: HourOfDay) -> list[int]:
        """The usual minutes without a source in an hour that is over; of one whose sources are gone nothing is known.

        Where the whole day has few sources there are no usual minutes, and none is missing.
        """
        return sorted(self.usual_minutes - hour.minutes) if hour.is_over and not hour.gone else []

    # --- hour files ------------------------------------------------------------------------------------------

    @property
    def quarantined(self) -> list[Quarantined]:
        """All of the day, in key order."""
        return [bad for hour in self.hours for bad in hour.quarantined]

    @property
    def source_sizes(self) -> tuple[int, float, int]:
        """The smallest, the median and the largest source, in bytes; zeros where there is none."""
        sizes = [arrival.size for arrival in self.arrivals]
        return (min(sizes), median(sizes), max(sizes)) if sizes else (0, 0.0, 0)

    @property
    def compression_ratio(self) -> float | None:
        """Plain bytes to bytes of hour files; None where there is no hour file."""
        stored = sum(hour.file_bytes for hour in self.hours if not hour.problem)
        return sum(hour.plain_bytes for hour in self.hours) / stored if stored else None


def report_day(hours: Iterable[HourOfDay]) -> DayReport:
    """The hours that had begun, put together."""
    return DayReport(tuple(sorted(hours, key=lambda hour: hour.hour)))


def hour_of_day(
    grammar: KeyGrammar,
    hour: Hour,
    sources: Sequence[SourceObject],
    *,
    ledger: Ledger | None,
    file_bytes: int,
    problem: str,
    now: datetime,
) -> HourOfDay:
    """One hour from its listing and its ledger.

    Args:
        grammar: How source keys are written.
        hour: Which.
        sources: All that a complete listing shows of it.
        ledger: Of its hour file; None where there is none, or none that can be read.
        file_bytes: Of the hour file; 0 where there is none.
        problem: Why it can't be read; empty where it can.
        now: Aware: which hours are over.
    """
    listed = {source.key: (source.etag, source.size) for source in sources}
    known: list[Held | Quarantined] = [] if ledger is None else [*ledger.held, *ledger.quarantined]
    taken = {source.key: (source.etag, source.size) for source in known}
    return HourOfDay(
        hour=hour,
        is_over=hour.end <= now,
        arrivals=tuple(_arrivals(grammar, hour, sources)),
        gone=len(taken.keys() - listed.keys()),
        waiting=sum(taken.get(key) != identity for key, identity in listed.items()),
        quarantined=() if ledger is None else ledger.quarantined,
        rows=0 if ledger is None else ledger.rows,
        plain_bytes=0 if ledger is None else ledger.raw_length,
        file_bytes=file_bytes,
        problem=problem,
    )


def _arrivals(grammar: KeyGrammar, hour: Hour, sources: Iterable[SourceObject]) -> Iterator[Arrival]:
    minute_at = len(grammar.hour_prefix(hour))  # all keys of an hour agree up to the two digits of the minute
    for source in sources:
        if source.last_modified is not None:
            minute = int(source.key[minute_at : minute_at + 2])
            after_start = source.last_modified - hour.start
            yield Arrival(minute, source.size, after_start, after_start - timedelta(minutes=minute))


def ranges(minutes: Sequence[int]) -> str:
    """Minutes in order as text: `0-4, 17, 30-59`."""
    said: list[str] = []
    first = previous = None
    for minute in [*minutes, None]:
        if first is not None and previous is not None and minute != previous + 1:
            said.append(str(first) if first == previous else f"{first}-{previous}")
            first = None
        if first is None:
            first = minute
        previous = minute
    return ", ".join(said)
