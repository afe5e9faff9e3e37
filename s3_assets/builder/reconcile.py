"""Makes many hours right: finds them, looks at each, builds what differs; one failing hour stops no other.

Hours of one event and date share a listing. Everything is streamed: memory does not grow with the number of hours.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, groupby, takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from s3_assets.builder.build import BuildOptions, HourResult, Seen, build_hour, plan_hour, see
from s3_assets.builder.target import read_target
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.plan import Plan
from s3_assets.hour_file.sources import Listing, Sorter, in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.hour_file.keys import Hour
    from s3_assets.store.contract import Store

NARROW_DAYS = 40
"""A range of at most so many days is listed date by date, a longer one event by event."""

GROUPS_AHEAD = 2
"""Groups of hours (one event and date) that are looked at before their turn to be built."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which hours to look at.

    Attributes:
        first_label: The first hour, `YYYY-MM-DD-HH:00`,
        last_label: and the last, included.
        events: Only these; None for all there are.
        start_label: The first hour there can be, where that is not the first to look at,
        now_label: and the last.
    """

    first_label: str
    last_label: str
    events: tuple[str, ...] | None = None
    start_label: str | None = None
    now_label: str | None = None

    def holds(self, hour: Hour) -> bool:
        """Whether `hour` is one of them."""
        in_range = self.first_label <= hour.label <= self.last_label
        return in_range and (self.events is None or hour.event in self.events)

    @property
    def dates(self) -> list[str]:
        """The dates it touches."""
        first, last = date.fromisoformat(self.first_label[:10]), date.fromisoformat(self.last_label[:10])
        return [(first + timedelta(days=day)).isoformat() for day in range((last - first).days + 1)]


@dataclass(frozen=True, slots=True)
class HourFailure:
    """An hour that could not be made right, and why. Its hour file is whole: as it was, or as another left it."""

    hour: Hour
    error: BaseException


Outcome = HourResult | HourFailure
PlanOutcome = Plan | HourFailure


def observe(pipeline: Pipeline, scope: Scope, *, everything: bool = False) -> Listing:
    """The sources of all hours in `scope`, and what else was listed on the way.

    With `everything`, the whole source prefix is listed, so that no key that belongs nowhere is missed; otherwise a
    short range lists the folders of its dates only.

    Raises:
        StoreError: A listing failed: nothing is known then.
    """
    sorter = Sorter(
        pipeline.grammar,
        first_label=scope.first_label,
        last_label=scope.last_label,
        start_label=scope.start_label,
        now_label=scope.now_label,
    )
    listing = Listing()
    prefixes = [pipeline.grammar.events_prefix()] if everything else _prefixes(pipeline, scope)
    for sources in pipeline.workers.fetch.map(lambda prefix: list(pipeline.list_sources(prefix)), prefixes):
        sorter.sort(sources, into=listing)
    return listing


def _prefixes(pipeline: Pipeline, scope: Scope) -> list[str]:
    grammar = pipeline.grammar
    dates = scope.dates
    events = scope.events
    if events is None:
        if len(dates) > NARROW_DAYS:
            return [grammar.events_prefix()]
        events = tuple(source_events(pipeline))
    if len(dates) > NARROW_DAYS:
        return [grammar.dates_prefix(event) for event in events]
    return [grammar.date_prefix(event, day) for event in events for day in dates]


def source_events(pipeline: Pipeline) -> list[str]:
    """The events that have a folder at the source, sorted."""
    return _folders(pipeline.source, pipeline.source_prefix + pipeline.grammar.events_prefix())


def _folders(store: Store, start: str) -> list[str]:
    return sorted(folder[len(start) : -1] for folder in store.list_level(start) if isinstance(folder, str))


def target_hours(pipeline: Pipeline, scope: Scope) -> list[Hour]:
    """The hours in `scope` that have an hour file, sorted.

    Raises:
        StoreError: A listing failed: nothing is known then.
    """
    skip = len(pipeline.target_prefix)

    def below(prefix: str) -> list[Hour]:
        infos = pipeline.target.list(pipeline.target_prefix + prefix)
        found = (pipeline.grammar.target_hour(info.key[skip:]) for info in infos)
        return [hour for hour in found if hour is not None and scope.holds(hour)]

    return sorted(chain.from_iterable(pipeline.workers.fetch.map(below, _target_prefixes(pipeline, scope))))


def _target_prefixes(pipeline: Pipeline, scope: Scope) -> list[str]:
    """Where they are. A date has 24 at most: those of an event are listed at once, as far as the dates begin alike."""
    events = scope.events
    if events is None:
        if len(scope.dates) > NARROW_DAYS:
            return [""]
        events = tuple(_folders(pipeline.target, pipeline.target_prefix))
    ends = zip(scope.first_label[: len("2024-06-12")], scope.last_label[: len("2024-06-12")], strict=True)
    alike = "".join(first for first, _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    return [f"{event}/{alike}" for event in events]


def look(pipeline: Pipeline, hours: Sequence[Hour]) -> dict[Hour, Seen]:
    """See hours of one event and date: their ledgers first, then one listing for all."""
    if len(hours) == 1:
        return {hours[0]: see(pipeline, hours[0])}
    targets = list(
        pipeline.workers.fetch.map(lambda hour: read_target(pipeline.target, pipeline.target_key(hour), hour), hours)
    )
    labels = [hour.label for hour in hours]
    sorter = Sorter(pipeline.grammar, first_label=min(labels), last_label=max(labels))
    prefix = pipeline.grammar.date_prefix(hours[0].event, hours[0].date)
    listing = sorter.sort(pipeline.list_sources(prefix))
    return {
        hour: Seen(target, in_order(listing.hours.get(hour, ()))) for hour, target in zip(hours, targets, strict=True)
    }


def make_right(
    pipeline: Pipeline,
    hours: Iterable[Hour],
    options: BuildOptions = BuildOptions(),  # noqa: B008  (frozen)
) -> Iterator[Outcome]:
    """Make hours right, several at once; outcomes come as they are ready, in no order, one for each hour."""

    def build(hour: Hour, seen: Seen) -> HourResult:
        return build_hour(pipeline, hour, seen=seen, options=options)

    yield from each_hour(pipeline, hours, build)


def plan_all(
    pipeline: Pipeline,
    hours: Iterable[Hour],
    options: BuildOptions = BuildOptions(),  # noqa: B008  (frozen)
) -> Iterator[PlanOutcome]:
    """What would make hours right; outcomes as in `make_right`, and nothing is written."""

    def plan(hour: Hour, seen: Seen) -> Plan:
        return plan_hour(pipeline, hour, seen, options)

    yield from each_hour(pipeline, hours, plan)


def each_hour(pipeline: Pipeline, hours: Iterable[Hour], work: Callable[[Hour, Seen], T]) -> Iterator[T | HourFailure]:
    """Look at hours group by group and do `work` on each, a bounded number under way at once."""
    waiting = deque(list(group) for _, group in groupby(sorted(set(hours)), key=lambda h: (h.event, h.date)))
    looking: dict[Future[dict[Hour, Seen]], list[Hour]] = {}
    ready: deque[tuple[Hour, Seen]] = deque()
    working: dict[Future[T], Hour] = {}
    threads = pipeline.workers.hour_threads
    pool = pipeline.workers.hours
    try:
        while waiting or looking or ready or working:
            while waiting and len(looking) < GROUPS_AHEAD and len(ready) < threads:
                group = waiting.popleft()
                looking[pool.submit(look, pipeline, group)] = group
            while ready and len(working) < threads:
                hour, seen = ready.popleft()
                working[pool.submit(work, hour, seen)] = hour
            under_way: list[Future[Any]] = [*looking, *working]
            wait(under_way, return_when=FIRST_COMPLETED)
            for look_done in [one for one in looking if one.done()]:
                group, error = looking.pop(look_done), look_done.exception()
                if error is None:
                    ready.extend(look_done.result().items())
                elif len(group) > 1:
                    waiting.extend([hour] for hour in group)  # so that only those fail whose own look does
                else:
                    yield _failure(pipeline, group[0], error)
            for work_done in [one for one in working if one.done()]:
                hour, error = working.pop(work_done), work_done.exception()
                yield work_done.result() if error is None else _failure(pipeline, hour, error)
    finally:
        everything: list[Future[Any]] = [*looking, *working]
        for future in everything:
            future.cancel()


def _failure(pipeline: Pipeline, hour: Hour, error: BaseException) -> HourFailure:
    """With what is to be known of a command that the error's hint names."""
    if isinstance(error, S3AssetsError) and "`s3-assets " in error.hint and pipeline.aside not in error.hint:
        error.hint = f"{error.hint}; {pipeline.aside}"
    return HourFailure(hour, error)
