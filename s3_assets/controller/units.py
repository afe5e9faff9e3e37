"""What is listed at once: the keys of one event and one month, date or hour.

A listing is complete by its prefix, whatever order the server lists in, so a unit is known whole or not at all.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from s3_assets.hour_file.keys import Hour, KeyGrammar

_MONTH, _DATE, _HOUR = len("2024-06"), len("2024-06-12"), len("2024-06-12-07")
_HOURS = 24


@dataclass(frozen=True, slots=True)
class Unit:
    """One event and one period.

    Attributes:
        event: Its name.
        period: `2024-06`, `2024-06-12` or `2024-06-12-07`.
    """

    event: str
    period: str

    @classmethod
    def of_date(cls, hour: Hour) -> Unit:
        """The date that `hour` is in."""
        return cls(hour.event, hour.date)

    @classmethod
    def of_hour(cls, hour: Hour) -> Unit:
        """`hour` alone."""
        return cls(hour.event, f"{hour.date}-{hour.hh}")

    @property
    def first_label(self) -> str:
        """The first hour label in it."""
        return self.period + "-01-00:00"[len(self.period) - _MONTH :]

    @property
    def last_label(self) -> str:
        """The last one; a month is taken to have 31 days."""
        return self.period + "-31-23:00"[len(self.period) - _MONTH :]

    def holds(self, hour: Hour) -> bool:
        """Whether `hour` is in it."""
        return hour.event == self.event and self.first_label <= hour.label <= self.last_label

    @property
    def finer(self) -> Unit | None:
        """The first of the units that it can be taken apart into; None for an hour."""
        if len(self.period) == _HOUR:
            return None
        if len(self.period) == _DATE:
            return Unit(self.event, f"{self.period}-{_HOURS - 1}")
        _, days = monthrange(int(self.period[:4]), int(self.period[5:]))
        return Unit(self.event, f"{self.period}-{days}")

    @property
    def next(self) -> Unit:
        """The one that follows an hour or a date: the one before it in time, at the largest step there can be."""
        head, number = self.period[:-3], int(self.period[-2:])
        if len(self.period) == _HOUR and number > 0:
            return Unit(self.event, f"{head}-{number - 1:02d}")
        if len(self.period) == _HOUR:
            return Unit(self.event, head).next
        if number > 1:
            return Unit(self.event, f"{head}-{number - 1:02d}")
        year, month = int(head[:4]), int(head[5:])
        return Unit(self.event, f"{year:04d}-{month - 1:02d}" if month > 1 else f"{year - 1:04d}-12")

    def source_prefix(self, grammar: KeyGrammar) -> str:
        """The prefix of its source keys, relative to the source prefix."""
        return grammar.period_prefix(self.event, self.period)

    def target_prefix(self, grammar: KeyGrammar) -> str:
        """The prefix of its target keys, relative to the target prefix."""
        return grammar.target_period_prefix(self.event, self.period)

    def __str__(self) -> str:
        return f"{self.event} {self.period}".strip()


def periods_from(months: Sequence[str], resume: str = "") -> Iterator[str]:
    """The periods to list, newest first, from `resume` on.

    Args:
        months: Those there are (`2024-06`), newest first.
        resume: Empty for all. A month goes on with it. A date goes on date by date to the start of its month, an hour
            hour by hour to the start of its date, and then in the larger steps again.
    """
    place = resume
    if len(place) == _HOUR:
        yield from (f"{place[:_DATE]}-{hour:02d}" for hour in range(int(place[-2:]), -1, -1))
        day = int(place[_DATE - 2 : _DATE])
        place = f"{place[:_MONTH]}-{day - 1:02d}"
    if len(place) == _DATE:
        yield from (f"{place[:_MONTH]}-{day:02d}" for day in range(int(place[-2:]), 0, -1))
        yield from (month for month in months if month < place[:_MONTH])
    else:
        yield from (month for month in months if not place or month <= place)


def hint_units(hours: Sequence[Hour]) -> list[Unit]:
    """Units that hold `hours`, in their order: single hours, or the date where several are of one."""
    several = 4  # listing a date costs about as much as listing so many of its hours
    together: dict[Unit, list[Hour]] = {}
    for hour in dict.fromkeys(hours):
        together.setdefault(Unit.of_date(hour), []).append(hour)
    return [
        unit
        for date, of_date in together.items()
        for unit in ([date] if len(of_date) >= several else map(Unit.of_hour, of_date))
    ]
