"""The sweep: all months of all events, newest first, one event after the other, round and round, a part in each tick.

What it remembers between ticks is a `Place`. A file that is a year late is found when the sweep comes by.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from s3_assets.controller.survey import Strays
from s3_assets.controller.units import Unit, periods_from
from s3_assets.errors import OutOfBudgetError, S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.controller.budget import Budget
    from s3_assets.controller.survey import Surveyor, Window

_FAR = 10.0**11
"""Seconds since 1970 that nobody lives to see: a cursor with more is not ours."""

_MONTH = re.compile(r"([0-9]{4}-(?:0[1-9]|1[0-2]))-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tick stopped. The default is the beginning; losing a place loses nothing.

    Attributes:
        event: Of the first unit that the sweep has not looked at in this round; empty for the first event.
        period: Of that unit; empty for the event's newest.
        began: When this round of the sweep began, in seconds since 1970; 0 before the first.
        took: How long the last whole round took, in seconds; 0 before the first.
        hot: Event with which the hot part goes on; empty for the first.
        looked: When the hot part and the sweep were last looked at, in seconds since 1970.
    """

    event: str = ""
    period: str = ""
    began: float = 0.0
    took: float = 0.0
    hot: str = ""
    looked: float = 0.0

    @classmethod
    def read(cls, text: str | None) -> Place:
        """Of a cursor; one that can't be read is the beginning."""
        try:
            found: Any = json.loads(text or "{}")
            kinds = {field.name: type(field.default) for field in fields(cls)}
            good = {name: found[name] for name, kind in kinds.items() if isinstance(found.get(name), kind)}
            if not all(0 <= good.get(name, 0) < _FAR for name in ("began", "took", "looked")):
                return cls()
        except (ValueError, AttributeError, RecursionError):
            return cls()
        place = cls(**good)
        return place if _is_period(place.period) else replace(place, period="")

    def write(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self), ensure_ascii=False)


def _is_period(text: str) -> bool:
    return re.fullmatch(r"|[0-9]{4}-[0-9]{2}(-[0-9]{2}){0,2}", text) is not None


def rotated(events: Sequence[str], first: str) -> list[str]:
    """`events`, which are sorted, from `first` on, or from the next there is, and then those before it."""
    at = bisect_left(events, first)
    return [*events[at:], *events[:at]]


class Sweep:
    """One tick's part of a round of the sweep.

    Attributes:
        strays: What the listings of dates show that is no date of the window.
        failures: Events whose dates could not be listed, and why: they wait for the next round.
        stopped: The event whose dates there was no budget to list; None where it did not come to that.
    """

    def __init__(
        self, pipeline: Pipeline, surveyor: Surveyor, budget: Budget, window: Window, events: Sequence[str]
    ) -> None:
        """Prepare to sweep `events`, which are sorted."""
        self._pipeline = pipeline
        self._surveyor = surveyor
        self._budget = budget
        self._window = window
        self._events = events
        self.strays = Strays()
        self.failures: list[tuple[str, S3AssetsError]] = []
        self.stopped: str | None = None

    def units(self, place: Place) -> Iterator[Unit]:
        """The units from `place` to the end of the round, once each."""
        for event in self._events[bisect_left(self._events, place.event) :]:
            months = self._months(event)
            if months is None:
                return
            resume = place.period if event == place.event else ""
            yield from (Unit(event, period) for period in periods_from(months, resume))

    def _months(self, event: str) -> list[str] | None:
        """The months in which `event` has sources or hour files, newest first; None where the budget is used up."""
        try:
            self._budget.check()
            return self._surveyor.ask(self._budget, lambda: self._list_months(event))
        except OutOfBudgetError:
            self.stopped = event
            return None
        except S3AssetsError as error:
            self.failures.append((event, error))
            return []

    def _list_months(self, event: str) -> list[str]:
        site = self._pipeline
        strays = Strays()
        first, last = (label[: len("2024-06")] for label in (self._window.start_label, self._window.now_label))
        months = set()
        prefix = site.source_prefix + site.grammar.dates_prefix(event)
        for found in self._budget.watch(site.source.list_level(prefix)):
            if not isinstance(found, str):
                strays.add(found.key[len(site.source_prefix) :], f"not of the form {site.grammar.source_pattern}")
                continue
            match = _MONTH.match(found, len(prefix))
            if match is None:
                strays.add(found[len(site.source_prefix) :], "a folder that is no date")
            elif match[1] < first:
                strays.add(found[len(site.source_prefix) :], "before the start date")
            elif match[1] > last:
                strays.add(found[len(site.source_prefix) :], "in the future")
            else:
                months.add(match[1])
        prefix = site.target_prefix + f"{event}/"
        for found in self._budget.watch(site.target.list_level(prefix)):
            match = _MONTH.match(found, len(prefix)) if isinstance(found, str) else None
            if match is not None and first <= match[1] <= last:
                months.add(match[1])
        self.strays.take(strays)
        return sorted(months, reverse=True)


def events_there(pipeline: Pipeline, watch: Callable[..., Iterator[Any]]) -> tuple[list[str], Strays]:
    """The events that have a folder at the source or at the target, sorted, and what else is beside them."""
    strays, events = Strays(), set[str]()
    start = pipeline.source_prefix + pipeline.grammar.events_prefix()
    for found in watch(pipeline.source.list_level(start)):
        if isinstance(found, str):
            events.add(found[len(start) : -1])
        else:
            key = found.key[len(pipeline.source_prefix) :]
            strays.add(key, f"not of the form {pipeline.grammar.source_pattern}")
    for found in watch(pipeline.target.list_level(pipeline.target_prefix)):
        if isinstance(found, str):
            events.add(found[len(pipeline.target_prefix) : -1])
    return sorted(events - {""}), strays
